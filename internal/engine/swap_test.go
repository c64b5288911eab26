package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/engine/enginetest/conformance"
)

var (
	pace     = engine.Pace{StableFor: 3 * time.Second, Timeout: time.Minute}
	errFault = errors.New("fault")
)

// faultyWriter fails its nth call: before the effect, or after it as when an answer is lost.
type faultyWriter struct {
	engine.Writer
	failAt int
	after  bool
	calls  int
}

func (w *faultyWriter) do(effect func() error) error {
	w.calls++
	if w.calls != w.failAt {
		return effect()
	}
	if w.after {
		_ = effect() // the answer is what is lost
	}
	return errFault
}

func (w *faultyWriter) Create(ctx context.Context, spec engine.Spec) (id string, err error) {
	err = w.do(func() error {
		id, err = w.Writer.Create(ctx, spec)
		return err
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

func (w *faultyWriter) Start(ctx context.Context, id string) error {
	return w.do(func() error { return w.Writer.Start(ctx, id) })
}

func (w *faultyWriter) Stop(ctx context.Context, id string) error {
	return w.do(func() error { return w.Writer.Stop(ctx, id) })
}

func (w *faultyWriter) Rename(ctx context.Context, id, name string) error {
	return w.do(func() error { return w.Writer.Rename(ctx, id, name) })
}

func (w *faultyWriter) Remove(ctx context.Context, id string, force bool) error {
	return w.do(func() error { return w.Writer.Remove(ctx, id, force) })
}

func (w *faultyWriter) SetRestartPolicy(ctx context.Context, id string, policy container.RestartPolicy) error {
	return w.do(func() error { return w.Writer.SetRestartPolicy(ctx, id, policy) })
}

// world is an engine in memory with one service, and the replacement that a test swaps in.
func world(t *testing.T) (*enginetest.Engine, engine.Replacement) {
	t.Helper()
	e := enginetest.New(enginetest.Options{})
	e.AddImage(enginetest.Image{Name: "web:1", Program: conformance.Script})
	old, err := e.AddService(t.Context(), enginetest.Service{Project: "shop", Name: "web", Image: "web:1", Env: map[string]string{"A": "1"}, Edit: func(spec *engine.Spec) {
		spec.Host.RestartPolicy.Name = container.RestartPolicyAlways
	}})
	if err != nil {
		t.Fatal(err)
	}
	image, err := e.Image(t.Context(), old.Image)
	if err != nil {
		t.Fatal(err)
	}
	return e, engine.Replacement{Old: old, Image: image, Env: []string{"A=1", "B=1"}, ConfigHash: "after", Transaction: "tx"}
}

func wantRestored(t *testing.T, e *enginetest.Engine, old engine.Container) {
	t.Helper()
	listed, err := e.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(listed) != 1 {
		t.Fatalf("%d containers are left, want the old one alone", len(listed))
	}
	now := listed[0]
	if now.ID != old.ID || now.Name != old.Name || !now.Running() {
		t.Errorf("left is %q %q (%s), want the old one running", now.ID, now.Name, now.State.Status)
	}
	if diff := cmp.Diff(old.HostConfig.RestartPolicy, now.HostConfig.RestartPolicy); diff != "" {
		t.Errorf("restart policy (-want +got):\n%s", diff)
	}
}

func TestSwapUndoesEveryFault(t *testing.T) {
	for _, after := range []bool{false, true} {
		for failAt, done := 1, false; !done; failAt++ {
			t.Run(fmt.Sprintf("call %d, effect %t", failAt, after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e, r := world(t)
					writer := &faultyWriter{Writer: e, failAt: failAt, after: after}
					swapper := &engine.Swapper{Reader: e, Writer: writer, APIVersion: engine.MinAPIVersion}
					_, err := swapper.Swap(t.Context(), r, pace)
					if done = writer.calls < failAt; done {
						return
					}
					var failure *engine.SwapError
					if !errors.As(err, &failure) || !errors.Is(err, errFault) || failure.UndoErr != nil {
						t.Fatalf("got %v, want the fault, undone", err)
					}
					wantRestored(t, e, r.Old)
				})
			})
		}
	}
}

func TestUndoRepeatsAfterEveryFault(t *testing.T) {
	for _, after := range []bool{false, true} {
		for failAt, done := 1, false; !done; failAt++ {
			t.Run(fmt.Sprintf("call %d, effect %t", failAt, after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e, r := world(t)
					swapper := &engine.Swapper{Reader: e, Writer: e, APIVersion: engine.MinAPIVersion}
					swapped, err := swapper.Swap(t.Context(), r, pace)
					if err != nil {
						t.Fatal(err)
					}
					writer := &faultyWriter{Writer: e, failAt: failAt, after: after}
					err = (&engine.Swapper{Reader: e, Writer: writer}).Undo(t.Context(), swapped)
					done = writer.calls < failAt
					switch {
					case err == nil:
						wantRestored(t, e, r.Old) // it went on without the call that failed
					case !errors.Is(err, errFault):
						t.Errorf("got %v, want the fault", err)
					}
					if err := swapper.Undo(t.Context(), swapped); err != nil {
						t.Errorf("undo once more: %v", err)
					}
					wantRestored(t, e, r.Old)
				})
			})
		}
	}
}

func TestSwapUndoesWhenInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, r := world(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // in the middle of the wait
		defer cancel()
		swapper := &engine.Swapper{Reader: e, Writer: e, APIVersion: engine.MinAPIVersion}
		_, err := swapper.Swap(ctx, r, pace)
		var failure *engine.SwapError
		if !errors.As(err, &failure) || failure.Stage != "wait" || failure.UndoErr != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want an interrupted wait, undone", err)
		}
		wantRestored(t, e, r.Old)
	})
}

func TestSwapStopsNothingUnproven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, r := world(t)
		r.Env = slices.DeleteFunc(r.Env, func(entry string) bool { return entry == "A=1" })
		r.Old.Config.WorkingDir = "/elsewhere"
		r.Old.Raw = nil
		swapper := &engine.Swapper{Reader: &otherView{e}, Writer: e, APIVersion: engine.MinAPIVersion}
		_, err := swapper.Swap(t.Context(), r, pace)
		if _, ok := errors.AsType[*engine.ProofError](err); !ok {
			t.Fatalf("got %v, want a ProofError", err)
		}
		const want = "prove: the replacement would differ in Config.User"
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
		wantRestored(t, e, r.Old)
		now, err := e.Inspect(t.Context(), r.Old.ID)
		if err != nil || now.State.StartedAt != r.Old.State.StartedAt {
			t.Errorf("the old container was touched: %v", err)
		}
	})
}

// otherView shows every created container with another user than it was asked for.
type otherView struct{ *enginetest.Engine }

func (v *otherView) Inspect(ctx context.Context, id string) (engine.Container, error) {
	c, err := v.Engine.Inspect(ctx, id)
	if err == nil && c.State.Status == container.StateCreated {
		c.Config.User, c.Raw = "root", nil
	}
	return c, err
}

func TestSwapRechecksTheOldContainer(t *testing.T) {
	cases := map[string]struct {
		reason string
		meddle func(context.Context, *enginetest.Engine, string) error
		want   string
	}{
		"Stopped": {
			reason: "Somebody who stopped it does not want it running again under a new id.",
			meddle: func(ctx context.Context, e *enginetest.Engine, id string) error { return e.Stop(ctx, id) },
			want:   `recheck: container "shop-web-1" is exited`,
		},
		"Renamed": {
			reason: "Another name means that another swap is on its way.",
			meddle: func(ctx context.Context, e *enginetest.Engine, id string) error { return e.Rename(ctx, id, "other") },
			want:   `recheck: container "shop-web-1" is now called "other"`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, r := world(t)
				if err := tc.meddle(t.Context(), e, r.Old.ID); err != nil {
					t.Fatal(err)
				}
				swapper := &engine.Swapper{Reader: e, Writer: e, APIVersion: engine.MinAPIVersion}
				if _, err := swapper.Swap(t.Context(), r, pace); err == nil || err.Error() != tc.want {
					t.Errorf("%s\ngot %v, want %q", tc.reason, err, tc.want)
				}
			})
		})
	}
}

func TestWaitTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := enginetest.New(enginetest.Options{})
		e.AddImage(enginetest.Image{Name: "slow:1", Program: func(map[string]string) enginetest.Behavior {
			return enginetest.Behavior{Health: []enginetest.Health{{After: time.Hour, Status: container.Healthy}}}
		}})
		slow, err := e.AddService(t.Context(), enginetest.Service{Project: "shop", Name: "slow", Image: "slow:1"})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		err = (&engine.Swapper{Reader: e, Writer: e}).Wait(t.Context(), slow.ID, pace)
		const want = `out of time: container "shop-slow-1" is starting`
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %q", err, want)
		}
		if waited := time.Since(began); waited != pace.Timeout {
			t.Errorf("waited %s, want %s", waited, pace.Timeout)
		}
	})
}
