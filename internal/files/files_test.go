package files

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// put writes a file with a mode and time of its own and reads it.
func put(t *testing.T, path, content string) File {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-time.Hour)
	if err := errors.Join(os.Chmod(path, 0o646), os.Chtimes(path, long, long)); err != nil {
		t.Fatal(err)
	}
	return read(t, path)
}

func read(t *testing.T, path string) File {
	t.Helper()
	file, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func write(file File, content string) Write {
	return Write{Path: file.Path, Content: []byte(content), Digest: file.Digest}
}

// wantOnly checks that a folder holds nothing but the given files: no temporary one, no lock.
func wantOnly(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if diff := cmp.Diff(names, got); diff != "" {
		t.Errorf("files in the folder: -want, +got:\n%s", diff)
	}
}

func wantContent(t *testing.T, path, want string) {
	t.Helper()
	if got := string(read(t, path).Content); got != want {
		t.Errorf("%s: want %q, got %q", filepath.Base(path), want, got)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	put(t, path, "abc")
	if err := os.Symlink("f", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	got := read(t, filepath.Join(dir, "link"))
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	want := File{
		Path: filepath.Join(dir, "link"), Target: target, Content: []byte("abc"), Mode: 0o646, UID: os.Getuid(), GID: os.Getgid(), Links: 1,
		Digest: "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	fifo, big, dangling := filepath.Join(dir, "fifo"), filepath.Join(dir, "big"), filepath.Join(dir, "dangling")
	err := errors.Join(
		syscall.Mkfifo(fifo, 0o600),
		os.WriteFile(big, bytes.Repeat([]byte("a"), MaxSize+1), 0o600),
		os.Symlink("nowhere", dangling),
	)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct{ path, want string }{
		"FIFO":     {fifo, "not a regular file"},
		"Device":   {"/dev/zero", "not a regular file"},
		"Folder":   {dir, "not a regular file"},
		"TooBig":   {big, "larger than"},
		"Dangling": {dangling, "no such file"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Read(c.path)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q, got %v", c.want, err)
			}
		})
	}
}

func TestWriteAllKeepsModeAndOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	put(t, path, "old")
	if err := os.Chown(path, 1234, 2345); err != nil {
		t.Fatal(err)
	}
	before, err := WriteAll([]Write{write(read(t, path), "new")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := read(t, path)
	if got.Mode != 0o646 || got.UID != 1234 || got.GID != 2345 || string(got.Content) != "new" {
		t.Errorf("after the write: mode %o, owner %d:%d, content %q", got.Mode, got.UID, got.GID, got.Content)
	}
	if err := Restore(before); err != nil {
		t.Fatal(err)
	}
	got = read(t, path)
	if got.Mode != 0o646 || got.UID != 1234 || got.GID != 2345 || string(got.Content) != "old" {
		t.Errorf("after the restore: mode %o, owner %d:%d, content %q", got.Mode, got.UID, got.GID, got.Content)
	}
	wantOnly(t, dir, "f")
}

func TestWriteAllFollowsSymlinks(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "real"), 0o755), os.Symlink("real/f", filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "real", "f"), "old")
	link := read(t, filepath.Join(dir, "link"))

	if _, err := WriteAll([]Write{write(link, "new")}, []string{dir}); err != nil {
		t.Fatal(err)
	}
	if target, err := os.Readlink(filepath.Join(dir, "link")); err != nil || target != "real/f" {
		t.Errorf("the link is one no more: %q, %v", target, err)
	}
	wantContent(t, filepath.Join(dir, "real", "f"), "new")
	wantOnly(t, filepath.Join(dir, "real"), "f")
}

