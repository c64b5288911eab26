// Package policy holds the EnvironmentPolicy: its types, how a document is read, which services it selects and what it finds.
//
// The package is pure. It opens no file, asks no engine and reads no clock: [Parse] takes bytes, [Evaluate] takes [Facts]
// that somebody else has gathered, and both give the same answer to the same question for ever. The one thing that it takes from
// around it is the time zone database, for maintenance windows: that of the host, else the one that a program embeds (time/tzdata).
package policy

import "time"

// APIVersion and Kind are the only ones this release reads.
const (
	APIVersion = "composure/v1alpha1"
	Kind       = "EnvironmentPolicy"
)

// IgnoreLabel on a compose service (value "true") takes it out of every policy's reach.
const IgnoreLabel = "composure.ignore"

// Policy is one EnvironmentPolicy document, with its defaults filled in.
type Policy struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   Metadata `json:"metadata"`
	Spec       Spec     `json:"spec"`

	// Origin is where the document begins.
	Origin Origin `json:"-"`
	// Digest is "sha256:<hex>" of the document's bytes; a saved plan names it.
	Digest string `json:"-"`
}

// Metadata names a policy. Name is a DNS label; it is unique among the policies of one run.
type Metadata struct {
	Name string `json:"name"`
}

// Spec says which variables the selected services must have, how a difference is mended and how the result is verified.
type Spec struct {
	Description string      `json:"description,omitempty"`
	Severity    Severity    `json:"severity,omitempty"`
	Enforcement Enforcement `json:"enforcement,omitzero"`
	Selector    Selector    `json:"selector,omitzero"`
	Variables   []Rule      `json:"variables"`
	Patch       Patch       `json:"patch,omitzero"`
	Rollout     Rollout     `json:"rollout,omitzero"`
	Verify      []Check     `json:"verify,omitempty"`
	OnFailure   OnFailure   `json:"onFailure,omitempty"`
}

// Severity decides, with --fail-on, whether a difference fails the run.
type Severity string

// The severities, from the gravest down. The default is SeverityError.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
	SeverityInfo    Severity = "info"
)

// Enforcement governs the daemon alone: apply is a person's word and applies.
type Enforcement struct {
	Files      Mode `json:"files,omitempty"`
	Containers Mode `json:"containers,omitempty"`
	// Windows are when the modes count; outside of all of them the policy is only audited. None: always.
	Windows []Window `json:"windows,omitempty"`
}

// Window is a span of time that comes again and again.
type Window struct {
	// Schedule is when it opens, as cron has it: minute, hour, day of the month, month and day of the week.
	Schedule string `json:"schedule"`
	// Duration is how long it is open, as time passes: the change between summer and winter makes it no longer and no shorter.
	Duration Duration `json:"duration"`
	TimeZone string   `json:"timeZone,omitempty"` // an IANA name; default UTC

	opens *opens // what Parse makes of Schedule and TimeZone
}

// Mode says whether the daemon only reports (Audit, the default) or mends (Enforce).
type Mode string

// The modes.
const (
	ModeAudit   Mode = "Audit"
	ModeEnforce Mode = "Enforce"
)

// Selector picks services. Every field that is given must match; a list matches when any of its glob patterns does.
// An empty selector selects every service.
type Selector struct {
	Projects    []string          `json:"projects,omitempty"`
	Services    []string          `json:"services,omitempty"`
	Exclude     []string          `json:"exclude,omitempty"`
	MatchLabels map[string]string `json:"matchLabels,omitempty"`
	Images      []string          `json:"images,omitempty"`
}

// Rule is what one variable must be. Exactly one of Value, Values, Pattern, Minimum/Maximum, Present and Absent stands in a
// rule; SameAcrossServices may join any of them but Absent, or stand alone. Every rule but Absent requires the variable to be set.
type Rule struct {
	Name               string   `json:"name"`
	Value              *string  `json:"value,omitempty"`
	Values             []string `json:"values,omitempty"`
	Pattern            string   `json:"pattern,omitempty"` // RE2, must match the whole value
	Minimum            *float64 `json:"minimum,omitempty"`
	Maximum            *float64 `json:"maximum,omitempty"`
	Present            bool     `json:"present,omitempty"`
	Absent             bool     `json:"absent,omitempty"`
	SameAcrossServices bool     `json:"sameAcrossServices,omitempty"`
	AllowEmpty         bool     `json:"allowEmpty,omitempty"` // with Present: set but empty is enough
	AllowImage         bool     `json:"allowImage,omitempty"` // with Present: the image's own ENV is enough
	// Declare is the text written into a file when it has to be written, ${...} and all. Nil: what Value says, $ doubled.
	Declare *string `json:"declare,omitempty"`
	// Sensitive nil means: decided by the name and by what the value looks like (see internal/redact).
	Sensitive *bool `json:"sensitive,omitempty"`

	Origin Origin `json:"-"`
}

