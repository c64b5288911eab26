// Package api is what a daemon tells of itself: the shape of its answers, the HTTP that carries them, and the client that asks.
//
// All of it is made from what the daemon has seen. Losing it loses nothing: a daemon that starts makes it anew.
package api

import (
	"errors"
	"slices"
	"time"
)

// Version is the version of every answer. Fields are added, never renamed.
const Version = "composure/v1alpha1"

// The kinds of answers.
const (
	KindProject     = "Project"
	KindProjectList = "ProjectList"
	KindPolicyList  = "PolicyList"
	KindEventList   = "EventList"
	KindResult      = "Result"
)

// The types of conditions, as Kubernetes' kstatus has them: Ready says that all holds, Reconciling that something is done or is going to
// be done by itself, Stalled that a person is needed.
const (
	Ready       = "Ready"
	Reconciling = "Reconciling"
	Stalled     = "Stalled"
)

// The values of Condition.Status.
const (
	True    = "True"
	False   = "False"
	Unknown = "Unknown" // it is being found out
)

// Condition is one thing that is so, or not. There is one of each type.
type Condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`            // one word that stays the same from release to release
	Message string `json:"message,omitempty"` // for people, no secrets
	// LastTransitionTime is when Status became what it is.
	LastTransitionTime time.Time `json:"lastTransitionTime"`
}

// Find gives the condition of a type, one that is Unknown when there is none.
func Find(conditions []Condition, kind string) Condition {
	if at := slices.IndexFunc(conditions, func(c Condition) bool { return c.Type == kind }); at >= 0 {
		return conditions[at]
	}
	return Condition{Type: kind, Status: Unknown}
}

// Project is how a project is.
type Project struct {
	Name       string      `json:"name"`
	Conditions []Condition `json:"conditions"`
	// Policies are the names of those that select a service of it.
	Policies []string `json:"policies"`
	// Differences is how many variables are not as a policy wants them.
	Differences int    `json:"differences"`
	Held        []Held `json:"held"`
	// The digests stand for policies, files and surroundings: ObservedDigest for those that were looked at last, AttemptedDigest for those
	// that the last transaction began from, AppliedDigest for the last ones that were found to hold. Ready speaks of ObservedDigest.
	ObservedDigest  string       `json:"observedDigest,omitempty"`
	AttemptedDigest string       `json:"attemptedDigest,omitempty"`
	AppliedDigest   string       `json:"appliedDigest,omitempty"`
	LastTransaction *Transaction `json:"lastTransaction,omitempty"`
	Suspended       *Suspension  `json:"suspended,omitempty"`
	LookedAt        time.Time    `json:"lookedAt"`
	// NextLook is when it is looked at next, whatever happens; events and files wake sooner.
	NextLook time.Time `json:"nextLook"`
}

// Held is something that is left to a person.
type Held struct {
	Object string `json:"object"` // service, file, or project
	Reason string `json:"reason"`
	Next   string `json:"next,omitempty"` // the command or change that helps
}

// Transaction is a change that was made, and how it ended.
type Transaction struct {
	ID      string     `json:"id"`
	Outcome string     `json:"outcome"`
	Failure string     `json:"failure,omitempty"`
	Began   *time.Time `json:"began,omitempty"`
	Ended   *time.Time `json:"ended,omitempty"`
}

// Suspension is a person's word that a project is to be left alone.
type Suspension struct {
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
}

// Finding is a variable that is not as a policy wants it. It has no values: composure diff shows them.
type Finding struct {
	Policy   string `json:"policy"`
	Service  string `json:"service"`
	Variable string `json:"variable"`
	Layer    string `json:"layer"`
	Verdict  string `json:"verdict"`
	Place    string `json:"place,omitempty"` // file:line:column
}

// Description is all that is known of one project.
type Description struct {
	Project
	Findings     []Finding     `json:"findings"`
	Transactions []Transaction `json:"transactions"` // the newest first
	Events       []Event       `json:"events"`
}

// Single is an answer with one project.
type Single struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Description
}

// Policy is how a policy is, over all projects.
type Policy struct {
	Name string `json:"name"` // of one that could never be read: the file's
	File string `json:"file"`
	// Digest is that of the version in force, empty when there is none.
	Digest     string      `json:"digest,omitempty"`
	Conditions []Condition `json:"conditions"`
	Files      string      `json:"files,omitempty"`      // its enforcement for files: Audit or Enforce
	Containers string      `json:"containers,omitempty"` // and for containers
	Variables  []string    `json:"variables"`
	// Services are those that it selects, as project/service.
	Services    []string `json:"services"`
	Differences int      `json:"differences"`
}

// The types of events.
const (
	Normal  = "Normal"
	Warning = "Warning"
)

// Event is something that has happened, told once.
type Event struct {
	ID          uint64    `json:"id"` // counts from the daemon's start
	Time        time.Time `json:"time"`
	Type        string    `json:"type"`
	Project     string    `json:"project,omitempty"` // empty: of the daemon itself
	Reason      string    `json:"reason"`
	Message     string    `json:"message,omitempty"`
	Transaction string    `json:"transaction,omitempty"`
}

// Result is what one look at a project came to, for those who listen on a channel.
type Result struct {
	APIVersion  string    `json:"apiVersion"`
	Kind        string    `json:"kind"`
	Host        string    `json:"host"`
	Project     string    `json:"project"`
	Ready       bool      `json:"ready"`
	Reason      string    `json:"reason"`
	Message     string    `json:"message,omitempty"`
	Differences int       `json:"differences"`
	Transaction string    `json:"transaction,omitempty"`
	Outcome     string    `json:"outcome,omitempty"`
	Time        time.Time `json:"time"`
	DurationMs  int64     `json:"durationMs"`
}

// Change is a line of a watch.
type Change[T any] struct {
	Type   ChangeType `json:"type"`
	Object T          `json:"object"`
}

// ChangeType is what has become of an object.
type ChangeType string

// The types of changes.
const (
	Added    ChangeType = "ADDED"
	Modified ChangeType = "MODIFIED"
	Deleted  ChangeType = "DELETED"
)

// List is an answer with several objects.
type List[T any] struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Items      []T    `json:"items"`
}

// ErrNotFound is returned for a project that the daemon does not know.
var ErrNotFound = errors.New("not found")

// NotFoundError is an ErrNotFound in words.
type NotFoundError struct{ Message string }

func (e *NotFoundError) Error() string { return e.Message }

// Is makes it an ErrNotFound.
func (e *NotFoundError) Is(target error) bool { return target == ErrNotFound }
