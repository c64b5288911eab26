package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gofrs/flock"
)

// LockName is the file that [LockDir] locks.
const LockName = ".composure.lock"

// ErrLocked tells that somebody else holds the lock.
var ErrLocked = errors.New("locked by another process")

// LockDir takes the lock of the folder dir without waiting; ErrLocked if it is held. It is gone when the process ends.
// unlock also removes the lock file.
//
// The folder itself is locked, which needs no right to write to it, and a file in it, which also works where a folder cannot be
// locked, as on NFS. Who may not write to the folder locks it alone.
func LockDir(dir string) (unlock func() error, err error) {
	folder := flock.New(dir, flock.SetFlag(os.O_RDONLY))
	held, err := folder.TryLock()
	if err == nil && !held {
		return nil, fmt.Errorf("lock folder %q: %w", dir, errors.Join(ErrLocked, folder.Close()))
	}
	unlockFile, err := lockFile(dir)
	switch {
	case err == nil:
		return func() error { return errors.Join(unlockFile(), folder.Close()) }, nil
	case held && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)):
		return folder.Close, nil
	default:
		return nil, errors.Join(fmt.Errorf("lock folder %q: %w", dir, err), folder.Close())
	}
}

func lockFile(dir string) (unlock func() error, err error) {
	path := filepath.Join(dir, LockName)
	for {
		lock := flock.New(path)
		held, err := lock.TryLock()
		if err != nil {
			return nil, explain(err, dir)
		}
		if !held {
			return nil, errors.Join(ErrLocked, lock.Close())
		}
		if current(lock, path) {
			// The file goes first: who opens it from now on gets a new one.
			return func() error { return errors.Join(os.Remove(path), lock.Unlock()) }, nil
		}
		if err := lock.Unlock(); err != nil {
			return nil, err
		}
	}
}

// current reports whether the locked file is still the one at path: a holder may have removed it after it was opened here.
func current(lock *flock.Flock, path string) bool {
	locked, err := lock.Stat()
	if err != nil {
		return false
	}
	info, err := os.Stat(path)
	return err == nil && os.SameFile(locked, info)
}

// explain says what to do when the folder cannot be written to.
func explain(err error, dir string) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("folder %q is not writable; allow this user (uid %d) to write to it, or mount it read-write: %w", dir, os.Geteuid(), err)
	}
	return err
}
