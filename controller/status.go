package controller

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/composure-dev/composure/reconcile"
)

// Reason is why a project is ready or not, one word that stays the same from release to release.
type Reason string

// The reasons.
const (
	ReasonCompliant   Reason = "Compliant"        // every policy holds
	ReasonNotSelected Reason = "NotSelected"      // no policy selects a service of it
	ReasonHeld        Reason = "Held"             // what differs is left to a person
	ReasonChanging    Reason = "ProjectChanging"  // somebody else is at it: it is left alone until that ends
	ReasonLocked      Reason = "Locked"           // another transaction is under way
	ReasonSuspended   Reason = "Suspended"        // a person wants it to be left alone
	ReasonQuarantined Reason = "Quarantined"      // what would be done was done before, and undone
	ReasonBudget      Reason = "BudgetSpent"      // it was mended too often in the last hour
	ReasonRepairing   Reason = "Repairing"        // a transaction is under way
	ReasonRolledBack  Reason = "RolledBack"       // the last repair was undone
	ReasonStuck       Reason = "RollbackFailed"   // the last repair could not be undone: a person is needed
	ReasonUnreachable Reason = "FilesUnreachable" // its files cannot be read from here
	ReasonFailed      Reason = "Failed"           // it could not be looked at; it is tried again
	ReasonNoEngine    Reason = "EngineAway"       // the engine does not answer; it is tried again
)

// Status is what the daemon knows of one project. It is made anew by looking: losing it loses nothing.
type Status struct {
	Project string `json:"project"`
	// Ready holds when every policy that selects a service of the project holds for its files and its containers.
	Ready bool `json:"ready"`
	// Reconciling holds while something is done, or is going to be done by itself; Stalled when a person is needed.
	Reconciling bool   `json:"reconciling"`
	Stalled     bool   `json:"stalled"`
	Reason      Reason `json:"reason"`
	Message     string `json:"message,omitempty"` // for people, no secrets
	// Since is when Reason became what it is.
	Since       time.Time `json:"since"`
	LookedAt    time.Time `json:"lookedAt"`
	Differences int       `json:"differences"`
	Held        []string  `json:"held,omitempty"`
	// Transaction is the last one that the daemon has carried out in the project, and Outcome how it ended.
	Transaction string `json:"transaction,omitempty"`
	Outcome     string `json:"outcome,omitempty"`
}

// ExitCode is what a run that ends with this status exits with: as a report does.
func (s Status) ExitCode() int {
	switch {
	case s.Reason == ReasonStuck || s.Outcome == string(reconcile.ResultRollbackFailed):
		return 4
	case s.Outcome == string(reconcile.ResultRolledBack):
		return 3
	case s.Reason == ReasonFailed || s.Reason == ReasonNoEngine:
		return 2
	case !s.Ready:
		return 1
	}
	return 0
}

// statuses keeps the status of every project. It may be used by several goroutines at once.
type statuses struct {
	mu        sync.Mutex
	byProject map[string]Status
}

func newStatuses() *statuses { return &statuses{byProject: map[string]Status{}} }

// set notes a status and reports whether it says something new.
func (s *statuses) set(status Status) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, known := s.byProject[status.Project]
	status.Since = cmp.Or(status.Since, status.LookedAt)
	if known && was.Reason == status.Reason {
		status.Since = was.Since
	}
	if status.Transaction == "" {
		status.Transaction, status.Outcome = was.Transaction, was.Outcome
	}
	s.byProject[status.Project] = status
	return !known || was.Reason != status.Reason || was.Message != status.Message || !slices.Equal(was.Held, status.Held)
}

func (s *statuses) get(project string) (Status, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	status, known := s.byProject[project]
	return status, known
}

func (s *statuses) forget(project string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byProject, project)
}

// list is sorted by project.
func (s *statuses) list() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Status
	for _, status := range s.byProject {
		list = append(list, status)
	}
	slices.SortFunc(list, func(a, b Status) int { return cmp.Compare(a.Project, b.Project) })
	return list
}
