package compose

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

const (
	// maxFileSize bounds every file that is read; the largest real compose file seen is a fiftieth of it.
	maxFileSize = 4 << 20
	// maxReferences bounds how many files include and extends may pull in.
	maxReferences = 1000
)

// readFile reads a regular file of bounded size. The null device counts as an empty file: --env-file /dev/null is an idiom.
func readFile(path string) ([]byte, error) {
	if path == os.DevNull {
		return nil, nil
	}
	if err := checkFile(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, readError(err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, readError(err)
	}
	if len(content) > maxFileSize {
		return nil, tooLarge(path)
	}
	return content, nil
}

// unreadable marks an error that tells nothing of what a file says: it could not be read.
type unreadable struct{ error }

func (e unreadable) Unwrap() error { return e.error }

// readError marks an error of a file that is not there or closed to us, as it will be at the next look. What may pass by itself (no
// descriptor is left, a disk or a network drive fails) is no word on the file.
func readError(err error) error {
	lasting := func(cause error) bool { return errors.Is(err, cause) }
	if slices.ContainsFunc([]error{fs.ErrNotExist, fs.ErrPermission, syscall.ENOTDIR, syscall.ELOOP, syscall.EISDIR}, lasting) {
		return unreadable{err}
	}
	return err
}

// IsUnreadable reports whether an error of [Load] means that a file is not there or cannot be read from here, rather than that it is
// not as it should be or could not be read just now.
func IsUnreadable(err error) bool {
	_, is := errors.AsType[unreadable](err)
	return is || errors.Is(err, ErrNoComposeFile)
}

// checkFile refuses what must not be opened: a FIFO would block for ever, a device may never end.
func checkFile(path string) error {
	if path == os.DevNull {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return readError(err)
	case info.IsDir():
		return unreadable{fmt.Errorf("%q is a directory", path)}
	case !info.Mode().IsRegular():
		return unreadable{fmt.Errorf("%q is not a regular file", path)}
	case info.Size() > maxFileSize:
		return tooLarge(path)
	}
	return nil
}

func tooLarge(path string) error {
	return fmt.Errorf("%q is larger than %d MiB", path, maxFileSize>>20)
}

// checkIfPresent is checkFile for a file that may be missing: whether that is an error is for compose to say.
func checkIfPresent(path string) error {
	if err := checkFile(path); err != nil && !isNotExist(err) {
		return err
	}
	return nil
}

func newFile(path string, content []byte) File {
	sum := sha256.Sum256(content)
	return File{Path: path, Content: content, Digest: "sha256:" + hex.EncodeToString(sum[:])}
}

// realPath resolves symbolic links as far as the file exists.
func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(dir, filepath.Base(path))
	}
	return filepath.Clean(path)
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
