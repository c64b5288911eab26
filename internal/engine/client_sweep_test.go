package engine_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/internal/engine"
)

// sweptEngine is an engine that lacks the probe image and has leftovers of probes.
type sweptEngine struct {
	mu         sync.Mutex
	imported   bool
	changes    []string
	filters    string
	images     []map[string]any
	containers map[string]map[string]any // by id
	refuse     string                    // path that must not be removed
	removed    []string
}

func (e *sweptEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/v1.41")
	id := strings.TrimSuffix(strings.TrimPrefix(path, "/containers/"), "/json")
	var answer any
	switch {
	case r.Method == http.MethodDelete:
		path, _ = url.PathUnescape(path)
		e.removed = append(e.removed, path)
		if path == e.refuse {
			w.WriteHeader(http.StatusConflict)
		}
		answer = []any{}
	case path == "/version":
		answer = map[string]any{"Os": "linux", "Arch": runtime.GOARCH}
	case path == "/containers/json":
		var ids []map[string]any
		for id := range e.containers {
			ids = append(ids, map[string]any{"Id": id})
		}
		answer = ids
	case e.containers[id] != nil:
		answer = e.containers[id]
	case path == "/images/json":
		e.filters, answer = r.URL.Query().Get("filters"), e.images
	case path == "/images/create":
		e.imported, e.changes = true, r.URL.Query()["changes"]
		answer = map[string]any{"status": "done"}
	default:
		w.WriteHeader(http.StatusNotFound)
		answer = map[string]any{"message": "no such object"}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (e *sweptEngine) add(digit, name string, age time.Duration, state map[string]any) {
	id := strings.Repeat(digit, 64)
	e.containers[id] = map[string]any{
		"Id": id, "Name": "/" + name, "Created": time.Now().Add(-age).UTC().Format(time.RFC3339Nano), "State": state,
	}
}

func image(age time.Duration, tags ...string) map[string]any {
	return map[string]any{"RepoTags": tags, "Created": time.Now().Add(-age).Unix()}
}

func TestEnsureImageSweeps(t *testing.T) {
	exited := map[string]any{"Status": "exited"}
	swept := &sweptEngine{
		containers: map[string]map[string]any{},
		refuse:     "/images/composure-probe:used",
		images: []map[string]any{
			image(time.Hour, "composure-probe:used"),
			image(time.Hour, "composure-probe:older", "shop/tools:1"),
			image(time.Minute, "composure-probe:young"),
		},
	}
	swept.add("a", "composure-probe-old", time.Hour, exited)
	swept.add("b", "composure-probe-young", time.Minute, exited)
	swept.add("d", "shop-probe-1", time.Hour, exited)
	client := open(t, engine.ClientOptions{Host: serve(t, "1.41", swept.ServeHTTP), ProbeBinary: staticBinary(t)})
	ref, err := client.EnsureImage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(ref, "composure-probe:") || !swept.imported || !slices.Contains(swept.changes, "LABEL composure.role=probe") {
		t.Errorf("image %q was imported %t with %q", ref, swept.imported, swept.changes)
	}
	want := []string{"/containers/" + strings.Repeat("a", 64), "/images/composure-probe:used", "/images/composure-probe:older"}
	if diff := cmp.Diff(want, swept.removed); diff != "" {
		t.Errorf("removed (-want +got):\n%s", diff)
	}
	if !strings.Contains(swept.filters, `"composure.role=probe"`) || !strings.Contains(swept.filters, `"composure-probe"`) {
		t.Errorf("images were looked for by %s", swept.filters)
	}
}

// staticBinary is the shortest file that passes for a static executable.
func staticBinary(t *testing.T) string {
	t.Helper()
	header := elf.Header64{
		Ident:   [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:    uint16(elf.ET_EXEC),
		Machine: uint16(elf.EM_X86_64),
		Version: uint32(elf.EV_CURRENT),
		Ehsize:  64,
	}
	var content bytes.Buffer
	if err := binary.Write(&content, binary.LittleEndian, header); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "static")
	if err := os.WriteFile(path, content.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
