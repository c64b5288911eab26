package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

// ExitCode is the exit code that r stands for, the highest of its projects: 0 compliant, nothing to do or done; 1 differences or
// holds of severity failOn or graver remain; 2 a project could not be looked at or changed; 3 applied, failed verification,
// rolled back; 4 the rollback failed.
func ExitCode(r Report, failOn policy.Severity) int {
	code := 0
	for _, p := range r.Projects {
		code = max(code, projectCode(p, failOn))
	}
	return code
}

func projectCode(p Project, failOn policy.Severity) int {
	fails := func(s policy.Severity) bool { return rank(s) <= rank(failOn) }
	switch {
	case p.Result == ResultRollbackFailed:
		return 4
	case p.Result == ResultRolledBack:
		return 3
	case p.Result == ResultError:
		return 2
	case p.Failure != "" || slices.ContainsFunc(held(p), fails):
		return 1
	case p.Result == ResultCompliant || p.Result == ResultApplied:
		return 0
	}
	if pending(p) {
		return 1
	}
	findings := p.Findings
	if p.Remaining != nil {
		findings = p.Remaining
	}
	if slices.ContainsFunc(findings, func(f policy.Finding) bool { return f.Difference() && fails(f.Severity) }) {
		return 1
	}
	return 0
}

// pending holds for a plan whose steps no finding stands for: a transaction to be put in order, or to be taken back.
func pending(p Project) bool {
	return len(p.Outcomes) == 0 && len(p.Plan.Steps) > 0 && (len(p.Findings) == 0 || p.Plan.Steps[0].Verb == plan.VerbRecover)
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

// held are the severities of what is left to a person. A plan names all of it; check has no plan, there the findings tell.
func held(p Project) []policy.Severity {
	var severities []policy.Severity
	for _, hold := range p.Plan.Held {
		severities = append(severities, hold.Severity)
	}
	if len(severities) > 0 {
		return severities
	}
	for _, f := range p.Findings {
		if f.Difference() && f.Held != "" {
			severities = append(severities, f.Severity)
		}
	}
	return severities
}

// totals are the counts of one or more projects.
type totals struct {
	Services  int `json:"services"`
	Variables int `json:"variables"` // per service
	Compliant int `json:"compliant"`
	Idle      int `json:"idle"` // without a running container to compare
	Differ    int `json:"differ"`
	Patches   int `json:"filesToPatch"`
	Swaps     int `json:"containersToSwap"`
	Handed    int `json:"containersForCompose"`
	Restarts  int `json:"containersToRestart"`
	Recovers  int `json:"transactionsToRecover"`
	Checks    int `json:"checks"`
	Held      int `json:"held"`
	done      map[plan.Verb]int
	made      int // by docker compose
}

func count(projects ...Project) totals {
	t := totals{done: map[plan.Verb]int{}}
	for _, p := range projects {
		t.add(p)
	}
	return t
}

func (t *totals) add(p Project) {
	for _, g := range groups(p) {
		judged := false
		for _, r := range g.rows {
			switch {
			case len(r.findings) == 0:
				continue
			case r.differs():
				t.Differ++
			case r.idle():
				t.Idle++
			default:
				t.Compliant++
			}
			judged = true
			t.Variables++
		}
		if judged {
			t.Services++
		}
	}
	steps := map[string]plan.Step{}
	for _, step := range p.Plan.Steps {
		steps[step.ID] = step
	}
	for _, outcome := range p.Outcomes {
		if step := steps[outcome.Step]; outcome.Result == plan.ResultDone {
			t.done[step.Verb]++
			t.made += handedIn(step)
		}
	}
	for _, step := range p.Plan.Of(plan.VerbCompose) {
		t.Handed += handedIn(step)
	}
	t.Patches += len(p.Plan.Of(plan.VerbPatch))
	t.Swaps += len(p.Plan.Of(plan.VerbSwap))
	t.Restarts += len(p.Plan.Of(plan.VerbRestart))
	t.Recovers += len(p.Plan.Of(plan.VerbRecover))
	t.Checks += len(p.Plan.Of(plan.VerbCheck))
	t.Held += len(held(p))
}

// unchanged ends the summary of a plan.
const unchanged = " Nothing was changed."

// summary is the last line: one project's own words, or how many projects ended how.
func summary(verb Verb, projects []Project) string {
	if len(projects) == 1 {
		return projectSummary(verb, projects[0])
	}
	var ends []string
	for _, result := range []Result{ResultRollbackFailed, ResultRolledBack, ResultError, ResultDifferences, ResultApplied, ResultCompliant} {
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
	switch r {
	case ResultDifferences:
		return "with differences"
	case ResultError:
		return "could not be done"
	default:
		return string(r)
	}
}

func projectSummary(verb Verb, p Project) string {
	t := count(p)
	switch {
	case p.Result == ResultError:
		return fmt.Sprintf("Failed: %s could not be looked at or changed.", p.Name)
	case verb == VerbApply, verb == VerbRollback && len(p.Outcomes) > 0:
		return applySummary(verb, p, t)
	case verb == VerbRollback:
		return fmt.Sprintf("Plan: %s to put back, %s to swap back%s; %d held."+unchanged,
			plural(t.Patches, "file"), plural(t.Swaps, "container"), also(t.Restarts, "to restart"), t.Held)
	case t.Recovers > 0:
		return fmt.Sprintf("Plan: %s to put in order; what comes after is planned then."+unchanged, plural(t.Recovers, "cut-off transaction"))
	case t.Variables == 0 && t.Held == 0:
		return "Nothing to compare: no policy selects a service of this project."
	case t.Differ == 0 && t.Held == 0 && len(p.Plan.Steps) == 0:
		return upToDate(t)
	case verb == VerbCheck:
		return fmt.Sprintf("%s, %s: %s, %s.", plural(t.Services, "service"), plural(t.Variables, "variable"), compliant(t), differ(t.Differ))
	}
	return fmt.Sprintf("Plan: %s to patch, %s to swap%s%s, %s; %d held."+unchanged,
		plural(t.Patches, "file"), plural(t.Swaps, "container"), also(t.Handed, "for docker compose to recreate"),
		also(t.Restarts, "to restart"), plural(t.Checks, "check"), t.Held)
}

// handedIn counts the containers that docker compose is to recreate in a step.
func handedIn(step plan.Step) int {
	n := 0
	for _, h := range replaced(step) {
		if step.Compose != nil && !h.Kept {
			n++
		}
	}
	return n
}

// also is said only where there are any.
func also(n int, what string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %s %s", plural(n, "container"), what)
}

func applySummary(verb Verb, p Project, t totals) string {
	switch p.Result {
	case ResultCompliant:
		return upToDate(t)
	case ResultRolledBack:
		return fmt.Sprintf("%s: %s is as it was before.", notDone(verb), p.Name)
	case ResultRollbackFailed:
		return fmt.Sprintf("Rollback failed: %s needs a person; what is left to do stands above.", p.Name)
	case ResultApplied, ResultDifferences, ResultError:
	}
	remains := ""
	if t.Held > 0 {
		remains = fmt.Sprintf(" %d held.", t.Held)
	}
	patched, swapped := t.done[plan.VerbPatch], t.done[plan.VerbSwap]
	if patched+swapped+t.made == 0 && len(p.Recovered) > 0 {
		return "Put in order what was cut off; nothing else was changed." + remains
	}
	if patched+swapped+t.made == 0 {
		return "Nothing was changed." + remains
	}
	applied, writes, swaps := "Applied", "patched", "swapped"
	if verb == VerbRollback {
		applied, writes, swaps = "Taken back", "put back", "swapped back"
	}
	if p.Failure != "" {
		applied += ", but failed"
	}
	return fmt.Sprintf("%s: %s %s, %s %s%s%s; %s.%s", applied, plural(patched, "file"), writes, plural(swapped, "container"), swaps,
		also(t.made, "recreated by docker compose"), also(t.done[plan.VerbRestart], "restarted"), verification(t), remains)
}

// notDone is what became of a change that failed and was undone.
func notDone(verb Verb) string {
	if verb == VerbRollback {
		return "Not taken back"
	}
	return "Rolled back"
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
	if t.Idle == 0 {
		return fmt.Sprintf("up to date: %s, %s compliant.", plural(t.Services, "service"), plural(t.Variables, "variable"))
	}
	return fmt.Sprintf("up to date: %s, %s: %s.", plural(t.Services, "service"), plural(t.Variables, "variable"), compliant(t))
}

// compliant never counts what there is no container to compare with.
func compliant(t totals) string {
	if t.Idle == 0 {
		return fmt.Sprintf("%d compliant", t.Compliant)
	}
	return fmt.Sprintf("%d compliant, %d without a running container", t.Compliant, t.Idle)
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
