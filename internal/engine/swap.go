package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/moby/moby/api/types/container"
)

// writeTimeout bounds one write of a swap, which no cancellation cuts short; a stop has the container's grace on top of it.
const writeTimeout = 2 * time.Minute

// failureLogLines is how much of a failed container's log a [SwapError] carries.
const failureLogLines = 10

// Swapper replaces running containers one at a time. The old container is kept, stopped, until Commit, so that Undo can put the
// very same one back.
type Swapper struct {
	Reader     Reader
	Writer     Writer
	APIVersion string // as negotiated: [Info.APIVersion]
}

// Swapped is a swap that can be undone or committed. It can be undone from any stage on.
type Swapped struct {
	Old         Container // as it ran before the swap, with its restart policy
	NewID       string
	Transaction string
	Pace        Pace
	// Touched is set before the first write to the old container. Until then an undo leaves it to whoever is at it.
	Touched bool
	// Stopped is set before the old container is asked to stop. From then on it may end at any time, whatever was answered and
	// however it looks.
	Stopped bool
	// Restarted is set once an undo has started the old container again: a further undo only waits for it.
	Restarted bool
}

// Name is the name that the old container had and the new one has after the swap.
func (s Swapped) Name() string { return s.Old.CleanName() }

// SwapError is a swap that failed and was undone, or was to be undone.
type SwapError struct {
	Stage string // create, inject, prove, recheck, update, stop, start, wait or rename: what failed, or was not begun any more
	Err   error
	// UndoErr is nil when the new container is gone and the old one runs as before. One that was not touched yet is as others
	// have left it.
	UndoErr error
	// Logs are the last lines of the new container. They may hold secrets.
	Logs []string
}

func (e *SwapError) Error() string {
	if e.UndoErr != nil {
		return fmt.Sprintf("%s: %v; and it could not be undone: %v", e.Stage, e.Err, e.UndoErr)
	}
	return fmt.Sprintf("%s: %v", e.Stage, e.Err)
}

func (e *SwapError) Unwrap() error { return e.Err }

// swap is one swap on its way.
type swap struct {
	*Swapper
	replacement Replacement
	swapped     Swapped
}

// Swap replaces r.Old and waits until the replacement is as it should be. A failure at any stage, a canceled ctx included, is
// undone before Swap returns, and is a *[SwapError]. The old container is stopped only after the new one has been proved equal.
//
// A canceled ctx ends a wait, and a swap between two stages, but never a write: the engine would go on with it unseen. When
// the undo failed as well, it can be tried again with the Swapped that is returned beside the error.
func (s *Swapper) Swap(ctx context.Context, r Replacement, pace Pace) (Swapped, error) {
	run := &swap{Swapper: s, replacement: r, swapped: Swapped{Old: r.Old, Transaction: r.Transaction, Pace: pace}}
	stages := []struct {
		name string
		do   func(context.Context) error
	}{
		{"create", run.create},
		{"inject", run.inject},
		{"prove", run.prove},
		{"recheck", run.recheck},
		{"update", run.update},
		{"stop", run.stop},
		{"start", run.start},
		{"wait", run.wait},
		{"rename", run.rename},
	}
	for _, stage := range stages {
		err := ctx.Err()
		if err == nil {
			err = stage.do(ctx)
		}
		if err != nil {
			return run.swapped, run.fail(ctx, stage.name, err)
		}
	}
	return run.swapped, nil
}

func (s *swap) create(ctx context.Context) error {
	sources, err := s.volumeSources(ctx)
	if err != nil {
		return err
	}
	spec, err := Clone(s.replacement, s.APIVersion, sources...)
	if err != nil {
		return err
	}
	return write(ctx, 0, func(ctx context.Context) error {
		s.swapped.NewID, err = s.Writer.Create(ctx, spec)
		return err
	})
}

func (s *swap) prove(ctx context.Context) error {
	created, err := s.Reader.Inspect(ctx, s.swapped.NewID)
	if err != nil {
		return err
	}
	if differences := Prove(s.swapped.Old, created, s.replacement); len(differences) > 0 {
		return &ProofError{Differences: differences}
	}
	return nil
}

