package compose

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// write puts a txtar archive into a fresh folder and returns the folder.
func write(t *testing.T, archive string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range parseArchive(archive) {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func parseArchive(archive string) []txtar.File { return txtar.Parse([]byte(archive)).Files }

func mustLoad(t *testing.T, opts Options) *Project {
	t.Helper()
	p, err := Load(t.Context(), opts)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return p
}

// values are a service's variables as text; a bare one is "<unset>".
func values(env map[string]Variable) map[string]string {
	out := map[string]string{}
	for k, v := range env {
		out[k] = text(v.Value)
	}
	return out
}

func text(s *string) string {
	if s == nil {
		return "<unset>"
	}
	return *s
}

// service wraps the body of a service, which is indented by four spaces.
func service(body string) string {
	return "-- compose.yaml --\nservices:\n  app:\n    image: i\n" + strings.TrimPrefix(body, "\n")
}
