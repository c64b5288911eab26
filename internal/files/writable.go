package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// ReadOnlyError tells that a file can be neither replaced nor created, why, and what helps.
type ReadOnlyError struct {
	Path   string
	Reason string // in words: "its filesystem is mounted read-only"
	Advice string // what a person can do: "mount it read-write"
	Err    error  // an *[OutsideError] or what the system said; nil when there is no more to say
}

func (e *ReadOnlyError) Error() string {
	return fmt.Sprintf("file %q cannot be written: %s; %s", e.Path, e.Reason, e.Advice)
}

func (e *ReadOnlyError) Unwrap() error { return e.Err }

// Writable reports whether [WriteAll] could replace the file at path, or create it, here and now. It writes nothing. What
// speaks against it is a *[ReadOnlyError].
func Writable(path string, roots []string) error {
	target, exists, err := locate(path)
	if err != nil {
		return unlocated(path, err)
	}
	inside, err := within(target, roots)
	if err != nil {
		return err
	}
	if !inside {
		outside := &OutsideError{Path: path, Target: target}
		return &ReadOnlyError{path, fmt.Sprintf("it leads to %q, outside the allowed folders", target), "allow the folder it lies in with --allow-root", outside}
	}
	dir := filepath.Dir(target)
	// The system asks for the real user, which is the effective one here; root is told of what even root may not do.
	folder := unix.Access(dir, unix.W_OK|unix.X_OK)
	if !exists {
		return readOnlyFolder(path, folder)
	}
	info, err := os.Stat(target)
	if err != nil {
		return unlocated(path, err)
	}
	if !info.Mode().IsRegular() {
		return &ReadOnlyError{path, "it is not a regular file", "name a regular file", nil}
	}
	own := unix.Access(target, unix.W_OK)
	switch {
	case own == nil && (folder == nil || unix.Access(dir, unix.R_OK) == nil): // the folder can be locked, see LockDir
		return nil
	case folder == nil && errors.Is(own, syscall.EACCES) && keepable(info):
		return nil // as the rename of a new file
	case own == nil:
		return readOnlyFolder(path, folder)
	default:
		return readOnly(path, errors.Join(own, folder))
	}
}

// keepable reports whether a new file of this user could be all that this one is.
func keepable(info fs.FileInfo) bool {
	var file File
	file.describe(info)
	if file.Links > 1 || file.UID != os.Geteuid() {
		return false
	}
	groups, err := os.Getgroups()
	return err == nil && (file.GID == os.Getegid() || slices.Contains(groups, file.GID))
}

func unlocated(path string, err error) error {
	switch {
	case errors.Is(err, errDangling):
		return &ReadOnlyError{path, errDangling.Error(), "mend the link, or remove it", err}
	case errors.Is(err, fs.ErrNotExist):
		return &ReadOnlyError{path, "its folder does not exist", "make the folder first", err}
	case errors.Is(err, fs.ErrPermission):
		return &ReadOnlyError{path, fmt.Sprintf("user %d may not enter its folder", os.Geteuid()), "allow this user to", err}
	default:
		return &ReadOnlyError{path, "it cannot be found: " + err.Error(), "mend its path", err}
	}
}

// readOnly says what keeps a file from being written, or returns err as it is.
func readOnly(path string, err error) error {
	user := os.Geteuid()
	switch {
	case errors.Is(err, syscall.EROFS):
		return &ReadOnlyError{path, "its filesystem is mounted read-only", "mount it read-write", err}
	case errors.Is(err, syscall.EPERM):
		return &ReadOnlyError{path, "the system forbids it to everybody", "see whether it is marked immutable with: lsattr", err}
	case errors.Is(err, fs.ErrPermission):
		return &ReadOnlyError{path, fmt.Sprintf("user %d may not write to it", user), "allow this user to write to the file, or to it and its folder", err}
	default:
		return err
	}
}

// readOnlyFolder is readOnly for a file that is to be made or removed.
func readOnlyFolder(path string, err error) error {
	if errors.Is(err, syscall.EACCES) {
		return &ReadOnlyError{path, fmt.Sprintf("user %d may not write to its folder", os.Geteuid()), "allow this user to write to the folder", err}
	}
	return readOnly(path, err)
}
