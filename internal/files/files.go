// Package files reads and replaces the user's files without ever leaving one half-written: a digest of what was read is
// checked again before the write, several files are written all or none, mode and owner are kept.
package files

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// MaxSize is the size in bytes beyond which a file is not read.
const MaxSize = 4 << 20

// File is a file as it was read.
type File struct {
	Path    string // as given
	Target  string // where the content is: absolute, symlinks resolved
	Content []byte
	Digest  string      // "sha256:<hex>" of Content
	Mode    fs.FileMode // permission bits
	UID     int
	GID     int
}

// ChangedError tells that a file is not as it was when it was read.
type ChangedError struct{ Path string }

func (e *ChangedError) Error() string {
	return fmt.Sprintf("file %q changed since it was read; nothing was written to it", e.Path)
}

// OutsideError tells that a file, its symlinks followed, is in none of the allowed folders.
type OutsideError struct{ Path, Target string }

func (e *OutsideError) Error() string {
	return fmt.Sprintf("file %q leads to %q, outside the allowed folders", e.Path, e.Target)
}

// Digest is the digest of content as [File] has it.
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Read reads a regular file of at most [MaxSize] bytes. It never blocks on a FIFO or device.
func Read(path string) (File, error) {
	target, err := resolve(path)
	if err != nil {
		return File{}, fmt.Errorf("read file %q: %w", path, err)
	}
	// The open would wait for a writer if this were a FIFO.
	f, err := os.OpenFile(target, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return File{}, fmt.Errorf("read file %q: %w", path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return File{}, fmt.Errorf("read file %q: %w", path, err)
	}
	if !info.Mode().IsRegular() {
		return File{}, fmt.Errorf("read file %q: not a regular file", path)
	}
	content, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return File{}, fmt.Errorf("read file %q: %w", path, err)
	}
	if len(content) > MaxSize {
		return File{}, fmt.Errorf("read file %q: larger than %d bytes", path, MaxSize)
	}
	file := File{Path: path, Target: target, Content: content, Digest: Digest(content), Mode: info.Mode().Perm(), UID: -1, GID: -1}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		file.UID, file.GID = int(stat.Uid), int(stat.Gid)
	}
	return file, nil
}

func resolve(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(absolute)
}

// Write is a file's next content. Digest is that of the content it replaces.
type Write struct {
	Path    string
	Content []byte
	Digest  string
}

// Before is what a file was before it was written, and the digest of what was written: what [Restore] needs.
type Before struct {
	Path    string
	Content []byte
	Digest  string // of what was written
}

// replaceFunc replaces the content of a file that was just read.
type replaceFunc func(file File, content []byte) error

// PartialError is a write that failed and could not be undone: what Before holds may not be as it was.
type PartialError struct {
	Before     []Before
	WriteErr   error
	RestoreErr error
}

func (e *PartialError) Error() string {
	return fmt.Sprintf("%v; and what was written before it could not be restored: %v", e.WriteErr, e.RestoreErr)
}

func (e *PartialError) Unwrap() []error { return []error{e.WriteErr, e.RestoreErr} }

// WriteAll writes all files or none, and returns what [Restore] needs to undo it. Before the first write it checks every
// file: one that does not have the digest any more is a *[ChangedError], one outside of roots (if any are given) an
// *[OutsideError]. A file that has the content already is not touched and not returned.
//
// When a write fails, the files written before it are restored; if that fails too, the error is a *[PartialError].
func WriteAll(writes []Write, roots []string) ([]Before, error) {
	return writeAll(writes, roots, replace)
}

func writeAll(writes []Write, roots []string, replace replaceFunc) ([]Before, error) {
	current, err := check(writes, roots)
	if err != nil {
		return nil, err
	}
	var written []Before
	for i, file := range current {
		digest := Digest(writes[i].Content)
		if digest == file.Digest {
			continue
		}
		// It is noted first: a write can fail after the rename.
		written = append(written, Before{Path: file.Path, Content: file.Content, Digest: digest})
		if err := replace(file, writes[i].Content); err != nil {
			err = fmt.Errorf("write file %q: %w", file.Path, err)
			if restoreErr := Restore(written); restoreErr != nil {
				return nil, &PartialError{Before: written, WriteErr: err, RestoreErr: restoreErr}
			}
			return nil, err
		}
	}
	return written, nil
}

// check reads what the writes are to replace, in their order.
func check(writes []Write, roots []string) ([]File, error) {
	var current []File
	seen := map[string]bool{}
	for _, w := range writes {
		file, err := Read(w.Path)
		if err != nil {
			return nil, err
		}
		switch inside, err := within(file.Target, roots); {
		case err != nil:
			return nil, err
		case !inside:
			return nil, &OutsideError{Path: w.Path, Target: file.Target}
		case seen[file.Target]:
			return nil, fmt.Errorf("write file %q: %q is to be written twice", w.Path, file.Target)
		case file.Digest != w.Digest:
			return nil, &ChangedError{Path: w.Path}
		}
		seen[file.Target] = true
		current = append(current, file)
	}
	return current, nil
}

// Folder is the folder in which path really lies. It returns an *[OutsideError] when that is not below one of roots.
func Folder(path string, roots []string) (string, error) {
	target, err := resolve(path)
	if err != nil {
		return "", fmt.Errorf("resolve file %q: %w", path, err)
	}
	inside, err := within(target, roots)
	if err != nil {
		return "", err
	}
	if !inside {
		return "", &OutsideError{Path: path, Target: target}
	}
	return filepath.Dir(target), nil
}

// within reports whether target, resolved, is below one of roots; without roots everything is.
func within(target string, roots []string) (bool, error) {
	for _, root := range roots {
		resolved, err := resolve(root)
		if err != nil {
			return false, fmt.Errorf("resolve folder %q: %w", root, err)
		}
		relative, err := filepath.Rel(resolved, target)
		if err == nil && filepath.IsLocal(relative) {
			return true, nil
		}
	}
	return len(roots) == 0, nil
}

// Restore puts the old content back, byte by byte, wherever a file still is as it was written. One that is not, and does not
// have its old content either, is left alone and reported as *[ChangedError]; the others are restored all the same. It may be
// repeated.
func Restore(before []Before) error {
	var problems []error
	for _, b := range before {
		file, err := Read(b.Path)
		switch {
		case err != nil:
			problems = append(problems, err)
			continue
		case file.Digest == Digest(b.Content):
			continue
		case file.Digest != b.Digest:
			problems = append(problems, &ChangedError{Path: b.Path})
			continue
		}
		if err := replace(file, b.Content); err != nil {
			problems = append(problems, fmt.Errorf("restore file %q: %w", b.Path, err))
		}
	}
	return errors.Join(problems...)
}
