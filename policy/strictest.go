package policy

import (
	"cmp"
	"slices"
)

// Strictest joins what several policies say of one project's rollout: the most cautious strategy, the longest times, the order
// of the first policy by name that gives one, force if every policy forces, and Rollback unless every policy says Keep. No
// policies give the defaults.
func Strictest(policies []Policy) (Rollout, OnFailure) {
	sorted := slices.Clone(policies)
	if len(sorted) == 0 {
		sorted = make([]Policy, 1)
		setDefaults(&sorted[0])
	}
	slices.SortStableFunc(sorted, func(a, b Policy) int { return cmp.Compare(a.Metadata.Name, b.Metadata.Name) })
	rollout, onFailure := Rollout{Force: true}, OnFailureKeep
	for _, p := range sorted {
		r := p.Spec.Rollout
		if len(rollout.Order) == 0 {
			rollout.Order = slices.Clone(r.Order)
		}
		if caution(r.Strategy) > caution(rollout.Strategy) {
			rollout.Strategy = r.Strategy
		}
		rollout.StableFor = max(rollout.StableFor, r.StableFor)
		rollout.Timeout = max(rollout.Timeout, r.Timeout)
		rollout.Force = rollout.Force && r.Force
		if p.Spec.OnFailure != OnFailureKeep {
			onFailure = OnFailureRollback
		}
	}
	return rollout, onFailure
}

// caution ranks the strategies; an unknown one ranks lowest.
func caution(s Strategy) int {
	return slices.Index([]Strategy{StrategyStartFirst, StrategyStopFirst, StrategyCompose, StrategyNever}, s)
}
