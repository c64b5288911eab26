package engine_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
)

// wantRebuilt checks that a container which equals the old one is all there is, and that it tells whose work it is.
func wantRebuilt(t *testing.T, e *enginetest.Engine, old engine.Container, id string) {
	t.Helper()
	all := listed(t, e)
	if len(all) != 1 {
		t.Fatalf("%d containers are left, want the rebuilt one alone", len(all))
	}
	now := all[0]
	if now.ID != id || now.ID == old.ID || now.Name != old.Name || !now.State.Running {
		t.Errorf("left is %q %q (%s), want %q running", now.ID, now.Name, now.State.Status, id)
	}
	r := engine.Replacement{Old: old, Env: old.Config.Env, Transaction: now.Label(engine.LabelTransaction)}
	if differences := engine.Prove(old, now, r); len(differences) > 0 {
		t.Errorf("it differs from the old one: %+v", differences)
	}
	if engine.Committed(all, "tx") {
		t.Error("it is taken for a committed replacement")
	}
	wantConsistent(t, all, engine.Interrupted(all))
	if left := engine.Unfinished(all); len(left) > 0 {
		t.Errorf("it is taken for a leftover: %+v", left)
	}
}

func TestUndoRebuildsAfterEveryFault(t *testing.T) {
	eachFault(t, func(t *testing.T, s scenario, failAt int, after bool) bool {
		e, swapped := s.swapped(t)
		if err := e.Remove(t.Context(), swapped.Old.ID, true); err != nil {
			t.Fatal(err)
		}
		writer := &faultyWriter{failAt: failAt, after: after}
		if err := s.swapper(t, e, writer).Undo(t.Context(), &swapped); err != nil && !errors.Is(err, errFault) {
			t.Errorf("got %v, want the fault", err)
		}
		if err := s.swapper(t, e, &faultyWriter{}).Undo(t.Context(), &swapped); err != nil {
			t.Errorf("undo once more: %v", err)
		}
		wantRebuilt(t, e, swapped.Old, swapped.Rebuilt)
		return writer.calls >= failAt
	})
}

// The next run has the record of the old container, or only what the engine tells.
func TestInterruptedRebuild(t *testing.T) {
	eachFault(t, func(t *testing.T, s scenario, failAt int, after bool) bool {
		e, swapped := s.swapped(t)
		old := swapped.Old
		if err := e.Remove(t.Context(), old.ID, true); err != nil {
			t.Fatal(err)
		}
		writer := &faultyWriter{failAt: failAt, after: after, crash: true}
		died := survive(t, func() { _ = s.swapper(t, e, writer).Undo(t.Context(), &swapped) })
		rebuilt := swapped.Rebuilt
		for _, found := range s.interrupted(t, e) {
			found.Old = old
			if err := s.swapper(t, e, &faultyWriter{}).Undo(t.Context(), &found); err != nil {
				t.Errorf("undo: %v", err)
			}
			rebuilt = found.Rebuilt
		}
		if failAt > 1 || after || !died { // else there is nothing yet that tells of the undo
			wantRebuilt(t, e, old, rebuilt)
		}
		return died
	})
}

func TestInterruptedRebuildIsSettled(t *testing.T) {
	eachFault(t, func(t *testing.T, s scenario, failAt int, after bool) bool {
		e, swapped := s.swapped(t)
		if err := e.Remove(t.Context(), swapped.Old.ID, true); err != nil {
			t.Fatal(err)
		}
		writer := &faultyWriter{failAt: failAt, after: after, crash: true}
		died := survive(t, func() { _ = s.swapper(t, e, writer).Undo(t.Context(), &swapped) })
		for _, found := range s.interrupted(t, e) {
			if err := s.swapper(t, e, &faultyWriter{}).Settle(t.Context(), found); err != nil && !s.looping {
				t.Errorf("settle: %v", err)
			}
		}
		all := listed(t, e)
		if len(all) != 1 || all[0].Name != swapped.Old.Name || !all[0].State.Running && !s.oneShot {
			t.Errorf("%d containers are left, want one that runs under the name", len(all))
		}
		return died
	})
}

