package files

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func mount(t *testing.T, source, target string, flags ...uintptr) {
	t.Helper()
	for _, flag := range flags {
		if err := syscall.Mount(source, target, "", flag, ""); err != nil {
			t.Skipf("mounting is not permitted here: %v", err)
		}
	}
	t.Cleanup(func() { unmount(t, target) })
}

func unmount(t *testing.T, target string) {
	t.Helper()
	if err := syscall.Unmount(target, syscall.MNT_DETACH); err != nil {
		t.Errorf("unmount: %v", err)
	}
}

const remountReadOnly = syscall.MS_BIND | syscall.MS_REMOUNT | syscall.MS_RDONLY

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

func wantReadOnly(t *testing.T, err error, reason string) {
	t.Helper()
	if unwritable, ok := errors.AsType[*ReadOnlyError](err); !ok || !strings.Contains(unwritable.Reason, reason) || unwritable.Advice == "" {
		t.Errorf("want a ReadOnlyError with %q and what to do, got %v", reason, err)
	}
}

func TestWriteAllReadOnlyMounts(t *testing.T) {
	for name, file := range map[string]string{"Folder": "", "File": "f"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			old, other := put(t, filepath.Join(dir, "f"), "old"), put(t, filepath.Join(t.TempDir(), "other"), "old")
			mounted := filepath.Join(dir, file)
			mount(t, mounted, mounted, syscall.MS_BIND, remountReadOnly)

			_, err := WriteAll([]Write{write(other, "new"), write(old, "new")}, nil)
			wantReadOnly(t, err, "mounted read-only")
			wantReadOnly(t, Writable(old.Path, nil), "mounted read-only")
			if !errors.Is(err, syscall.EROFS) {
				t.Errorf("want what the system said to be found, got %v", err)
			}
			wantContent(t, old.Path, "old")
			wantContent(t, other.Path, "old")
			wantOnly(t, dir, "f")
		})
	}
}

func TestCreateInReadOnlyMount(t *testing.T) {
	dir := t.TempDir()
	mount(t, dir, dir, syscall.MS_BIND, remountReadOnly)
	_, err := WriteAll([]Write{creation(filepath.Join(dir, "f"), "made", "")}, nil)
	wantReadOnly(t, err, "mounted read-only")
	wantReadOnly(t, Writable(filepath.Join(dir, "f"), nil), "mounted read-only")
}

// A file in a folder that is read-only, but is mounted by itself for writing: that is how a container gets a single file.
func TestWriteAllWritableFileInReadOnlyFolder(t *testing.T) {
	dir := t.TempDir()
	source := put(t, filepath.Join(t.TempDir(), "source"), "old")
	file := filepath.Join(dir, "f")
	put(t, file, "")
	mount(t, dir, dir, syscall.MS_BIND, remountReadOnly)
	mount(t, source.Path, file, syscall.MS_BIND)

	if err := Writable(file, nil); err != nil {
		t.Error(err)
	}
	unlock, err := LockDir(dir)
	if err != nil {
		t.Fatalf("a folder that may not be written to can be locked all the same: %v", err)
	}
	if _, err := WriteAll([]Write{write(read(t, file), "new")}, nil); err != nil {
		t.Error(err)
	}
	wantContent(t, source.Path, "new")
	if err := unlock(); err != nil {
		t.Error(err)
	}
}

