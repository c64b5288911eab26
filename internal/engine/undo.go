package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/moby/moby/api/types/container"
)

// failureLogLines is how much of a failed container's log a [SwapError] carries.
const failureLogLines = 10

// TakenError is a name that an undo wants back and that belongs to a container of somebody else's, which it leaves alone.
type TakenError struct {
	Name   string
	Holder string // full id
	// Err is ErrNotFound when the old container is gone, and ErrConflict when it is there under another name.
	Err error
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("container %q: %v; its name belongs to container %s now", e.Name, e.Err, ShortID(e.Holder))
}

func (e *TakenError) Unwrap() error { return e.Err }

// fail undoes the swap, whatever became of ctx.
func (s *swap) fail(ctx context.Context, stage string, err error) error {
	ctx = context.WithoutCancel(ctx)
	failure := &SwapError{Stage: stage, Err: err, Logs: s.lastLogs(ctx)}
	failure.UndoErr = s.Undo(ctx, &s.swapped)
	return failure
}

// undoBound is what an undo may take: two stops with their grace and one wait. Each undo has its own, so that a slow one leaves
// the others their time.
func undoBound(swapped Swapped) time.Duration {
	return 2*grace(swapped.Old) + swapped.Pace.StableFor + swapped.Pace.Limit(swapped.Old) + 2*writeTimeout
}

// grace is how long the engine gives a container to end before it kills it.
func grace(c Container) time.Duration {
	const usual, endless = 10 * time.Second, 10 * time.Minute // the engine's default; what is waited for one that is never killed
	if c.Config == nil || c.Config.StopTimeout == nil {
		return usual
	}
	if *c.Config.StopTimeout < 0 {
		return endless
	}
	return time.Duration(*c.Config.StopTimeout) * time.Second
}

// lastLogs is best effort: there may be no new container, or none that can be read.
func (s *swap) lastLogs(ctx context.Context) []string {
	if s.swapped.NewID == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	logs, err := s.Reader.Logs(ctx, s.swapped.NewID, time.Time{}, failureLogLines)
	if err != nil {
		return nil
	}
	defer logs.Close()
	var lines []string
	scanner := bufio.NewScanner(logs)
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
	}
	return lines
}

// Undo removes the new container and makes the old one run again under its name and with its restart policy. It bounds itself,
// notes in swapped how far it came, and can be called again after it failed, and for a swap that failed at any stage. nil means
// that the old container runs, healthy if it was; one that the swap has not touched is left as it is.
//
// When the old container is gone, one that equals it is made, proved and put in its place: [Swapped.Rebuilt]. When nothing of its
// project is left, it is left so: [Swapped.TakenDown]. When its name belongs to a container of somebody else's, that is left alone,
// and the error is a *[TakenError]. Without knowledge of the old container, and nothing that an earlier undo has rebuilt, Undo
// returns ErrNotFound and leaves the new one alone: it is the only one there is.
//
// Containers that live in another's namespaces are undone after it: theirs is not there before it runs again.
func (s *Swapper) Undo(ctx context.Context, swapped *Swapped) error {
	ctx, cancel := context.WithTimeout(ctx, undoBound(*swapped))
	defer cancel()
	replacements, err := s.replacements(ctx, *swapped)
	if err != nil {
		return err
	}
	if !swapped.Touched {
		return s.stopAndRemove(ctx, replacements, grace(swapped.Old))
	}
	old, err := s.Reader.Inspect(ctx, swapped.Old.ID)
	switch {
	case errors.Is(err, ErrNotFound):
		return s.rebuild(ctx, swapped, replacements)
	case err != nil:
		return err
	case RefersToAny(old, swapped.Moved):
		return s.rebuild(ctx, swapped, append(replacements, old))
	}
	if err := s.claim(ctx, *swapped, ErrConflict, append(replacements, old)); err != nil {
		return err
	}
	for _, replacement := range replacements {
		if err := s.setAside(ctx, replacement, *swapped); err != nil {
			return err
		}
	}
	if err := s.revive(ctx, old, swapped); err != nil {
		return err
	}
	removeErr := s.remove(ctx, replacements)
	if !swapped.Stopped {
		return removeErr
	}
	return errors.Join(removeErr, s.waitAsBefore(ctx, old.ID, *swapped))
}

// replacements are the new container and those whose creation was not answered: they have one of two names and the labels of
// this swap.
func (s *Swapper) replacements(ctx context.Context, swapped Swapped) ([]Container, error) {
	var found []Container
	for _, ref := range []string{swapped.NewID, "/" + TempName(swapped.Name()), "/" + swapped.Name()} {
		if ref == "" {
			continue
		}
		c, err := s.Reader.Inspect(ctx, ref)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		ours := c.ID == swapped.NewID || c.Label(LabelReplaces) == swapped.Old.ID && c.Label(LabelTransaction) == swapped.Transaction
		if ours && !holds(found, c.ID) {
			found = append(found, c)
		}
	}
	return found, nil
}

func holds(containers []Container, id string) bool {
	return slices.ContainsFunc(containers, func(c Container) bool { return c.ID == id })
}

