package view_test

import (
	"context"
	"testing"

	"github.com/moby/moby/api/types/events"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/view"
)

// late is an engine that tells of a change when an answer is on its way that does not have it yet.
type late struct {
	*counted
	meanwhile func()
}

func (l *late) Inspect(ctx context.Context, id string) (engine.Container, error) {
	c, err := l.counted.Inspect(ctx, id)
	if meanwhile := l.meanwhile; meanwhile != nil {
		l.meanwhile = nil
		meanwhile()
	}
	return c, err
}

// What is told of while an answer is on its way is read after it: the next look sees it, and no list has to come first.
func TestWhatChangesDuringAnInspectIsSeenByTheNextLook(t *testing.T) {
	tests := map[string]struct {
		reason string
		read   func(*testing.T, *view.View)
	}{
		"Look": {"a look has asked", func(t *testing.T, v *view.View) { ids(t, v.Reader("one")) }},
		"Sync": {"a resync has asked", func(t *testing.T, v *view.View) { sync(t, v) }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e, _ := open(t)
			slow := &late{counted: e}
			v := view.New(slow)
			sync(t, v)
			id := ids(t, v.Reader("one"))[0][len("one-app-1 "):]
			event := engine.Event{Type: events.ContainerEventType, Action: events.ActionStop, ID: id, Project: "one"}
			v.Note(event)
			slow.meanwhile = func() {
				if err := e.Stop(t.Context(), id); err != nil {
					t.Error(err)
				}
				v.Note(event)
			}
			tc.read(t, v)
			list, err := v.Reader("one").List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range list {
				if c.ID == id && c.Running() {
					t.Errorf("%s: it is remembered as it was before", tc.reason)
				}
			}
		})
	}
}
