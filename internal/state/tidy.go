package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	// kept is how many records of a project are kept of those that were committed, and as many of those that were not: a rollback
	// takes back what was committed last, however many applies have failed since.
	kept = 100
	// leftAfter is the age from which on a temporary file is of a write that was killed: one takes an instant.
	leftAfter = time.Hour
)

// Tidy removes the oldest records of a project that have ended, and what killed writes have left. Open records stay, and so do those
// that cannot be read.
func (s Store) Tidy(project string) error {
	if err := CheckProject(project); err != nil {
		return err
	}
	if err := errors.Join(s.prune(project), s.clean(project)); err != nil {
		return fmt.Errorf("tidy state folder: %w", err)
	}
	return nil
}

func (s Store) prune(project string) error {
	records, _ := s.List(project) // what cannot be read is told by who observes
	var problems []error
	ended := map[bool]int{}
	for _, record := range slices.Backward(records) {
		if record.Ended == nil {
			continue
		}
		committed := record.Committed()
		if ended[committed]++; ended[committed] > kept {
			problems = append(problems, remove(s.Path(record)))
		}
	}
	return errors.Join(problems...)
}

func (s Store) clean(project string) error {
	entries, err := readFolder(s.folder(project))
	if err != nil {
		return err
	}
	var problems []error
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && info.Mode().IsRegular() && temporary.MatchString(entry.Name()) && time.Since(info.ModTime()) > leftAfter {
			problems = append(problems, remove(filepath.Join(s.folder(project), entry.Name())))
		}
	}
	return errors.Join(problems...)
}

// remove takes a file that is gone for removed.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
