// Package plan turns findings into the ordered steps that mend them. It is pure: the same input gives byte-identical output,
// sorted, without a clock, a client or a file. The same value is printed by diff, executed by apply and kept in the record.
package plan

import (
	"time"

	"github.com/composure-dev/composure/policy"
)

// Verb is what a step does.
type Verb string

// The verbs, in the order they happen.
const (
	VerbRecover Verb = "recover" // finish or undo a transaction that was cut off; nothing else is planned beside it
	VerbPatch   Verb = "patch"   // write declarations into one compose file
	VerbSwap    Verb = "swap"    // replace one container
	VerbCompose Verb = "compose" // have docker compose recreate the containers of a service
	VerbRestart Verb = "restart" // stop and start one container, because of another's swap
	VerbCheck   Verb = "check"   // verify, after the last swap
)

// Plan is what apply would do for one project. Steps are in execution order.
type Plan struct {
	Project string `json:"project"`
	Steps   []Step `json:"steps"`
	Held    []Hold `json:"held,omitempty"`
	// Basis names what the plan was computed from; apply --plan refuses when it has moved.
	Basis Basis `json:"basis"`
}

// Basis is a plan's inputs as digests and ids. Lists are sorted.
type Basis struct {
	Policies   []string `json:"policies"`   // name@sha256:...
	Files      []string `json:"files"`      // path@sha256:... of every file the project was loaded from
	Containers []string `json:"containers"` // service=full id
	// Environment is the digest of the resolved environment of the selected services.
	Environment string `json:"environment"`
}

// Step is one action. Exactly one of Recover, Patch, Swap, Compose, Restart and Check is set, by Verb.
type Step struct {
	ID          string   `json:"id"` // stable: verb and object
	Verb        Verb     `json:"verb"`
	Object      string   `json:"object"` // file path, service (container name), or the check in words
	Cause       string   `json:"cause"`  // one line for people, no secrets
	Requires    []string `json:"requires,omitempty"`
	Destructive bool     `json:"destructive"` // stops a running container
	Diff        string   `json:"diff,omitempty"`

	Recover *Recover `json:"recover,omitempty"`
	Patch   *Patch   `json:"-"`
	Swap    *Swap    `json:"swap,omitempty"`
	Compose *Compose `json:"compose,omitempty"`
	Restart *Restart `json:"restart,omitempty"`
	Check   *Check   `json:"-"`
}

// Recover is a transaction that was cut off, and what becomes of it.
type Recover struct {
	Transaction string `json:"transaction"`
	// Finish says that its checks had passed, so that only its end is missing; else all of it is undone.
	Finish bool `json:"finish"`
	// Overtaken is a later transaction that has changed the same: then nothing is undone.
	Overtaken string `json:"overtaken,omitempty"`
	// Files and Containers are those that may not be as they were, by name.
	Files      []string `json:"files,omitempty"`
	Containers []string `json:"containers,omitempty"`
	// Locked are files whose folders are locked meanwhile.
	Locked []string `json:"-"`
}

// Restart is a stop and start of one container.
type Restart struct {
	Service     string `json:"service"`
	ContainerID string `json:"containerId"`
	Container   string `json:"container"` // its name

	Pace Pace `json:"-"`
}

// Pace is how long a started container is given, and what it is to come to.
type Pace struct {
	StableFor time.Duration
	Timeout   time.Duration
	// OneShot says that an exit with code 0 is what it is to come to, too.
	OneShot bool
}

// Patch is the new content of one file.
type Patch struct {
	File   string
	Digest string // "sha256:<hex>" of Before; empty when the file is created
	Before []byte
	After  []byte
	// Remove says that the file is taken away.
	Remove bool
	// Create says that the file does not exist yet. It gets owner and permissions of the file Like.
	Create bool
	Like   string
	// EnvFile says that it is an env file, not a compose file.
	EnvFile bool
	// Keys are the edited variables, "service.KEY", sorted.
	Keys []string
}

// Swap is the replacement of one container.
type Swap struct {
	Service     string   `json:"service"`
	ContainerID string   `json:"containerId"`
	Container   string   `json:"container"` // its name
	Changes     []Change `json:"changes"`
	// ConfigHash is empty when it holds the id of another container that is replaced first, and can only be told then.
	ConfigHash string `json:"configHash"`
	// Shares are the containers, by full id, that are replaced before this one and whose namespaces or volumes it uses.
	Shares []string `json:"shares,omitempty"`
	// StartFirst says that the replacement is started before this container is stopped.
	StartFirst bool `json:"startFirst,omitempty"`
	// Env is the whole new Config.Env, sorted. It holds secrets and is never printed.
	Env []string `json:"-"`

	Pace Pace `json:"-"`
}

// Sign is how a line of a diff begins.
type Sign string

// The signs of an environment change.
const (
	SignAdd    Sign = "+"
	SignChange Sign = "~"
	SignRemove Sign = "-"
)

// Change is one variable that differs between the old container and the new one.
// Old and New hold values as they are; whoever prints them masks them when Sensitive.
type Change struct {
	Sign      Sign    `json:"sign"`
	Key       string  `json:"key"`
	Old       *string `json:"-"`
	New       *string `json:"-"`
	Sensitive bool    `json:"sensitive,omitempty"`
	// Cause is why: a policy's name and verdict, or "the compose files say so" for a key no policy speaks of.
	Cause  string         `json:"cause"`
	Policy string         `json:"policy,omitempty"`
	Origin *policy.Origin `json:"origin,omitempty"`
}

// Check is one verification of one policy.
type Check struct {
	Policy string
	policy.Check
}

// Hold is something left to a person.
type Hold struct {
	Object string `json:"object"` // service, file, or project
	Reason string `json:"reason"`
	Next   string `json:"next"` // the command or change that helps
	// Severity is the policy's when one variable is held; empty: it weighs as an error.
	Severity policy.Severity `json:"severity,omitempty"`
}

// Result is how a step ended.
type Result string

// The results.
const (
	ResultDone       Result = "done"
	ResultFailed     Result = "failed"
	ResultSkipped    Result = "skipped" // a step it requires did not succeed
	ResultRolledBack Result = "rolled back"
	ResultNotUndone  Result = "not undone" // rollback of it failed
)

// Outcome is what became of one step.
type Outcome struct {
	Step       string `json:"step"`
	Result     Result `json:"result"`
	Error      string `json:"error,omitempty"` // no secrets
	DurationMs int64  `json:"durationMs"`
	// Detail is what is worth telling of a success: the new container's id, what a check saw.
	Detail string `json:"detail,omitempty"`
}