// recheck looks once more before the first stop: somebody else may have been at the container since it was observed.
func (s *swap) recheck(ctx context.Context) error {
	old := s.swapped.Old
	now, err := s.Reader.Inspect(ctx, old.ID)
	if err != nil {
		return err
	}
	if now.Name != old.Name {
		return fmt.Errorf("container %q is now called %q", old.CleanName(), now.CleanName())
	}
	if isUp := now.State.Running || s.replacement.isBereft(); !isUp || now.State.Paused { // a crash loop counts as running
		return fmt.Errorf("container %q is %s", old.CleanName(), now.State.Status)
	}
	return nil
}

// update takes the restart policy: an engine that restarts meanwhile would start the old container beside the new one.
func (s *swap) update(ctx context.Context) error {
	old := s.swapped.Old
	if old.HostConfig.RestartPolicy.IsNone() {
		return nil
	}
	s.swapped.Touched = true
	never := container.RestartPolicy{Name: container.RestartPolicyDisabled}
	return write(ctx, 0, func(ctx context.Context) error { return s.Writer.SetRestartPolicy(ctx, old.ID, never) })
}

func (s *swap) stop(ctx context.Context) error {
	s.swapped.Touched, s.swapped.Stopped = true, true
	return write(ctx, grace(s.swapped.Old), func(ctx context.Context) error { return s.Writer.Stop(ctx, s.swapped.Old.ID) })
}

func (s *swap) start(ctx context.Context) error {
	return write(ctx, 0, func(ctx context.Context) error { return s.Writer.Start(ctx, s.swapped.NewID) })
}

func (s *swap) wait(ctx context.Context) error {
	return s.Swapper.wait(ctx, s.swapped.NewID, waitFor{pace: s.swapped.Pace, health: true})
}

func (s *swap) rename(ctx context.Context) error {
	name := s.swapped.Name()
	return write(ctx, 0, func(ctx context.Context) error {
		if err := s.Writer.Rename(ctx, s.swapped.Old.ID, KeptName(name)); err != nil {
			return err
		}
		return s.Writer.Rename(ctx, s.swapped.NewID, name)
	})
}

// write lets a call to the engine come to its end though ctx is canceled, within writeTimeout and what the call needs beyond it.
func write(ctx context.Context, beyond time.Duration, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), beyond+writeTimeout)
	defer cancel()
	return call(ctx)
}

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
	return 2*grace(swapped.Old) + swapped.Pace.StableFor + swapped.Pace.Timeout + writeTimeout
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
// notes in swapped how far it came, and can be called again after it failed, and for a swap that failed at any stage. nil means that the old container runs, healthy if it was; one
// that the swap has not touched is left as it is. When the old container is gone, Undo returns ErrNotFound and leaves the new
// one alone: it is the only one there is.
func (s *Swapper) Undo(ctx context.Context, swapped *Swapped) error {
	ctx, cancel := context.WithTimeout(ctx, undoBound(*swapped))
	defer cancel()
	if !swapped.Touched {
		return s.removeNew(ctx, *swapped)
	}
	old, err := s.Reader.Inspect(ctx, swapped.Old.ID)
	if err != nil {
		return err
	}
	removeErr := s.removeNew(ctx, *swapped)
	if removeErr != nil && !s.outOfTheWay(ctx, *swapped) {
		return removeErr
	}
	return errors.Join(removeErr, s.revive(ctx, old, swapped))
}

// outOfTheWay reports whether a new container that could not be removed lets the old one run: it must be stopped, and it gives
// up the name.
func (s *Swapper) outOfTheWay(ctx context.Context, swapped Swapped) bool {
	left, err := s.Reader.Inspect(ctx, swapped.NewID)
	if errors.Is(err, ErrNotFound) {
		return true
	}
	if err != nil || left.State == nil || left.State.Running {
		return false
	}
	return left.Name != swapped.Old.Name || s.Writer.Rename(ctx, left.ID, TempName(swapped.Name())) == nil
}

