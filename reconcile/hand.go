package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/reconcile/plan"
)

// keeper is that of the transaction.
func (t *transaction) keeper() keeper {
	return keeper{composer: t.Composer, reader: t.src.Reader, swapper: t.swapper, project: t.proposal.Snapshot.Name}
}

// hand has docker compose recreate the containers of the step's services, and looks what it has made.
func (t *transaction) hand(ctx context.Context, step plan.Step) *stepError {
	began := time.Now()
	detail, err := t.recreate(ctx, step)
	t.finish(step, began, err, detail)
	if err != nil {
		return &stepError{object: step.Object, err: withLogs(err)}
	}
	t.Progress(fmt.Sprintf("docker compose recreated %s: %s", step.Object, detail))
	return nil
}

func (t *transaction) recreate(ctx context.Context, step plan.Step) (detail string, err error) {
	list, err := t.handed(step)
	if err == nil {
		err = t.unmoved(ctx, list)
	}
	if err == nil {
		err = cmp.Or(ctx.Err(), t.handing(step))
	}
	if err != nil {
		return "", err
	}
	t.Progress(fmt.Sprintf("handing %s to docker compose; should this process die, the next composure apply puts it in order", step.Object))
	t.shaken[step.ID] = true
	if err := t.keeper().up(ctx, list, step.Compose.Services); err != nil {
		return "", err
	}
	var details []string
	for i, h := range list {
		c, err := t.made(ctx, h, step.Compose.Containers[i])
		if err != nil {
			return "", fmt.Errorf("container %s: %w", h.old.CleanName(), err)
		}
		if c.ID != h.old.ID {
			details = append(details, engine.ShortID(h.old.ID)+" -> "+engine.ShortID(c.ID))
		}
	}
	return strings.Join(details, ", "), nil
}

// handed are the containers of a step as they were observed.
func (t *transaction) handed(step plan.Step) ([]handed, error) {
	var list []handed
	for _, h := range step.Compose.Containers {
		old, found := t.container(h.Service, h.ContainerID)
		if !found {
			return nil, errGone
		}
		list = append(list, handed{old: old, service: h.Service, pace: handedPace(step, h)})
	}
	return list, nil
}

func handedPace(step plan.Step, h plan.Handed) engine.Pace {
	p := pace(step.Compose.Pace)
	p.OneShot = h.OneShot
	return p
}

// unmoved wants the containers to be those that were observed: somebody else may have been at them.
func (t *transaction) unmoved(ctx context.Context, list []handed) error {
	for _, h := range list {
		now, err := look(ctx, t.src.Reader, h.old.ID)
		switch {
		case err != nil:
			return err
		case now.Name != h.old.Name || !up(now) || now.State.Paused:
			return fmt.Errorf("container %s is %s, and called %s", h.old.CleanName(), now.State.Status, now.CleanName())
		}
	}
	return nil
}

// made finds what docker compose has made of a container, waits until it is as it should be, and wants it to have what the files
// say.
func (t *transaction) made(ctx context.Context, h handed, want plan.Handed) (engine.Container, error) {
	list, err := t.keeper().now(ctx, h.service)
	if err != nil {
		return engine.Container{}, err
	}
	declared := len(t.proposal.Snapshot.Containers[h.service])
	c, found := place(list, h.old)
	switch {
	case len(list) != declared:
		return c, fmt.Errorf("service %s has %d containers after docker compose up, not %d", h.service, len(list), declared)
	case !found:
		return c, errors.New("docker compose made none in its place")
	case c.ID == h.old.ID && !want.Kept:
		return c, errors.New("docker compose did not recreate it")
	}
	t.verify.watched[c.ID] = watch{oneShot: want.OneShot}
	if c.ID != h.old.ID {
		t.ids[h.old.ID] = c.ID
		if t.verify.targets[h.service] == h.old.ID {
			t.verify.targets[h.service] = c.ID
		}
	} else {
		t.verify.watched[c.ID] = watch{oneShot: want.OneShot, restarts: h.old.RestartCount}
	}
	if err := t.swapper.Await(ctx, c, h.pace); err != nil {
		return c, err
	}
	if missing := t.missing(h.service, c, want); len(missing) > 0 {
		return c, fmt.Errorf("docker compose did not give it %s as the files do", strings.Join(missing, ", "))
	}
	return c, nil
}

// missing are the variables that a container does not have as the files say, or has although a policy takes them away.
func (t *transaction) missing(service string, c engine.Container, want plan.Handed) []string {
	var names []string
	env := c.Env()
	for key, v := range t.proposal.after.Services[service].Environment {
		if value := env[key]; v.Value != nil && (value == nil || *value != *v.Value) {
			names = append(names, key)
		}
	}
	for _, change := range want.Changes {
		if _, found := env[change.Key]; found && change.Sign == plan.SignRemove && change.Policy != "" {
			names = append(names, change.Key)
		}
	}
	slices.Sort(names)
	return names
}

// allMade looks once more at what docker compose has made, before the transaction is committed.
func (t *transaction) allMade(ctx context.Context) *stepError {
	for _, step := range t.proposal.Plan.Of(plan.VerbCompose) {
		for _, h := range step.Compose.Containers {
			id := cmp.Or(t.ids[h.ContainerID], h.ContainerID)
			c, err := look(ctx, t.src.Reader, id)
			if ended := h.OneShot && engine.Succeeded(c); err == nil && !ended {
				err = engine.Healthy(c)
			}
			if err == nil && c.RestartCount > t.verify.watched[id].restarts {
				err = errors.New("it has restarted by itself")
			}
			if err != nil {
				return &stepError{object: "container " + h.Container, err: err}
			}
		}
	}
	return nil
}

// takeBack has docker compose make again what it has replaced, once the files are as they were.
func (t *transaction) takeBack(ctx context.Context) (restored, problems []string) {
	var list []handed
	steps := map[string]plan.Step{}
	for _, step := range t.proposal.Plan.Of(plan.VerbCompose) {
		outcome, tried := t.outcomes[step.ID]
		if !tried {
			continue
		}
		if !t.shaken[step.ID] {
			restored = append(restored, step.Object+": was left as it is")
			continue
		}
		outcome.Result = plan.ResultRolledBack
		t.outcomes[step.ID] = outcome
		own, err := t.handed(step)
		if err != nil {
			return restored, append(problems, step.Object+": "+err.Error())
		}
		for _, h := range own {
			steps[h.old.ID] = step
		}
		list = append(list, own...)
	}
	if len(list) == 0 {
		return restored, problems
	}
	done, failed := t.keeper().back(ctx, list, t.rebuilt)
	for _, h := range list {
		if err := failed[h.old.ID]; err != nil {
			problems = append(problems, t.verify.redactor.String(notMade(h, err)))
			outcome := t.outcomes[steps[h.old.ID].ID]
			outcome.Result = plan.ResultNotUndone
			t.outcomes[steps[h.old.ID].ID] = outcome
		}
	}
	return append(restored, done...), problems
}
