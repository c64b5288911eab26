package engine_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
)

// behaving starts a service whose program is told by its environment and by how often the original has started.
func behaving(t *testing.T, image enginetest.Image, old func(run int) enginetest.Behavior, other enginetest.Behavior) (*enginetest.Engine, engine.Replacement) {
	t.Helper()
	e := enginetest.New(enginetest.Options{})
	runs := 0
	image.Name, image.Program = "web:1", func(env map[string]string) enginetest.Behavior {
		if env["B"] != "" {
			return other
		}
		runs++
		return old(runs)
	}
	e.AddImage(image)
	r := serviceIn(t, e, nil)
	<-time.After(20 * time.Second)
	var err error
	if r.Old, err = e.Inspect(t.Context(), r.Old.ID); err != nil {
		t.Fatal(err)
	}
	return e, r
}

func exitAfter(d time.Duration) enginetest.Behavior {
	return enginetest.Behavior{Exit: &enginetest.Exit{After: d, Code: 1}}
}

// While the new container is watched beside the old one, that has no restart policy: its end is the swap's to mend.
func TestUndoStartsWhatEndedBesideItsReplacement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := func(int) enginetest.Behavior { return exitAfter(21 * time.Second) }
		e, r := behaving(t, enginetest.Image{}, old, exitAfter(2900*time.Millisecond))
		r.StartFirst = true
		_, err := (&engine.Swapper{Reader: e, Writer: e, APIVersion: engine.MinAPIVersion}).Swap(t.Context(), r, pace)
		failure, ok := errors.AsType[*engine.SwapError](err)
		if !ok || failure.Stage != "wait" || failure.UndoErr != nil {
			t.Fatalf("got %v, want a failed wait, undone", err)
		}
		wantRestored(t, e, r.Old)
	})
}

// A container may have crashed a few times, for want of its database, and then have run for days.
func TestUndoWaitsForWhatHadCrashedOnce(t *testing.T) {
	cases := map[string]struct {
		reason string
		old    func(run int) enginetest.Behavior
		gone   bool // somebody removes the old container
		broken bool // what is put back does not run as before
	}{
		"Recovers": {reason: "it runs as before", old: func(run int) enginetest.Behavior {
			if run == 1 {
				return exitAfter(time.Second)
			}
			return enginetest.Behavior{}
		}},
		"Crashes": {reason: "it ran well for 19 s, and does not any more", broken: true, old: func(run int) enginetest.Behavior {
			if run == 2 {
				return enginetest.Behavior{}
			}
			return exitAfter(time.Second)
		}},
		"Rebuilt": {reason: "what is made again has to run as well as the old one", gone: true, broken: true, old: func(run int) enginetest.Behavior {
			if run == 2 {
				return enginetest.Behavior{}
			}
			return exitAfter(time.Second)
		}},
		"Loops": {reason: "it crashed before, too", old: func(int) enginetest.Behavior { return exitAfter(time.Second) }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, r := behaving(t, enginetest.Image{}, tc.old, enginetest.Behavior{})
				if r.Old.RestartCount == 0 {
					t.Fatal("it has never crashed")
				}
				swapper := &engine.Swapper{Reader: e, Writer: e, APIVersion: engine.MinAPIVersion}
				swapped, err := swapper.Swap(t.Context(), r, pace)
				if err != nil {
					t.Fatal(err)
				}
				if tc.gone {
					err = e.Remove(t.Context(), r.Old.ID, true)
				}
				if err != nil {
					t.Fatal(err)
				}
				for range 3 { // as a rollback tries it
					if err := swapper.Undo(t.Context(), &swapped); (err != nil) != tc.broken {
						t.Errorf("%s: error = %v", tc.reason, err)
					}
				}
			})
		})
	}
}

// A container that is stopped does not tell how healthy it was.
func TestInterruptedSwapIsUndoneToHealth(t *testing.T) {
	const late = 5 * time.Second
	check := &container.HealthConfig{Test: []string{"CMD", "true"}, Interval: time.Second}
	synctest.Test(t, func(t *testing.T) {
		healthy := enginetest.Behavior{Health: []enginetest.Health{{After: late, Status: container.Healthy}}}
		e, r := behaving(t, enginetest.Image{Config: container.Config{Healthcheck: check}},
			func(int) enginetest.Behavior { return healthy }, healthy)
		writer := &faultyWriter{Writer: e, failAt: 4, after: true, crash: true} // in the start of the new one
		if !survive(t, func() {
			_, _ = (&engine.Swapper{Reader: e, Writer: writer, APIVersion: engine.MinAPIVersion}).Swap(t.Context(), r, pace)
		}) {
			t.Fatal("it did not die")
		}
		for _, swapped := range engine.Interrupted(listed(t, e)) {
			swapped.Pace = engine.Pace{StableFor: time.Second, Timeout: time.Minute}
			if err := (&engine.Swapper{Reader: e, Writer: e}).Undo(t.Context(), &swapped); err != nil {
				t.Fatal(err)
			}
		}
		wantRestored(t, e, r.Old)
		if old, err := e.Inspect(t.Context(), r.Old.ID); err != nil || engine.Healthy(old) != nil {
			t.Errorf("the old one: %v, %v", err, engine.Healthy(old))
		}
	})
}

