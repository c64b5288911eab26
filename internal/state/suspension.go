package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const suspendedName = "suspended.json"

// Suspension is a mark on a project that nothing is to change it by itself until somebody resumes it.
type Suspension struct {
	Since       time.Time `json:"since"`
	Reason      string    `json:"reason"`                // one line for people, without secrets
	Transaction string    `json:"transaction,omitempty"` // that led to it
}

// Suspend marks a project, durably. It replaces an earlier mark.
func (s Store) Suspend(project string, mark Suspension) error {
	if err := CheckProject(project); err != nil {
		return err
	}
	if err := write(s.mark(project), mark); err != nil {
		return fmt.Errorf("suspend project %q: %w", project, err)
	}
	return nil
}

// Suspension gives the mark of a project, nil when it has none. A mark that cannot be read is an error, and a mark all the same.
func (s Store) Suspension(project string) (*Suspension, error) {
	if err := CheckProject(project); err != nil {
		return nil, err
	}
	var mark Suspension
	err := read(s.mark(project), &mark)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read whether project %q is suspended: %w", project, err)
	}
	return &mark, nil
}

// Resume takes the mark away, durably. A project without one is left as it is.
func (s Store) Resume(project string) error {
	if err := CheckProject(project); err != nil {
		return err
	}
	err := os.Remove(s.mark(project))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := errors.Join(err, syncFolder(s.folder(project))); err != nil {
		return fmt.Errorf("resume project %q: %w", project, err)
	}
	return nil
}

func (s Store) mark(project string) string { return filepath.Join(s.folder(project), suspendedName) }
