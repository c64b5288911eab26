package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Backup copies every file that writes are to replace into the folder dir, which must not exist yet, each below it under its own
// absolute path, symlinks resolved: cp -r dir/. / puts them back. Copies may hold secrets: files are 0600, folders 0700. They are
// durable when it returns; when it fails, none is left.
//
// A file that does not have its write's digest any more is a *[ChangedError]. One that is to be created has nothing to keep.
func Backup(writes []Write, dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return fmt.Errorf("create backup folder %q: %w", filepath.Dir(dir), plain(err))
	}
	// What is there already, be it a link, is not written to.
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("create backup folder %q: %w", dir, plain(err))
	}
	if err := copyAll(writes, dir); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	return nil
}

func copyAll(writes []Write, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open backup folder %q: %w", dir, plain(err))
	}
	defer root.Close()
	// A new folder is durable once the one that names it is.
	unsynced := map[string]bool{dir: true, filepath.Dir(dir): true, filepath.Dir(filepath.Dir(dir)): true}
	for _, w := range writes {
		if w.Digest == "" {
			continue
		}
		file, err := Read(w.Path)
		if err != nil {
			return err
		}
		if file.Digest != w.Digest {
			return &ChangedError{Path: w.Path}
		}
		name := strings.TrimPrefix(file.Target, string(filepath.Separator))
		if err := copyTo(root, name, file.Content); err != nil {
			return fmt.Errorf("back up file %q: %w", w.Path, err)
		}
		for folder := filepath.Dir(name); folder != "."; folder = filepath.Dir(folder) {
			unsynced[filepath.Join(dir, folder)] = true
		}
	}
	for folder := range unsynced {
		if err := syncFolder(folder); err != nil {
			return err
		}
	}
	return nil
}

func copyTo(root *os.Root, name string, content []byte) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

// plain is an error without the call and path that are said around it already.
func plain(err error) error {
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err
	}
	return err
}
