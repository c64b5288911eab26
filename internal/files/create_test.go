package files

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func creation(path, content, like string) Write {
	return Write{Path: path, Content: []byte(content), Like: like}
}

func TestWriteAllCreates(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	dir := t.TempDir()
	like, made := filepath.Join(dir, "compose.yaml"), filepath.Join(dir, "compose.override.yaml")
	put(t, like, "old")
	if err := os.Chown(like, 1234, 2345); err != nil {
		t.Fatal(err)
	}
	before, err := WriteAll([]Write{write(read(t, like), "new"), creation(made, "made", like)}, []string{dir})
	if err != nil {
		t.Fatal(err)
	}
	got := read(t, made)
	if got.Mode != 0o646 || got.UID != 1234 || got.GID != 2345 || got.Links != 1 || string(got.Content) != "made" {
		t.Errorf("want the mode and owner of the file beside it, got mode %o, owner %d:%d, %d links, %q", got.Mode, got.UID, got.GID, got.Links, got.Content)
	}
	wantOnly(t, dir, "compose.override.yaml", "compose.yaml")
	for range 2 { // a restore may be repeated
		if err := Restore(before); err != nil {
			t.Fatal(err)
		}
		wantOnly(t, dir, "compose.yaml")
		wantContent(t, like, "old")
	}
}

func TestWriteAllCreatesLikeNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if _, err := WriteAll([]Write{creation(path, "made", "")}, nil); err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); got.Mode != 0o600 || got.UID != os.Geteuid() {
		t.Errorf("want a file of nobody else's, got mode %o, owner %d", got.Mode, got.UID)
	}
}

func TestWriteAllCreateRefuses(t *testing.T) {
	isChanged := func(err error) bool {
		changed, ok := errors.AsType[*ChangedError](err)
		return ok && changed.Appeared
	}
	isOutside := func(err error) bool { _, ok := errors.AsType[*OutsideError](err); return ok }
	tests := map[string]struct {
		reason string
		path   string
		twice  bool
		is     func(error) bool
	}{
		"Exists":       {"somebody has made it since", "root/there", false, isChanged},
		"Link":         {"the link is a file that is there", "root/link", false, isChanged},
		"Dangling":     {"it would be made somewhere else than it seems", "root/dangling", false, func(err error) bool { return errors.Is(err, errDangling) }},
		"Outside":      {"the folder is not an allowed one", "f", false, isOutside},
		"OutsideLink":  {"the folder is a link that leads out", "root/out/f", false, isOutside},
		"NoFolder":     {"no folders are made", "root/no/f", false, func(err error) bool { return errors.Is(err, os.ErrNotExist) }},
		"TwiceTheSame": {"two contents for one new file", "root/f", true, func(err error) bool { return err != nil }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			root := filepath.Join(dir, "root")
			err := errors.Join(os.Mkdir(root, 0o755), os.Symlink("there", filepath.Join(root, "link")), os.Symlink("nowhere", filepath.Join(root, "dangling")),
				os.Symlink("..", filepath.Join(root, "out")), os.Symlink(".", filepath.Join(root, "same")))
			if err != nil {
				t.Fatal(err)
			}
			there := put(t, filepath.Join(root, "there"), "old")
			other := put(t, filepath.Join(root, "other"), "old")
			writes := []Write{write(other, "new"), creation(filepath.Join(dir, tc.path), "made", there.Path)}
			if tc.twice {
				writes = append(writes, creation(filepath.Join(root, "same", "f"), "other", there.Path))
			}
			if _, err := WriteAll(writes, []string{root}); !tc.is(err) {
				t.Errorf("%s: got %v", tc.reason, err)
			}
			wantContent(t, other.Path, "old")
			wantContent(t, there.Path, "old")
			wantOnly(t, root, "dangling", "link", "other", "out", "same", "there")
			wantOnly(t, dir, "root")
		})
	}
}