// revive gives the old container its name and its restart policy and, if it was stopped, starts it. old is as it is now.
func (s *Swapper) revive(ctx context.Context, old Container, swapped *Swapped) error {
	if old.Name != swapped.Old.Name {
		if err := s.Writer.Rename(ctx, old.ID, swapped.Name()); err != nil {
			return err
		}
	}
	policy := swapped.Old.HostConfig.RestartPolicy
	if old.HostConfig.RestartPolicy != policy {
		if err := s.Writer.SetRestartPolicy(ctx, old.ID, policy); err != nil {
			return err
		}
	}
	if !swapped.Stopped {
		return nil
	}
	return s.restart(ctx, swapped)
}

// restart does not ask whether the old container runs: it may look so and be about to end. A stop waits for that. One that kept
// crashing before is as before once it is started.
func (s *Swapper) restart(ctx context.Context, swapped *Swapped) error {
	old := swapped.Old
	if !swapped.Restarted {
		if err := s.Writer.Stop(ctx, old.ID); err != nil {
			return err
		}
		if err := s.Writer.Start(ctx, old.ID); err != nil {
			return err
		}
		swapped.Restarted = true
	}
	if old.RestartCount > 0 || old.State != nil && old.State.Restarting {
		return nil
	}
	return s.wait(ctx, old.ID, waitFor{pace: swapped.Pace, health: healthOf(old) == container.Healthy})
}

// removeNew also finds a container whose creation was not answered: it has one of two names and the labels of this swap.
func (s *Swapper) removeNew(ctx context.Context, swapped Swapped) error {
	ids := []string{swapped.NewID}
	for _, name := range []string{TempName(swapped.Name()), swapped.Name()} {
		found, err := s.Reader.Inspect(ctx, "/"+name)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if found.Label(LabelReplaces) == swapped.Old.ID && found.Label(LabelTransaction) == swapped.Transaction && found.ID != swapped.NewID {
			ids = append(ids, found.ID)
		}
	}
	for _, id := range ids {
		if err := s.stopAndRemove(ctx, id, grace(swapped.Old)); err != nil {
			return err
		}
	}
	return nil
}

// stopMargin is what a stop may take beyond the container's grace.
const stopMargin = 10 * time.Second

func (s *Swapper) stopAndRemove(ctx context.Context, id string, grace time.Duration) error {
	if id == "" {
		return nil
	}
	// A replacement that cannot be stopped in good order is killed: the old one must not be kept waiting for it.
	stopping, cancel := context.WithTimeout(ctx, grace+stopMargin)
	defer cancel()
	stopErr := s.Writer.Stop(stopping, id)
	err := s.Writer.Remove(ctx, id, true)
	if err == nil || errors.Is(err, ErrNotFound) {
		return nil
	}
	return errors.Join(stopErr, err)
}

// Alive tells what keeps the new container from taking the old one's place for good, nil for nothing: it must have the name,
// run, have never restarted by itself and, with a healthcheck, be healthy.
func (s *Swapper) Alive(ctx context.Context, swapped Swapped) error {
	replacement, err := s.Reader.Inspect(ctx, swapped.NewID)
	if errors.Is(err, ErrNotFound) {
		// Not ErrNotFound: to a caller that means the old container.
		return fmt.Errorf("replacement of container %q is gone", swapped.Name())
	}
	if err != nil {
		return err
	}
	if err := alive(replacement, swapped.Old.Name); err != nil {
		return fmt.Errorf("replacement of container %q is not alive: %w", swapped.Name(), err)
	}
	return nil
}

func alive(c Container, name string) error {
	switch {
	case c.Name != name:
		return fmt.Errorf("it is called %q", c.CleanName())
	case c.RestartCount > 0:
		return errors.New("it has restarted by itself")
	case c.State != nil && c.State.Paused:
		return errors.New("it is paused")
	}
	return Healthy(c)
}

// Commit removes the old container, never its volumes. It refuses unless the new one is alive as [Swapper.Alive] means it, and
// does nothing when the old one is gone already.
func (s *Swapper) Commit(ctx context.Context, swapped Swapped) error {
	err := s.Alive(ctx, swapped)
	if err != nil {
		return err
	}
	err = s.Writer.Remove(ctx, swapped.Old.ID, false)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
