package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/files"
	"github.com/composure-dev/composure/internal/redact"
	"github.com/composure-dev/composure/internal/state"
	"github.com/composure-dev/composure/reconcile/plan"
)

// Recovers reports whether the plan does nothing but put in order what earlier transactions have left.
func Recovers(p plan.Plan) bool { return len(p.Of(plan.VerbRecover)) > 0 }

// withoutLocks leaves out what is done once this process has the lock: that of a dead one is replaced by it.
func withoutLocks(p plan.Plan) (rest plan.Plan, unlocked []plan.Outcome) {
	rest = p
	rest.Steps = []plan.Step{}
	for _, step := range p.Steps {
		if r := step.Recover; r != nil && r.Overtaken == "" && len(r.Files)+len(r.Containers) == 0 {
			unlocked = append(unlocked, plan.Outcome{Step: step.ID, Result: plan.ResultDone})
			continue
		}
		rest.Steps = append(rest.Steps, step)
	}
	return rest, unlocked
}

// recoverer finishes or undoes transactions that were cut off.
type recoverer struct {
	*Executor
	src      Source
	proposal Proposal
	swapper  engine.Swapper
	redactor *redact.Redactor
	// kept is set when an old container runs on although its transaction is finished.
	kept bool
}

// recover carries out the recover steps, which the locks make this process's alone. Each is carried through, Ctrl-C or not.
// unlocked are those that taking the lock has put in order.
func (e *Executor) recover(ctx context.Context, src Source, proposal Proposal, unlocked []plan.Outcome) Applied {
	r := recoverer{
		Executor: e, src: src, proposal: proposal, redactor: proposal.redactor(),
		swapper: engine.Swapper{Reader: src.Reader, Writer: e.Writer, APIVersion: proposal.Snapshot.Engine.APIVersion},
	}
	applied := Applied{Result: ResultRecovered, Outcomes: unlocked}
	for range unlocked {
		applied.Restored = append(applied.Restored, "the lock that a dead process had left is removed")
	}
	for _, step := range proposal.Plan.Of(plan.VerbRecover) {
		outcome := plan.Outcome{Step: step.ID, Result: plan.ResultSkipped}
		if ctx.Err() == nil {
			began := time.Now()
			e.Progress(step.Object + ": " + step.Cause)
			restored, problems := r.one(context.WithoutCancel(ctx), step)
			outcome.Result, outcome.DurationMs = plan.ResultDone, time.Since(began).Milliseconds()
			applied.Restored = append(applied.Restored, restored...)
			if len(problems) > 0 {
				outcome.Result, outcome.Error = plan.ResultFailed, strings.Join(problems, "\n")
				applied.Result = ResultRollbackFailed
				applied.Failure = step.Object + ", which was cut off, could not be put in order"
				applied.Restored = append(applied.Restored, problems...)
			}
		}
		applied.Outcomes = append(applied.Outcomes, outcome)
	}
	return applied
}

func (r *recoverer) one(ctx context.Context, step plan.Step) (restored, problems []string) {
	i := slices.IndexFunc(r.proposal.Snapshot.cuts, func(c cut) bool { return c.id == step.Recover.Transaction })
	if i < 0 {
		return nil, []string{"it is not in the snapshot"}
	}
	c := r.proposal.Snapshot.cuts[i]
	r.kept = false
	put := r.undo
	if c.finish {
		put = r.finish
	}
	restored, problems = put(ctx, c)
	if c.overtaken != "" {
		restored = append(restored, step.Object+" "+step.Cause)
	}
	if c.record == nil {
		if len(c.swaps) > 0 && !c.finish {
			restored = append(restored, "its record is not kept in this state folder: files that it patched, if any, are as patched")
		}
		return restored, problems
	}
	for _, image := range c.record.Files {
		if err := files.Sweep(image.Path, image.Before, image.After); err != nil {
			problems = append(problems, r.redactor.String(err.Error()))
		}
	}
	if open(*c.record) || len(c.swaps)+len(problems) > 0 {
		problems = append(problems, r.close(c, len(problems) > 0)...)
	}
	return restored, problems
}

