package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/google/renameio/v2"
)

// replace swaps the content of file in one step that survives a crash: a temporary file beside it, fsync, rename, fsync of the
// folder. Where a rename cannot do (a bind-mounted file, or an owner that only root could give away) it writes in place.
func replace(file File, content []byte) error {
	dir := filepath.Dir(file.Target)
	pending, err := renameio.NewPendingFile(file.Target, renameio.WithTempDir(dir), renameio.WithStaticPermissions(file.Mode))
	if err != nil {
		return explain(err, dir)
	}
	defer pending.Cleanup() // nothing is left to do after a rename; else the error below is the one that counts
	if err := keepOwner(pending.File, file); errors.Is(err, fs.ErrPermission) {
		return writeInPlace(file, content)
	} else if err != nil {
		return err
	}
	if _, err := pending.Write(content); err != nil {
		return err
	}
	err = pending.CloseAtomicallyReplace()
	if errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EXDEV) {
		return writeInPlace(file, content)
	}
	if err != nil {
		return explain(err, dir)
	}
	return syncFolder(dir)
}

// keepOwner gives f the owner and mode of file. The mode comes last: a change of owner clears bits of it.
func keepOwner(f *os.File, file File) error {
	if err := f.Chown(file.UID, file.GID); err != nil {
		return err
	}
	return f.Chmod(file.Mode)
}

// writeInPlace overwrites the file itself, and puts the old content back if that fails half-way.
func writeInPlace(file File, content []byte) error {
	f, err := os.OpenFile(file.Target, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = overwrite(f, content)
	if err != nil {
		err = errors.Join(err, overwrite(f, file.Content))
	}
	return errors.Join(err, f.Close())
}

func overwrite(f *os.File, content []byte) error {
	if _, err := f.WriteAt(content, 0); err != nil {
		return err
	}
	if err := f.Truncate(int64(len(content))); err != nil {
		return err
	}
	return f.Sync()
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder %q: %w", dir, err)
	}
	defer f.Close()
	// Some network filesystems cannot sync a folder; the file itself is safe by then.
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("sync folder %q: %w", dir, err)
	}
	return nil
}

// explain says what to do when the folder cannot be written to.
func explain(err error, dir string) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("folder %q is not writable; allow this user (uid %d) to write to it, or mount it read-write: %w", dir, os.Geteuid(), err)
	}
	return err
}
