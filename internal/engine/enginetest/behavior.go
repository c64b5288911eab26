package enginetest

import (
	"slices"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"

	"github.com/composure-dev/composure/internal/engine"
)

// Program is what an image runs: what it does over time, given its environment.
type Program func(env map[string]string) Behavior

// Behavior is what a container does after each start. The zero value runs silently until it is stopped.
type Behavior struct {
	Exit   *Exit
	Health []Health // the first one after "starting"; empty without a healthcheck
	Logs   []Log
	// StopAfter is how long it takes to end when told to; beyond the container's grace it is killed.
	StopAfter time.Duration
}

// Exit is an end of the program's own.
type Exit struct {
	After time.Duration
	Code  int
}

// Health is a verdict of the healthcheck from some time after the start on.
type Health struct {
	After  time.Duration
	Status container.HealthStatus
}

// Log is a line that the program prints some time after its start.
type Log struct {
	After time.Duration
	Text  string
}

const (
	defaultGrace = 10 * time.Second
	killedCode   = 137
	// The engine restarts after 100 ms, then twice as long each time, and forgives after 10 s.
	firstBackoff   = 100 * time.Millisecond
	longestBackoff = time.Minute
	forgivenAfter  = 10 * time.Second
)

// box is a container: its inspect answer, and its runs over time.
type box struct {
	container.InspectResponse
	layer     files                           // what was written beside the volumes
	links     []link                          // on the default bridge
	macs      map[string]network.HardwareAddr // that were asked for, by network
	program   Program
	runs      []run
	running   bool
	restartAt time.Time // of a container between two runs
	backoff   time.Duration
	stopping  bool
	stopAt    time.Time // when the run ends that was told to stop; zero when none was
	stopCode  int
	verdict   container.HealthStatus // that was last told
	wake      *time.Timer            // when something falls due, while there is a subscription
}

type run struct {
	began    time.Time
	ended    time.Time // zero while it runs
	code     int
	behavior Behavior
}

func (b *box) last() *run {
	if len(b.runs) == 0 {
		return nil
	}
	return &b.runs[len(b.runs)-1]
}

func (e *Engine) begin(b *box, at time.Time) {
	var behavior Behavior
	if b.program != nil {
		behavior = b.program(plainEnv(b.Config.Env))
	}
	b.runs = append(b.runs, run{began: at, behavior: behavior})
	b.running, b.restartAt, b.stopAt, b.verdict = true, time.Time{}, time.Time{}, ""
	e.tell(b, events.ActionStart, at)
	e.expect(b)
}

// plainEnv is what the process sees: a bare key is unset.
func plainEnv(entries []string) map[string]string {
	env := make(map[string]string)
	for key, value := range engine.EnvMap(entries) {
		if value != nil {
			env[key] = *value
		}
	}
	return env
}

func (e *Engine) settleAll() {
	for _, b := range e.containers {
		e.settle(b)
	}
}

// settle brings a container up to now: exits that fell due, and the restarts after them.
func (e *Engine) settle(b *box) {
	now := time.Now()
	e.advance(b, now)
	e.tellHealth(b, now)
	e.expect(b)
}

func (e *Engine) advance(b *box, now time.Time) {
	for {
		if !b.restartAt.IsZero() && !now.Before(b.restartAt) {
			if e.join(b) != nil {
				b.restartAt = time.Time{} // the engine does not try again
				e.tell(b, events.ActionDie, now)
				return
			}
			b.RestartCount++
			e.assignAll(b)
			e.begin(b, b.restartAt)
		}
		due, code := b.nextEnd()
		if !b.running || due.IsZero() || now.Before(due) {
			return
		}
		e.end(b, due, code)
		if !b.restarts(code) {
			return
		}
		b.restartAt = due.Add(b.nextBackoff())
		if now.Before(b.restartAt) {
			return
		}
	}
}