// Whichever write fails, before or after it took effect, created files are gone and replaced ones are as they were.
func TestWriteAllNoneCreated(t *testing.T) {
	boom := errors.New("boom")
	for _, effect := range []bool{false, true} {
		for k := range 3 {
			t.Run(fmt.Sprintf("write %d, effect %v", k, effect), func(t *testing.T) {
				dir := t.TempDir()
				old := put(t, filepath.Join(dir, "old"), "old")
				writes := []Write{creation(filepath.Join(dir, "a"), "made", old.Path), write(old, "new"), creation(filepath.Join(dir, "b"), "made", old.Path)}
				calls := 0
				failing := func(file File, content []byte) error {
					calls++
					switch {
					case calls-1 != k:
						return store(file, content)
					case effect:
						return errors.Join(store(file, content), boom)
					default:
						return boom
					}
				}
				if before, err := writeAll(writes, nil, failing); !errors.Is(err, boom) || before != nil {
					t.Fatalf("want the write's error and nothing to undo, got %v, %v", before, err)
				}
				wantContent(t, old.Path, "old")
				wantOnly(t, dir, "old")
			})
		}
	}
}

// Somebody else's file of the last moment is neither overwritten nor removed, and what was written before it is restored.
func TestWriteAllLastMoment(t *testing.T) {
	tests := map[string]struct {
		reason  string
		of      func(dir string, old File) Write
		meddled string
	}{
		"Appeared": {"a file of that name was made", func(dir string, old File) Write { return creation(filepath.Join(dir, "z"), "made", old.Path) }, "z"},
		"Edited":   {"the file was edited", func(_ string, old File) Write { return write(old, "new") }, "old"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			first, old := put(t, filepath.Join(dir, "first"), "old"), put(t, filepath.Join(dir, "old"), "old")
			meddling := func(file File, content []byte) error {
				if file.Path != first.Path {
					put(t, filepath.Join(dir, tc.meddled), "somebody's")
				}
				return store(file, content)
			}
			_, err := writeAll([]Write{write(first, "new"), tc.of(dir, old)}, nil, meddling)
			_, changed := errors.AsType[*ChangedError](err)
			_, partial := errors.AsType[*PartialError](err)
			if !changed || partial {
				t.Errorf("%s: want a ChangedError that leaves nothing undone, got %v", tc.reason, err)
			}
			wantContent(t, first.Path, "old")
			wantContent(t, filepath.Join(dir, tc.meddled), "somebody's")
		})
	}
}

func TestRestoreLeavesAChangedCreationAlone(t *testing.T) {
	tests := map[string]struct {
		reason string
		change func(path string) error
	}{
		"Edited": {"somebody went on with it", func(path string) error { return os.WriteFile(path, []byte("edited"), 0o600) }},
		"Link": {"somebody put a link to the same content there", func(path string) error {
			return errors.Join(os.Rename(path, path+".moved"), os.Symlink("f.moved", path))
		}},
		"Dangling": {"somebody put a link to nothing there", func(path string) error {
			return errors.Join(os.Remove(path), os.Symlink("nowhere", path))
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			old, path := put(t, filepath.Join(dir, "old"), "old"), filepath.Join(dir, "f")
			before, err := WriteAll([]Write{write(old, "new"), creation(path, "made", "")}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := tc.change(path); err != nil {
				t.Fatal(err)
			}
			if changed, ok := errors.AsType[*ChangedError](Restore(before)); !ok || changed.Path != path {
				t.Errorf("%s: want a ChangedError about it", tc.reason)
			}
			if _, err := os.Lstat(path); err != nil {
				t.Errorf("%s: it was removed", tc.reason)
			}
			wantContent(t, old.Path, "old")
		})
	}
}

// A filesystem without hard links has the file's own name only.
func TestCreateWithoutLinks(t *testing.T) {
	dir := t.TempDir()
	file := File{Path: "f", Target: filepath.Join(dir, "f"), Mode: 0o640, UID: -1, GID: -1}
	if err := createHere(file, []byte("made")); err != nil {
		t.Fatal(err)
	}
	if err := createHere(file, []byte("again")); !errors.Is(err, os.ErrExist) {
		t.Errorf("an existing file was opened: %v", err)
	}
	if got := read(t, file.Target); got.Mode != 0o640 || string(got.Content) != "made" {
		t.Errorf("mode %o, %q", got.Mode, got.Content)
	}
	for _, err := range []error{syscall.EPERM, syscall.ENOTSUP, syscall.ENOSYS} {
		if !unlinkable(errors.Join(&os.LinkError{Op: "link", Err: err})) {
			t.Errorf("%v does not say that there are no links", err)
		}
	}
	if unlinkable(&os.LinkError{Op: "link", Err: syscall.EEXIST}) || unlinkable(syscall.EPERM) {
		t.Error("another failure is taken for a lack of links")
	}
}
