package engine_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
)

// survive runs something that may die at a call to the engine. All that it held is lost.
func survive(t *testing.T, do func()) (died bool) {
	t.Helper()
	defer func() {
		if cause := recover(); cause != nil {
			if err, ok := cause.(error); !ok || !errors.Is(err, errFault) {
				panic(cause)
			}
			died = true
		}
	}()
	do()
	return false
}

// interrupted are the swaps that a new run finds, as it would go on with them.
func (s scenario) interrupted(t *testing.T, e *enginetest.Engine) []engine.Swapped {
	t.Helper()
	found := engine.Interrupted(listed(t, e))
	for i := range found {
		found[i].Pace = s.pace()
	}
	wantConsistent(t, listed(t, e), found)
	return found
}

// wantConsistent holds the two tellers of what was cut off to one story.
func wantConsistent(t *testing.T, all []engine.Container, found []engine.Swapped) {
	t.Helper()
	if leftovers := engine.Unfinished(all); (len(leftovers) > 0) != (len(found) > 0) {
		t.Errorf("%d swaps were interrupted, and the leftovers are %+v", len(found), leftovers)
	}
}

// undoAll undoes what a new run finds.
func (s scenario) undoAll(t *testing.T, e *enginetest.Engine, writer *faultyWriter) {
	t.Helper()
	swapper := s.swapper(t, e, writer)
	for _, swapped := range s.interrupted(t, e) {
		if err := swapper.Undo(t.Context(), &swapped); err != nil {
			t.Errorf("undo: %v", err)
		}
	}
}

func TestInterruptedSwapIsUndone(t *testing.T) {
	eachFault(t, func(t *testing.T, s scenario, failAt int, after bool) bool {
		e, r := s.start(t)
		writer := &faultyWriter{failAt: failAt, after: after, crash: true}
		died := survive(t, func() { _, _ = s.swapper(t, e, writer).Swap(t.Context(), r, s.pace()) })
		s.undoAll(t, e, &faultyWriter{})
		wantRestored(t, e, r.Old)
		return died
	})
}

// Undoing what was cut off may be cut off as well.
func TestInterruptedUndoIsUndone(t *testing.T) {
	for _, afterFirst := range []bool{false, true} {
		for first, more := 1, true; more; first++ {
			eachFault(t, func(t *testing.T, s scenario, failAt int, after bool) bool {
				if s.oneShot || s.policy == container.RestartPolicyDisabled {
					return false // they differ in nothing that a second death could meet, and every pair takes its time
				}
				e, r := s.start(t)
				writer := &faultyWriter{failAt: first, after: afterFirst, crash: true}
				more = survive(t, func() { _, _ = s.swapper(t, e, writer).Swap(t.Context(), r, s.pace()) })
				died := survive(t, func() { s.undoAll(t, e, &faultyWriter{failAt: failAt, after: after, crash: true}) })
				s.undoAll(t, e, &faultyWriter{})
				wantRestored(t, e, r.Old)
				return died
			})
		}
	}
}

func TestInterruptedCommitIsCommitted(t *testing.T) {
	eachFault(t, func(t *testing.T, s scenario, failAt int, after bool) bool {
		e, swapped := s.swapped(t)
		writer := &faultyWriter{failAt: failAt, after: after, crash: true}
		died := survive(t, func() { _ = s.swapper(t, e, writer).Commit(t.Context(), swapped) })
		if got, want := engine.Committed(listed(t, e), "tx"), !died || after; got != want {
			t.Errorf("committed = %t, want %t", got, want)
		}
		for _, found := range s.interrupted(t, e) {
			if err := s.swapper(t, e, &faultyWriter{}).Commit(t.Context(), found); err != nil {
				t.Errorf("commit: %v", err)
			}
		}
		s.wantAfter(t, e, swapped.Old)
		if !engine.Committed(listed(t, e), "tx") || engine.Committed(listed(t, e), "other") {
			t.Error("the wrong transaction is taken for committed")
		}
		return died
	})
}