// A swap whose old container vanishes while it waits goes on, and can be committed.
func TestSwapGoesOnWithoutTheOldContainer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scenarios()["StopFirst"]
		e, r := s.start(t)
		writer := &faultyWriter{}
		swapper := s.swapper(t, e, writer)
		writer.watch = func() {
			if writer.calls == 4 { // the start
				if err := e.Remove(t.Context(), r.Old.ID, false); err != nil {
					t.Error(err)
				}
			}
		}
		swapped, err := swapper.Swap(t.Context(), r, s.pace())
		if err != nil || !swapped.Vanished {
			t.Fatalf("vanished = %t, error = %v", swapped.Vanished, err)
		}
		if err := swapper.Commit(t.Context(), swapped); err != nil {
			t.Error(err)
		}
		s.wantAfter(t, e, r.Old)
	})
}

func TestRebuildThatIsNotEqualChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scenarios()["StopFirst"]
		e, swapped := s.swapped(t)
		if err := e.Remove(t.Context(), swapped.Old.ID, true); err != nil {
			t.Fatal(err)
		}
		before := others(t, e, "")
		swapper := &engine.Swapper{Reader: &otherView{e}, Writer: e, APIVersion: engine.MinAPIVersion}
		err := swapper.Undo(t.Context(), &swapped)
		if _, ok := errors.AsType[*engine.ProofError](err); !ok {
			t.Errorf("got %v, want a ProofError", err)
		}
		if after := others(t, e, ""); len(after) != 1 || after[0] != before[0] {
			t.Errorf("the new container, the only one there is, was touched, or there are %d", len(after))
		}
	})
}

// The new container is good for something still when what is made again is not.
func TestRebuildThatDoesNotRunKeepsTheReplacement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := enginetest.New(enginetest.Options{})
		broken := false
		e.AddImage(enginetest.Image{Name: "web:1", Program: func(map[string]string) enginetest.Behavior {
			if broken {
				return enginetest.Behavior{Exit: &enginetest.Exit{Code: 1}}
			}
			return enginetest.Behavior{}
		}})
		r := serviceIn(t, e, nil)
		swapper := &engine.Swapper{Reader: e, Writer: e, APIVersion: engine.MinAPIVersion}
		swapped, err := swapper.Swap(t.Context(), r, pace)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Remove(t.Context(), r.Old.ID, true); err != nil {
			t.Fatal(err)
		}
		broken = true
		if err := swapper.Undo(t.Context(), &swapped); err == nil {
			t.Error("what crashes is taken for the old one")
		}
		if _, err := e.Inspect(t.Context(), swapped.NewID); err != nil {
			t.Errorf("the new one: %v", err)
		}
	})
}

// Whoever has removed all containers of the project wants none of them back.
func TestUndoOfAProjectThatWasTakenDown(t *testing.T) {
	tests := map[string]struct {
		reason string
		beside enginetest.Service // another service
		lists  error
		down   bool
	}{
		"Nothing":        {reason: "it was taken down", down: true},
		"AnotherProject": {reason: "that one was not taken down", beside: enginetest.Service{Project: "other", Name: "db", Image: "web:1"}, down: true},
		"SameProject":    {reason: "one service is not the project", beside: enginetest.Service{Project: "shop", Name: "db", Image: "web:1"}},
		"NotKnown":       {reason: "without an answer neither is right", lists: errFault},
	}
	for name, tc := range tests {
		for kind, s := range scenarios() {
			t.Run(name+", "+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e, swapped := s.swapped(t)
					for _, id := range []string{swapped.Old.ID, swapped.NewID} {
						if err := e.Remove(t.Context(), id, true); err != nil {
							t.Fatal(err)
						}
					}
					beside := 0
					if tc.beside.Name != "" {
						c, err := e.AddService(t.Context(), tc.beside)
						if err == nil {
							err = e.Stop(t.Context(), c.ID)
						}
						if err != nil {
							t.Fatal(err)
						}
						beside = 1
					}
					swapper := &engine.Swapper{Reader: listless{e, tc.lists}, Writer: e, APIVersion: engine.MinAPIVersion}
					err := swapper.Undo(t.Context(), &swapped)
					made := len(listed(t, e)) - beside
					if !errors.Is(err, tc.lists) || swapped.TakenDown != tc.down || made > 0 != (!tc.down && tc.lists == nil) {
						t.Errorf("%s: taken down = %t, %d containers were made, error = %v", tc.reason, swapped.TakenDown, made, err)
					}
				})
			})
		}
	}
}

// listless lists nothing when it has an error.
type listless struct {
	engine.Reader
	err error
}

func (l listless) List(ctx context.Context, labels ...string) ([]engine.Container, error) {
	if l.err != nil {
		return nil, l.err
	}
	return l.Reader.List(ctx, labels...)
}
