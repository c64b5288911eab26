package policy

// Verdict says what is wrong with one variable of one service, and so what to do.
type Verdict string

// The verdicts. docs/concepts.md has the table.
const (
	Compliant               Verdict = "Compliant"
	FileMissing             Verdict = "FileMissing"             // patch the file, then swap
	FileWrong               Verdict = "FileWrong"               // patch the file, then swap
	ContainerStale          Verdict = "ContainerStale"          // the files are right: swap only
	OverriddenByEnvironment Verdict = "OverriddenByEnvironment" // right by its text, wrong by the shell, .env or --env-file
	Forbidden               Verdict = "Forbidden"               // set although the rule says absent: remove it, then swap
	Conflict                Verdict = "Conflict"                // two policies want different things
	NotCreated              Verdict = "NotCreated"              // no container, or not a running one: left to the next up
	FilesUnreachable        Verdict = "FilesUnreachable"
)

// Finding is the verdict on one variable of one service, in one file or one container.
// Message and Hint never hold a sensitive value.
type Finding struct {
	Policy    string   `json:"policy"`
	Severity  Severity `json:"severity"`
	Project   string   `json:"project"`
	Service   string   `json:"service"`
	Variable  string   `json:"variable"`
	Layer     Layer    `json:"layer"`
	Verdict   Verdict  `json:"verdict"`
	Message   string   `json:"message"`
	Origin    *Origin  `json:"origin,omitempty"`
	Container string   `json:"container,omitempty"` // full id
	// Held says why Composure leaves this to a person; Hint is what that person can do.
	Held string `json:"held,omitempty"`
	Hint string `json:"hint,omitempty"`

	Sensitive bool `json:"sensitive,omitempty"`
	// Fix is the edit that mends a file finding; nil when there is none or it is held.
	Fix *Fix `json:"-"`
}

// Difference reports whether f is something that is not as the policy wants it.
// NotCreated is not: there is nothing to compare, and the next up will create what the files say.
func (f Finding) Difference() bool { return f.Verdict != Compliant && f.Verdict != NotCreated }

// Fix is one edit of one file: a key that is set, left without a value, or taken out.
type Fix struct {
	File string // absolute path
	// Target is the kind of place: the environment block of Service in a compose file (TargetInline; TargetOverride adds what the
	// file lacks), or a line of an env file (TargetEnvFile), whose Format may be "raw".
	Target  Target
	Format  string
	Service string
	Key     string
	Text    string // as it stands in the file, before interpolation
	Bare    bool   // the key without a value, which hides the image's
	Remove  bool
	// Sensitive text is written, and never shown.
	Sensitive bool
}