func TestWriteAllOutsideRoots(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	if err := errors.Join(os.Mkdir(root, 0o755), os.Symlink("../secret", filepath.Join(root, "link"))); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "secret"), "old")
	inside := put(t, filepath.Join(root, "f"), "old")

	_, err := WriteAll([]Write{write(inside, "new"), write(read(t, filepath.Join(root, "link")), "new")}, []string{root})
	var outside *OutsideError
	if !errors.As(err, &outside) || outside.Path != filepath.Join(root, "link") {
		t.Errorf("want an OutsideError about the link, got %v", err)
	}
	wantContent(t, filepath.Join(dir, "secret"), "old")
	wantContent(t, filepath.Join(root, "f"), "old")
}

func TestWriteAllChanged(t *testing.T) {
	dir := t.TempDir()
	a, b := put(t, filepath.Join(dir, "a"), "old"), put(t, filepath.Join(dir, "b"), "old")
	put(t, b.Path, "edited meanwhile")

	_, err := WriteAll([]Write{write(a, "new"), write(b, "new")}, nil)
	var changed *ChangedError
	if !errors.As(err, &changed) || changed.Path != b.Path {
		t.Errorf("want a ChangedError about b, got %v", err)
	}
	wantContent(t, a.Path, "old")
	wantContent(t, b.Path, "edited meanwhile")
}

