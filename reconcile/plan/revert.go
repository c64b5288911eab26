package plan

import (
	"github.com/composure-dev/composure/policy"
)

// Revert computes the plan that takes the transaction in.Reverts back: the containers that are Due get what they had, and in.Patches
// are the files as they were. It is done as a whole or not at all: when anything is held, nothing is planned. No policy has a say in
// it, so the only check is that all that was replaced is healthy.
func Revert(in Input) Plan {
	p := Plan{Project: in.Project, Steps: []Step{}, Basis: in.Basis.sorted(), Held: append([]Hold{}, in.Blocked...)}
	moves, held := moveSteps(in)
	if p.Held = sortedHolds(append(p.Held, held...)); len(p.Held) > 0 {
		return p
	}
	p.Steps = append(p.Steps, patchSteps(in)...)
	for i := range p.Steps {
		p.Steps[i].Cause = "as it was before transaction " + in.Reverts
	}
	p.Steps = append(p.Steps, moves...)
	if len(moves) == 0 {
		return p
	}
	var requires []string
	for _, step := range moves {
		requires = append(requires, step.ID)
	}
	check := policy.Check{Healthy: true}
	p.Steps = append(p.Steps, Step{
		ID: "check:healthy", Verb: VerbCheck, Object: Describe(check), Cause: "of what is put back", Requires: requires, Check: &Check{Check: check},
	})
	return p
}
