package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/moby/moby/api/types/container"
)

// pollInterval is how often a waiting swap looks.
const pollInterval = 100 * time.Millisecond

// Pace says how long a started container is given.
type Pace struct {
	// StableFor is how long a container without a healthcheck must run without a restart.
	StableFor time.Duration
	// Timeout ends the wait, unless the healthcheck needs longer for its verdict; it must be longer than StableFor. Zero leaves it
	// to the context.
	Timeout time.Duration
	// OneShot takes exit code 0 for success. One that runs is as it should be all the same.
	OneShot bool
}

// What the engine takes for a healthcheck's interval, timeout and retries where they are zero.
const (
	defaultInterval    = 30 * time.Second
	defaultTestTimeout = 30 * time.Second
	defaultRetries     = 3
)

// Limit is how long the wait for a container may take: Timeout, or what its healthcheck needs to call it unhealthy, whichever is
// longer.
func (p Pace) Limit(c Container) time.Duration {
	if c.Config == nil || c.Config.Healthcheck == nil {
		return p.Timeout
	}
	check := c.Config.Healthcheck
	if len(check.Test) == 0 || check.Test[0] == "NONE" {
		return p.Timeout
	}
	interval, timeout := cmp.Or(check.Interval, defaultInterval), cmp.Or(check.Timeout, defaultTestTimeout)
	retries := cmp.Or(check.Retries, defaultRetries)
	return max(p.Timeout, check.StartPeriod+time.Duration(retries+1)*(interval+timeout))
}

// waitFor is what a wait is for.
type waitFor struct {
	pace Pace
	// limit ends the wait when pace.Timeout is not zero.
	limit time.Duration
	// health makes it wait for the healthcheck, where there is one.
	health bool
}

// wait returns nil when the container, just started, is as it should be: healthy, or, without a healthcheck, running for
// pace.StableFor without a restart. A one-shot may also end well. It fails at once when the container exits otherwise, restarts
// or becomes unhealthy.
func (s *Swapper) wait(ctx context.Context, id string, goal waitFor) error {
	if goal.pace.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, goal.limit, errWaitTimeout)
		defer cancel()
	}
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for begin, missed := time.Now(), 0; ; {
		c, seen := s.Reader.Inspect(ctx, id)
		if errors.Is(seen, ErrNotFound) {
			return seen
		}
		if seen == nil { // an answer that was lost is no news of the container: look again
			ready, err := goal.reached(c, time.Since(begin))
			runsAgain := c.Running() && c.RestartCount > 0
			if ready || err != nil && (!runsAgain || missed == endLooks) {
				return err
			}
			if runsAgain {
				missed++ // its next end tells the exit code of the one that was missed
			}
			seen = fmt.Errorf("container %q is %s", c.CleanName(), condition(c))
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
		if ctx.Err() != nil {
			return waitError(ctx, seen)
		}
	}
}

// endLooks bounds how often a container is looked at that runs again, to learn why it had ended.
const endLooks = 10

var errWaitTimeout = errors.New("out of time")

// waitError adds why the wait ended early, if it did.
func waitError(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// reached judges one look at the container after it was watched for a while.
func (w waitFor) reached(c Container, watched time.Duration) (bool, error) {
	switch {
	case c.State == nil:
		return false, fmt.Errorf("container %q has no state", c.CleanName())
	case c.RestartCount > 0 && c.Running():
		return false, fmt.Errorf("container %q has restarted by itself", c.CleanName()) // its exit code is not told any more
	case c.State.Restarting || c.RestartCount > 0:
		return false, fmt.Errorf("container %q restarts after exit code %d", c.CleanName(), c.State.ExitCode)
	case w.pace.OneShot && Succeeded(c):
		return true, nil
	case !c.State.Running:
		return false, fmt.Errorf("container %q exited with code %d", c.CleanName(), c.State.ExitCode)
	}
	if health := healthOf(c); w.health && health != "" {
		if health == container.Unhealthy {
			return false, fmt.Errorf("container %q is unhealthy", c.CleanName())
		}
		return health == container.Healthy, nil
	}
	return watched >= w.pace.StableFor, nil
}

// healthOf is "" without a healthcheck.
func healthOf(c Container) container.HealthStatus {
	if c.State == nil || c.State.Health == nil || c.State.Health.Status == container.NoHealthcheck {
		return ""
	}
	return c.State.Health.Status
}

// condition is a container's state in one word.
func condition(c Container) string {
	if c.State == nil {
		return "in an unknown state"
	}
	if health := healthOf(c); health != "" && c.Running() {
		return string(health)
	}
	return string(c.State.Status)
}
