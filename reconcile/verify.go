package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/probe"
	"github.com/composure-dev/composure/internal/redact"
	"github.com/composure-dev/composure/policy"
)

// retryEvery is the pause between two tries of a check.
const retryEvery = 500 * time.Millisecond

// healthyWithin bounds the healthy check after a swap, which has waited for health already: it only has to hold.
const healthyWithin = 10 * time.Second

// verifier runs the checks of policies. It holds a reader and a prober, so it can change nothing of the user's.
type verifier struct {
	reader   engine.Reader
	prober   engine.Prober
	redactor *redact.Redactor
	targets  map[string]string // the container to ask, by service
	patience time.Duration     // how long the healthy check may take, beyond healthyWithin
	watched  map[string]watch  // containers that the healthy check looks at, by id
}

// watch is what a container may have done and be healthy all the same.
type watch struct {
	restarts int  // so often it may have restarted by itself
	oneShot  bool // it may have ended with exit code 0
}

// wait tries a check until it passes or its time is up. The last failure is the one that is told.
func (v *verifier) wait(ctx context.Context, c policy.Check) (string, error) {
	limit := within(c, max(healthyWithin, v.patience))
	deadline, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(retryEvery)
	defer ticker.Stop()
	var last error
	for {
		detail, err := v.try(deadline, limit/2, c)
		if err == nil {
			return detail, nil
		}
		if last == nil || deadline.Err() == nil {
			last = err
		}
		select {
		case <-deadline.Done():
			if ctx.Err() != nil {
				return "", ctx.Err()
			}
			return "", fmt.Errorf("%w (tried for %s)", last, limit)
		case <-ticker.C:
		}
	}
}

// try is one of at least two within the limit: an answer that does not come must not use it up.
func (v *verifier) try(ctx context.Context, limit time.Duration, c policy.Check) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return v.once(ctx, c)
}

// once tries a check one time. The detail says what was seen; errors and details hold no secret.
func (v *verifier) once(ctx context.Context, c policy.Check) (string, error) {
	detail, err := v.dispatch(ctx, c)
	if err != nil {
		return "", errors.New(v.redactor.String(err.Error()))
	}
	return v.redactor.String(detail), nil
}

func (v *verifier) dispatch(ctx context.Context, c policy.Check) (string, error) {
	switch {
	case c.Healthy:
		return v.healthy(ctx)
	case c.Redis != nil:
		return v.redis(ctx, *c.Redis)
	case c.Log != nil:
		return v.log(ctx, *c.Log)
	case c.HTTP != nil:
		return v.http(ctx, *c.HTTP)
	default:
		return "", errors.New("this kind of check is not supported yet")
	}
}

func (v *verifier) healthy(ctx context.Context) (string, error) {
	for _, id := range slices.Sorted(maps.Keys(v.watched)) {
		c, err := v.reader.Inspect(ctx, id)
		if err != nil {
			return "", err
		}
		may := v.watched[id]
		if may.oneShot && engine.Succeeded(c) {
			continue
		}
		if err := engine.Healthy(c); err != nil {
			return "", fmt.Errorf("container %s: %w", c.CleanName(), err)
		}
		// One that crashes is caught running now and then.
		if c.RestartCount > may.restarts {
			return "", fmt.Errorf("container %s was restarted %d times", c.CleanName(), c.RestartCount-may.restarts)
		}
	}
	return fmt.Sprintf("%d of %d containers", len(v.watched), len(v.watched)), nil
}

func (v *verifier) redis(ctx context.Context, c policy.RedisCheck) (string, error) {
	target, err := v.target(ctx, c.Service)
	if err != nil {
		return "", err
	}
	url, err := policy.Expand(c.URL, target.Env())
	if err != nil {
		return "", fmt.Errorf("url: %w", err)
	}
	channel, err := policy.Expand(c.Channel, target.Env())
	if err != nil {
		return "", fmt.Errorf("channel: %w", err)
	}
	if c.Channel != "" && channel == "" {
		return "", fmt.Errorf("channel: %s is empty in the container", c.Channel)
	}
	result, err := v.ask(ctx, target, probe.Job{Redis: &probe.RedisJob{URL: url, Channel: channel}})
	if err != nil {
		return "", err
	}
	return judgeRedis(c, channel, result)
}

