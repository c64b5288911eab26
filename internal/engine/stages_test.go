package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
)

// scenario is a way of swapping the one service of a world.
type scenario struct {
	policy     container.RestartPolicyMode
	startFirst bool
	oneShot    bool // the replacement ends with exit code 0
	looping    bool // the original keeps crashing
}

func scenarios() map[string]scenario {
	const always, onFailure, no = container.RestartPolicyAlways, container.RestartPolicyOnFailure, container.RestartPolicyDisabled
	return map[string]scenario{
		"StopFirst":         {policy: always},
		"StopFirstNoPolicy": {policy: no},
		"StartFirst":        {policy: always, startFirst: true},
		"StartFirstNo":      {policy: no, startFirst: true},
		"OneShot":           {policy: onFailure, oneShot: true},
		"Looping":           {policy: always, looping: true},
	}
}

// eachFault runs a test with a fault at every call, before its effect and after it, until do says that there was no such call.
func eachFault(t *testing.T, do func(t *testing.T, s scenario, failAt int, after bool) (met bool)) {
	t.Helper()
	for name, s := range scenarios() {
		for _, after := range []bool{false, true} {
			met := true
			for failAt := 1; met; failAt++ {
				t.Run(fmt.Sprintf("%s, call %d, effect %t", name, failAt, after), func(t *testing.T) {
					met = false // a test that gives up answers nothing
					synctest.Test(t, func(t *testing.T) { met = do(t, s, failAt, after) })
				})
			}
		}
	}
}

// start is the world before the swap: one service, and nothing else.
func (s scenario) start(t *testing.T) (*enginetest.Engine, engine.Replacement) {
	t.Helper()
	e := enginetest.New(enginetest.Options{})
	e.AddImage(enginetest.Image{Name: "web:1", Program: s.program})
	old, err := e.AddService(t.Context(), enginetest.Service{Project: "shop", Name: "web", Image: "web:1", Edit: func(spec *engine.Spec) {
		spec.Host.RestartPolicy.Name = s.policy
	}})
	if err != nil {
		t.Fatal(err)
	}
	<-time.After(5 * time.Second) // long enough to have crashed often
	if old, err = e.Inspect(t.Context(), old.ID); err != nil {
		t.Fatal(err)
	}
	image, err := e.Image(t.Context(), old.Image)
	if err != nil {
		t.Fatal(err)
	}
	return e, engine.Replacement{Old: old, Image: image, Env: []string{"NEW=1"}, ConfigHash: "after", Transaction: "tx", StartFirst: s.startFirst}
}

func (s scenario) program(env map[string]string) enginetest.Behavior {
	isNew := env["NEW"] != ""
	switch {
	case s.oneShot && isNew:
		return enginetest.Behavior{Exit: &enginetest.Exit{After: time.Second}}
	case s.looping && !isNew:
		return enginetest.Behavior{Exit: &enginetest.Exit{After: 50 * time.Millisecond, Code: 1}}
	}
	return enginetest.Behavior{}
}

func (s scenario) pace() engine.Pace {
	return engine.Pace{StableFor: 3 * time.Second, Timeout: time.Minute, OneShot: s.oneShot}
}

// swapper watches at every write that no more run than are declared, and the one that a start-first swap adds.
func (s scenario) swapper(t *testing.T, e *enginetest.Engine, writer *faultyWriter) *engine.Swapper {
	t.Helper()
	most := 1
	if s.startFirst {
		most = 2
	}
	writer.Writer = e
	writer.watch = func() {
		running := 0
		for _, c := range listed(t, e) {
			if c.Running() {
				running++
			}
		}
		if running > most {
			t.Errorf("%d containers run, want at most %d", running, most)
		}
	}
	return &engine.Swapper{Reader: e, Writer: writer, APIVersion: engine.MinAPIVersion}
}

