// Package state keeps the records of transactions on disk: what was about to happen, what was there before, how it ended.
//
// A record is the only place that may hold secrets (before-images of files, inspects of containers): its folder is 0700 and
// the file 0600. Losing the folder loses history and the means to undo by hand; nothing else reads it.
package state

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
)

// Outcome is how a transaction ended; empty while it is open.
type Outcome string

// The outcomes.
const (
	OutcomeCommitted      Outcome = "committed"
	OutcomeRolledBack     Outcome = "rolled back"
	OutcomeRollbackFailed Outcome = "rollback failed"
	OutcomeLeftover       Outcome = "committed, old containers left"
)

// Record is one transaction over one project.
type Record struct {
	Transaction string          `json:"transaction"`
	Project     string          `json:"project"`
	Host        string          `json:"host"`
	Began       time.Time       `json:"began"`
	Ended       *time.Time      `json:"ended,omitempty"`
	Outcome     Outcome         `json:"outcome,omitempty"`
	Plan        json.RawMessage `json:"plan"`
	Backup      string          `json:"backup,omitempty"` // the folder with copies of the files as they were
	Commit      string          `json:"commit,omitempty"` // the hash of the git commit of the files
	Files       []FileImage     `json:"files,omitempty"`
	Containers  []Container     `json:"containers,omitempty"`
}

// FileImage is one file before and after. A created one was nothing before.
type FileImage struct {
	Path         string `json:"path"`
	Created      bool   `json:"created,omitempty"`
	DigestBefore string `json:"digestBefore"`
	DigestAfter  string `json:"digestAfter"`
	Before       []byte `json:"before"`
}

// Container is the inspect of a container that is about to be replaced.
type Container struct {
	ID      string          `json:"id"`
	Name    string          `json:"name"`
	Inspect json.RawMessage `json:"inspect"`
}

// Store is a folder of records, one sub-folder a project. Nothing is created before the first Save.
type Store struct {
	Dir string
}

// DefaultDir is where records are kept when nobody says otherwise: /var/lib/composure for root, else below
// $XDG_STATE_HOME or ~/.local/state. getenv is os.Getenv in the program.
func DefaultDir(uid int, getenv func(string) string) string {
	if uid == 0 {
		return "/var/lib/composure"
	}
	if base := getenv("XDG_STATE_HOME"); filepath.IsAbs(base) {
		return filepath.Join(base, "composure")
	}
	return filepath.Join(getenv("HOME"), ".local", "state", "composure")
}

// Path is where the record of a transaction lies.
func (s Store) Path(r Record) string {
	return filepath.Join(s.Dir, "projects", r.Project, r.Transaction+".json")
}

// Save writes the record durably: after a crash the file is there whole, as it was or as it is now.
func (s Store) Save(r Record) error {
	path := s.Path(r)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("create state folder: %w", err)
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode record %q: %w", r.Transaction, err)
	}
	// The temporary stays in the folder: it holds secrets, and only here is 0700 certain.
	err = renameio.WriteFile(path, append(data, '\n'), 0o600, renameio.WithTempDir(filepath.Dir(path)), renameio.IgnoreUmask())
	if err != nil {
		return fmt.Errorf("write record %q: %w", r.Transaction, err)
	}
	return nil
}