// ask has a probe ask from inside the target's network. What the probe itself calls an error is one.
func (v *verifier) ask(ctx context.Context, target engine.Container, question probe.Job) (probe.Result, error) {
	job, err := json.Marshal(question)
	if err != nil {
		return probe.Result{}, fmt.Errorf("encode the probe's job: %w", err)
	}
	answer, err := v.prober.Probe(ctx, target.ID, job)
	if err != nil {
		return probe.Result{}, err
	}
	var result probe.Result
	if err := json.Unmarshal(answer, &result); err != nil {
		return probe.Result{}, fmt.Errorf("decode the probe's answer: %w", err)
	}
	if result.Error != "" {
		return probe.Result{}, errors.New(result.Error)
	}
	return result, nil
}

func judgeRedis(c policy.RedisCheck, channel string, result probe.Result) (string, error) {
	if channel == "" {
		return "PONG", nil
	}
	if result.Subscribers < c.Subscribers {
		return "", fmt.Errorf("%s on %s, want at least %d", subscribers(result.Subscribers), channel, c.Subscribers)
	}
	return fmt.Sprintf("%s on %s", subscribers(result.Subscribers), channel), nil
}

func subscribers(n int64) string {
	if n == 1 {
		return "1 subscriber"
	}
	return fmt.Sprintf("%d subscribers", n)
}

func (v *verifier) http(ctx context.Context, c policy.HTTPCheck) (string, error) {
	target, err := v.target(ctx, c.Service)
	if err != nil {
		return "", err
	}
	url, err := policy.Expand(c.URL, target.Env())
	if err != nil {
		return "", fmt.Errorf("url: %w", err)
	}
	result, err := v.ask(ctx, target, probe.Job{HTTP: &probe.HTTPJob{URL: url, InsecureSkipVerify: c.InsecureSkipVerify}})
	if err != nil {
		return "", err
	}
	switch {
	case result.Status == c.Status:
		return fmt.Sprintf("status %d", result.Status), nil
	case result.Status/100 == 3:
		return "", fmt.Errorf("status %d, want %d: redirects are not followed", result.Status, c.Status)
	default:
		return "", fmt.Errorf("status %d, want %d", result.Status, c.Status)
	}
}

func (v *verifier) log(ctx context.Context, c policy.LogCheck) (string, error) {
	pattern, err := regexp.Compile(c.Pattern)
	if err != nil {
		return "", err
	}
	target, err := v.target(ctx, c.Service)
	if err != nil {
		return "", err
	}
	lines, err := v.reader.Logs(ctx, target.ID, target.RunSince(), -1)
	if err != nil {
		return "", err
	}
	defer lines.Close()
	line, found, err := probe.Match(lines, pattern)
	if err != nil {
		return "", err
	}
	if !found {
		return "", fmt.Errorf("no line matches %q since the container's start", c.Pattern)
	}
	if _, swapped := v.watched[target.ID]; !swapped {
		line += " (its container was not swapped)"
	}
	return line, nil
}

func (v *verifier) target(ctx context.Context, service string) (engine.Container, error) {
	id, found := v.targets[service]
	if !found {
		return engine.Container{}, fmt.Errorf("service %s has no running container to ask from", service)
	}
	return v.reader.Inspect(ctx, id)
}

// within is how long a check may take to pass.
func within(c policy.Check, fallback time.Duration) time.Duration {
	switch {
	case c.Redis != nil:
		return time.Duration(c.Redis.Within)
	case c.Log != nil:
		return time.Duration(c.Log.Within)
	case c.HTTP != nil:
		return time.Duration(c.HTTP.Within)
	default:
		return fallback
	}
}
