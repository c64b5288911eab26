// Package report renders one result — of check, diff or apply — for people and for machines. It decides nothing: the same
// [Report] gives the same bytes, and no form of it holds a sensitive value.
package report

import (
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

// Verb is the command whose result is reported.
type Verb string

// The verbs.
const (
	VerbCheck Verb = "check"
	VerbDiff  Verb = "diff"
	VerbApply Verb = "apply"
	// VerbRollback is for the plan and for what became of it.
	VerbRollback Verb = "rollback"
)

// Result is how it ended for one project, from best to worst.
type Result string

// The results. Exit codes follow from them, see ExitCode.
const (
	ResultCompliant      Result = "compliant"       // nothing to do
	ResultApplied        Result = "applied"         // done and, where the policy has checks, verified
	ResultDifferences    Result = "differences"     // differences, violations or held steps remain
	ResultError          Result = "error"           // could not be looked at or changed; Failure says why
	ResultRolledBack     Result = "rolled back"     // applied, failed verification, everything is as it was
	ResultRollbackFailed Result = "rollback failed" // a person is needed
)

// Report is the result of one command over one or more projects, sorted by name.
type Report struct {
	Verb     Verb
	Version  string // of composure
	Projects []Project
}

// Project is the result for one project.
type Project struct {
	Name      string
	Directory string
	Base      string   // paths below it are printed relative to it; empty: Directory
	Files     []string // absolute
	Context   string   // the engine's address and version; empty when none was asked
	Findings  []policy.Finding
	Plan      plan.Plan
	Outcomes  []plan.Outcome // of apply
	// Remaining are apply's findings after the change; nil when nothing was changed, and then Findings hold.
	Remaining []policy.Finding
	Result    Result
	// Failure says what failed and Restored what was put back (or not).
	Failure  string
	Restored []string
	// Recovered says what was put in order before, of transactions that had been cut off.
	Recovered []string
	// Backup is the folder with copies of the files as they were, and Commit the hash of the git commit of them as they are.
	Backup, Commit string
	Warnings       []string
	// Others are variables no policy speaks of that differ between the files and the container (--all-variables).
	Others []Other

	// Sensitive are the variables that some policy calls sensitive, be it one of another service.
	Sensitive []string
	// Secrets are the sensitive values of all containers and files of the project. They are printed nowhere: free text is
	// searched for them.
	Secrets []string
}

// Other is a difference outside every policy.
type Other struct {
	Service string
	plan.Change
}
