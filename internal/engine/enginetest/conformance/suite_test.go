package conformance_test

import (
	"maps"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest/conformance"
)

func TestMemoryEngine(t *testing.T) {
	for _, api := range []string{"1.41", "1.44", "1.51"} {
		t.Run(api, func(t *testing.T) {
			t.Parallel()
			conformance.Run(t, func(*testing.T) conformance.Fixture { return conformance.MemoryFixture(api) })
		})
	}
}

// TestRealEngine also proves the list of endpoints: the suite uses every call of a client.
func TestRealEngine(t *testing.T) {
	var used endpoints
	conformance.Run(t, func(t *testing.T) conformance.Fixture { return conformance.RealFixture(t, used.observe) })
	if t.Failed() {
		return
	}
	if diff := cmp.Diff(engine.Endpoints(), used.sorted()); diff != "" {
		t.Errorf("documented endpoints (-documented +used):\n%s", diff)
	}
}

// endpoints collects requests with what varies in their paths replaced.
type endpoints struct {
	mu   sync.Mutex
	seen map[string]bool
}

var (
	versionPart = regexp.MustCompile(`^/v1\.\d+`)
	objectPart  = regexp.MustCompile(`^/(containers|networks)/[^/]+(/(?:attach|connect|json|logs|rename|start|stop|update|wait))$`)
	imagePart   = regexp.MustCompile(`^/images/.+/json$`)
	removedPart = regexp.MustCompile(`^/containers/[^/]+$`)
)

func (e *endpoints) observe(method, path string) {
	path = versionPart.ReplaceAllString(path, "")
	path = objectPart.ReplaceAllString(path, "/$1/{id}$2")
	path = imagePart.ReplaceAllString(path, "/images/{name}/json")
	if method == "DELETE" {
		path = removedPart.ReplaceAllString(path, "/containers/{id}")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.seen == nil {
		e.seen = make(map[string]bool)
	}
	e.seen[method+" "+path] = true
}

func (e *endpoints) sorted() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Sorted(maps.Keys(e.seen))
}
