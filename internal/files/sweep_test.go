package files

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	content := map[string]string{
		"compose.yaml":       "old\n",
		".compose.yaml1":     "new\n", // written, not renamed
		".compose.yaml22":    "ne",    // half written
		".compose.yaml333":   "",      // only created
		".compose.yaml4":     "mine",  // somebody's own
		".compose.yaml.bak":  "new\n",
		".compose.yaml5x":    "new\n",
		"compose.yaml6":      "new\n",
		".other.yaml7":       "new\n",
		".composeXyaml8":     "new\n",
		".compose.yaml9/sub": "new\n",
	}
	for name, text := range content {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(t.TempDir(), "compose.yaml")
	if err := os.Symlink(filepath.Join(dir, "compose.yaml"), link); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(link, []byte("old\n"), []byte("new\n")); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{".compose.yaml1", ".compose.yaml22", ".compose.yaml333"} {
		delete(content, gone)
	}
	left := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(content)) {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			left[name] = string(text)
		}
	}
	if diff := cmp.Diff(content, left); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(filepath.Join(dir, ".compose.yaml1")); err == nil {
		t.Error("a temporary file is left")
	}
}

func TestSweepWhereNothingIsLeft(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(dir, "nothing"), filepath.Join(dir, "dangling")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "gone", "compose.yaml"), filepath.Join(dir, "compose.yaml"), filepath.Join(dir, "dangling")} {
		if err := Sweep(path, []byte("x")); err != nil {
			t.Errorf("%s: %v: there is nothing beside it to be swept", path, err)
		}
	}
}
