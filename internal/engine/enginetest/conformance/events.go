package conformance

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"

	"github.com/composure-dev/composure/internal/engine"
)

// summary is what the list shows of a container.
func (f Fixture) summary(t *testing.T, id string) engine.Summary {
	t.Helper()
	list, err := f.Watcher.Summaries(t.Context())
	f.must(t, err)
	at := slices.IndexFunc(list, func(s engine.Summary) bool { return s.ID == id })
	if at < 0 {
		t.Fatalf("container %s is not listed", id)
	}
	return list[at]
}

// wantSummary looks for a while: the list may be behind.
func (f Fixture) wantSummary(t *testing.T, when string, id string) engine.Summary {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		want, got := f.inspect(t, id).Summary(), f.summary(t, id)
		if got.Equal(want) {
			return got
		}
		if ctx.Err() != nil {
			t.Fatalf("%s (-inspect +list):\n%s", when, cmp.Diff(want, got, cmpopts.EquateEmpty()))
		}
	}
}

func testSummaries(t *testing.T, f Fixture) {
	spec := f.spec("summary", ScriptHealth+"=ok")
	spec.Config.Healthcheck = healthcheck()
	c := f.create(t, spec)
	seen := []engine.Summary{f.wantSummary(t, "created", c.ID)}
	f.must(t, f.Writer.Start(t.Context(), c.ID))
	eventually(t, "health in the list", func() bool { return f.summary(t, c.ID).Health == container.Healthy })
	seen = append(seen, f.wantSummary(t, "running", c.ID))
	f.must(t, f.Writer.Rename(t.Context(), c.ID, spec.Name+"-renamed"))
	t.Cleanup(func() { _ = f.Writer.Remove(context.WithoutCancel(t.Context()), c.ID, true) })
	seen = append(seen, f.wantSummary(t, "renamed", c.ID))
	f.must(t, f.Writer.Stop(t.Context(), c.ID))
	seen = append(seen, f.wantSummary(t, "exited", c.ID))
	f.must(t, f.Writer.Start(t.Context(), c.ID))
	eventually(t, "health in the list", func() bool { return f.summary(t, c.ID).Health == container.Healthy })
	seen = append(seen, f.wantSummary(t, "started again", c.ID))
	if f.Pause != nil {
		f.must(t, f.Pause(t.Context(), c.ID))
		seen = append(seen, f.wantSummary(t, "paused", c.ID))
	}
	for i, one := range seen {
		for _, other := range seen[i+1:] {
			if one.Equal(other) {
				t.Errorf("two states look alike: %+v", one)
			}
		}
	}
	f.testSummaryLabels(t, c.ID)
}

func (f Fixture) testSummaryLabels(t *testing.T, id string) {
	t.Helper()
	second := f.create(t, f.spec("summary-a"))
	listed, err := f.Watcher.Summaries(t.Context(), engine.LabelProject+"="+f.Prefix, engine.LabelConfigHash)
	f.must(t, err)
	var ids []string
	for _, s := range listed {
		ids = append(ids, s.ID)
	}
	byName := func(a, b engine.Summary) int { return strings.Compare(a.Name, b.Name) }
	if !slices.Contains(ids, id) || !slices.Contains(ids, second.ID) || !slices.IsSortedFunc(listed, byName) {
		t.Errorf("by labels, sorted by name: got %+v", listed)
	}
	who, err := f.Watcher.ID(t.Context())
	f.must(t, err)
	if again, err := f.Watcher.ID(t.Context()); who == "" || again != who {
		t.Errorf("the engine is %q, and then %q: %v", who, again, err)
	}
	none, err := f.Watcher.Summaries(t.Context(), engine.LabelProject+"="+f.Prefix, engine.LabelProject+"=other")
	f.must(t, err)
	if len(none) > 0 {
		t.Error("a container that lacks one of the labels was listed")
	}
}

// subscribe ends with the test at the latest.
func (f Fixture) subscribe(t *testing.T) *engine.Subscription {
	t.Helper()
	subscription, err := f.Watcher.Subscribe(t.Context())
	f.must(t, err)
	t.Cleanup(subscription.Close)
	return subscription
}

