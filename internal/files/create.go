package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// create makes a file that is not there, whole or not at all: a temporary file beside it, fsync, link, fsync of the folder. A
// link, unlike a rename, never takes the place of a file that somebody else made meanwhile.
func create(file File, content []byte) error {
	dir := filepath.Dir(file.Target)
	pending, err := os.CreateTemp(dir, "."+filepath.Base(file.Target)+"*")
	if err != nil {
		return readOnlyFolder(file.Path, err)
	}
	err = errors.Join(fill(pending, file, content), pending.Close())
	if err == nil {
		err = os.Link(pending.Name(), file.Target)
	}
	err = errors.Join(err, os.Remove(pending.Name()))
	if unlinkable(err) {
		err = createHere(file, content)
	}
	if errors.Is(err, fs.ErrExist) {
		return &ChangedError{Path: file.Path, Appeared: true}
	}
	if err != nil {
		return err
	}
	return syncFolder(dir)
}

// unlinkable reports whether the filesystem has no hard links.
func unlinkable(err error) bool {
	var failed *os.LinkError
	return errors.As(err, &failed) && !errors.Is(failed, fs.ErrExist) &&
		(errors.Is(failed, fs.ErrPermission) || errors.Is(failed, errors.ErrUnsupported))
}

// createHere writes to the file's own name: for a moment it is there without its content.
func createHere(file File, content []byte) error {
	f, err := os.OpenFile(file.Target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(fill(f, file, content), f.Close())
	if err != nil {
		err = errors.Join(err, os.Remove(file.Target))
	}
	return err
}

// fill gives f, which is new and nobody else's to read, its owner, content and mode.
func fill(f *os.File, file File, content []byte) error {
	mode, err := giveOwner(f, file)
	if err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	return f.Sync()
}

// giveOwner gives f the owner and group of file as far as this user may, and returns the mode that suits them: a group that
// could not be kept is given no more than everybody.
func giveOwner(f *os.File, file File) (fs.FileMode, error) {
	mode := file.Mode.Perm()
	err := f.Chown(file.UID, file.GID)
	if errors.Is(err, fs.ErrPermission) {
		err = f.Chown(-1, file.GID)
	}
	if errors.Is(err, fs.ErrPermission) {
		return mode & (0o707 | mode&0o007<<3), nil
	}
	return mode, err
}

// removeCreated removes a file that is still as it was created.
func removeCreated(b Before) error {
	target, exists, err := locate(b.Path)
	switch {
	case errors.Is(err, errDangling):
		return &ChangedError{Path: b.Path}
	case err != nil:
		return fmt.Errorf("remove file %q: %w", b.Path, err)
	case !exists:
		return nil
	}
	if link, err := os.Lstat(b.Path); err != nil || link.Mode()&fs.ModeSymlink != 0 {
		return errors.Join(&ChangedError{Path: b.Path}, err)
	}
	file, err := Read(target)
	if err != nil {
		return err
	}
	if file.Digest != b.Digest {
		return &ChangedError{Path: b.Path}
	}
	if err := os.Remove(target); err != nil {
		return named("remove", b.Path, readOnlyFolder(b.Path, err))
	}
	return syncFolder(filepath.Dir(target))
}

// createRemoved brings a file back that was removed, unless somebody else has made one there meanwhile.
func createRemoved(b Before) error {
	target, exists, err := locate(b.Path)
	if err != nil {
		return fmt.Errorf("create file %q: %w", b.Path, err)
	}
	if exists {
		if file, err := Read(b.Path); err != nil || file.Digest == Digest(b.Content) {
			return err
		}
		return &ChangedError{Path: b.Path, Appeared: true}
	}
	if err := create(File{Path: b.Path, Target: target, Mode: b.Mode, UID: b.UID, GID: b.GID}, b.Content); err != nil {
		return named("create", b.Path, err)
	}
	return nil
}