// close ends the record of a transaction that is in order; that of another stays open, so that the next run tries again.
func (r *recoverer) close(c cut, failed bool) []string {
	if failed {
		return []string{"what was there before is recorded in " + r.src.Journal.Path(*c.record)}
	}
	record, ended := *c.record, time.Now().UTC()
	record.Ended, record.Outcome = &ended, state.OutcomeRecoveredUndone
	switch {
	case c.overtaken != "":
		record.Outcome = state.OutcomeOvertaken
	case c.finish && r.kept:
		record.Outcome = state.OutcomeLeftover
	case c.finish:
		record.Outcome = state.OutcomeRecoveredFinished
	}
	if err := r.src.Journal.Save(record); err != nil {
		return []string{r.redactor.String(err.Error())}
	}
	return nil
}

// undo puts containers and files back.
func (r *recoverer) undo(ctx context.Context, c cut) (restored, problems []string) {
	down := r.takenDown(c)
	rebuilt, shaken := c.moved(), false
	if down {
		restored = append(restored, "the project was taken down since; left as it is")
	} else {
		restored, problems, shaken = r.undoSwaps(ctx, c, rebuilt)
	}
	if c.record == nil {
		return restored, problems
	}
	if c.hasFiles() { // else it has put them in order itself
		done, failed := r.undoFiles(*c.record)
		restored, problems = append(restored, done...), append(problems, failed...)
	}
	if list := c.handed(); len(list) > 0 && !down {
		shaken = true
		done, failed := r.takeBack(ctx, list, rebuilt)
		restored, problems = append(restored, done...), append(problems, failed...)
	}
	if shaken {
		done, failed := r.restart(ctx, *c.record)
		restored, problems = append(restored, done...), append(problems, failed...)
	}
	return restored, problems
}

// takenDown reports whether the transaction has touched containers and the project has none any more: one service alone is not what
// whoever removed them all wants back.
func (r *recoverer) takenDown(c cut) bool {
	if r.src.Reader == nil || c.record == nil || r.proposal.Snapshot.there() {
		return false
	}
	return slices.ContainsFunc(c.record.Containers, func(recorded state.Container) bool { return recorded.Stopping })
}

// undoSwaps goes in the order that [engine.UndoOrder] says. rebuilt is told which container is in the place of another.
func (r *recoverer) undoSwaps(ctx context.Context, c cut, rebuilt map[string]string) (restored, problems []string, shaken bool) {
	var undone []engine.Swapped
	for _, swapped := range engine.UndoOrder(r.proposal.Snapshot.All, c.unfinished()) {
		swapped.Moved = rebuilt
		line, err := r.undoSwap(ctx, &swapped)
		shaken = shaken || swapped.Stopped
		undone = append(undone, swapped)
		if swapped.Rebuilt != "" {
			rebuilt[swapped.Old.ID] = swapped.Rebuilt
		}
		if err != nil {
			problems = append(problems, r.redactor.String(r.notUndone(ctx, swapped.Old, err)))
		} else if line != "" {
			restored = append(restored, line)
		}
	}
	done, failed := r.joiner().again(ctx, undone)
	return append(restored, done...), append(problems, failed...), shaken
}

func (r *recoverer) joiner() joiner {
	return joiner{snap: &r.proposal.Snapshot, reader: r.src.Reader, swapper: &r.swapper, redactor: r.redactor}
}

// takeBack has docker compose make again what it has replaced. A container that it makes of the files as they are now, and that is
// not as before, is told of but no problem: no further try would change that.
func (r *recoverer) takeBack(ctx context.Context, list []handed, rebuilt map[string]string) (restored, problems []string) {
	k := keeper{composer: r.Composer, reader: r.src.Reader, swapper: r.swapper, project: r.proposal.Snapshot.Name}
	restored, failed := k.back(ctx, list, rebuilt)
	for _, h := range list {
		err := failed[h.old.ID]
		if err == nil {
			continue
		}
		if _, made := errors.AsType[*differsError](err); made {
			restored = append(restored, h.old.CleanName()+": "+r.redactor.String(err.Error()))
			continue
		}
		problems = append(problems, r.redactor.String(notMade(h, err)))
	}
	return restored, problems
}

