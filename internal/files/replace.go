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
// folder. Where a rename cannot do (a bind-mounted file, a folder that may not be written to) or would lose something (an owner
// or attribute that only root could give, a hard link) it writes in place.
func replace(file File, content []byte) error {
	if file.Links > 1 {
		return writeInPlace(file, content)
	}
	err := rename(file, content)
	if unsuited(err) {
		return writeInPlace(file, content)
	}
	if err != nil {
		return err
	}
	return syncFolder(filepath.Dir(file.Target))
}

// unsuited reports whether a rename failed for a reason that writing in place knows nothing of. None of them comes after it.
func unsuited(err error) bool {
	for _, reason := range []error{fs.ErrPermission, syscall.EROFS, syscall.EBUSY, syscall.EXDEV, errUnkept} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}

func rename(file File, content []byte) error {
	pending, err := renameio.NewPendingFile(file.Target, renameio.WithTempDir(filepath.Dir(file.Target)))
	if err != nil {
		return err
	}
	defer pending.Cleanup() // nothing is left to do after a rename; else the error below is the one that counts
	if err := pending.Chown(file.UID, file.GID); err != nil {
		return err
	}
	if err := keepAttributes(file.Target, pending.Name()); err != nil {
		return err
	}
	if _, err := pending.Write(content); err != nil {
		return err
	}
	// The mode comes last: a change of owner or content clears bits of it.
	if err := pending.Chmod(file.Mode); err != nil {
		return err
	}
	if err := unchanged(file); err != nil {
		return err
	}
	return pending.CloseAtomicallyReplace()
}

// unchanged looks once more, right before the write: somebody else's edit of the last moment is not to be lost either.
func unchanged(file File) error {
	now, err := Read(file.Target)
	if err != nil {
		return err
	}
	if now.Digest != file.Digest {
		return &ChangedError{Path: file.Path}
	}
	return nil
}

// writeInPlace overwrites the file itself, and puts the old content back if that fails half-way.
func writeInPlace(file File, content []byte) error {
	if err := unchanged(file); err != nil {
		return err
	}
	f, err := os.OpenFile(file.Target, os.O_WRONLY, 0)
	if err != nil {
		return readOnly(file.Path, err)
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

// syncFolder makes a rename durable where that can be asked for: not of some network filesystems, nor of a folder that may not
// be listed. The file itself is safe by then.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sync folder %q: %w", dir, err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("sync folder %q: %w", dir, err)
	}
	return nil
}
