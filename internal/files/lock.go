package files

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// LockName is the file that [LockDir] locks.
const LockName = ".composure.lock"

// ErrLocked tells that somebody else holds the lock.
var ErrLocked = errors.New("locked by another process")

// LockDir takes the lock of the folder dir without waiting; ErrLocked if it is held. It is gone when the process ends.
// unlock also removes the lock file.
func LockDir(dir string) (unlock func() error, err error) {
	path := filepath.Join(dir, LockName)
	for {
		lock := flock.New(path)
		held, err := lock.TryLock()
		if err != nil {
			return nil, fmt.Errorf("lock folder %q: %w", dir, explain(err, dir))
		}
		if !held {
			return nil, fmt.Errorf("lock folder %q: %w", dir, errors.Join(ErrLocked, lock.Close()))
		}
		if current(lock, path) {
			// The file goes first: who opens it from now on gets a new one.
			return func() error { return errors.Join(os.Remove(path), lock.Unlock()) }, nil
		}
		if err := lock.Unlock(); err != nil {
			return nil, fmt.Errorf("lock folder %q: %w", dir, err)
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