func (r *recoverer) undoSwap(ctx context.Context, swapped *engine.Swapped) (string, error) {
	err := undo(ctx, &r.swapper, swapped)
	if r.leftToAnother(ctx, *swapped, err) {
		return fmt.Sprintf("%s: container %s is gone; somebody else's container has its name now, it is left as it is",
			swapped.Name(), engine.ShortID(swapped.Old.ID)), nil
	}
	if err != nil || !swapped.Touched {
		return "", err
	}
	line, err := asBeforeContainer(ctx, r.src.Reader, *swapped)
	return swapped.Name() + ": " + line, err
}

// leftToAnother reports whether an undo has failed for no other reason than that somebody has removed the old container and runs
// another one under its name. No further try would change that.
func (r *recoverer) leftToAnother(ctx context.Context, swapped engine.Swapped, undoErr error) bool {
	holder, taken := takenFor(undoErr)
	if !taken || !r.runs(ctx, holder) {
		return false
	}
	_, newErr := look(ctx, r.src.Reader, swapped.NewID)
	return swapped.NewID == "" || errors.Is(newErr, engine.ErrNotFound)
}

func (r *recoverer) runs(ctx context.Context, id string) bool {
	c, err := look(ctx, r.src.Reader, id)
	return err == nil && c.Running()
}

// takenFor is the container that has the name of one that is gone.
func takenFor(err error) (holder string, taken bool) {
	failed, is := errors.AsType[*engine.TakenError](err)
	if !is || !errors.Is(failed.Err, engine.ErrNotFound) {
		return "", false
	}
	return failed.Holder, true
}

// notUndone says what a person has to do for a container that could not be put back. Of one that is gone nothing can be put back by
// hand: once something else runs in its place, the next run leaves that and is done. The text may hold secrets of the error.
func (r *recoverer) notUndone(ctx context.Context, old engine.Container, err error) string {
	name, id := old.CleanName(), engine.ShortID(old.ID)
	if holder, taken := takenFor(err); taken && !r.runs(ctx, holder) {
		return fmt.Sprintf("container %s (%s) is gone, and its name belongs to container %s, which does not run; start that one if it is to stay, else remove it, and apply again:\n  docker rm %s",
			name, id, engine.ShortID(holder), engine.ShortID(holder))
	}
	if _, gone := look(ctx, r.src.Reader, old.ID); errors.Is(gone, engine.ErrNotFound) {
		service := old.Label(engine.LabelService)
		return fmt.Sprintf("container %s (%s) is gone, somebody removed it, and it could not be made again: %v; what runs of %s was left alone; bring it to what the files say, and apply again:\n  docker compose up -d %s",
			name, id, err, service, service)
	}
	return notUndone(old, err)
}

// restart starts what depends on the containers that were put back: it may have been cut off between stop and start.
func (r *recoverer) restart(ctx context.Context, record state.Record) (spared, problems []string) {
	for _, recorded := range record.Restarts {
		now, err := look(ctx, r.src.Reader, recorded.ID)
		if errors.Is(err, engine.ErrNotFound) {
			continue // somebody else has replaced it
		}
		if err == nil {
			if line := r.proposal.Snapshot.own.spared(now); line != "" {
				spared = append(spared, line)
				continue
			}
			err = r.swapper.RestartAgain(ctx, now, recordedPace(recorded.Pace))
		}
		if err != nil {
			problems = append(problems, r.redactor.String(notRestarted(recorded.Name, recorded.ID, err)))
		}
	}
	return spared, problems
}

