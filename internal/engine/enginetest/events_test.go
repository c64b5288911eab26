package enginetest_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
)

// crashing is an engine with one container that exits after a minute and is restarted for ever.
func crashing(t *testing.T) *enginetest.Engine {
	t.Helper()
	e := enginetest.New(enginetest.Options{})
	e.AddImage(enginetest.Image{Name: "shop:1", Program: func(map[string]string) enginetest.Behavior {
		return enginetest.Behavior{
			Exit:   &enginetest.Exit{After: time.Minute, Code: 1},
			Health: []enginetest.Health{{After: time.Second, Status: container.Healthy}, {After: 30 * time.Second, Status: container.Unhealthy}},
		}
	}})
	_, err := e.AddService(t.Context(), enginetest.Service{Project: "shop", Name: "web", Image: "shop:1", Edit: func(spec *engine.Spec) {
		spec.Host.RestartPolicy.Name = container.RestartPolicyAlways
	}})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEventsComeAtTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := crashing(t)
		begin := time.Now()
		subscription, err := e.Subscribe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := []struct {
			action events.Action
			after  time.Duration
		}{
			{"health_status: healthy", time.Second},
			{"health_status: unhealthy", 30 * time.Second},
			{"die", time.Minute},
			{"start", time.Minute + 100*time.Millisecond},
			{"health_status: healthy", time.Minute + 1100*time.Millisecond},
		}
		for _, w := range want {
			event := <-subscription.C()
			if event.Action != w.action || event.Time.Sub(begin) != w.after || time.Since(begin) != w.after {
				t.Errorf("got %s of %s at %s, want %s at %s", event.Action, event.Time.Sub(begin), time.Since(begin), w.action, w.after)
			}
			if event.Project != "shop" || event.Service != "web" || event.Name != "shop-web-1" {
				t.Errorf("got %+v", event)
			}
		}
	})
}

func TestDropEvents(t *testing.T) {
	e := crashing(t)
	first, err := e.Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e.DropEvents()
	if _, open := <-first.C(); open || !errors.Is(first.Err(), engine.ErrUnreachable) {
		t.Errorf("got %v", first.Err())
	}
	second, err := e.Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id := e.AddImage(enginetest.Image{Name: "shop:2"})
	if event := <-second.C(); event.Type != events.ImageEventType || event.Action != events.ActionTag || event.ID != id {
		t.Errorf("got %+v", event)
	}
}

func TestSlowReaderLosesItsEvents(t *testing.T) {
	e := crashing(t)
	slow, err := e.Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 5000 {
		e.AddImage(enginetest.Image{Name: "shop:2"})
	}
	if !errors.Is(slow.Err(), engine.ErrEventsLost) {
		t.Errorf("got %v", slow.Err())
	}
}