// Somebody removes the old container of a swap that was cut off, and nothing is known of it.
func TestInterruptedSwapIsSettled(t *testing.T) {
	eachFault(t, func(t *testing.T, s scenario, failAt int, after bool) bool {
		e, r := s.start(t)
		writer := &faultyWriter{failAt: failAt, after: after, crash: true}
		died := survive(t, func() { _, _ = s.swapper(t, e, writer).Swap(t.Context(), r, s.pace()) })
		if err := e.Remove(t.Context(), r.Old.ID, true); err != nil {
			t.Fatal(err)
		}
		if len(listed(t, e)) == 0 {
			return died
		}
		for _, swapped := range s.interrupted(t, e) {
			if err := s.swapper(t, e, &faultyWriter{}).Undo(t.Context(), &swapped); !errors.Is(err, engine.ErrNotFound) {
				t.Errorf("undo without knowledge of the old one: %v", err)
			}
			if err := s.swapper(t, e, &faultyWriter{}).Settle(t.Context(), swapped); err != nil {
				t.Errorf("settle: %v", err)
			}
		}
		s.wantAfter(t, e, r.Old)
		return died
	})
}

// The same, and docker compose has made another one: what the swap has made is too many.
func TestInterruptedSwapMakesRoom(t *testing.T) {
	ends := map[string]func(*engine.Swapper, context.Context, engine.Swapped, engine.Container) error{
		"Settle": func(s *engine.Swapper, ctx context.Context, swapped engine.Swapped, _ engine.Container) error {
			return s.Settle(ctx, swapped)
		},
		"Undo": func(s *engine.Swapper, ctx context.Context, swapped engine.Swapped, old engine.Container) error {
			swapped.Old = old
			err := s.Undo(ctx, &swapped)
			if _, taken := errors.AsType[*engine.TakenError](err); taken && errors.Is(err, engine.ErrNotFound) {
				return nil
			}
			return errors.Join(errors.New("the name is not said to be taken"), err)
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			eachFault(t, func(t *testing.T, s scenario, failAt int, after bool) bool {
				e, r := s.start(t)
				writer := &faultyWriter{failAt: failAt, after: after, crash: true}
				died := survive(t, func() { _, _ = s.swapper(t, e, writer).Swap(t.Context(), r, s.pace()) })
				if holder, err := e.Inspect(t.Context(), r.Old.Name); err != nil || holder.ID != r.Old.ID {
					return died // it would be the old one, put aside, that is too many
				}
				if err := e.Recreate(t.Context(), "shop-web-1"); err != nil {
					t.Fatal(err)
				}
				made := others(t, e, engine.TempName("shop-web-1"))
				for _, swapped := range s.interrupted(t, e) {
					if err := end(&engine.Swapper{Reader: e, Writer: e}, t.Context(), swapped, r.Old); err != nil {
						t.Error(err)
					}
				}
				if diff := cmp.Diff(made, others(t, e, "")); diff != "" {
					t.Errorf("containers (-want +got):\n%s", diff)
				}
				return died
			})
		})
	}
}

// The name is free for a moment when it goes from the old container to the new one.
func TestUndoLeavesATakenName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, swapped := scenarios()["StopFirst"].swapped(t)
		if err := e.Rename(t.Context(), swapped.NewID, engine.TempName("shop-web-1")); err != nil {
			t.Fatal(err)
		}
		stranger, err := e.AddService(t.Context(), enginetest.Service{Project: "shop", Name: "web", Image: "web:1"})
		if err != nil {
			t.Fatal(err)
		}
		err = (&engine.Swapper{Reader: e, Writer: e}).Undo(t.Context(), &swapped)
		taken, ok := errors.AsType[*engine.TakenError](err)
		if !ok || taken.Holder != stranger.ID || !errors.Is(err, engine.ErrConflict) {
			t.Errorf("got %v, want that %s has the name", err, stranger.ID)
		}
		want := []string{stranger.Name, "/" + engine.KeptName("shop-web-1")}
		var got []string
		for _, c := range listed(t, e) {
			got = append(got, c.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the replacement runs beside the stranger (-want +got):\n%s", diff)
		}
	})
}

