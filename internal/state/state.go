// Package state keeps the records of transactions on disk: what was about to happen, what was there before, how it ended.
//
// A record is the only place that may hold secrets (before-images of files, inspects of containers): its folder is 0700 and
// the file 0600. Losing the folder loses history and what a crash left to be put in order by the record.
package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/renameio/v2"
)

// Outcome is how a transaction ended; empty while it is open.
type Outcome string

// The outcomes.
const (
	OutcomeCommitted         Outcome = "committed"
	OutcomeRolledBack        Outcome = "rolled back"
	OutcomeRollbackFailed    Outcome = "rollback failed"
	OutcomeLeftover          Outcome = "committed, old containers left"
	OutcomeRecoveredUndone   Outcome = "rolled back after a crash"
	OutcomeRecoveredFinished Outcome = "committed after a crash"
	OutcomeOvertaken         Outcome = "cut off, left to a later transaction"
)

// Phase is how far an open transaction has come. Empty, as in the records of older releases, means PhasePrepared.
type Phase string

// The phases. Before PhaseCommitting a transaction can only be undone, from then on only finished.
const (
	PhasePrepared   Phase = "prepared"
	PhaseCommitting Phase = "committing"
)

// Record is one transaction over one project.
type Record struct {
	Transaction string     `json:"transaction"`
	Project     string     `json:"project"`
	Host        string     `json:"host"`
	PID         int        `json:"pid,omitempty"`     // of the process on Host; 0: unknown
	Process     string     `json:"process,omitempty"` // tells it from another one with its PID; empty: unknown, as in older records
	Engine      string     `json:"engine,omitempty"`  // the address of the engine that the containers are on
	Undoes      string     `json:"undoes,omitempty"`  // the transaction that this one takes back
	Began       time.Time  `json:"began"`
	Ended       *time.Time `json:"ended,omitempty"`
	Phase       Phase      `json:"phase,omitempty"`
	Outcome     Outcome    `json:"outcome,omitempty"`
	// Inconclusive says that the transaction did not fail by what it changed, but by the engine, the disk, or since somebody ended it: the
	// same may well succeed another time.
	Inconclusive bool            `json:"inconclusive,omitempty"`
	Plan         json.RawMessage `json:"plan"`
	Backup       string          `json:"backup,omitempty"` // the folder with copies of the files as they were
	Commit       string          `json:"commit,omitempty"` // the hash of the git commit of the files
	Files        []FileImage     `json:"files,omitempty"`
	Containers   []Container     `json:"containers,omitempty"`
	Restarts     []Container     `json:"restarts,omitempty"` // what is restarted because of them
}

// Committed reports whether the transaction has ended with its change in place.
func (r Record) Committed() bool {
	switch r.Outcome {
	case OutcomeCommitted, OutcomeLeftover, OutcomeRecoveredFinished:
		return true
	case OutcomeRolledBack, OutcomeRollbackFailed, OutcomeRecoveredUndone, OutcomeOvertaken:
	}
	return false
}

// FileImage is one file before and after. A created one was nothing before.
type FileImage struct {
	Path         string `json:"path"`
	Created      bool   `json:"created,omitempty"`
	DigestBefore string `json:"digestBefore"`
	DigestAfter  string `json:"digestAfter"`
	Before       []byte `json:"before"`
	After        []byte `json:"after,omitempty"`
	// Removed says that it is taken away; Mode, UID and GID are what it had.
	Removed bool        `json:"removed,omitempty"`
	Mode    fs.FileMode `json:"mode,omitempty"`
	UID     int         `json:"uid,omitempty"`
	GID     int         `json:"gid,omitempty"`
}

// Container is the inspect of a container that is about to be replaced, and how far that has come.
type Container struct {
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Service     string          `json:"service,omitempty"`
	Number      string          `json:"number,omitempty"`      // of the replica, as its label has it
	Replacement string          `json:"replacement,omitempty"` // id of the new container; empty: not created yet
	Stopping    bool            `json:"stopping,omitempty"`    // set before the old container is asked to stop
	Handed      bool            `json:"handed,omitempty"`      // docker compose replaces it: it is not kept
	Pace        Pace            `json:"pace,omitzero"`
	Injected    []string        `json:"injected,omitempty"` // files that are copied into it
	RanForMs    int64           `json:"ranForMs,omitempty"` // how long it had run by itself when it was stopped; 0: not known
	Inspect     json.RawMessage `json:"inspect"`
}

// Pace is how a container is waited for.
type Pace struct {
	StableForMs int64 `json:"stableForMs,omitempty"`
	TimeoutMs   int64 `json:"timeoutMs,omitempty"`
	OneShot     bool  `json:"oneShot,omitempty"` // exiting with code 0 is as it should be
}

// Store is a folder of records, one sub-folder a project. Nothing is created before the first write.
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
	return filepath.Join(s.folder(r.Project), r.Transaction+recordSuffix)
}

// folder holds what is known of a project.
func (s Store) folder(project string) string { return filepath.Join(s.projects(), project) }

func (s Store) projects() string { return filepath.Join(s.Dir, "projects") }

// Save writes the record durably: after a crash the file is there whole, as it was or as it is now.
func (s Store) Save(r Record) error {
	if err := errors.Join(CheckProject(r.Project), checkName("transaction", r.Transaction)); err != nil {
		return err
	}
	if err := write(s.Path(r), r); err != nil {
		return fmt.Errorf("write record %q: %w", r.Transaction, err)
	}
	return nil
}

// write replaces a file of a project's folder durably, and makes the folder when there is none.
func write(path string, content any) error {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("create state folder: %w", err)
	}
	data, err := json.MarshalIndent(content, "", "  ")
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	// The temporary stays in the folder: it holds secrets, and only here is 0700 certain.
	err = renameio.WriteFile(path, append(data, '\n'), 0o600, renameio.WithTempDir(folder), renameio.IgnoreUmask())
	return errors.Join(err, syncFolder(folder))
}

// syncFolder makes a rename or removal in a folder durable, where the file system can do that.
func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return errors.Join(err, f.Close())
}

// CheckProject refuses a name that no project can have here.
func CheckProject(name string) error { return checkName("project", name) }

// checkName refuses what would lead out of the store's folder. Names are compose's and Composure's own; a record is read by the
// name that somebody typed.
func checkName(kind, name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsRune(name, filepath.Separator) {
		return fmt.Errorf("%q cannot be the name of a %s", name, kind)
	}
	return nil
}
