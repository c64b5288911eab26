package report

import (
	"fmt"
	"strings"

	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

// ExitCode is the exit code that r stands for, the highest of its projects: 0 compliant, nothing to do or done; 1 differences
// of severity failOn or graver, or anything held, remain; 3 applied, failed verification, rolled back; 4 the rollback failed.
func ExitCode(r Report, failOn policy.Severity) int {
	code := 0
	for _, p := range r.Projects {
		code = max(code, projectCode(p, failOn))
	}
	return code
}

func projectCode(p Project, failOn policy.Severity) int {
	switch {
	case p.Result == ResultRollbackFailed:
		return 4
	case p.Result == ResultRolledBack:
		return 3
	case p.Failure != "" || held(p) > 0:
		return 1
	case p.Result == ResultCompliant || p.Result == ResultApplied:
		return 0
	}
	findings := p.Findings
	if p.Remaining != nil {
		findings = p.Remaining
	}
	for _, f := range findings {
		if f.Difference() && rank(f.Severity) <= rank(failOn) {
			return 1
		}
	}
	return 0
}

// rank orders severities from the gravest, 0, down. One that is not known counts as the gravest.
func rank(s policy.Severity) int {
	switch s {
	case policy.SeverityWarning:
		return 1
	case policy.SeverityInfo:
		return 2
	default:
		return 0
	}
}

// held counts what is left to a person. A plan names all of it; check has no plan, there the findings tell.
func held(p Project) int {
	if len(p.Plan.Held) > 0 {
		return len(p.Plan.Held)
	}
	n := 0
	for _, f := range p.Findings {
		if f.Difference() && f.Held != "" {
			n++
		}
	}
	return n
}

// totals are the counts of one or more projects.
type totals struct {
	Services  int `json:"services"`
	Variables int `json:"variables"` // per service
	Compliant int `json:"compliant"`
	Differ    int `json:"differ"`
	Patches   int `json:"filesToPatch"`
	Swaps     int `json:"containersToSwap"`
	Checks    int `json:"checks"`
	Held      int `json:"held"`
	done      map[plan.Verb]int
}

func count(projects ...Project) totals {
	t := totals{done: map[plan.Verb]int{}}
	for _, p := range projects {
		t.add(p)
	}
	return t
}

func (t *totals) add(p Project) {
	type variable struct{ service, name string }
	differs := map[variable]bool{}
	services := map[string]bool{}
	for _, f := range p.Findings {
		v := variable{f.Service, f.Variable}
		services[f.Service] = true
		differs[v] = differs[v] || f.Difference()
	}
	t.Services += len(services)
	t.Variables += len(differs)
	for _, differ := range differs {
		if differ {
			t.Differ++
			continue
		}
		t.Compliant++
	}
	verbs := map[string]plan.Verb{}
	for _, step := range p.Plan.Steps {
		verbs[step.ID] = step.Verb
	}
	for _, outcome := range p.Outcomes {
		if outcome.Result == plan.ResultDone {
			t.done[verbs[outcome.Step]]++
		}
	}
	t.Patches += len(p.Plan.Of(plan.VerbPatch))
	t.Swaps += len(p.Plan.Of(plan.VerbSwap))
	t.Checks += len(p.Plan.Of(plan.VerbCheck))
	t.Held += held(p)
}

// summary is the last line: one project's own words, or how many projects ended how.
func summary(verb Verb, projects []Project) string {
	if len(projects) == 1 {
		return projectSummary(verb, projects[0])
	}
	var ends []string
	for _, result := range []Result{ResultRollbackFailed, ResultRolledBack, ResultDifferences, ResultApplied, ResultCompliant} {
		n := 0
		for _, p := range projects {
			if p.Result == result {
				n++
			}
		}
		if n > 0 {
			ends = append(ends, fmt.Sprintf("%d %s", n, ended(result)))
		}
	}
	if len(ends) == 0 {
		return "0 projects."
	}
	return fmt.Sprintf("%d projects: %s.", len(projects), strings.Join(ends, ", "))
}

func ended(r Result) string {
	if r == ResultDifferences {
		return "with differences"
	}
	return string(r)
}

func projectSummary(verb Verb, p Project) string {
	t := count(p)
	switch {
	case verb == VerbApply:
		return applySummary(p, t)
	case t.Variables == 0 && t.Held == 0:
		return "Nothing to compare: no policy selects a service of this project."
	case t.Differ == 0 && t.Held == 0 && len(p.Plan.Steps) == 0:
		return upToDate(t)
	case verb == VerbCheck:
		return fmt.Sprintf("%s, %s: %d compliant, %s.", plural(t.Services, "service"), plural(t.Variables, "variable"), t.Compliant, differ(t.Differ))
	}
	return fmt.Sprintf("Plan: %s to patch, %s to swap, %s; %d held. Nothing was changed.",
		plural(t.Patches, "file"), plural(t.Swaps, "container"), plural(t.Checks, "check"), t.Held)
}

func applySummary(p Project, t totals) string {
	switch p.Result {
	case ResultCompliant:
		return upToDate(t)
	case ResultRolledBack:
		return fmt.Sprintf("Rolled back: %s is as it was before.", p.Name)
	case ResultRollbackFailed:
		return fmt.Sprintf("Rollback failed: %s needs a person; what is left to do stands above.", p.Name)
	case ResultApplied, ResultDifferences:
	}
	remains := ""
	if t.Held > 0 {
		remains = fmt.Sprintf(" %d held.", t.Held)
	}
	patched, swapped := t.done[plan.VerbPatch], t.done[plan.VerbSwap]
	if patched+swapped == 0 {
		return "Nothing was changed." + remains
	}
	applied := "Applied"
	if p.Failure != "" {
		applied = "Applied, but failed"
	}
	return fmt.Sprintf("%s: %s patched, %s swapped; %s.%s", applied, plural(patched, "file"), plural(swapped, "container"), verification(t), remains)
}

// verification never says more than what ran.
func verification(t totals) string {
	switch passed := t.done[plan.VerbCheck]; {
	case t.Checks == 0:
		return "not verified: no check ran"
	case passed < t.Checks:
		return fmt.Sprintf("not verified: %d of %s passed", passed, plural(t.Checks, "check"))
	default:
		return "verified by " + plural(passed, "check")
	}
}

func upToDate(t totals) string {
	return fmt.Sprintf("up to date: %s, %s compliant.", plural(t.Services, "service"), plural(t.Variables, "variable"))
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func differ(n int) string {
	if n == 1 {
		return "1 differs"
	}
	return fmt.Sprintf("%d differ", n)
}