func TestInterruptedTellsTheOldContainer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, r := scenarios()["StopFirst"].start(t)
		writer := &faultyWriter{Writer: e, failAt: 3, after: true, crash: true} // in the stop
		survive(t, func() {
			_, _ = (&engine.Swapper{Reader: e, Writer: writer, APIVersion: engine.MinAPIVersion}).Swap(t.Context(), r, pace)
		})
		found := engine.Interrupted(listed(t, e))
		if len(found) != 1 {
			t.Fatalf("%d swaps were interrupted, want one", len(found))
		}
		got := found[0]
		if !got.Touched || !got.Stopped || got.Transaction != "tx" || got.Old.Name != r.Old.Name {
			t.Errorf("touched %t, stopped %t, transaction %q, name %q", got.Touched, got.Stopped, got.Transaction, got.Old.Name)
		}
		if diff := cmp.Diff(r.Old.HostConfig.RestartPolicy, got.Old.HostConfig.RestartPolicy); diff != "" {
			t.Errorf("restart policy (-want +got):\n%s", diff)
		}
		created, err := e.Inspect(t.Context(), got.NewID)
		if err != nil {
			t.Fatal(err)
		}
		if differences := engine.Prove(got.Old, created, r); len(differences) > 0 {
			t.Errorf("what a rebuild would be proved by differs: %+v", differences)
		}
	})
}

// A container whose replacement is gone is put back: an undo was cut off while it had to remove that first.
func TestInterruptedKeptAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scenarios()["StopFirstNoPolicy"]
		e, swapped := s.swapped(t)
		if err := e.Remove(t.Context(), swapped.NewID, true); err != nil {
			t.Fatal(err)
		}
		s.undoAll(t, e, &faultyWriter{})
		wantRestored(t, e, swapped.Old)
	})
}

func TestInterruptedNamesParentsFirst(t *testing.T) {
	parentOld, parentNew := "b"+oldID[1:], "d"+newID[1:]
	dependentOld, dependentNew := named(oldID, "a", "always", ""), named(newID, "a.composure-new", "always", oldID)
	dependentOld.HostConfig.NetworkMode = container.NetworkMode("container:" + parentOld)
	dependentNew.HostConfig.NetworkMode = container.NetworkMode("container:" + parentNew)
	kept, parent := named(parentOld, "b.composure-old", "no", ""), named(parentNew, "b", "always", parentOld)
	tests := map[string]struct {
		reason     string
		containers []engine.Container
	}{
		"Both":      {"the old dependent cannot start without the old parent", []engine.Container{dependentOld, dependentNew, kept, parent}},
		"OldIsGone": {"what the new one refers to is all that is left to tell", []engine.Container{dependentNew, kept, parent}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, swapped := range engine.Interrupted(tc.containers) {
				got = append(got, swapped.Name())
			}
			if want := []string{"b", "a"}; !slices.Equal(got, want) {
				t.Errorf("%s: got %q, want %q", tc.reason, got, want)
			}
		})
	}
}

// Replicas go one by one: what the crash has left stopped is not to wait while another one is stopped as well.
func TestUndoOrderBeginsWithWhatIsDown(t *testing.T) {
	swapped := func(name, old, replacement string) engine.Swapped {
		return engine.Swapped{Old: named(old, name, "always", ""), NewID: replacement}
	}
	running := func(c engine.Container) engine.Container {
		c.State = &container.State{Status: container.StateRunning, Running: true}
		return c
	}
	second, secondNew := "b"+oldID[1:], "d"+newID[1:]
	all := []engine.Container{
		named(oldID, "a-1.composure-old", "no", ""), running(named(newID, "a-1", "always", oldID)),
		named(second, "a-2", "no", ""), named(secondNew, "a-2.composure-new", "always", second),
	}
	var got []string
	for _, s := range engine.UndoOrder(all, []engine.Swapped{swapped("a-1", oldID, newID), swapped("a-2", second, secondNew)}) {
		got = append(got, s.Name())
	}
	if want := []string{"a-2", "a-1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSettleLeavesWhatCanBeUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, swapped := scenarios()["StopFirst"].swapped(t)
		if err := (&engine.Swapper{Reader: e, Writer: e}).Settle(t.Context(), swapped); !errors.Is(err, engine.ErrConflict) {
			t.Errorf("got %v, want a conflict", err)
		}
		<-time.After(time.Second)
		if n := len(listed(t, e)); n != 2 {
			t.Errorf("%d containers are left, want both", n)
		}
	})
}
