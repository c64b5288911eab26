package report

import (
	"testing"

	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

func TestExitCode(t *testing.T) {
	finding := func(severity policy.Severity, verdict policy.Verdict) policy.Finding {
		return policy.Finding{Severity: severity, Verdict: verdict}
	}
	with := func(result Result, findings ...policy.Finding) Project {
		return Project{Result: result, Findings: findings}
	}
	heldBack := func(severity policy.Severity) Project {
		f := finding(severity, policy.FileWrong)
		f.Held = "extends is not supported yet"
		return with(ResultApplied, f)
	}
	holding := func(severity policy.Severity) Project {
		p := with(ResultDifferences)
		p.Plan.Held = []plan.Hold{{Object: "app", Severity: severity}}
		return p
	}
	failed := with(ResultError)
	failed.Failure = "compose.yaml: invalid YAML"
	kept := with(ResultDifferences)
	kept.Failure = "a check failed; onFailure is Keep"

	tests := map[string]struct {
		reason   string
		projects []Project
		failOn   policy.Severity
		want     int
	}{
		"None":          {"no project", nil, policy.SeverityError, 0},
		"Compliant":     {"all complies", []Project{with(ResultCompliant, finding(policy.SeverityError, policy.Compliant))}, policy.SeverityError, 0},
		"Applied":       {"what differed is mended", []Project{with(ResultApplied, finding(policy.SeverityError, policy.FileMissing))}, policy.SeverityError, 0},
		"Error":         {"an error differs", []Project{with(ResultDifferences, finding(policy.SeverityError, policy.FileWrong))}, policy.SeverityError, 1},
		"Warning":       {"a warning does not fail by default", []Project{with(ResultDifferences, finding(policy.SeverityWarning, policy.FileWrong))}, policy.SeverityError, 0},
		"FailOnWarning": {"a warning fails when asked", []Project{with(ResultDifferences, finding(policy.SeverityWarning, policy.FileWrong))}, policy.SeverityWarning, 1},
		"ErrorAlways":   {"an error fails with every threshold", []Project{with(ResultDifferences, finding(policy.SeverityError, policy.FileWrong))}, policy.SeverityWarning, 1},
		"Info":          {"info never fails", []Project{with(ResultDifferences, finding(policy.SeverityInfo, policy.FileWrong))}, policy.SeverityWarning, 0},
		"NotCreated":    {"nothing to compare is no difference", []Project{with(ResultDifferences, finding(policy.SeverityError, policy.NotCreated))}, policy.SeverityError, 0},
		"HeldError":     {"what is held fails, even when the rest was applied", []Project{heldBack(policy.SeverityError)}, policy.SeverityError, 1},
		"HeldWarning":   {"what is held weighs as much as its finding", []Project{heldBack(policy.SeverityWarning)}, policy.SeverityError, 0},
		"HeldFailOn":    {"and fails when asked", []Project{heldBack(policy.SeverityWarning)}, policy.SeverityWarning, 1},
		"Hold":          {"a hold that is no finding's fails", []Project{holding("")}, policy.SeverityError, 1},
		"HoldWarning":   {"a hold of a warning does not", []Project{holding(policy.SeverityWarning)}, policy.SeverityError, 0},
		"HoldFailOn":    {"unless asked", []Project{holding(policy.SeverityWarning)}, policy.SeverityWarning, 1},
		"HoldInfo":      {"info never fails", []Project{holding(policy.SeverityInfo)}, policy.SeverityWarning, 0},
		"CouldNot":      {"one project that could not be looked at", []Project{with(ResultCompliant), failed, holding("")}, policy.SeverityError, 2},
		"CouldNotWorse": {"a rollback is worse", []Project{failed, with(ResultRolledBack)}, policy.SeverityError, 3},
		"Kept":          {"a failure that was kept fails", []Project{kept}, policy.SeverityError, 1},
		"RolledBack":    {"rolled back", []Project{with(ResultRolledBack)}, policy.SeverityError, 3},
		"Failed":        {"rollback failed", []Project{with(ResultRollbackFailed)}, policy.SeverityError, 4},
		"Highest":       {"the highest of several", []Project{with(ResultRolledBack), with(ResultCompliant), holding("")}, policy.SeverityError, 3},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := ExitCode(Report{Projects: tc.projects}, tc.failOn); got != tc.want {
				t.Errorf("%s: %d, want %d", tc.reason, got, tc.want)
			}
		})
	}
}

func TestSummary(t *testing.T) {
	failed := Project{Name: "blog", Result: ResultError, Failure: "compose.yaml: invalid YAML"}
	compliant := nothingReport().Projects[0]
	idle := compliant
	idle.Findings = findings()[5:]
	differing := diffReport().Projects[0]

	tests := map[string]struct {
		reason   string
		verb     Verb
		projects []Project
		want     string
	}{
		"Compliant": {"all is as it should be", VerbDiff, []Project{compliant}, "up to date: 1 service, 1 variable compliant."},
		"Idle":      {"no container, nothing to comply", VerbDiff, []Project{idle}, "up to date: 1 service, 1 variable: 0 compliant, 1 without a running container."},
		"IdleApply": {"the same after apply", VerbApply, []Project{idle}, "up to date: 1 service, 1 variable: 0 compliant, 1 without a running container."},
		"Check":     {"what differs besides", VerbCheck, []Project{differing}, "3 services, 6 variables: 1 compliant, 1 without a running container, 4 differ."},
		"Failed":    {"one project that could not be looked at", VerbDiff, []Project{failed}, "Failed: blog could not be looked at or changed."},
		"FailedOne": {"one of several", VerbApply, []Project{compliant, failed, idle}, "3 projects: 1 could not be done, 2 compliant."},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := summary(tc.verb, tc.projects); got != tc.want {
				t.Errorf("%s: %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}
