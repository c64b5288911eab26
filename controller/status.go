package controller

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/composure-dev/composure/internal/api"
	"github.com/composure-dev/composure/reconcile"
)

// Reason is why a project is ready or not, one word that stays the same from release to release.
type Reason string

// The reasons.
const (
	ReasonCompliant   Reason = "Compliant"        // every policy holds
	ReasonNotSelected Reason = "NotSelected"      // no policy selects a service of it
	ReasonHeld        Reason = "Held"             // what differs is left to a person
	ReasonPending     Reason = "PendingRecreate"  // the files are right; that containers are recreated is left to a person
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
	ReasonStandby     Reason = "Standby"          // another operator leads, or Redis does not say who does
	ReasonTooMany     Reason = "TooManyServices"  // more services would be recreated than may be at once
)

// Status is what the daemon knows of one project. It is made anew by looking: losing it loses nothing.
type Status struct {
	Project string
	// Ready holds when every policy that selects a service of the project holds for its files and its containers.
	Ready bool
	// Reconciling holds while something is done, or is going to be done by itself; Stalled when a person is needed.
	Reconciling, Stalled bool
	Reason               Reason
	Message              string // for people, no secrets
	// Since is when Reason became what it is.
	Since       time.Time
	LookedAt    time.Time
	Next        time.Time // when it is looked at again without being told; zero: with the next resync
	Differences int
	Held        []api.Held
	Findings    []api.Finding // the differences
	Suspended   bool          // a person has said so; Reason is ReasonSuspended only where that keeps something from being done
	Policies    []selection   // sorted by name
	// Observed, Attempted and Applied are digests of policies, files and surroundings, see api.Project.
	Observed, Attempted, Applied string
	// Transaction is the last one that the daemon has carried out in the project, Outcome how it ended, and Failure why not better.
	Transaction, Outcome, Failure string
	Ended                         time.Time
	// turned are the instants at which Ready, Reconciling and Stalled became what they are.
	turned [3]time.Time
}

// selection is what a policy selects in a project.
type selection struct {
	policy      string
	services    []string // sorted
	differences int
	since       time.Time // when there came to be differences, or none
}

// same reports whether the same services are selected by the same policy.
func (s selection) same(other selection) bool {
	return s.policy == other.policy && slices.Equal(s.services, other.services)
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

// set notes a status, and gives it back with what it was before.
func (s *statuses) set(status Status) (now, was Status, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, known = s.byProject[status.Project]
	status.Since = status.LookedAt
	if known && was.Reason == status.Reason {
		status.Since = was.Since
	}
	before, after := was.truths(), status.truths()
	for i := range status.turned {
		status.turned[i] = status.LookedAt
		if known && before[i] == after[i] {
			status.turned[i] = was.turned[i]
		}
	}
	if status.Transaction == "" {
		status.Transaction, status.Outcome, status.Failure, status.Ended = was.Transaction, was.Outcome, was.Failure, was.Ended
	}
	status.Attempted = cmp.Or(status.Attempted, was.Attempted)
	if status.Applied = was.Applied; status.Ready {
		status.Applied = status.Observed
	}
	if status.Observed == "" { // it could not be looked at
		status.Observed, status.Policies, status.Suspended = was.Observed, was.Policies, was.Suspended
		status.Differences, status.Held, status.Findings = was.Differences, was.Held, was.Findings
	}
	status.Policies = slices.Clone(status.Policies) // who has asked may still read those of before
	for i, now := range status.Policies {
		status.Policies[i].since = status.LookedAt
		at := slices.IndexFunc(was.Policies, func(s selection) bool { return s.policy == now.policy })
		if at >= 0 && (was.Policies[at].differences > 0) == (now.differences > 0) {
			status.Policies[i].since = was.Policies[at].since
		}
	}
	s.byProject[status.Project] = status
	return status, was, known
}

// ReadyWord is the value of the condition Ready.
func (s Status) ReadyWord() string { return s.truths()[0] }

// truths are the values of the conditions Ready, Reconciling and Stalled. What could not be looked at is neither ready nor not.
func (s Status) truths() [3]string {
	ready := truth(s.Ready)
	if s.Reason == ReasonFailed || s.Reason == ReasonNoEngine {
		ready = api.Unknown
	}
	return [3]string{ready, truth(s.Reconciling), truth(s.Stalled)}
}

// news reports whether a status says something that the one before did not.
func (s Status) news(was Status) bool {
	return was.Reason != s.Reason || was.Message != s.Message || was.Stalled != s.Stalled || was.Differences != s.Differences || was.Suspended != s.Suspended ||
		!slices.Equal(was.Held, s.Held)
}

// next notes when a project is looked at again.
func (s *statuses) next(project string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if status, known := s.byProject[project]; known {
		status.Next = at
		s.byProject[project] = status
	}
}

// summary counts projects by what they are.
func (s *statuses) summary() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ready, stalled := 0, 0
	for _, status := range s.byProject {
		if status.Ready {
			ready++
		}
		if status.Stalled {
			stalled++
		}
	}
	return fmt.Sprintf("%d projects: %d ready, %d stalled", len(s.byProject), ready, stalled)
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