// claim wants the name to be free or to belong to one of the swap's own containers. What the swap has made is removed when
// somebody else's runs in its place.
func (s *Swapper) claim(ctx context.Context, swapped Swapped, cause error, own []Container) error {
	holder, err := s.Reader.Inspect(ctx, "/"+swapped.Name())
	if errors.Is(err, ErrNotFound) || err == nil && holds(own, holder.ID) {
		return nil
	}
	if err != nil {
		return err
	}
	taken := &TakenError{Name: swapped.Name(), Holder: holder.ID, Err: cause}
	if !holder.Running() {
		return taken
	}
	made := slices.DeleteFunc(slices.Clone(own), func(c Container) bool { return c.ID == swapped.Old.ID })
	return errors.Join(taken, s.stopAndRemove(ctx, made, grace(swapped.Old)))
}

// setAside stops a container and takes the restart policy and the name from it, so that another can run under the name, and an
// engine that restarts meanwhile does not start both. It is kept until that one runs: its labels are all that tells the next run
// of an undo that was cut off.
func (s *Swapper) setAside(ctx context.Context, c Container, swapped Swapped) error {
	policyErr := s.restorePolicy(ctx, c, container.RestartPolicy{Name: container.RestartPolicyDisabled})
	err := s.stopInTime(ctx, c.ID, grace(swapped.Old))
	if err == nil && c.Name == swapped.Old.Name {
		err = s.Writer.Rename(ctx, c.ID, asideName(c, swapped))
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case c.ID == swapped.Old.ID:
		return errors.Join(err, policyErr)
	case err == nil:
		return nil // a policy that could not be taken is no reason to kill it
	}
	// A replacement that cannot be stopped in good order is killed: the old one must not be kept waiting for it.
	removeErr := s.discard(ctx, c.ID)
	if removeErr == nil || s.outOfTheWay(ctx, c.ID, swapped) {
		return nil
	}
	return errors.Join(err, removeErr)
}

func asideName(c Container, swapped Swapped) string {
	if c.ID == swapped.Old.ID {
		return KeptName(swapped.Name())
	}
	return TempName(swapped.Name())
}

// outOfTheWay reports whether a new container that could not be removed lets the old one run: it must be stopped, and it gives
// up the name.
func (s *Swapper) outOfTheWay(ctx context.Context, id string, swapped Swapped) bool {
	left, err := s.Reader.Inspect(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return true
	}
	if err != nil || left.State == nil || left.State.Running {
		return false
	}
	return left.Name != swapped.Old.Name || s.Writer.Rename(ctx, left.ID, TempName(swapped.Name())) == nil
}

// revive gives the old container its name and its restart policy and, if it was stopped, starts it. old is as it is now. One that
// has ended by itself while the swap had its policy is started as the engine would have done.
//
// It does not ask whether the old container runs: it may look so and be about to end. A stop waits for that. The policy comes
// after it: a container that has its policy and runs is then known not to be stopping.
func (s *Swapper) revive(ctx context.Context, old Container, swapped *Swapped) error {
	if old.Name != swapped.Old.Name {
		if err := s.Writer.Rename(ctx, old.ID, swapped.Name()); err != nil {
			return err
		}
	}
	restart := swapped.Stopped && !swapped.Restarted
	if restart {
		if err := s.Writer.Stop(ctx, old.ID); err != nil {
			return err
		}
	}
	if err := s.restorePolicy(ctx, old, swapped.Old.HostConfig.RestartPolicy); err != nil {
		return err
	}
	if !swapped.Stopped {
		now, err := s.Reader.Inspect(ctx, old.ID)
		if err != nil || up(now) {
			return err
		}
		restart, swapped.Stopped = true, true
	}
	if !restart {
		return nil
	}
	if err := s.Writer.Start(ctx, old.ID); err != nil {
		return err
	}
	swapped.Restarted = true
	return nil
}

func (s *Swapper) restorePolicy(ctx context.Context, c Container, policy container.RestartPolicy) error {
	now := c.HostConfig.RestartPolicy
	if now == policy || now.IsNone() && policy.IsNone() {
		return nil
	}
	return s.Writer.SetRestartPolicy(ctx, c.ID, policy)
}

// waitAsBefore waits until the container that an undo has started is as the old one was. One that kept crashing before is as
// before once it is started.
func (s *Swapper) waitAsBefore(ctx context.Context, id string, swapped Swapped) error {
	old := swapped.Old
	if swapped.KeptCrashing() {
		return nil
	}
	health := swapped.Inferred || healthOf(old) == container.Healthy
	return s.wait(ctx, id, waitFor{pace: swapped.Pace, limit: swapped.Pace.Limit(old), health: health})
}

// stopMargin is what a stop may take beyond the container's grace.
const stopMargin = 10 * time.Second

func (s *Swapper) stopInTime(ctx context.Context, id string, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, grace+stopMargin)
	defer cancel()
	return s.Writer.Stop(ctx, id)
}

func (s *Swapper) stopAndRemove(ctx context.Context, containers []Container, grace time.Duration) error {
	for _, c := range containers {
		stopErr := s.stopInTime(ctx, c.ID, grace)
		if err := s.discard(ctx, c.ID); err != nil {
			return errors.Join(stopErr, err)
		}
	}
	return nil
}

func (s *Swapper) remove(ctx context.Context, containers []Container) error {
	var problems []error
	for _, c := range containers {
		problems = append(problems, s.discard(ctx, c.ID))
	}
	return errors.Join(problems...)
}

// discard takes a container that is gone for removed.
func (s *Swapper) discard(ctx context.Context, id string) error {
	if err := s.Writer.Remove(ctx, id, true); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}
