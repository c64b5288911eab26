package files

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func mount(t *testing.T, source, target string, flags ...uintptr) {
	t.Helper()
	for _, flag := range flags {
		if err := syscall.Mount(source, target, "", flag, ""); err != nil {
			t.Skipf("mounting is not permitted here: %v", err)
		}
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(target, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
}

func TestWriteAllBindMountedFile(t *testing.T) {
	dir := t.TempDir()
	source, target := filepath.Join(dir, "source"), filepath.Join(dir, "target")
	put(t, source, "an old and long content")
	put(t, target, "")
	mount(t, source, target, syscall.MS_BIND)

	before, err := WriteAll([]Write{write(read(t, target), "new")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantContent(t, source, "new")
	wantContent(t, target, "new")
	if err := Restore(before); err != nil {
		t.Fatal(err)
	}
	wantContent(t, source, "an old and long content")
	wantOnly(t, dir, "source", "target")
}

func TestWriteAllReadOnlyFilesystem(t *testing.T) {
	dir := t.TempDir()
	file := put(t, filepath.Join(dir, "f"), "old")
	mount(t, dir, dir, syscall.MS_BIND, syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY)

	_, err := WriteAll([]Write{write(file, "new")}, nil)
	if !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "is not writable; allow this user") {
		t.Errorf("want an error that says what to do, got %v", err)
	}
	wantContent(t, file.Path, "old")
}

// asNobody runs f on a thread without root's rights on files. The thread is not used again.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can act as somebody else")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := errors.Join(syscall.Setfsgid(65534), syscall.Setfsuid(65534)); err != nil {
			t.Errorf("become nobody: %v", err)
			return
		}
		f()
	}()
	<-done
}

func TestWriteAllFolderNotWritable(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	file := put(t, filepath.Join(dir, "f"), "old")
	asNobody(t, func() {
		_, err := WriteAll([]Write{write(file, "new")}, nil)
		if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "is not writable; allow this user") {
			t.Errorf("want an error that says what to do, got %v", err)
		}
	})
	wantContent(t, file.Path, "old")
	wantOnly(t, dir, "f")
}

// A rename would make somebody else the owner, so the file is written in place.
func TestWriteAllOwnerThatCannotBeKept(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	file := put(t, filepath.Join(dir, "f"), "old and long")
	asNobody(t, func() {
		if _, err := WriteAll([]Write{write(file, "new")}, nil); err != nil {
			t.Error(err)
		}
	})
	got := read(t, file.Path)
	if got.UID != file.UID || got.Mode != file.Mode || string(got.Content) != "new" {
		t.Errorf("want the owner and mode kept, got %d, %o, %q", got.UID, got.Mode, got.Content)
	}
	wantOnly(t, dir, "f")
}
