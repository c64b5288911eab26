package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/files"
	"github.com/composure-dev/composure/reconcile/plan"
)

// rollback undoes containers and files, and then verifies that they are as they were: it believes no call that returned nil.
// Problems are what a person has to mend, with the commands.
func (t *transaction) rollback(ctx context.Context) (restored, problems []string) {
	// It goes on after Ctrl-C, since half a rollback is the worst of all ends. Every part of it has a bound of its own.
	undo := context.WithoutCancel(ctx)
	t.Progress("rolling back: " + t.failure)
	for _, undone := range []func(context.Context) ([]string, []string){
		t.undoSwaps, t.undoFiles, t.ifThere(t.takeBack), t.ifThere(t.restartAgain), t.ifThere(t.joinAgain), t.ifThere(t.recheck),
	} {
		done, failed := undone(undo)
		restored, problems = append(restored, done...), append(problems, failed...)
	}
	if t.down {
		// Whatever failed may have failed for that.
		t.record.Inconclusive = true
		restored = append(restored, "the project was taken down meanwhile; nothing of it is made again or checked")
	}
	if len(problems) > 0 {
		problems = append(problems, "what was there before is recorded in "+t.src.Journal.Path(t.record))
	}
	return restored, problems
}

// ifThere does a part of the rollback that needs the project, unless that is taken down, before it or during it.
func (t *transaction) ifThere(part func(context.Context) ([]string, []string)) func(context.Context) ([]string, []string) {
	return func(ctx context.Context) (restored, problems []string) {
		if t.takenDown(ctx) {
			return nil, nil
		}
		restored, problems = part(ctx)
		if len(problems) > 0 && t.takenDown(ctx) {
			problems = nil
		}
		return restored, problems
	}
}

// takenDown reports whether somebody has taken the whole project down since it was observed, as far as the engine tells. Once he
// has, it stays so for the transaction: what he brings up again is his.
func (t *transaction) takenDown(ctx context.Context) bool {
	if !t.down && t.proposal.Snapshot.there() {
		down, err := engine.TakenDown(ctx, t.src.Reader, t.proposal.Snapshot.Name)
		t.down = down && err == nil
	}
	return t.down
}

// there reports whether the engine has containers of the project, running or not.
func (s *Snapshot) there() bool {
	return slices.ContainsFunc(s.All, func(c engine.Container) bool { return c.Label(engine.LabelProject) == s.Name })
}

func (t *transaction) undoSwaps(ctx context.Context) (restored, problems []string) {
	for i := range t.swapped { // in the order they were made: what shares a namespace needs the other to run
		swapped := &t.swapped[i]
		swapped.Moved = t.rebuilt
		err := t.undoSwap(ctx, swapped)
		t.tried[swapped.Old.ID] = *swapped
		if err != nil {
			problems = append(problems, t.verify.redactor.String(notUndone(swapped.Old, err)))
			t.amend(swapped.Old.ID, plan.ResultNotUndone)
			continue
		}
		if swapped.Rebuilt != "" {
			t.rebuilt[swapped.Old.ID] = swapped.Rebuilt
		}
		t.amend(swapped.Old.ID, plan.ResultRolledBack)
	}
	for _, step := range t.proposal.Plan.Of(plan.VerbSwap) {
		old, found := t.container(step.Swap.Service, step.Swap.ContainerID)
		if outcome, tried := t.outcomes[step.ID]; !found || !tried || outcome.Result == plan.ResultNotUndone {
			continue
		}
		if !t.shaken[step.ID] {
			restored = append(restored, fmt.Sprintf("%s: container %s was left as it is", step.Object, engine.ShortID(old.ID)))
			continue
		}
		// The swap that failed has undone itself; that, too, is looked at.
		line, err := asBeforeContainer(ctx, t.src.Reader, t.tried[old.ID])
		if err != nil && t.takenDown(ctx) {
			line, err = notMadeAgain(old), nil
		}
		if err == nil {
			restored = append(restored, step.Object+": "+line)
			continue
		}
		problems = append(problems, t.verify.redactor.String(notUndone(old, err)))
		t.amend(old.ID, plan.ResultNotUndone)
	}
	return restored, problems
}

