package report

import (
	"slices"

	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

// gathered says once for the project that its files cannot be read, instead of once for each variable.
func gathered(p Project) Project {
	unreachable := func(f policy.Finding) bool { return f.Verdict == policy.FilesUnreachable }
	i := slices.IndexFunc(p.Findings, unreachable)
	if i < 0 || len(p.Plan.Held) == 0 {
		return p
	}
	reason, next := p.Findings[i].Held, p.Findings[i].Hint
	one := plan.Hold{Object: "project " + p.Name, Reason: reason, Next: next, Severity: policy.SeverityInfo}
	var others []plan.Hold
	for _, hold := range p.Plan.Held {
		if hold.Reason != reason {
			others = append(others, hold)
			continue
		}
		if rank(hold.Severity) < rank(one.Severity) {
			one.Severity = hold.Severity
		}
	}
	p.Findings = slices.DeleteFunc(slices.Clone(p.Findings), unreachable)
	p.Plan.Held = append([]plan.Hold{one}, others...)
	return p
}
