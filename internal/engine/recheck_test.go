package engine_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
)

// A container that has crashed between the plan and its swap is judged by that: an undo asks no more of it than it does by itself.
func TestSwapTakesOverHowItRunsNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := func(run int) enginetest.Behavior {
			if run == 1 {
				return exitAfter(30 * time.Second)
			}
			return exitAfter(time.Second)
		}
		e, r := behaving(t, enginetest.Image{}, old, exitAfter(time.Second))
		if r.Old.RestartCount != 0 {
			t.Fatal("it has crashed before it was looked at")
		}
		<-time.After(20 * time.Second)
		var told engine.Swapped
		swapper := &engine.Swapper{Reader: e, Writer: e, APIVersion: engine.MinAPIVersion, Before: func(swapped engine.Swapped) error {
			told = swapped
			return nil
		}}
		swapped, err := swapper.Swap(t.Context(), r, pace)
		if failure, ok := errors.AsType[*engine.SwapError](err); !ok || failure.Stage != "wait" || failure.UndoErr != nil {
			t.Errorf("got %v, want a failed wait, undone", err)
		}
		for what, c := range map[string]engine.Container{"the record": told.Old, "the undo": swapped.Old} {
			recorded := decode(t, c.Raw)["RestartCount"]
			if c.RestartCount == 0 || c.State.StartedAt == r.Old.State.StartedAt || recorded != float64(c.RestartCount) {
				t.Errorf("%s knows of %d restarts, %v recorded, since %s", what, c.RestartCount, recorded, c.State.StartedAt)
			}
		}
	})
}

// What has ended because the container it lives in was swapped before did run.
func TestSwapKeepsHowAnOrphanRan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, parent := world(t)
		swapper, old, swapped := bereave(t, e, parent)
		sidecar := engine.Replacement{
			Old: old, Image: parent.Image, Env: []string{"A=2"}, Transaction: "tx", References: map[string]string{parent.Old.ID: swapped.NewID},
		}
		moved, err := swapper.Swap(t.Context(), sidecar, pace)
		if err != nil || !moved.Old.Running() {
			t.Errorf("error = %v; it ran before: %v", err, moved.Old.Running())
		}
	})
}