// nextEnd is when and how the present run ends: by itself, or because it was told to. Zero: not yet to be told.
func (b *box) nextEnd() (time.Time, int) {
	last := b.last()
	if last == nil || last.behavior.Exit == nil {
		return b.stopAt, b.stopCode
	}
	own := last.began.Add(last.behavior.Exit.After)
	if !b.stopAt.IsZero() && b.stopAt.Before(own) {
		return b.stopAt, b.stopCode
	}
	return own, last.behavior.Exit.Code
}

// end closes the present run and gives the addresses back.
func (e *Engine) end(b *box, at time.Time, code int) {
	b.last().ended, b.last().code = at, code
	b.running = false
	e.release(b)
	e.tell(b, events.ActionDie, at)
	if b.stopping {
		e.tell(b, events.ActionStop, at)
	}
	e.killSharers(b, at)
}

// killSharers ends those that have their processes in the namespace of a container whose process 1 is gone.
func (e *Engine) killSharers(b *box, at time.Time) {
	for _, other := range e.containers {
		if mode := other.HostConfig.PidMode; !other.running || !mode.IsContainer() {
			continue
		}
		if parent, err := e.lookup(other.HostConfig.PidMode.Container()); err == nil && parent == b {
			other.stopAt, other.stopCode = at, killedCode
			e.expect(other)
		}
	}
}

func (b *box) restarts(code int) bool {
	policy := b.HostConfig.RestartPolicy
	switch policy.Name {
	case container.RestartPolicyAlways, container.RestartPolicyUnlessStopped:
		return !b.stopping
	case container.RestartPolicyOnFailure:
		return !b.stopping && code != 0 && (policy.MaximumRetryCount == 0 || b.RestartCount < policy.MaximumRetryCount)
	}
	return false
}

func (b *box) nextBackoff() time.Duration {
	ended := b.last()
	if b.backoff == 0 || ended.ended.Sub(ended.began) > forgivenAfter {
		b.backoff = firstBackoff
		return b.backoff
	}
	b.backoff = min(2*b.backoff, longestBackoff)
	return b.backoff
}

func (b *box) state(now time.Time) *container.State {
	state := &container.State{Status: container.StateCreated, StartedAt: stamp(time.Time{}), FinishedAt: stamp(time.Time{})}
	last := b.last()
	if last == nil {
		return state
	}
	state.StartedAt, state.FinishedAt, state.ExitCode = stamp(last.began), stamp(last.ended), last.code
	switch {
	case !b.restartAt.IsZero():
		state.Status, state.Running, state.Restarting = container.StateRestarting, true, true
	case b.running:
		state.Status, state.Running, state.Pid = container.StateRunning, true, 1000+len(b.runs)
		state.FinishedAt = stamp(b.previousEnd())
	default:
		state.Status = container.StateExited
	}
	if health := last.behavior.Health; len(health) > 0 {
		state.Health = &container.Health{Status: container.Unhealthy} // what has ended is that, whatever it was
		if b.running {
			state.Health.Status = healthAt(health, now.Sub(last.began))
		}
	}
	return state
}

func (b *box) previousEnd() time.Time {
	if len(b.runs) < 2 {
		return time.Time{}
	}
	return b.runs[len(b.runs)-2].ended
}

func healthAt(steps []Health, since time.Duration) container.HealthStatus {
	status := container.Starting
	for _, step := range steps {
		if since >= step.After {
			status = step.Status
		}
	}
	return status
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// logs are the lines printed by all runs in [since, now].
func (b *box) logs(since, now time.Time) []string {
	var lines []string
	for _, each := range b.runs {
		end := now
		if !each.ended.IsZero() {
			end = each.ended
		}
		ordered := slices.SortedStableFunc(slices.Values(each.behavior.Logs), func(a, b Log) int { return int(a.After - b.After) })
		for _, line := range ordered {
			at := each.began.Add(line.After)
			if !at.Before(since) && !at.After(end) {
				lines = append(lines, line.Text+"\n")
			}
		}
	}
	return lines
}