func listed(t *testing.T, e *enginetest.Engine) []engine.Container {
	t.Helper()
	all, err := e.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// swapped is the world after the swap, and the swap.
func (s scenario) swapped(t *testing.T) (*enginetest.Engine, engine.Swapped) {
	t.Helper()
	e, r := s.start(t)
	swapped, err := s.swapper(t, e, &faultyWriter{}).Swap(t.Context(), r, s.pace())
	if err != nil {
		t.Fatal(err)
	}
	kept, err := e.Inspect(t.Context(), r.Old.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !kept.HostConfig.RestartPolicy.IsNone() {
		t.Errorf("an engine that restarts would start the old one as well: its policy is %s", kept.HostConfig.RestartPolicy.Name)
	}
	return e, swapped
}

// wantAfter checks that the replacement is all there is.
func (s scenario) wantAfter(t *testing.T, e *enginetest.Engine, old engine.Container) {
	t.Helper()
	all := listed(t, e)
	if len(all) != 1 {
		t.Fatalf("%d containers are left, want the new one alone", len(all))
	}
	now := all[0]
	if now.Label(engine.LabelReplaces) != old.ID || now.Name != old.Name {
		t.Errorf("left is %q, which replaces %q; want the new one", now.Name, now.Label(engine.LabelReplaces))
	}
	ended := s.oneShot && now.State.Status == container.StateExited && now.State.ExitCode == 0
	if !now.Running() && !ended {
		t.Errorf("the new one is %s", now.State.Status)
	}
	if diff := cmp.Diff(old.HostConfig.RestartPolicy, now.HostConfig.RestartPolicy); diff != "" {
		t.Errorf("restart policy (-want +got):\n%s", diff)
	}
}

func TestSwapUndoesEveryFault(t *testing.T) {
	eachFault(t, func(t *testing.T, s scenario, failAt int, after bool) bool {
		e, r := s.start(t)
		writer := &faultyWriter{failAt: failAt, after: after}
		swapped, err := s.swapper(t, e, writer).Swap(t.Context(), r, s.pace())
		if writer.calls < failAt {
			return false
		}
		failure, ok := errors.AsType[*engine.SwapError](err)
		if !ok || !errors.Is(err, errFault) || failure.UndoErr != nil {
			t.Fatalf("got %v, want the fault, undone", err)
		}
		wantRestored(t, e, r.Old)
		if !swapped.Stopped && !s.looping {
			wantUntouched(t, e, r.Old)
		}
		return true
	})
}

func TestUndoRepeatsAfterEveryFault(t *testing.T) {
	eachFault(t, func(t *testing.T, s scenario, failAt int, after bool) bool {
		e, swapped := s.swapped(t)
		writer := &faultyWriter{failAt: failAt, after: after}
		err := s.swapper(t, e, writer).Undo(t.Context(), &swapped)
		switch {
		case err == nil:
			wantRestored(t, e, swapped.Old) // it went on without the call that failed
		case !errors.Is(err, errFault):
			t.Errorf("got %v, want the fault", err)
		}
		if err := s.swapper(t, e, &faultyWriter{}).Undo(t.Context(), &swapped); err != nil {
			t.Errorf("undo once more: %v", err)
		}
		wantRestored(t, e, swapped.Old)
		return writer.calls >= failAt
	})
}

func TestCommitRepeatsAfterEveryFault(t *testing.T) {
	eachFault(t, func(t *testing.T, s scenario, failAt int, after bool) bool {
		e, swapped := s.swapped(t)
		writer := &faultyWriter{failAt: failAt, after: after}
		if err := s.swapper(t, e, writer).Commit(t.Context(), swapped); err != nil && !errors.Is(err, errFault) {
			t.Errorf("got %v, want the fault", err)
		}
		if err := s.swapper(t, e, &faultyWriter{}).Commit(t.Context(), swapped); err != nil {
			t.Errorf("commit once more: %v", err)
		}
		s.wantAfter(t, e, swapped.Old)
		return writer.calls >= failAt
	})
}

func TestSwapTellsBeforeItTouches(t *testing.T) {
	for name, s := range scenarios() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, r := s.start(t)
				swapper := s.swapper(t, e, &faultyWriter{})
				var told engine.Swapped
				swapper.Before = func(swapped engine.Swapped) error {
					told = swapped
					if _, err := e.Inspect(context.WithoutCancel(t.Context()), swapped.NewID); err != nil {
						t.Errorf("the replacement it tells of: %v", err)
					}
					return errFault
				}
				_, err := swapper.Swap(t.Context(), r, s.pace())
				failure, ok := errors.AsType[*engine.SwapError](err)
				if !ok || failure.Stage != "record" || failure.UndoErr != nil || !errors.Is(err, errFault) {
					t.Errorf("got %v, want the failed record, undone", err)
				}
				if told.Touched || told.Old.ID != r.Old.ID || told.Transaction != r.Transaction {
					t.Errorf("told of %+v", told)
				}
				wantRestored(t, e, r.Old)
				if !s.looping {
					wantUntouched(t, e, r.Old)
				}
			})
		})
	}
}

// A container that is to overlap with its replacement runs until that is as it should be.
func TestStartFirstNeverStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scenarios()["StartFirst"]
		e, r := s.start(t)
		writer := &faultyWriter{}
		swapper := s.swapper(t, e, writer)
		watch := writer.watch
		writer.watch = func() {
			watch()
			for _, c := range listed(t, e) {
				if c.Running() {
					return
				}
			}
			t.Error("nothing runs")
		}
		swapped, err := swapper.Swap(t.Context(), r, s.pace())
		if err != nil {
			t.Fatal(err)
		}
		if err := swapper.Commit(t.Context(), swapped); err != nil {
			t.Fatal(err)
		}
		s.wantAfter(t, e, r.Old)
	})
}
