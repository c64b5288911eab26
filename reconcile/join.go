package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/redact"
	"github.com/composure-dev/composure/reconcile/plan"
)

// joiner restarts what lives in the namespaces of containers that an undo has started again: the engine does not move it from the
// namespaces that ended with them to the new ones.
type joiner struct {
	snap     *Snapshot // of before the undo
	reader   engine.Reader
	swapper  *engine.Swapper
	redactor *redact.Redactor
}

// again is told of the undone swaps. What an undo has started itself has joined already, and tells so by its start.
func (j joiner) again(ctx context.Context, undone []engine.Swapped) (restored, problems []string) {
	for _, swapped := range undone {
		if !swapped.Stopped || swapped.Rebuilt != "" { // what refers to one that is gone cannot join another
			continue
		}
		severed, err := j.severed(ctx, swapped.Old.ID)
		if err != nil {
			problems = append(problems, j.redactor.String(fmt.Sprintf("what shares namespaces with container %s is not known, and may have to be restarted: %v; see: docker ps",
				swapped.Name(), err)))
		}
		for _, c := range severed {
			if line := j.snap.own.spared(c); line != "" {
				restored = append(restored, line)
				continue
			}
			if err := j.swapper.RestartAgain(ctx, c, usualPace()); err != nil {
				problems = append(problems, j.redactor.String(notRestarted(c.CleanName(), c.ID, err)))
				continue
			}
			restored = append(restored, fmt.Sprintf("%s: restarted, to share namespaces with container %s again", c.CleanName(), swapped.Name()))
		}
	}
	return restored, problems
}

func (j joiner) severed(ctx context.Context, id string) ([]engine.Container, error) {
	parent, err := look(ctx, j.reader, id)
	if errors.Is(err, engine.ErrNotFound) {
		return nil, nil // that is told already
	}
	if err != nil {
		return nil, err
	}
	var now []engine.Container
	for _, c := range engine.Joined(parent, j.snap.All) {
		if c.Label(engine.LabelProject) != j.snap.Name {
			continue
		}
		c, err = look(ctx, j.reader, c.ID)
		if err != nil && !errors.Is(err, engine.ErrNotFound) {
			return nil, err
		}
		if err == nil {
			now = append(now, c)
		}
	}
	return engine.Severed(parent, now), nil
}

// joinAgain does it for a rollback.
func (t *transaction) joinAgain(ctx context.Context) (restored, problems []string) {
	var undone []engine.Swapped
	for _, step := range t.proposal.Plan.Of(plan.VerbSwap) {
		if swapped, tried := t.tried[step.Swap.ContainerID]; tried {
			undone = append(undone, swapped)
		}
	}
	j := joiner{snap: &t.proposal.Snapshot, reader: t.src.Reader, swapper: &t.swapper, redactor: t.verify.redactor}
	return j.again(ctx, undone)
}
