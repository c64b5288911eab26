package engine_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
)

// lateReader looks away while a container is between its first two runs: a busy machine polls that seldom.
type lateReader struct{ engine.Reader }

func (l lateReader) Inspect(ctx context.Context, id string) (engine.Container, error) {
	c, err := l.Reader.Inspect(ctx, id)
	for err == nil && c.State.Restarting && c.RestartCount == 0 {
		<-time.After(10 * time.Millisecond)
		c, err = l.Reader.Inspect(ctx, id)
	}
	return c, err
}

func TestWaitTellsWhyAContainerRestarted(t *testing.T) {
	tests := map[string]struct {
		reason string
		ends   int // runs that end by themselves
		want   string
	}{
		"Again": {"the next end tells the code that was missed", 9, "restarts after exit code 2"},
		"Once":  {"a container that runs has no exit code", 1, "has restarted by itself"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				runs := 0
				e := enginetest.New(enginetest.Options{})
				e.AddImage(enginetest.Image{Name: "web:1", Program: func(map[string]string) enginetest.Behavior {
					if runs++; runs > tc.ends {
						return enginetest.Behavior{}
					}
					return enginetest.Behavior{Exit: &enginetest.Exit{After: 50 * time.Millisecond, Code: 2}}
				}})
				c, err := e.AddService(t.Context(), enginetest.Service{Project: "shop", Name: "web", Image: "web:1", Edit: func(spec *engine.Spec) {
					spec.Host.RestartPolicy.Name = container.RestartPolicyAlways
				}})
				if err != nil {
					t.Fatal(err)
				}
				err = (&engine.Swapper{Reader: lateReader{e}, Writer: e}).Await(t.Context(), c, engine.Pace{StableFor: 5 * time.Second, Timeout: time.Minute})
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("%s: error %v, want %q", tc.reason, err, tc.want)
				}
			})
		})
	}
}
