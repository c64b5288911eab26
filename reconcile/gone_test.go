package reconcile

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/state"
)

// A file that is gone is as somebody has left it: it keeps nothing else from being put in order.
func TestFileThatIsGoneAfterTheCrashIsLeft(t *testing.T) {
	tests := map[string]struct {
		reason string
		gone   func(w *world, dir string) error // what becomes of the folder of the patched file
	}{
		"File":   {"somebody has deleted it", func(_ *world, dir string) error { return os.Remove(filepath.Join(dir, "compose.yaml")) }},
		"Folder": {"somebody has deleted its folder", func(_ *world, dir string) error { return os.RemoveAll(dir) }},
		"Moved":  {"the project lies elsewhere now", func(_ *world, dir string) error { return os.Rename(dir, dir+".moved") }},
		"Link": {"it is a link to nothing", func(_ *world, dir string) error {
			return os.Remove(filepath.Join(dir, "compose.yaml.real"))
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, syncPolicy)
				before := w.containers()
				if name == "Link" {
					w.linked()
				}
				w.die(swapping, true)
				_, _ = w.executor.Apply(t.Context(), w.source, w.propose().Plan)
				if err := tc.gone(w, w.dir); err != nil {
					t.Fatal(err)
				}
				w.reborn()
				w.elsewhere(composeFile)
				w.settled("is gone, it is left so; what it held is recorded in")
				w.wantContainers(before, tc.reason)
			})
		})
	}
}

// linked makes the compose file a link to one in the same folder.
func (w *world) linked() {
	w.t.Helper()
	path := filepath.Join(w.dir, "compose.yaml")
	if err := os.Rename(path, path+".real"); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Symlink(path+".real", path); err != nil {
		w.t.Fatal(err)
	}
}

// elsewhere has the project's files in another folder from now on.
func (w *world) elsewhere(content string) {
	w.t.Helper()
	w.dir = w.t.TempDir()
	w.write(content)
	w.source.Compose = compose.Options{Directory: w.dir, Files: []string{filepath.Join(w.dir, "compose.yaml")}}
	w.executor.Roots = []string{w.dir}
}

func TestCreatedAndRemovedFilesWhoseFolderIsGone(t *testing.T) {
	w := newWorld(t, syncPolicy)
	gone := filepath.Join(t.TempDir(), "gone", "file")
	for name, image := range map[string]state.FileImage{
		"created": {Path: gone, Created: true, After: []byte("x"), DigestAfter: "sha256:x"},
		"removed": {Path: gone, Removed: true, Before: []byte("x"), Mode: 0o600},
	} {
		r := recoverer{Executor: w.executor, src: w.source, redactor: w.propose().redactor()}
		restored, problems := r.undoFiles(state.Record{Project: "shop", Transaction: "t1", Files: []state.FileImage{image}})
		if len(problems) > 0 || len(restored) != 1 {
			t.Errorf("%s: %v, %v", name, restored, problems)
		}
	}
}
