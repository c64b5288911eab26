package enginetest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"

	"github.com/composure-dev/composure/internal/engine"
)

// errDropped ends the subscriptions that a test broke.
var errDropped = &engine.UnreachableError{Host: "memory://", Cause: "the stream of events was cut off"}

// Summaries lists as a client does.
func (e *Engine) Summaries(ctx context.Context, labels ...string) ([]engine.Summary, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	found := make([]engine.Summary, 0, len(e.containers))
	for _, b := range e.containers {
		if !engine.HasLabels(b.Config.Labels, labels) {
			continue
		}
		e.settle(b)
		b.State = b.state(time.Now())
		summary := engine.Container{InspectResponse: b.InspectResponse}.Summary()
		summary.Labels = maps.Clone(summary.Labels)
		found = append(found, summary)
	}
	slices.SortFunc(found, func(a, b engine.Summary) int { return cmp.Compare(a.Name, b.Name) })
	return found, nil
}

// ID is the same for every engine in memory.
func (e *Engine) ID(ctx context.Context) (string, error) { return "in-memory", ctx.Err() }

// Subscribe gives what happens from now on until the context ends. From then on what falls due in a container is noticed at its time.
func (e *Engine) Subscribe(ctx context.Context) (*engine.Subscription, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	streaming, cancel := context.WithCancel(ctx)
	subscription, feed := engine.NewSubscription(cancel)
	context.AfterFunc(streaming, func() { feed.End(nil) })
	e.settleAll()
	e.feeds = append(e.feeds, feed)
	for _, b := range e.containers {
		e.expect(b)
	}
	return subscription, nil
}

// DropEvents breaks all subscriptions, as the end of an engine does.
func (e *Engine) DropEvents() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, feed := range e.feeds {
		feed.End(errDropped)
	}
	e.feeds = nil
}

// tell emits an event of a container.
func (e *Engine) tell(b *box, action events.Action, at time.Time) {
	e.emit(engine.Event{
		Type:    events.ContainerEventType,
		Action:  action,
		ID:      b.ID,
		Name:    strings.TrimPrefix(b.Name, "/"),
		Project: b.Config.Labels[engine.LabelProject],
		Service: b.Config.Labels[engine.LabelService],
		Role:    b.Config.Labels[engine.LabelRole],
		OneOff:  b.Config.Labels[engine.LabelOneoff] == "True",
		Time:    at,
	})
}

// emit never waits for a reader: one that is too slow loses its subscription.
func (e *Engine) emit(event engine.Event) {
	e.feeds = slices.DeleteFunc(e.feeds, func(feed *engine.Feed) bool { return !feed.Send(event) })
}

// tellHealth emits a verdict of the healthcheck that is another than the last one.
func (e *Engine) tellHealth(b *box, now time.Time) {
	if !b.running || len(b.last().behavior.Health) == 0 {
		return
	}
	verdict := healthAt(b.last().behavior.Health, now.Sub(b.last().began))
	if verdict != b.verdict && verdict != container.Starting {
		e.tell(b, events.ActionHealthStatus+events.Action(": "+verdict), now)
	}
	b.verdict = verdict
}

// expect has a container looked at when something next falls due in it. Without a subscription nobody is to be told.
func (e *Engine) expect(b *box) {
	if b.wake != nil {
		b.wake.Stop()
		b.wake = nil
	}
	if len(e.feeds) == 0 {
		return
	}
	next := b.nextDue(time.Now())
	if next.IsZero() {
		return
	}
	b.wake = time.AfterFunc(time.Until(next), func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.containers[b.ID] == b {
			e.settle(b)
		}
	})
}

// nextDue is when the container next changes by itself. Zero: never.
func (b *box) nextDue(now time.Time) time.Time {
	if !b.running {
		return b.restartAt
	}
	next, _ := b.nextEnd()
	for _, step := range b.last().behavior.Health {
		at := b.last().began.Add(step.After)
		if at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}