// A disk that is full when the second of two files is written: the first is as it was, and nothing is left.
func TestWriteAllDiskFull(t *testing.T) {
	tests := map[string]struct {
		reason string
		link   bool // the second file has two names and is written in place
	}{
		"Replaced": {"there is no room for the new file", false},
		"InPlace":  {"there is no room for the longer content", true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
				t.Skipf("mounting is not permitted here: %v", err)
			}
			t.Cleanup(func() { unmount(t, dir) })
			a, b := put(t, filepath.Join(dir, "a"), "old a"), put(t, filepath.Join(dir, "b"), "old b")
			names := []string{"a", "b"}
			if tc.link {
				if err := os.Link(b.Path, filepath.Join(dir, "link")); err != nil {
					t.Fatal(err)
				}
				names = append(names, "link")
			}
			_, err := WriteAll([]Write{write(a, "new a"), write(read(t, b.Path), string(bytes.Repeat([]byte("b"), 1<<20)))}, nil)
			if _, partial := errors.AsType[*PartialError](err); partial || !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("%s: want that said and nothing left undone, got %v", tc.reason, err)
			}
			wantContent(t, a.Path, "old a")
			wantContent(t, b.Path, "old b")
			wantOnly(t, dir, names...)
		})
	}
}

// asNobody runs f on a thread of an unprivileged user. The thread is not used again.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can act as somebody else")
	}
	const nobody = 65534
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		for _, call := range [][4]uintptr{{syscall.SYS_SETGROUPS}, {syscall.SYS_SETRESGID, nobody, nobody, nobody}, {syscall.SYS_SETRESUID, nobody, nobody, nobody}} {
			// The syscall package's own would change every thread.
			if _, _, errno := syscall.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
				t.Errorf("become nobody: %v", errno)
				return
			}
		}
		f()
	}()
	<-done
}

// shared is a folder that everybody may enter.
func shared(t *testing.T, mode os.FileMode) string {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, mode)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestUnprivileged(t *testing.T) {
	const nobody = 65534
	tests := map[string]struct {
		reason       string
		folder, file os.FileMode
		owner        int
		readOnly     string // why it cannot be written; empty: it can
	}{
		"FolderAndFile":  {"the usual case", 0o777, 0o644, nobody, ""},
		"OwnerUnkept":    {"a rename would make somebody else the owner, so it is written in place", 0o777, 0o646, 0, ""},
		"FileOnly":       {"no file can be put beside it, so it is written in place", 0o755, 0o646, 0, ""},
		"FolderOnly":     {"a new file in its place is not the old owner's", 0o777, 0o644, 0, "user 65534 may not write to it"},
		"OwnWriteLocked": {"a new file in its place is this user's too", 0o777, 0o444, nobody, ""},
		"Sticky":         {"nobody may rename over another's file there", 0o777 | os.ModeSticky, 0o646, 0, ""},
		"Neither":        {"nothing allows it", 0o755, 0o644, 0, "user 65534 may not write to it"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			dir := shared(t, tc.folder)
			put(t, filepath.Join(dir, "f"), "old and long")
			path := filepath.Join(dir, "f")
			if err := errors.Join(os.Chown(path, tc.owner, tc.owner), os.Chmod(path, tc.file)); err != nil {
				t.Fatal(err)
			}
			file := read(t, path)
			asNobody(t, func() {
				promised := Writable(path, nil)
				_, err := WriteAll([]Write{write(file, "new")}, nil)
				if tc.readOnly != "" {
					wantReadOnly(t, promised, tc.readOnly)
					wantReadOnly(t, err, tc.readOnly)
					return
				}
				if promised != nil || err != nil {
					t.Errorf("%s: promised %v, got %v", tc.reason, promised, err)
				}
			})
			got := read(t, path)
			want := file
			if tc.readOnly == "" {
				want.Content, want.Digest = []byte("new"), Digest([]byte("new"))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: -want, +got:\n%s", tc.reason, diff)
			}
			wantOnly(t, dir, "f")
		})
	}
}

