package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/files"
	"github.com/composure-dev/composure/reconcile/plan"
)

// stepError is the failure that ends a transaction.
type stepError struct {
	object string
	err    error
	checks bool // a check failed, after every swap had succeeded
	// crashed holds when a new container did not come to run as it should.
	crashed bool
	// nothing holds when it failed before anything was changed.
	nothing bool
}

// verdict reports whether the change itself is to blame.
func (e *stepError) verdict() bool {
	return (e.checks || e.crashed) && !errors.Is(e.err, engine.ErrUnreachable)
}

func (e *stepError) Error() string { return e.object + ": " + e.err.Error() }
func (e *stepError) Unwrap() error { return e.err }

// steps runs the plan up to its first failure. A step runs only when everything it requires is done.
func (t *transaction) steps(ctx context.Context) *stepError {
	if err := t.patchAll(ctx); err != nil {
		return err
	}
	for _, step := range t.proposal.Plan.Steps {
		var err *stepError
		switch step.Verb {
		case plan.VerbSwap:
			err = t.swap(ctx, step)
		case plan.VerbCompose:
			err = t.hand(ctx, step)
		case plan.VerbRestart:
			err = t.restart(ctx, step)
		case plan.VerbCheck:
			err = t.check(ctx, step)
		case plan.VerbPatch, plan.VerbRecover: // done together, before all else; never part of a transaction
		}
		if err != nil {
			return err
		}
	}
	return t.allAlive(ctx)
}

// allAlive looks at every replacement once more before the first original is removed: after that there is no way back.
func (t *transaction) allAlive(ctx context.Context) *stepError {
	for _, swapped := range t.swapped {
		if err := t.swapper.Alive(ctx, swapped); err != nil {
			return &stepError{object: "container " + swapped.Name(), err: err}
		}
	}
	return t.allMade(ctx)
}

// patchAll writes all files or none.
func (t *transaction) patchAll(ctx context.Context) *stepError {
	steps := t.proposal.Plan.Of(plan.VerbPatch)
	if len(steps) == 0 {
		return nil
	}
	if ctx.Err() != nil {
		return &stepError{object: "files", err: ctx.Err(), nothing: true}
	}
	began := time.Now()
	var writes []files.Write
	for _, step := range steps {
		write := files.Write{Path: step.Patch.File, Content: step.Patch.After, Digest: step.Patch.Digest, Remove: step.Patch.Remove}
		if step.Patch.Create {
			write.Digest, write.Like = "", step.Patch.Like
		}
		writes = append(writes, write)
	}
	if err := t.backUp(writes); err != nil {
		return &stepError{object: "backup", err: err, nothing: true}
	}
	written, err := t.files().WriteAll(writes, t.Roots)
	for _, step := range steps {
		t.finish(step, began, err, "")
	}
	if err != nil {
		var partial *files.PartialError
		if errors.As(err, &partial) {
			t.written = partial.Before
		}
		return &stepError{object: "files", err: err, nothing: partial == nil}
	}
	t.written = written
	for _, step := range steps {
		done := "patched "
		switch {
		case step.Patch.Create:
			done = "created "
		case step.Patch.Remove:
			done = "removed "
		}
		t.Progress(done + step.Object)
	}
	return t.readBack(ctx)
}

// readBack loads the project from the disk, through compose's own loader and with all that it includes and extends, and wants it to be
// the one that was planned. No container has been touched yet.
func (t *transaction) readBack(ctx context.Context) *stepError {
	project, err := compose.Load(ctx, t.src.Compose)
	if err == nil && environmentDigest(project) != t.proposal.patched {
		err = errors.New("the patched files do not give the services what was planned; somebody else may be at work on them")
	}
	if err != nil {
		return &stepError{object: "files", err: err}
	}
	return nil
}

