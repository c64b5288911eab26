package policy

import (
	"fmt"
	"slices"
)

// conflicting returns the first two claims that no value can satisfy both.
func conflicting(claims []*claim) (a, b *claim, found bool) {
	for i, a := range claims {
		for _, b := range claims[i+1:] {
			if !compatible(a, b) {
				return a, b, true
			}
		}
	}
	return nil, nil, false
}

// compatible reports whether some value could satisfy both claims, as far as that can be told from the rules alone:
// two patterns are taken to have a word in common.
func compatible(a, b *claim) bool {
	if a.Absent || b.Absent {
		return a.Absent && b.Absent
	}
	if values := a.finite(); values != nil {
		return slices.ContainsFunc(values, b.accepts)
	}
	if values := b.finite(); values != nil {
		return slices.ContainsFunc(values, a.accepts)
	}
	return !above(a.Minimum, b.Maximum) && !above(b.Minimum, a.Maximum)
}

func above(minimum, maximum *float64) bool {
	return minimum != nil && maximum != nil && *minimum > *maximum
}

// conflict is the one finding for a variable that two policies disagree about.
func (q *question) conflict(a, b *claim) Finding {
	f := q.finding(a)
	f.Severity = graver(a.policy.Spec.Severity, b.policy.Spec.Severity)
	f.Verdict = Conflict
	f.Origin = &a.Rule.Origin
	f.Message = fmt.Sprintf("policies contradict each other: %s by %q (%s), %s by %q (%s)",
		a.want(), a.policy.Metadata.Name, a.Rule.Origin, b.want(), b.policy.Metadata.Name, b.Rule.Origin)
	f.Held = "two policies want different things"
	f.Hint = "change one of the rules, or narrow a selector so that only one policy selects the service"
	return f
}

func graver(a, b Severity) Severity {
	for _, s := range []Severity{SeverityError, SeverityWarning} {
		if a == s || b == s {
			return s
		}
	}
	return a
}