// undoSwap leaves a swap as it is once the project was taken down: nothing of it is left then.
func (t *transaction) undoSwap(ctx context.Context, swapped *engine.Swapped) error {
	if !t.down {
		err := undo(ctx, &t.swapper, swapped)
		t.down = swapped.TakenDown
		if err != nil && !t.takenDown(ctx) {
			return err
		}
	}
	swapped.TakenDown = t.down
	return nil
}

// undoAttempts is how often an undo is tried: one or two lost answers are no reason to call for a person.
const undoAttempts = 3

func undo(ctx context.Context, swapper *engine.Swapper, swapped *engine.Swapped) (err error) {
	for range undoAttempts {
		if err = swapper.Undo(ctx, swapped); err == nil || errors.Is(err, engine.ErrNotFound) {
			break
		}
	}
	return err
}

// restartAgain restarts what depends on a container that was put back, as it was restarted, or would have been, when that one was
// replaced.
func (t *transaction) restartAgain(ctx context.Context) (restored, problems []string) {
	for _, step := range t.proposal.Plan.Of(plan.VerbRestart) {
		c, found := t.container(step.Restart.Service, step.Restart.ContainerID)
		shaken := t.shaken[step.ID] || slices.ContainsFunc(step.Requires, func(id string) bool { return t.shaken[id] })
		if !found || !shaken {
			continue
		}
		t.shaken[step.ID] = true
		err := t.swapper.RestartAgain(ctx, c, pace(step.Restart.Pace))
		outcome, tried := t.outcomes[step.ID]
		if err != nil {
			outcome.Result = plan.ResultNotUndone
			problems = append(problems, t.verify.redactor.String(notRestarted(c.CleanName(), c.ID, err)))
		} else {
			outcome.Result = plan.ResultRolledBack
			restored = append(restored, step.Object+": restarted")
		}
		if tried {
			t.outcomes[step.ID] = outcome
		}
	}
	return restored, problems
}

// asBeforeContainer looks whether a container is as it was before its swap, or what was made in its place when somebody had removed
// it, and says how that is; of one that was taken down with its project nothing is wanted. A one-shot that was started again may have
// come to its end.
func asBeforeContainer(ctx context.Context, reader engine.Reader, swapped engine.Swapped) (string, error) {
	old, rebuilt := swapped.Old, swapped.Rebuilt
	if swapped.TakenDown {
		return notMadeAgain(old), nil
	}
	now, err := look(ctx, reader, cmp.Or(rebuilt, old.ID))
	ended := swapped.Pace.OneShot && engine.Succeeded(now)
	switch {
	case err != nil:
		return "", err
	case !now.Running() && !ended && !swapped.KeptCrashing():
		return "", fmt.Errorf("it is %s", now.State.Status)
	case now.CleanName() != old.CleanName():
		return "", fmt.Errorf("its name is %s", now.CleanName())
	case rebuilt != "":
		return fmt.Sprintf("somebody removed container %s; %s, which equals it, runs in its place", engine.ShortID(old.ID), engine.ShortID(rebuilt)), nil
	case ended:
		return fmt.Sprintf("container %s ran again, and has ended with exit code 0", engine.ShortID(old.ID)), nil
	}
	return fmt.Sprintf("container %s runs again", engine.ShortID(old.ID)), nil
}

func notMadeAgain(old engine.Container) string {
	return fmt.Sprintf("container %s was taken down with the project, and is not made again", engine.ShortID(old.ID))
}

// look inspects a container, once more when the answer was lost.
func look(ctx context.Context, reader engine.Reader, id string) (engine.Container, error) {
	c, err := reader.Inspect(ctx, id)
	if err != nil && !errors.Is(err, engine.ErrNotFound) {
		return reader.Inspect(ctx, id)
	}
	return c, err
}

// notRestarted says what a person has to do for a container that may have been left stopped. The text may hold secrets of the error.
func notRestarted(name, id string, err error) string {
	return fmt.Sprintf("container %s could not be restarted: %v; try:\n  docker start %s", name, err, engine.ShortID(id))
}