func (t *transaction) swap(ctx context.Context, step plan.Step) *stepError {
	old, found := t.container(step.Swap.Service, step.Swap.ContainerID)
	if !found {
		return &stepError{object: step.Object, err: errGone}
	}
	began := time.Now()
	replacement, err := t.replacement(step.Swap, old)
	if err != nil {
		t.finish(step, began, err, "")
		return &stepError{object: step.Object, err: err}
	}
	t.Progress(fmt.Sprintf("swapping %s, container %s; should this process die, the next composure apply puts it in order; by hand:\n  %s",
		step.Object, engine.ShortID(old.ID), strings.Join(append(engine.RecoveryCommands(old), oldContents(t.src.Journal.Path(t.record))), "\n  ")))
	swapped, err := t.swapper.Swap(ctx, replacement, pace(step.Swap.Pace))
	t.shaken[step.ID], t.tried[old.ID] = swapped.Touched, swapped
	if err != nil {
		t.finish(step, began, err, "")
		if swapped.Rebuilt != "" {
			t.rebuilt[old.ID] = swapped.Rebuilt
		}
		t.down = swapped.TakenDown
		failed, is := errors.AsType[*engine.SwapError](err)
		if is && failed.UndoErr != nil {
			t.swapped = append(t.swapped, swapped) // the rollback tries once more, and tells
		}
		// One that somebody has removed meanwhile did not fail by itself.
		return &stepError{object: step.Object, err: withLogs(err), crashed: is && failed.Stage == "wait" && !errors.Is(failed.Err, engine.ErrNotFound)}
	}
	t.swapped, t.ids[old.ID] = append(t.swapped, swapped), swapped.NewID
	t.verify.targets[step.Swap.Service] = swapped.NewID
	t.verify.watched[swapped.NewID] = watch{oneShot: step.Swap.Pace.OneShot}
	detail := engine.ShortID(old.ID) + " -> " + engine.ShortID(swapped.NewID)
	t.finish(step, began, nil, detail)
	t.Progress(fmt.Sprintf("swapped %s: %s", step.Object, detail))
	return nil
}

var errGone = errors.New("its container is not in the snapshot")

// replacement is what takes the place of old. What hangs on a container that was replaced before refers to the new one, and so
// does its config hash.
func (t *transaction) replacement(swap *plan.Swap, old engine.Container) (engine.Replacement, error) {
	r := engine.Replacement{
		Old: old, Image: t.proposal.Snapshot.Images[old.Image], Env: swap.Env, ConfigHash: swap.ConfigHash, Transaction: t.id,
		References: t.ids, StartFirst: swap.StartFirst,
		Injected: t.proposal.Snapshot.injected(swap.Service), MayInject: t.proposal.Snapshot.ofFiles(swap.Service).MayInject,
	}
	if len(swap.Shares) == 0 {
		return r, nil
	}
	next, err := successor(t.proposal.Snapshot, t.proposal.after, swap.Service, old, t.ids)
	r.ConfigHash = next.Hash
	return r, err
}

func pace(p plan.Pace) engine.Pace {
	return engine.Pace{StableFor: p.StableFor, Timeout: p.Timeout, OneShot: p.OneShot}
}

// restart stops and starts a container that depends on one that was replaced.
func (t *transaction) restart(ctx context.Context, step plan.Step) *stepError {
	c, found := t.container(step.Restart.Service, step.Restart.ContainerID)
	if !found {
		return &stepError{object: step.Object, err: errGone}
	}
	t.Progress("restarting " + step.Object)
	t.shaken[step.ID] = true
	began := time.Now()
	err := t.swapper.Restart(ctx, c, pace(step.Restart.Pace))
	t.finish(step, began, err, "")
	if err != nil {
		return &stepError{object: step.Object, err: err}
	}
	t.verify.watched[c.ID] = watch{oneShot: step.Restart.Pace.OneShot}
	t.Progress("restarted " + step.Object)
	return nil
}

// withLogs adds the last lines of the container that did not come up: they mostly say why. What became of the old one is told by
// the rollback.
func withLogs(err error) error {
	failed, is := errors.AsType[*engine.SwapError](err)
	if !is {
		return err
	}
	err = fmt.Errorf("%s: %w", failed.Stage, failed.Err)
	if len(failed.Logs) == 0 {
		return err
	}
	return fmt.Errorf("%w; its last log lines:\n  %s", err, strings.Join(failed.Logs, "\n  "))
}

