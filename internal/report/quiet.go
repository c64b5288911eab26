package report

import (
	"fmt"
	"strings"

	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

// quiet prints one line for each thing that differs, is held or failed, for a reader that is a pipe.
func (s section) quiet(several bool) {
	prefix := ""
	if several {
		prefix = s.project.Name + ": "
	}
	say := func(format string, args ...any) {
		text := prefix + fmt.Sprintf(format, args...)
		s.line(strings.Join(words(shortIDs(text)), " "))
	}
	for _, f := range s.current() {
		if f.Difference() {
			say("%s: %s.%s: %s: %s", place(s.project, f), f.Service, f.Variable, f.Verdict, f.Message)
		}
	}
	for _, hold := range s.project.Plan.Held {
		say("held: %s: %s", hold.Object, hold.Reason)
	}
	for _, outcome := range s.project.Outcomes {
		told := outcome.Result == plan.ResultFailed && strings.Contains(s.project.Failure, outcome.Error)
		if !told && (outcome.Result == plan.ResultFailed || outcome.Result == plan.ResultNotUndone) {
			say("%s: %s: %s", outcome.Result, s.stepName(outcome.Step), outcome.Error)
		}
	}
	if s.project.Failure != "" {
		result := string(s.project.Result)
		if s.project.Result == ResultError {
			result = "failed"
		}
		say("%s: %s", result, s.project.Failure)
	}
	if s.project.Result == ResultRollbackFailed {
		// However quiet: without these lines nobody could mend it.
		for _, line := range s.project.Restored {
			s.told(block{head: prefix, hang: 2}, line)
		}
	}
	for _, warning := range s.project.Warnings {
		say("warning: %s", warning)
	}
}

// current are the findings that still hold: apply's own are of before the change.
func (s section) current() []policy.Finding {
	switch {
	case s.project.Remaining != nil:
		return s.project.Remaining
	case s.verb == VerbApply && len(s.project.Outcomes) > 0:
		return nil
	default:
		return s.project.Findings
	}
}
