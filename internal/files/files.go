// Package files reads, replaces and creates the user's files without ever leaving one half-written: a digest of what was read
// is checked again before the write, several files are written all or none, and what a file is besides its content is kept:
// mode, owner, extended attributes, links.
package files

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
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
	Mode    fs.FileMode // permission bits, setuid, setgid and sticky
	UID     int
	GID     int
	Links   int // hard links to it, its own name included
}

// keptModes are the bits of a mode that outlive a new content.
const keptModes = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

// ChangedError tells that a file is not as it was when it was read: it has another content, or it is there although it was not.
type ChangedError struct {
	Path     string
	Appeared bool
}

func (e *ChangedError) Error() string {
	if e.Appeared {
		return fmt.Sprintf("file %q exists, although it did not when it was looked for; nothing was written to it", e.Path)
	}
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
	file := File{Path: path, Target: target, Content: content, Digest: Digest(content)}
	file.describe(info)
	return file, nil
}

// describe notes what a file is besides its content.
func (f *File) describe(info fs.FileInfo) {
	f.Mode, f.UID, f.GID, f.Links = info.Mode()&keptModes, -1, -1, 1
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		f.UID, f.GID, f.Links = int(stat.Uid), int(stat.Gid), int(stat.Nlink)
	}
}

// Write is a file's next content. Digest is that of the content it replaces; empty, the file must not exist and is created.
type Write struct {
	Path    string
	Content []byte
	Digest  string
	// Like is the file whose owner and permissions a created one gets. Empty: it is this user's, and nobody else may read it.
	Like string
	// Remove takes the file away. Content is then ignored.
	Remove bool
}

// Before is what a file was before it was written, and the digest of what was written: what [Restore] needs.
type Before struct {
	Path    string
	Content []byte
	Digest  string // of what was written
	Created bool   // there was no such file
	// Removed says that the file was taken away, and who owned it.
	Removed  bool
	Mode     fs.FileMode
	UID, GID int
}

// replaceFunc replaces the content of a file that was just read, or creates one: that has no digest.
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
// file: one that does not have the digest any more, or that is there although it is to be created, is a *[ChangedError]; one
// outside of roots (if any are given) an *[OutsideError]. A file that has the content already is not touched and not returned.
//
// When a write fails, the files written before it are restored; if that fails too, the error is a *[PartialError].
func WriteAll(writes []Write, roots []string) ([]Before, error) {
	return writeAll(writes, roots, store)
}

func writeAll(writes []Write, roots []string, store replaceFunc) ([]Before, error) {
	current, err := check(writes, roots)
	if err != nil {
		return nil, err
	}
	var written []Before
	for i, file := range current {
		before := beforeOf(file, writes[i])
		if before.Digest == file.Digest {
			continue
		}
		// It is noted first: a write can fail after the rename.
		written = append(written, before)
		err := carryOut(file, writes[i], store)
		if err == nil {
			continue
		}
		if _, untouched := errors.AsType[*ChangedError](err); untouched {
			written = written[:len(written)-1]
		}
		err = named("write", file.Path, err)
		if restoreErr := Restore(written); restoreErr != nil {
			return nil, &PartialError{Before: written, WriteErr: err, RestoreErr: restoreErr}
		}
		return nil, err
	}
	return written, nil
}

func beforeOf(file File, w Write) Before {
	if w.Remove {
		return Before{Path: file.Path, Content: file.Content, Removed: true, Mode: file.Mode, UID: file.UID, GID: file.GID}
	}
	return Before{Path: file.Path, Content: file.Content, Digest: Digest(w.Content), Created: file.Digest == ""}
}

func carryOut(file File, w Write, store replaceFunc) error {
	if w.Remove {
		return removeCreated(Before{Path: file.Path, Digest: file.Digest})
	}
	return store(file, w.Content)
}

// store is the [replaceFunc] of the real disk.
func store(file File, content []byte) error {
	if file.Digest == "" {
		return create(file, content)
	}
	return replace(file, content)
}

// check reads what the writes are to replace, in their order.
func check(writes []Write, roots []string) ([]File, error) {
	var current []File
	seen := map[string]bool{}
	for _, w := range writes {
		file, err := next(w)
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

// next is the file that a write is about: as it is, or as it is to be created.
func next(w Write) (File, error) {
	if w.Digest != "" {
		return Read(w.Path)
	}
	target, exists, err := locate(w.Path)
	if err != nil {
		return File{}, fmt.Errorf("create file %q: %w", w.Path, err)
	}
	if exists {
		return File{}, &ChangedError{Path: w.Path, Appeared: true}
	}
	file := File{Path: w.Path, Target: target, Mode: 0o600, UID: -1, GID: -1}
	if w.Like == "" {
		return file, nil
	}
	like, err := os.Stat(w.Like)
	if err != nil {
		return File{}, fmt.Errorf("create file %q as one like %q: %w", w.Path, w.Like, err)
	}
	file.describe(like)
	return file, nil
}

// Restore puts the old content back, byte by byte, wherever a file still is as it was written, removes what was created and creates
// what was removed.
// A file that is not as it was written, nor as it was before, is left alone and reported as *[ChangedError]; the others are
// restored all the same. It may be repeated.
func Restore(before []Before) error {
	var problems []error
	for _, b := range before {
		restore := restoreContent
		switch {
		case b.Created:
			restore = removeCreated
		case b.Removed:
			restore = createRemoved
		}
		if err := restore(b); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

func restoreContent(b Before) error {
	file, err := Read(b.Path)
	switch {
	case err != nil:
		return err
	case file.Digest == Digest(b.Content):
		return nil
	case file.Digest != b.Digest:
		return &ChangedError{Path: b.Path}
	}
	if err := replace(file, b.Content); err != nil {
		return named("restore", b.Path, err)
	}
	return nil
}

// named says which file an error is about, where it does not by itself.
func named(verb, path string, err error) error {
	_, changed := errors.AsType[*ChangedError](err)
	_, unwritable := errors.AsType[*ReadOnlyError](err)
	if changed || unwritable {
		return err
	}
	return fmt.Errorf("%s file %q: %w", verb, path, err)
}