// undoFiles restores what is as the transaction wrote it. What somebody has edited or removed since is theirs.
func (r *recoverer) undoFiles(record state.Record) (restored, problems []string) {
	for _, image := range record.Files {
		err := r.files().Restore([]files.Before{{
			Path: image.Path, Content: image.Before, Digest: image.DigestAfter, Created: image.Created,
			Removed: image.Removed, Mode: image.Mode, UID: image.UID, GID: image.GID,
		}})
		_, edited := errors.AsType[*files.ChangedError](err)
		switch {
		case err == nil:
			restored = append(restored, image.Path+": as before, byte for byte")
		case edited:
			restored = append(restored, image.Path+": somebody has edited it since, it is left as it is; what it held is recorded in "+r.src.Journal.Path(record))
		case files.Gone(err):
			restored = append(restored, image.Path+": is gone, it is left so; what it held is recorded in "+r.src.Journal.Path(record))
		default:
			problems = append(problems, r.redactor.String(err.Error()))
		}
	}
	return restored, problems
}

// finish removes the old containers that are left.
func (r *recoverer) finish(ctx context.Context, c cut) (restored, problems []string) {
	kept := map[string]string{} // new containers that are gone, with the old ones that run in their place
	for _, swapped := range c.unfinished() {
		line, err := r.finishSwap(ctx, &swapped, kept)
		if err == nil {
			restored = append(restored, swapped.Name()+": "+line)
			continue
		}
		problems = append(problems, r.redactor.String(r.notFinished(ctx, swapped, err)))
	}
	return restored, problems
}

// finishSwap keeps the old container when it is the only one there is, and says how it is.
func (r *recoverer) finishSwap(ctx context.Context, swapped *engine.Swapped, kept map[string]string) (string, error) {
	id := engine.ShortID(swapped.Old.ID)
	swapped.Verified = true
	_, err := look(ctx, r.src.Reader, swapped.Old.ID)
	switch {
	case errors.Is(err, engine.ErrNotFound):
		return fmt.Sprintf("the old container %s was gone already", id), r.swapper.Settle(ctx, *swapped)
	case err != nil:
		return "", err
	}
	replacement, err := look(ctx, r.src.Reader, swapped.NewID)
	gone := errors.Is(err, engine.ErrNotFound)
	if gone || engine.RefersToAny(replacement, kept) {
		r.kept, kept[swapped.NewID] = true, swapped.Old.ID
	}
	switch {
	case gone:
		return fmt.Sprintf("somebody removed the new container %s, so that the old one %s runs again", engine.ShortID(swapped.NewID), id), r.swapper.Undo(ctx, swapped)
	case kept[swapped.NewID] != "":
		return fmt.Sprintf("what the new container shares namespaces or volumes with is gone, so that the old one %s runs again", id), r.swapper.Undo(ctx, swapped)
	case err != nil:
		return "", err
	}
	return fmt.Sprintf("the old container %s is removed", id), r.swapper.Commit(ctx, *swapped)
}

// notFinished says what a person has to do. The text may hold secrets of the error.
func (r *recoverer) notFinished(ctx context.Context, swapped engine.Swapped, err error) string {
	if _, taken := takenFor(err); taken {
		return r.notUndone(ctx, swapped.Old, err)
	}
	if _, gone := look(ctx, r.src.Reader, swapped.Old.ID); errors.Is(gone, engine.ErrNotFound) {
		id := engine.ShortID(swapped.NewID)
		return fmt.Sprintf("container %s: the new one, which is the only one there is, is not as it should be: %v; see why, restart it, and apply again:\n  docker logs %s\n  docker restart %s",
			swapped.Name(), err, id, id)
	}
	return fmt.Sprintf("container %s: %v; if the new one is to stay: docker rm %s; if the old one is:\n  %s",
		swapped.Name(), err, engine.ShortID(swapped.Old.ID), strings.Join(engine.RecoveryCommands(swapped.Old), "\n  "))
}

func recordedPace(p state.Pace) engine.Pace {
	return engine.Pace{
		StableFor: time.Duration(p.StableForMs) * time.Millisecond, Timeout: time.Duration(p.TimeoutMs) * time.Millisecond, OneShot: p.OneShot,
	}
}