func TestWriteAllTwiceTheSame(t *testing.T) {
	dir := t.TempDir()
	a := put(t, filepath.Join(dir, "a"), "old")
	if err := os.Symlink("a", filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteAll([]Write{write(a, "one"), write(read(t, filepath.Join(dir, "b")), "two")}, nil); err == nil {
		t.Error("two contents for one file were accepted")
	}
	wantContent(t, a.Path, "old")
}

func TestWriteAllEqualContent(t *testing.T) {
	file := put(t, filepath.Join(t.TempDir(), "f"), "same")
	was, err := os.Stat(file.Path)
	if err != nil {
		t.Fatal(err)
	}
	before, err := WriteAll([]Write{write(file, "same")}, nil)
	if err != nil || len(before) != 0 {
		t.Fatalf("want nothing written, got %v, %v", before, err)
	}
	is, err := os.Stat(file.Path)
	if err != nil || !is.ModTime().Equal(was.ModTime()) || !os.SameFile(was, is) {
		t.Errorf("the file was touched: %v", err)
	}
}

// Whichever write fails, before or after its rename, all files are as they were.
func TestWriteAllNone(t *testing.T) {
	boom := errors.New("boom")
	for _, renamed := range []bool{false, true} {
		for k := range 3 {
			t.Run(fmt.Sprintf("file %d, renamed %v", k, renamed), func(t *testing.T) {
				dir := t.TempDir()
				var writes []Write
				for i := range 3 {
					writes = append(writes, write(put(t, filepath.Join(dir, fmt.Sprint(i)), fmt.Sprintf("old %d\r\n", i)), "new"))
				}
				calls := 0
				failing := func(file File, content []byte) error {
					calls++
					if calls-1 != k {
						return replace(file, content)
					}
					if renamed {
						return errors.Join(replace(file, content), boom)
					}
					return boom
				}
				if before, err := writeAll(writes, nil, failing); !errors.Is(err, boom) || before != nil {
					t.Fatalf("want the write's error and nothing to undo, got %v, %v", before, err)
				}
				for i, w := range writes {
					wantContent(t, w.Path, fmt.Sprintf("old %d\r\n", i))
				}
				wantOnly(t, dir, "0", "1", "2")
			})
		}
	}
}

func TestRestore(t *testing.T) {
	dir := t.TempDir()
	a, b := put(t, filepath.Join(dir, "a"), "old a"), put(t, filepath.Join(dir, "b"), "old b")
	before, err := WriteAll([]Write{write(a, "new a"), write(b, "new b")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	put(t, a.Path, "edited since")

	for range 2 {
		err = Restore(before)
		var changed *ChangedError
		if !errors.As(err, &changed) || changed.Path != a.Path {
			t.Errorf("want a ChangedError about a, got %v", err)
		}
		wantContent(t, a.Path, "edited since")
		wantContent(t, b.Path, "old b")
	}
}

func TestLockDir(t *testing.T) {
	dir := t.TempDir()
	unlock, err := LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LockDir(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("want ErrLocked, got %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, dir)
	unlock, err = LockDir(dir)
	if err != nil {
		t.Fatalf("the lock was free: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
}

// However the holders' opening, locking and removing interleave, there is one at a time.
func TestLockDirExcludes(t *testing.T) {
	dir := t.TempDir()
	var holders, turns atomic.Int32
	done := make(chan error, 4)
	for range 4 {
		go func() {
			for range 50 {
				unlock, err := LockDir(dir)
				for errors.Is(err, ErrLocked) {
					unlock, err = LockDir(dir)
				}
				if err != nil {
					done <- err
					return
				}
				if n := holders.Add(1); n != 1 {
					done <- fmt.Errorf("%d hold the lock", n)
					return
				}
				turns.Add(1)
				holders.Add(-1)
				if err := unlock(); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if n := turns.Load(); n != 200 {
		t.Errorf("want 200 turns, got %d", n)
	}
}

func TestWriteAllKeepsHardLinks(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "f"), filepath.Join(dir, "link")
	put(t, path, "old and long")
	if err := os.Link(path, link); err != nil {
		t.Fatal(err)
	}
	before, err := WriteAll([]Write{write(read(t, path), "new")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantContent(t, link, "new")
	if err := Restore(before); err != nil {
		t.Fatal(err)
	}
	wantContent(t, link, "old and long")
	if got := read(t, path); got.Links != 2 || got.Mode != 0o646 {
		t.Errorf("%d links, mode %o, want both names and the mode kept", got.Links, got.Mode)
	}
}

func TestWriteAllKeepsSpecialModes(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root is sure to keep them")
	}
	path := filepath.Join(t.TempDir(), "f")
	put(t, path, "old")
	if err := os.Chmod(path, 0o640|os.ModeSetuid|os.ModeSetgid|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	was := read(t, path)
	if _, err := WriteAll([]Write{write(was, "new")}, nil); err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); got.Mode != was.Mode {
		t.Errorf("mode %v, want %v", got.Mode, was.Mode)
	}
}

func TestWritable(t *testing.T) {
	tests := map[string]struct {
		reason string
		path   string
		want   string // part of the reason; empty: it is writable
	}{
		"File":     {"it can be replaced", "root/f", ""},
		"New":      {"it can be created", "root/new", ""},
		"Link":     {"its file can be replaced", "root/link", ""},
		"Folder":   {"no content to replace", "root", "not a regular file"},
		"FIFO":     {"it is not opened either, that would block", "root/fifo", "not a regular file"},
		"Missing":  {"no folders are made", "root/no/f", "its folder does not exist"},
		"Dangling": {"a file would be made somewhere else", "root/dangling", "leads nowhere"},
		"Outside":  {"it is not an allowed folder", "f", "outside the allowed folders"},
		"LinkOut":  {"nor one by a link", "root/out", "outside the allowed folders"},
	}
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	err := errors.Join(os.Mkdir(root, 0o755), syscall.Mkfifo(filepath.Join(root, "fifo"), 0o600), os.Symlink("f", filepath.Join(root, "link")),
		os.Symlink("nowhere", filepath.Join(root, "dangling")), os.Symlink("../f", filepath.Join(root, "out")))
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "f"), "old")
	put(t, filepath.Join(root, "f"), "old")
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			err := Writable(filepath.Join(dir, tc.path), []string{root})
			unwritable, ok := errors.AsType[*ReadOnlyError](err)
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("%s: got %v", tc.reason, err)
			case tc.want != "" && (!ok || !strings.Contains(unwritable.Reason, tc.want) || unwritable.Advice == ""):
				t.Errorf("%s: want %q and what to do, got %v", tc.reason, tc.want, err)
			}
		})
	}
	wantOnly(t, root, "dangling", "f", "fifo", "link", "out")
}
