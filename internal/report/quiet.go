package report

import (
	"fmt"
	"strings"

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
	if s.project.Result != ResultApplied {
		for _, f := range s.project.Findings {
			if f.Difference() {
				say("%s: %s.%s: %s: %s", place(s.project, f), f.Service, f.Variable, f.Verdict, f.Message)
			}
		}
	}
	for _, hold := range s.project.Plan.Held {
		say("held: %s: %s", hold.Object, hold.Reason)
	}
	for _, outcome := range s.project.Outcomes {
		if outcome.Result == plan.ResultFailed || outcome.Result == plan.ResultNotUndone {
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
