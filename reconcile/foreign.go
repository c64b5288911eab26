package reconcile

import (
	"maps"
	"slices"
	"strings"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/owner"
	"github.com/composure-dev/composure/reconcile/plan"
)

// findOwner is the other tool that manages the project, nil where none does. One container that such a tool has deployed is enough;
// what is sure counts before what is guessed.
func (s *Snapshot) findOwner() *owner.Owner {
	runs := func(image string) bool {
		return slices.ContainsFunc(s.All, func(c engine.Container) bool { return up(c) && c.Config != nil && owner.Image(c.Config.Image) == image })
	}
	var guess *owner.Owner
	for _, service := range slices.Sorted(maps.Keys(s.Containers)) {
		for _, c := range s.Containers[service] {
			if c.Config == nil {
				continue
			}
			found, is := owner.Of(c.Config.Labels, runs)
			if is && !found.Guess {
				return &found
			}
			if is && guess == nil {
				guess = &found
			}
		}
	}
	if guess == nil && s.Directory != "" {
		if found, is := owner.Of(map[string]string{engine.LabelWorkingDir: s.Directory}, runs); is {
			guess = &found
		}
	}
	return guess
}

// foreign says why nothing of the project is changed while nobody has asked: another tool manages it. Its Reason is empty when none
// does, or when Composure was told to mend it all the same.
func foreign(src Source, snap Snapshot) plan.Hold {
	if !src.Unattended || snap.Owner == nil || src.mendsForeign(snap) {
		return plan.Hold{}
	}
	return plan.Hold{
		Reason: snap.Owner.String() + ": it is only audited",
		Next:   "composure apply; for the daemon to mend it: composure run --foreign " + quoteArgument(strings.ToLower(snap.Owner.Name)),
	}
}

func (src Source) mendsForeign(snap Snapshot) bool {
	return slices.ContainsFunc(src.Foreign, func(name string) bool { return strings.EqualFold(name, snap.Owner.Name) || name == snap.Name })
}
