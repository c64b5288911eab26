package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/moby/moby/api/types/container"
)

// writeTimeout bounds one write of a swap, which no cancellation cuts short; a stop has the container's grace on top of it.
const writeTimeout = 2 * time.Minute

// Swapper replaces running containers one at a time. The old container is kept, stopped, until Commit, so that Undo can put the
// very same one back.
type Swapper struct {
	Reader     Reader
	Writer     Writer
	APIVersion string // as negotiated: [Info.APIVersion]
	// Before, when set, is told of a swap once its replacement is proved, before the first write to the old container. Its error
	// ends the swap with nothing touched.
	Before func(Swapped) error
}

// Swapped is a swap that can be undone or committed. It can be undone from any stage on.
type Swapped struct {
	Old         Container // as it ran before the swap, with its restart policy; without Config when it is gone and only its name and id are known
	NewID       string
	Transaction string
	Pace        Pace
	// Injected are the files that a container rebuilt in an undo gets from the new one.
	Injected []string
	// Moved tells an undo which containers are in the place of others that are gone, by full id: one that lives in a namespace of
	// such a container, or uses its volumes, is rebuilt.
	Moved map[string]string
	// Touched is set before the first write to the old container. Until then an undo leaves it to whoever is at it.
	Touched bool
	// Stopped is set before the old container is asked to stop. From then on it may end at any time, whatever was answered and
	// however it looks.
	Stopped bool
	// RanFor is how long the old container had run by itself when its replacement was created, by the engine's clock. Zero: not known.
	RanFor time.Duration
	// Verified says that an earlier run has checked everything: that the new container has restarted since says nothing any more.
	Verified bool
	// Inferred is set when Old was read after the swap had begun: how it ran before is not known.
	Inferred bool
	// Restarted is set once an undo has started the old container again: a further undo only waits for it.
	Restarted bool
	// Vanished is set when somebody has removed the old container during the swap, which went on without it.
	Vanished bool
	// Rebuilt is the full id of the container that an undo has made in the place of an old one that was gone.
	Rebuilt string
	// TakenDown is set by an undo that found nothing of the project left, which makes nothing again.
	TakenDown bool
}

// Name is the name that the old container had and the new one has after the swap.
func (s Swapped) Name() string { return s.Old.CleanName() }

// KeptCrashing reports whether the old container was in a crash loop before the swap: it is as before once it is started. One that
// has crashed and then run well, for as long as is asked of a new one, was not.
func (s Swapped) KeptCrashing() bool {
	switch {
	case s.Old.State == nil:
		return false
	case s.Old.State.Restarting:
		return true
	case s.Old.RestartCount == 0 || healthOf(s.Old) == container.Healthy:
		return false
	}
	return 0 < s.RanFor && s.RanFor < s.Pace.StableFor
}

// ranFor is how long a container had run when another one was created.
func ranFor(c, created Container) time.Duration {
	if c.State == nil {
		return 0
	}
	began, err := time.Parse(time.RFC3339Nano, c.State.StartedAt)
	until, badTime := time.Parse(time.RFC3339Nano, created.Created)
	if err != nil || badTime != nil {
		return 0
	}
	return max(1, until.Sub(began)) // one that was started again meanwhile has run for no time
}

// SwapError is a swap that failed and was undone, or was to be undone.
type SwapError struct {
	Stage string // create, inject, prove, recheck, record, update, stop, start, wait or rename: what failed, or was not begun any more
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
	name        string    // what the replacement is called until it has proved itself
	source      string    // id of the container that has the injected files
	created     Container // the replacement as it was proved
	swapped     Swapped
}

// Swap replaces r.Old and waits until the replacement is as it should be. A failure at any stage, a canceled ctx included, is
// undone before Swap returns, and is a *[SwapError]. The old container is stopped only after the new one has been proved equal.
//
// A canceled ctx ends a wait, and a swap between two stages, but never a write: the engine would go on with it unseen. When
// the undo failed as well, it can be tried again with the Swapped that is returned beside the error.
func (s *Swapper) Swap(ctx context.Context, r Replacement, pace Pace) (Swapped, error) {
	run := &swap{Swapper: s, replacement: r, name: TempName(r.Old.CleanName()), source: r.Old.ID, swapped: Swapped{
		Old: r.Old, Transaction: r.Transaction, Pace: pace, Injected: r.Injected,
	}}
	for _, stage := range run.stages() {
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

type stage struct {
	name string
	do   func(context.Context) error
}

func (s *swap) stages() []stage {
	stop, start, wait := stage{"stop", s.stop}, stage{"start", s.start}, stage{"wait", s.wait}
	change := []stage{stop, start, wait}
	if s.replacement.StartFirst {
		change = []stage{start, wait, stop}
	}
	prepare := []stage{
		{"create", s.create}, {"inject", s.inject}, {"prove", s.prove}, {"recheck", s.recheck}, {"record", s.record}, {"update", s.update},
	}
	return slices.Concat(prepare, change, []stage{{"rename", s.rename}})
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
	spec.Name = s.name
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
	s.created = created
	if differences := Prove(s.swapped.Old, created, s.replacement); len(differences) > 0 {
		return &ProofError{Differences: differences}
	}
	return nil
}

// recheck looks once more before the first write: somebody else may have been at the container since it was observed, and what he
// has changed would be lost. An undo judges by how it runs now; only what lives in a container that was stopped for the swap before
// may have ended for that, and ran before as it was observed.
func (s *swap) recheck(ctx context.Context) error {
	orphaned := RefersToAny(s.swapped.Old, s.replacement.References)
	now, err := s.Swapper.recheck(ctx, s.swapped.Old, func(now Container) bool { return up(now) || orphaned })
	if err != nil {
		return err
	}
	if differences := changedSince(now, s.created, s.replacement); len(differences) > 0 {
		return &ChangedError{Name: now.CleanName(), Differences: differences}
	}
	if !orphaned {
		s.swapped.Old = now
	}
	s.swapped.RanFor = ranFor(s.swapped.Old, s.created)
	return nil
}

// recheck takes a container that keeps crashing for one that is there all the same, and returns it as it is now.
func (s *Swapper) recheck(ctx context.Context, old Container, fit func(Container) bool) (Container, error) {
	now, err := s.Reader.Inspect(ctx, old.ID)
	if err != nil {
		return Container{}, err
	}
	if now.Name != old.Name {
		return Container{}, fmt.Errorf("container %q is now called %q", old.CleanName(), now.CleanName())
	}
	if now.State == nil || now.State.Paused || !fit(now) {
		return Container{}, fmt.Errorf("container %q is %s", old.CleanName(), condition(now))
	}
	return now, nil
}

func (s *swap) record(context.Context) error {
	if s.Before == nil {
		return nil
	}
	return s.Before(s.swapped)
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
	return s.Swapper.wait(ctx, s.swapped.NewID, waitFor{pace: s.swapped.Pace, limit: s.swapped.Pace.Limit(s.swapped.Old), health: true})
}

// rename also gives the name to the replacement of a container that somebody has removed meanwhile: it is the only one there is.
func (s *swap) rename(ctx context.Context) error {
	name := s.swapped.Name()
	return write(ctx, 0, func(ctx context.Context) error {
		err := s.Writer.Rename(ctx, s.swapped.Old.ID, KeptName(name))
		if errors.Is(err, ErrNotFound) {
			s.swapped.Vanished, err = true, nil
		}
		if err != nil {
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