// Patch says where a declaration is written.
type Patch struct {
	// Files must each declare the variable for the services that they define. Paths are relative to the project directory.
	// Empty: the file that defines the service, and only when the resolved value is wrong.
	Files  []string `json:"files,omitempty"`
	Target Target   `json:"target,omitempty"`
}

// Target is the kind of place a declaration is written to.
type Target string

// The targets.
const (
	TargetInline   Target = "Inline"   // the default: the file that sets it, else the one that defines the service
	TargetOverride Target = "Override" // the project's override file
	TargetEnvFile  Target = "EnvFile"  // the service's env_file; of what .env makes wrong, .env
)

// Rollout says in which order and how containers are swapped.
type Rollout struct {
	Order     []string `json:"order,omitempty"` // services; the ones not named follow by name
	Strategy  Strategy `json:"strategy,omitempty"`
	StableFor Duration `json:"stableFor,omitempty"` // default 3s: how long a container without a healthcheck must stay up
	Timeout   Duration `json:"timeout,omitempty"`   // default 90s: for one container to become healthy or stable
	// Force lets the old and the new container run side by side with StartFirst although the service has writable volumes.
	Force bool `json:"force,omitempty"`
}

// Strategy is how a container is replaced.
type Strategy string

// The strategies. The default is StopFirst. Ranked by caution: Never, Compose, StopFirst, StartFirst.
const (
	StrategyStopFirst  Strategy = "StopFirst"
	StrategyStartFirst Strategy = "StartFirst"
	StrategyCompose    Strategy = "Compose"
	StrategyNever      Strategy = "Never"
)

// Check is one verification after the last swap. Exactly one field is set.
type Check struct {
	Healthy bool        `json:"healthy,omitempty"` // every swapped container is healthy, or stable without a healthcheck
	Redis   *RedisCheck `json:"redis,omitempty"`
	Log     *LogCheck   `json:"log,omitempty"`
	Exec    *ExecCheck  `json:"exec,omitempty"`
	HTTP    *HTTPCheck  `json:"http,omitempty"`

	Origin Origin `json:"-"`
}

// RedisCheck asks a Redis from inside the network namespace of the service's container.
// URL and Channel may hold $(NAME), which stands for that container's variable NAME.
type RedisCheck struct {
	Service     string   `json:"service"`
	URL         string   `json:"url"`
	Ping        bool     `json:"ping,omitempty"`
	Channel     string   `json:"channel,omitempty"`
	Subscribers int64    `json:"subscribers,omitempty"` // at least this many on Channel (PUBSUB NUMSUB); default 1
	Within      Duration `json:"within,omitempty"`      // default 30s
}

// LogCheck wants a line matching Pattern (RE2) in the container's log since its start.
type LogCheck struct {
	Service string   `json:"service"`
	Pattern string   `json:"pattern"`
	Within  Duration `json:"within,omitempty"` // default 60s
}

// ExecCheck runs a command in the service's container.
type ExecCheck struct {
	Service string   `json:"service"`
	Command []string `json:"command"`
	Timeout Duration `json:"timeout,omitempty"`
}

// HTTPCheck fetches URL from inside the network namespace of the service's container. URL may hold $(NAME), which stands for
// that container's variable NAME. Redirects are not followed: their own status is the one that counts.
type HTTPCheck struct {
	Service string `json:"service"`
	URL     string `json:"url"`
	Status  int    `json:"status,omitempty"` // default 200
	// InsecureSkipVerify takes any certificate. Without it there is no https: where the probe runs no authority is known.
	InsecureSkipVerify bool     `json:"insecureSkipVerify,omitempty"`
	Within             Duration `json:"within,omitempty"` // default 30s
}

// OnFailure is what happens when a check fails after the swap.
type OnFailure string

// The reactions. The default is OnFailureRollback.
const (
	OnFailureRollback OnFailure = "Rollback"
	OnFailureKeep     OnFailure = "Keep"
)

// Duration is a time.Duration written as "90s" or "2m" in a policy.
type Duration time.Duration

// Origin is a place in a file. Line and Column count from 1; 0 means unknown.
type Origin struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}
