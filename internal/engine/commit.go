package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/moby/moby/api/types/container"
)

// Alive tells what keeps the new container from taking the old one's place for good, nil for nothing: it must have the name,
// run, have never restarted by itself and, with a healthcheck, be healthy. A one-shot may have ended with exit code 0.
func (s *Swapper) Alive(ctx context.Context, swapped Swapped) error {
	replacement, err := s.Reader.Inspect(ctx, swapped.NewID)
	if errors.Is(err, ErrNotFound) {
		// Not ErrNotFound: to a caller that means the old container.
		return fmt.Errorf("replacement of container %q is gone", swapped.Name())
	}
	if err != nil {
		return err
	}
	if err := alive(replacement, swapped); err != nil {
		return fmt.Errorf("replacement of container %q is not alive: %w", swapped.Name(), err)
	}
	return nil
}

func alive(c Container, swapped Swapped) error {
	switch {
	case c.Name != swapped.Old.Name:
		return fmt.Errorf("it is called %q", c.CleanName())
	case c.RestartCount > 0 && !swapped.Verified:
		return errors.New("it has restarted by itself")
	case c.State != nil && c.State.Paused:
		return errors.New("it is paused")
	case swapped.Pace.OneShot && Succeeded(c):
		return nil
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

// Settle ends a swap that was cut off and whose old container somebody has removed, when nothing is known of it from which it
// could be rebuilt: what the swap has made runs under the name, or is removed when the name belongs to somebody else's container.
// What runs is not removed for a container that does not: then the error is a *[TakenError].
//
// It returns ErrConflict when the old container is there: such a swap is undone or committed. It is for replacements that were
// proved, as the caller's record of the swap tells.
func (s *Swapper) Settle(ctx context.Context, swapped Swapped) error {
	_, err := s.Reader.Inspect(ctx, swapped.Old.ID)
	if err == nil {
		return fmt.Errorf("settle container %q: %w: the old one is there", swapped.Name(), ErrConflict)
	}
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	ours, err := s.replacements(ctx, swapped)
	if err != nil {
		return err
	}
	rebuilt, err := s.halfRebuilt(ctx, swapped)
	if err != nil {
		return err
	}
	ours = append(rebuilt, ours...) // an undo that has started what it rebuilt goes on
	if len(ours) == 0 {
		return nil
	}
	holder, err := s.Reader.Inspect(ctx, "/"+swapped.Name())
	if err == nil && !holds(ours, holder.ID) {
		if !holder.Running() {
			return &TakenError{Name: swapped.Name(), Holder: holder.ID, Err: ErrNotFound}
		}
		return s.stopAndRemove(ctx, ours, grace(ours[0]))
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return s.settleOn(ctx, ours[0], ours[1:], swapped)
}

// settleOn makes one container run under the name and removes the others.
func (s *Swapper) settleOn(ctx context.Context, c Container, others []Container, swapped Swapped) error {
	if err := s.stopAndRemove(ctx, others, grace(c)); err != nil {
		return err
	}
	if c.Name != swapped.Old.Name {
		if err := s.Writer.Rename(ctx, c.ID, swapped.Name()); err != nil {
			return err
		}
	}
	if err := s.restorePolicy(ctx, c, policyBefore(c)); err != nil {
		return err
	}
	if Healthy(c) == nil || swapped.Pace.OneShot && Succeeded(c) {
		return nil
	}
	if err := s.Writer.Start(ctx, c.ID); err != nil {
		return err
	}
	return s.wait(ctx, c.ID, waitFor{pace: swapped.Pace, limit: swapped.Pace.Limit(c), health: true})
}

// Succeeded holds for a container that has ended as a one-shot should, with exit code 0.
func Succeeded(c Container) bool {
	return c.State != nil && c.State.Status == container.StateExited && c.State.ExitCode == 0
}
