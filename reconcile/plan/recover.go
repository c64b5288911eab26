package plan

import (
	"cmp"
	"slices"
)

// recoverSteps put transactions that were cut off in order, the oldest first.
func recoverSteps(in Input) []Step {
	list := slices.SortedFunc(slices.Values(in.Recover), func(a, b Recover) int { return cmp.Compare(a.Transaction, b.Transaction) })
	steps := make([]Step, 0, len(list))
	for _, r := range list {
		steps = append(steps, Step{
			ID: "recover:" + r.Transaction, Verb: VerbRecover, Object: "transaction " + cmp.Or(r.Transaction, "without a name"),
			Cause: recoverCause(r), Destructive: len(r.Containers) > 0, Recover: &r,
		})
	}
	return steps
}

func recoverCause(r Recover) string {
	switch {
	case r.Overtaken != "" && len(r.Containers) > 0:
		return "was cut off, and transaction " + r.Overtaken + " has changed the same since; what is left of its containers is put in order, its files stay"
	case r.Overtaken != "":
		return "was cut off, and transaction " + r.Overtaken + " has changed the same since; nothing of it is undone"
	case len(r.Files)+len(r.Containers) == 0:
		return "was cut off; only its lock is left, which is removed"
	case r.Finish && len(r.Containers) == 0:
		return "was cut off after its checks had passed; it is finished, its files stay as it wrote them"
	case r.Finish:
		return "was cut off after its checks had passed; the old containers are removed"
	default:
		return "was cut off before its checks had passed; containers and files are put back"
	}
}
