package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree is what lies below a folder: mode and, of files, content by path.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		found[name] = info.Mode().Perm().String()
		if !d.IsDir() {
			content, err := os.ReadFile(path)
			found[name] += " " + string(content)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestBackup(t *testing.T) {
	dir, backup := t.TempDir(), filepath.Join(t.TempDir(), "new", "t1")
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "real"), 0o755), os.Symlink("real", filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	a := put(t, filepath.Join(dir, "a"), "hunter2\r\n")
	put(t, filepath.Join(dir, "real", "b"), "old b")
	b := read(t, filepath.Join(dir, "link", "b"))
	writes := []Write{write(a, "new"), write(b, "new"), creation(filepath.Join(dir, "c"), "made", a.Path)}
	if err := Backup(writes, backup); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for folder := filepath.Dir(b.Target); folder != "/"; folder = filepath.Dir(folder) {
		want[folder[1:]] = "-rwx------"
	}
	want[a.Target[1:]], want[b.Target[1:]] = "-rw------- hunter2\r\n", "-rw------- old b"
	if diff := cmp.Diff(want, tree(t, backup)); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
	if err := Backup(writes, backup); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a backup was written over: %v", err)
	}
	wantContent(t, filepath.Join(backup, a.Target), "hunter2\r\n")
}

func TestBackupRefuses(t *testing.T) {
	tests := map[string]struct {
		reason string
		dir    func(t *testing.T) string
		digest string
		is     func(error) bool
	}{
		"AFile": {"the folder is a file", func(t *testing.T) string {
			return filepath.Join(put(t, filepath.Join(t.TempDir(), "f"), "").Path, "t1")
		}, "", func(err error) bool {
			return err != nil && filepath.IsAbs(err.Error()[len(`create backup folder "`):])
		}},
		"ALink": {"somebody has put a link there", func(t *testing.T) string {
			dir := t.TempDir()
			if err := os.Symlink(t.TempDir(), filepath.Join(dir, "t1")); err != nil {
				t.Fatal(err)
			}
			return filepath.Join(dir, "t1")
		}, "", func(err error) bool { return errors.Is(err, fs.ErrExist) }},
		"Changed": {"what would be kept is not what was looked at", func(t *testing.T) string { return filepath.Join(t.TempDir(), "t1") }, "sha256:other", func(err error) bool {
			_, changed := errors.AsType[*ChangedError](err)
			return changed
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := write(put(t, filepath.Join(t.TempDir(), "f"), "old"), "new")
			if tc.digest != "" {
				w.Digest = tc.digest
			}
			dir := tc.dir(t)
			if err := Backup([]Write{w}, dir); !tc.is(err) {
				t.Errorf("%s: got %v", tc.reason, err)
			}
			if left, err := os.ReadDir(dir); err == nil && len(left) > 0 {
				t.Errorf("%s: half a backup is left: %v", tc.reason, left)
			}
		})
	}
}