func TestUnprivilegedCreates(t *testing.T) {
	tests := map[string]struct {
		reason   string
		folder   os.FileMode
		like     os.FileMode
		mode     os.FileMode
		readOnly string
	}{
		"Group":      {"the group cannot be kept, so no other gets what it had", 0o777, 0o664, 0o644, ""},
		"GroupAlone": {"nor what nobody else may do", 0o777, 0o640, 0o600, ""},
		"Folder":     {"nothing can be made there", 0o755, 0o644, 0, "may not write to its folder"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			dir := shared(t, tc.folder)
			like := put(t, filepath.Join(dir, "like"), "old")
			if err := os.Chmod(like.Path, tc.like); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "f")
			asNobody(t, func() {
				promised := Writable(path, nil)
				_, err := WriteAll([]Write{creation(path, "made", like.Path)}, nil)
				if tc.readOnly != "" {
					wantReadOnly(t, promised, tc.readOnly)
					wantReadOnly(t, err, tc.readOnly)
				} else if promised != nil || err != nil {
					t.Errorf("%s: promised %v, got %v", tc.reason, promised, err)
				}
			})
			if tc.readOnly != "" {
				wantOnly(t, dir, "like")
				return
			}
			if got := read(t, path); got.Mode != tc.mode || got.UID != 65534 {
				t.Errorf("%s: mode %o, owner %d, want %o", tc.reason, got.Mode, got.UID, tc.mode)
			}
		})
	}
}

// Who may not write to the folder and who may lock each other out.
func TestLockDirExcludesTheUnprivileged(t *testing.T) {
	dir := shared(t, 0o755)
	unlock, err := LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	asNobody(t, func() {
		if _, err := LockDir(dir); !errors.Is(err, ErrLocked) {
			t.Errorf("root holds it: want ErrLocked, got %v", err)
		}
	})
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	asNobody(t, func() {
		if unlock, err = LockDir(dir); err != nil {
			t.Errorf("it was free: %v", err)
		}
	})
	if _, err := LockDir(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("nobody holds it: want ErrLocked, got %v", err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
	wantOnly(t, dir)
}

func TestWriteAllKeepsAttributes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	put(t, path, "old")
	// An access list as the system stores it: version 2; user::rw-, user 1234:r--, group::r--, mask::rw-, other::rw-.
	list := "\x02\x00\x00\x00" + "\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x04\x00\xd2\x04\x00\x00" +
		"\x04\x00\x04\x00\xff\xff\xff\xff" + "\x10\x00\x06\x00\xff\xff\xff\xff" + "\x20\x00\x06\x00\xff\xff\xff\xff"
	attached := map[string]string{"user.note": "keep\x00me", "user.empty": "", "system.posix_acl_access": list}
	for name, value := range attached {
		if err := unix.Setxattr(path, name, []byte(value), 0); err != nil {
			t.Skipf("this filesystem has no attribute %s: %v", name, err)
		}
	}
	// The folder's own list for new files is not the file's.
	if err := unix.Setxattr(dir, "system.posix_acl_default", []byte(list), 0); err != nil {
		t.Fatal(err)
	}
	was := read(t, path)
	before, err := WriteAll([]Write{write(was, "new")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got, err := attributes(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(attached, got); diff != "" || read(t, path).Mode != was.Mode {
			t.Errorf("mode %o, attributes (-want, +got):\n%s", read(t, path).Mode, diff)
		}
		if err := Restore(before); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Removexattr(path, "system.posix_acl_access"); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteAll([]Write{write(read(t, path), "new")}, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := attributes(path); err != nil || got["system.posix_acl_access"] != "" {
		t.Errorf("the file was given the folder's access list: %q, %v", got, err)
	}
}

func TestImmutable(t *testing.T) {
	const immutable = 0x10 // FS_IMMUTABLE_FL
	file := put(t, filepath.Join(t.TempDir(), "f"), "old")
	f, err := os.Open(file.Path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags|immutable)
	}
	if err != nil {
		t.Skipf("a file cannot be made immutable here: %v", err)
	}
	_, err = WriteAll([]Write{write(file, "new")}, nil)
	promised := Writable(file.Path, nil)
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags); err != nil {
		t.Fatal(err)
	}
	wantReadOnly(t, err, "forbids it to everybody")
	wantReadOnly(t, promised, "forbids it to everybody")
	wantContent(t, file.Path, "old")
	wantOnly(t, filepath.Dir(file.Path), "f")
}
