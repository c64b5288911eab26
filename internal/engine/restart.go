package engine

import (
	"context"
	"errors"
)

// Restart stops and starts a running container and waits until it is as it should be: one that docker compose restarts with
// another. It refuses one that was stopped, paused or renamed since c was observed.
//
// A canceled ctx ends the wait, but leaves no container stopped.
func (s *Swapper) Restart(ctx context.Context, c Container, pace Pace) error {
	if _, err := s.recheck(ctx, c, up); err != nil {
		return err
	}
	if err := s.stopAndStart(ctx, c); err != nil {
		// One lost answer must not leave it down.
		if again := s.stopAndStart(ctx, c); again != nil {
			return errors.Join(err, again)
		}
	}
	return s.wait(ctx, c.ID, waitFor{pace: pace, limit: pace.Limit(c), health: true})
}

// RestartAgain restarts a container that an earlier restart was cut off at, or failed with: it may be running, ending, or stopped.
func (s *Swapper) RestartAgain(ctx context.Context, c Container, pace Pace) error {
	if err := s.stopAndStart(ctx, c); err != nil {
		return err
	}
	return s.wait(ctx, c.ID, waitFor{pace: pace, limit: pace.Limit(c), health: true})
}

func (s *Swapper) stopAndStart(ctx context.Context, c Container) error {
	return write(ctx, grace(c), func(ctx context.Context) error {
		if err := s.Writer.Stop(ctx, c.ID); err != nil {
			return err
		}
		return s.Writer.Start(ctx, c.ID)
	})
}