// notUndone says what a person has to do for a container that could not be put back. The text may hold secrets of the error.
func notUndone(old engine.Container, err error) string {
	if errors.Is(err, engine.ErrNotFound) {
		// Its replacement, if there is one, is all that is left of the service: nothing may tell a person to remove it.
		service := old.Label(engine.LabelService)
		return fmt.Sprintf("container %s (%s) is gone, somebody removed it; what runs of %s was left alone; bring it to what the files say with:\n  docker compose up -d %s",
			old.CleanName(), engine.ShortID(old.ID), service, service)
	}
	if taken, is := errors.AsType[*engine.TakenError](err); is {
		return fmt.Sprintf("container %s (%s) does not run as before: %v; if that one is to stay, remove the old one, else remove that one and apply again:\n  docker rm %s\n  docker rm -f %s",
			old.CleanName(), engine.ShortID(old.ID), err, engine.ShortID(old.ID), engine.ShortID(taken.Holder))
	}
	return fmt.Sprintf("container %s (%s) does not run as before: %v; try:\n  %s",
		old.CleanName(), engine.ShortID(old.ID), err, strings.Join(engine.RecoveryCommands(old), "\n  "))
}

func (t *transaction) amend(id string, result plan.Result) {
	for _, step := range t.proposal.Plan.Of(plan.VerbSwap) {
		if outcome, found := t.outcomes[step.ID]; found && step.Swap.ContainerID == id {
			outcome.Result = result
			t.outcomes[step.ID] = outcome
		}
	}
}

func (t *transaction) undoFiles(context.Context) (restored, problems []string) {
	restoreErr := t.files().Restore(t.written)
	if restoreErr != nil {
		restoreErr = t.files().Restore(t.written) // as with a container: once is no reason to call for a person
	}
	for _, step := range t.proposal.Plan.Of(plan.VerbPatch) {
		outcome, tried := t.outcomes[step.ID]
		if !tried {
			continue
		}
		if as, err := asBefore(step.Patch); err == nil {
			outcome.Result = plan.ResultRolledBack
			restored = append(restored, step.Object+": "+as)
		} else {
			outcome.Result = plan.ResultNotUndone
			problems = append(problems, fmt.Sprintf("%s is not as it was: %v", step.Object, cmp.Or(restoreErr, err)))
		}
		t.outcomes[step.ID] = outcome
	}
	return restored, problems
}

var (
	errDiffers = errors.New("its content differs")
	errStays   = errors.New("it was created and is still there")
)

// asBefore looks whether a file is as it was before it was patched, and says how that is.
func asBefore(p *plan.Patch) (string, error) {
	if p.Create {
		_, err := os.Lstat(p.File)
		if err == nil {
			return "", errStays
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		return "removed, it was not there before", nil
	}
	now, err := files.Read(p.File)
	if err == nil && now.Digest != p.Digest {
		err = errDiffers
	}
	return "as before, byte for byte", err
}

// recheck wants every check that passed before the change to pass again, waiting as after a swap: the old containers were restarted.
func (t *transaction) recheck(ctx context.Context) (restored, problems []string) {
	t.watchOld()
	for _, step := range t.proposal.Plan.Of(plan.VerbSwap) {
		t.verify.patience = max(t.verify.patience, step.Swap.Pace.Timeout) // they were all restarted
	}
	for _, step := range t.proposal.Plan.Of(plan.VerbCompose) {
		t.verify.patience = max(t.verify.patience, step.Compose.Pace.Timeout)
	}
	for _, step := range t.proposal.Plan.Of(plan.VerbCheck) {
		if t.baseline[step.ID] != nil {
			restored = append(restored, fmt.Sprintf("check %s: was failing before, not counted", step.Object))
			continue
		}
		if _, err := t.verify.wait(ctx, step.Check.Check); err != nil {
			problems = append(problems, fmt.Sprintf("check %s passed before and fails now: %v", step.Object, err))
			continue
		}
		restored = append(restored, fmt.Sprintf("check %s: passes as before", step.Object))
	}
	return restored, problems
}