func (t *transaction) check(ctx context.Context, step plan.Step) *stepError {
	began := time.Now()
	detail, err := t.verify.wait(ctx, step.Check.Check)
	t.finish(step, began, err, detail)
	if err != nil {
		if before := t.baseline[step.ID]; before != nil {
			err = fmt.Errorf("%w (it failed before the change as well)", err)
		}
		return &stepError{object: "check " + step.Object, err: err, checks: true}
	}
	t.Progress(fmt.Sprintf("checked %s: %s", step.Object, detail))
	return nil
}

// tryBaseline tries each check once so that a rollback can tell what was broken before.
func (t *transaction) tryBaseline(ctx context.Context) {
	t.watchOld()
	for _, step := range t.proposal.Plan.Of(plan.VerbCheck) {
		try := t.verify.once
		if step.Check.Healthy {
			try = t.verify.wait // a container that is only starting is not one that fails
		}
		_, t.baseline[step.ID] = try(ctx, step.Check.Check)
	}
	t.verify.watched = map[string]watch{}
}

// watchOld points the verifier at the containers that are, or were, to be swapped.
func (t *transaction) watchOld() {
	t.verify.watched = map[string]watch{}
	for _, step := range t.proposal.Plan.Of(plan.VerbSwap) {
		if old, found := t.container(step.Swap.Service, step.Swap.ContainerID); found {
			id := cmp.Or(t.rebuilt[old.ID], old.ID)
			t.verify.targets[step.Swap.Service] = id
			t.verify.watched[id] = watch{restarts: old.RestartCount, oneShot: step.Swap.Pace.OneShot}
		}
	}
	for _, step := range t.proposal.Plan.Of(plan.VerbCompose) {
		for _, h := range step.Compose.Containers {
			if old, found := t.container(h.Service, h.ContainerID); found {
				t.watchHanded(old, h)
			}
		}
	}
}

// watchHanded points at a container that docker compose is to replace, or at what it has put in its place.
func (t *transaction) watchHanded(old engine.Container, h plan.Handed) {
	id, restarts := old.ID, old.RestartCount
	if made := t.rebuilt[old.ID]; made != "" {
		id, restarts = made, 0
	}
	if target := t.verify.targets[h.Service]; target == old.ID || target == t.ids[old.ID] {
		t.verify.targets[h.Service] = id
	}
	t.verify.watched[id] = watch{restarts: restarts, oneShot: h.OneShot}
}

// commit removes the old containers. From here on nothing can be undone, and nothing has to be.
func (t *transaction) commit(ctx context.Context) {
	for _, swapped := range t.swapped {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitWithin)
		err := t.swapper.Commit(clean, swapped)
		if err == nil {
			cancel()
			continue
		}
		t.leftover = true
		advice := "remove it with: docker rm " + engine.ShortID(swapped.Old.ID)
		if t.swapper.Alive(clean, swapped) != nil {
			// The original may be the only good one; it is for a person to say.
			advice = "put it back with:\n  " + strings.Join(engine.RecoveryCommands(swapped.Old), "\n  ")
		}
		cancel()
		t.alsoFailed(fmt.Sprintf("the old container %s was kept: %v; %s", swapped.Name(), err, advice))
	}
}

// alsoFailed adds to what is told of the failure.
func (t *transaction) alsoFailed(what string) {
	t.failure = strings.TrimPrefix(t.failure+"; ", "; ") + what
}

// commitWithin bounds the removal of one old container.
const commitWithin = time.Minute

func (t *transaction) finish(step plan.Step, began time.Time, err error, detail string) {
	outcome := plan.Outcome{Step: step.ID, Result: plan.ResultDone, DurationMs: time.Since(began).Milliseconds(), Detail: detail}
	if err != nil {
		outcome.Result, outcome.Error = plan.ResultFailed, t.verify.redactor.String(err.Error())
	}
	t.outcomes[step.ID] = outcome
	t.Log.V(1).Info("Finished step", "transaction", t.id, "step", step.ID, "result", outcome.Result, "durationMs", outcome.DurationMs)
}