// Whoever stopped the container that has the name did not want the only one that runs to be removed.
func TestSettleKeepsWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, swapped := scenarios()["StopFirst"].swapped(t)
		if err := e.Rename(t.Context(), swapped.NewID, engine.TempName("shop-web-1")); err != nil {
			t.Fatal(err)
		}
		if err := e.Remove(t.Context(), swapped.Old.ID, true); err != nil {
			t.Fatal(err)
		}
		stranger, err := e.AddService(t.Context(), enginetest.Service{Project: "shop", Name: "web", Image: "web:1"})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Stop(t.Context(), stranger.ID); err != nil {
			t.Fatal(err)
		}
		err = (&engine.Swapper{Reader: e, Writer: e}).Settle(t.Context(), swapped)
		if taken, ok := errors.AsType[*engine.TakenError](err); !ok || taken.Holder != stranger.ID || !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("got %v, want that %s has the name", err, stranger.ID)
		}
		if c, err := e.Inspect(t.Context(), swapped.NewID); err != nil || !c.Running() {
			t.Errorf("the new one: %v, running %t", err, c.Running())
		}
	})
}

// An undo that was cut off while it made the old container again has committed nothing.
func TestRebuildingIsNotCommitted(t *testing.T) {
	rebuilt := named("e"+newID[1:], "web.composure-back", "always", oldID)
	rebuilt.Config.Labels[engine.LabelTransaction] += "/undo"
	all := []engine.Container{named(newID, "web", "always", oldID), rebuilt}
	if engine.Committed(all, all[0].Label(engine.LabelTransaction)) {
		t.Error("it is taken for committed")
	}
}

// What shares volumes with a container that is gone could start beside what was made again of it.
func TestInterruptedRebuildOfADependent(t *testing.T) {
	for failAt, more := 1, true; more; failAt++ {
		synctest.Test(t, func(t *testing.T) {
			e, parent, dependent := swapPair(t)
			swapper := &engine.Swapper{Reader: e, Writer: e, APIVersion: engine.MinAPIVersion}
			if err := e.Remove(t.Context(), parent.Old.ID, true); err != nil {
				t.Fatal(err)
			}
			if err := swapper.Undo(t.Context(), &parent); err != nil {
				t.Fatal(err)
			}
			dependent.Moved = map[string]string{parent.Old.ID: parent.Rebuilt}
			dying := *swapper
			dying.Writer = &faultyWriter{Writer: e, failAt: failAt, crash: true}
			more = survive(t, func() { _ = dying.Undo(t.Context(), &dependent) })
			id := dependent.Rebuilt
			for _, swapped := range engine.Interrupted(listed(t, e)) {
				swapped.Pace = pace
				if err := swapper.Undo(t.Context(), &swapped); err != nil {
					t.Errorf("death at call %d: %v", failAt, err)
				}
				id = swapped.Rebuilt
			}
			wantPair(t, e, parent.Rebuilt, id)
		})
	}
}

// An engine that restarts in an undo starts whatever has the policy for it.
func TestUndoSurvivesAnEngineRestart(t *testing.T) {
	eachFault(t, func(t *testing.T, s scenario, failAt int, _ bool) bool {
		e, swapped := s.swapped(t)
		writer := &faultyWriter{}
		swapper := s.swapper(t, e, writer)
		watch := writer.watch
		writer.watch = func() {
			if writer.calls == failAt {
				for _, c := range listed(t, e) {
					if c.State.Status == container.StateExited && c.HostConfig.RestartPolicy.Name == container.RestartPolicyAlways {
						_ = e.Start(t.Context(), c.ID)
					}
				}
			}
			watch()
		}
		if err := swapper.Undo(t.Context(), &swapped); err != nil {
			t.Error(err)
		}
		wantRestored(t, e, swapped.Old)
		return writer.calls >= failAt
	})
}

// A policy that could not be taken is no reason to kill a container that may be writing.
func TestUndoStopsWhatKeepsItsPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, swapped := scenarios()["StopFirst"].swapped(t)
		writer := &faultyWriter{Writer: e, failAt: 1}
		if err := (&engine.Swapper{Reader: e, Writer: removing{writer, t, e}}).Undo(t.Context(), &swapped); err != nil {
			t.Error(err)
		}
		wantRestored(t, e, swapped.Old)
	})
}

// removing wants nothing that runs to be removed.
type removing struct {
	engine.Writer
	t *testing.T
	e *enginetest.Engine
}

func (r removing) Remove(ctx context.Context, id string, force bool) error {
	if c, err := r.e.Inspect(ctx, id); err == nil && c.Running() {
		r.t.Errorf("%s is killed", c.Name)
	}
	return r.Writer.Remove(ctx, id, force)
}
