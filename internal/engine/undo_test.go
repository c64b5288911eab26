package engine_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/composure-dev/composure/internal/engine"
)

// stuckWriter cannot remove any container but the given one, as when a mount is busy.
type stuckWriter struct {
	engine.Writer
	removable string
}

func (w stuckWriter) Remove(ctx context.Context, id string, force bool) error {
	if id != w.removable {
		return errFault
	}
	return w.Writer.Remove(ctx, id, force)
}

// A replacement that stays behind is a nuisance; an original that stays down because of it is an outage.
func TestUndoRevivesTheOriginalBesideAReplacementThatCannotBeRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, r := world(t)
		swapper := &engine.Swapper{Reader: e, Writer: stuckWriter{e, r.Old.ID}, APIVersion: engine.MinAPIVersion}
		swapped, err := swapper.Swap(t.Context(), r, pace)
		if err != nil {
			t.Fatal(err)
		}
		if err := swapper.Undo(t.Context(), &swapped); !errors.Is(err, errFault) {
			t.Errorf("error = %v, want that something is left behind", err)
		}
		old, err := e.Inspect(t.Context(), r.Old.ID)
		if err != nil {
			t.Fatal(err)
		}
		if !old.Running() || old.Name != r.Old.Name {
			t.Errorf("the original is %s, called %s; want it running under its name", old.State.Status, old.Name)
		}
		left, err := e.Inspect(t.Context(), swapped.NewID)
		if err != nil || left.Running() {
			t.Errorf("the replacement is %v, %v; want it stopped", left.State, err)
		}
	})
}
