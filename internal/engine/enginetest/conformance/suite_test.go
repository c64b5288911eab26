package conformance_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/client"

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

// TestRealEngine also proves the list of endpoints in the documentation: the suite uses every call of a client.
func TestRealEngine(t *testing.T) {
	var used endpoints
	conformance.Run(t, func(t *testing.T) conformance.Fixture {
		f := conformance.RealFixture(t, used.observe)
		testOldImages(t, f)
		return f
	})
	if t.Failed() {
		return
	}
	if diff := cmp.Diff(documentedEndpoints(t), used.sorted()); diff != "" {
		t.Errorf("documented endpoints (-documented +used):\n%s", diff)
	}
}

// documentedEndpoints are those that docs/operations.md tells people to let through a socket proxy.
func documentedEndpoints(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile("../../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, match := range regexp.MustCompile("`((?:GET|HEAD|POST|PUT|DELETE) /[^`]*)`").FindAllStringSubmatch(string(page), -1) {
		list = append(list, match[1])
	}
	slices.Sort(list)
	return list
}

// testOldImages lets the import of a probe image find one of an older build, and one that only has such a name.
func testOldImages(t *testing.T, f conformance.Fixture) {
	t.Helper()
	older, foreign := "composure-probe:"+f.Prefix+"-older", "composure-probe:"+f.Prefix+"-foreign"
	loadImage(t, older, map[string]string{engine.LabelRole: engine.RoleProbe, "name": older})
	loadImage(t, foreign, map[string]string{"name": foreign})
	if _, err := f.Prober.EnsureImage(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Reader.Image(t.Context(), older); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("image of an older build: got %v, want %v", err, engine.ErrNotFound)
	}
	if _, err := f.Reader.Image(t.Context(), foreign); err != nil {
		t.Errorf("image of somebody else: %v", err)
	}
}

// loadImage puts an empty image into the real engine that was made long ago.
func loadImage(t *testing.T, name string, labels map[string]string) {
	t.Helper()
	layer := archive(t, nil)
	digest := sha256.Sum256(layer)
	config := map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "created": "2020-01-01T00:00:00Z",
		"config": map[string]any{"Labels": labels},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(digest[:])}},
	}
	manifest := []map[string]any{{"Config": "config.json", "RepoTags": []string{name}, "Layers": []string{"layer.tar"}}}
	image := archive(t, map[string][]byte{"layer.tar": layer, "config.json": encode(t, config), "manifest.json": encode(t, manifest)})
	api, err := client.New(client.FromEnv)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := api.ImageLoad(t.Context(), bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	defer loaded.Close()
	if _, err := io.Copy(io.Discard, loaded); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = api.ImageRemove(context.WithoutCancel(t.Context()), name, client.ImageRemoveOptions{}) })
}

func archive(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	for name, content := range files {
		if err := writer.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := writer.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// endpoints collects requests with what varies in their paths replaced.
type endpoints struct {
	mu   sync.Mutex
	seen map[string]bool
}

var (
	versionPart   = regexp.MustCompile(`^/v1\.\d+`)
	objectPart    = regexp.MustCompile(`^/(containers|networks)/[^/]+(/(?:archive|attach|connect|json|logs|rename|start|stop|update|wait))$`)
	imagePart     = regexp.MustCompile(`^/images/.+/json$`)
	containerPart = regexp.MustCompile(`^/containers/[^/]+$`)
	removedImage  = regexp.MustCompile(`^/images/[^/]+$`)
)

func (e *endpoints) observe(method, path string) {
	path = versionPart.ReplaceAllString(path, "")
	path = objectPart.ReplaceAllString(path, "/$1/{id}$2")
	path = imagePart.ReplaceAllString(path, "/images/{name}/json")
	if method == "DELETE" {
		path = containerPart.ReplaceAllString(path, "/containers/{id}")
		path = removedImage.ReplaceAllString(path, "/images/{name}")
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