// next waits for the next event of a container, or of what has the name.
func next(t *testing.T, from *engine.Subscription, of func(engine.Event) bool) engine.Event {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		select {
		case event, open := <-from.C():
			if !open {
				t.Fatalf("the events have ended: %v", from.Err())
			}
			if of(event) {
				return event
			}
		case <-limit.C:
			t.Fatalf("no event within %s", patience)
		}
	}
}

func (f Fixture) wantActions(t *testing.T, from *engine.Subscription, c engine.Container, want ...events.Action) {
	t.Helper()
	var got []events.Action
	for range want {
		event := next(t, from, func(e engine.Event) bool { return e.ID == c.ID })
		got = append(got, event.Action)
		if event.Type != events.ContainerEventType || event.Project != f.Prefix || event.Service != c.Label(engine.LabelService) || event.Role != "" {
			t.Errorf("got %+v", event)
		}
		if age := time.Since(event.Time); age < -patience || age > 6*patience {
			t.Errorf("the event is of %s", event.Time)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events of %s (-want +got):\n%s", c.CleanName(), diff)
	}
}

func testEvents(t *testing.T, f Fixture) {
	subscription := f.subscribe(t)
	spec := f.spec("events")
	c := f.create(t, spec)
	f.must(t, f.Writer.Start(t.Context(), c.ID))
	f.ready(t, c)
	f.must(t, f.Writer.SetRestartPolicy(t.Context(), c.ID, container.RestartPolicy{Name: container.RestartPolicyDisabled}))
	f.must(t, f.Writer.Stop(t.Context(), c.ID))
	f.must(t, f.Writer.Rename(t.Context(), c.ID, engine.KeptName(spec.Name)))
	f.must(t, f.Writer.Start(t.Context(), c.ID))
	f.must(t, f.Writer.Remove(t.Context(), c.ID, true))
	f.wantActions(t, subscription, c, events.ActionCreate, events.ActionStart, events.ActionUpdate, events.ActionDie, events.ActionStop,
		events.ActionRename, events.ActionStart, events.ActionDie, events.ActionDestroy)
	subscription.Close()
	wantEnd(t, subscription)

	ctx, cancel := context.WithCancel(t.Context())
	canceled, err := f.Watcher.Subscribe(ctx)
	f.must(t, err)
	cancel()
	wantEnd(t, canceled)
	_, err = f.Watcher.Subscribe(ctx)
	wantError(t, "subscribe after the end of the context", err, context.Canceled)
}

// wantEnd reads what is left of a subscription that was given up.
func wantEnd(t *testing.T, subscription *engine.Subscription) {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		select {
		case _, open := <-subscription.C():
			if open {
				continue
			}
			if err := subscription.Err(); err != nil {
				t.Errorf("a subscription that was given up ended with %v", err)
			}
			return
		case <-limit.C:
			t.Fatalf("the events did not end within %s", patience)
		}
	}
}

func testOwnEvents(t *testing.T, f Fixture) {
	subscription := f.subscribe(t)
	crashing := f.run(t, f.spec("events-crash", ScriptExit+"=3"))
	f.wantActions(t, subscription, crashing, events.ActionCreate, events.ActionStart, events.ActionDie, events.ActionStart, events.ActionDie)
	f.must(t, f.Writer.Remove(t.Context(), crashing.ID, true))

	spec := f.spec("events-health", ScriptHealth+"=ok")
	spec.Config.Healthcheck = healthcheck()
	checked := f.run(t, spec)
	f.wantActions(t, subscription, checked, events.ActionCreate, events.ActionStart, events.ActionHealthStatusHealthy)
}

// testNoGap acts right after subscribing.
func testNoGap(t *testing.T, f Fixture) {
	spec := f.spec("gap")
	c := f.create(t, spec)
	for range 10 {
		for _, name := range []string{engine.KeptName(spec.Name), spec.Name} {
			subscription := f.subscribe(t)
			f.must(t, f.Writer.Rename(t.Context(), c.ID, name))
			next(t, subscription, func(e engine.Event) bool { return e.ID == c.ID && e.Action == events.ActionRename && e.Name == name })
			subscription.Close()
		}
	}
}
