package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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

// faultyWriter fails its nth call: before the effect, or after it as when an answer is lost. Zero is none.
type faultyWriter struct {
	engine.Writer
	failAt int
	after  bool
	crash  bool   // it does not fail: its caller dies
	watch  func() // told after every effect
	calls  int
}

func (w *faultyWriter) do(effect func() error) error {
	w.calls++
	if w.watch != nil {
		defer w.watch()
	}
	if w.calls != w.failAt {
		return effect()
	}
	if w.after {
		_ = effect() // the answer is what is lost
	}
	if w.crash {
		panic(errFault)
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
	return e, serviceIn(t, e, map[string]string{"A": "1"})
}

// serviceIn starts the one service, and returns the replacement that adds a variable to it.
func serviceIn(t *testing.T, e *enginetest.Engine, env map[string]string) engine.Replacement {
	t.Helper()
	old, err := e.AddService(t.Context(), enginetest.Service{Project: "shop", Name: "web", Image: "web:1", Env: env, Edit: func(spec *engine.Spec) {
		spec.Host.RestartPolicy.Name = container.RestartPolicyAlways
	}})
	if err != nil {
		t.Fatal(err)
	}
	image, err := e.Image(t.Context(), old.Image)
	if err != nil {
		t.Fatal(err)
	}
	return engine.Replacement{
		Old: old, Image: image, Env: append(slices.Clone(old.Config.Env), "B=1"), ConfigHash: "after", Transaction: "tx",
	}
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
	if now.ID != old.ID || now.Name != old.Name || !now.State.Running {
		t.Errorf("left is %q %q (%s), want the old one running", now.ID, now.Name, now.State.Status)
	}
	if diff := cmp.Diff(old.HostConfig.RestartPolicy, now.HostConfig.RestartPolicy); diff != "" {
		t.Errorf("restart policy (-want +got):\n%s", diff)
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
		const want = `prove: the replacement would differ in Config.User: "" -> "root"`
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
		wantRestored(t, e, r.Old)
		wantUntouched(t, e, r.Old)
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
	const changed = `recheck: somebody has changed container "shop-web-1" since it was looked at; run the command again to take that over: `
	cases := map[string]struct {
		reason string
		meddle func(context.Context, *enginetest.Engine, string) error
		want   string
	}{
		"Stopped": {
			reason: "Somebody who stopped it wants it neither running under a new id nor started again.",
			meddle: func(ctx context.Context, e *enginetest.Engine, id string) error { return e.Stop(ctx, id) },
			want:   `recheck: container "shop-web-1" is exited`,
		},
		"Renamed": {
			reason: "Another name means that another swap is on its way; it keeps that name.",
			meddle: func(ctx context.Context, e *enginetest.Engine, id string) error { return e.Rename(ctx, id, "other") },
			want:   `recheck: container "shop-web-1" is now called "other"`,
		},
		"Removed": {
			reason: "The new one, which never ran, is no substitute.",
			meddle: func(ctx context.Context, e *enginetest.Engine, id string) error { return e.Remove(ctx, id, true) },
			want:   `recheck: inspect container "` + "%s" + `": not found`,
		},
		"RestartPolicy": {
			reason: "An undo would bring the old policy back, and the replacement has it.",
			meddle: func(ctx context.Context, e *enginetest.Engine, id string) error {
				return e.SetRestartPolicy(ctx, id, container.RestartPolicy{Name: container.RestartPolicyOnFailure, MaximumRetryCount: 3})
			},
			want: changed + `HostConfig.RestartPolicy.MaximumRetryCount: 0 -> 3, HostConfig.RestartPolicy.Name: "always" -> "on-failure"`,
		},
		"Network": {
			reason: "The replacement would not be reached over it.",
			meddle: func(ctx context.Context, e *enginetest.Engine, id string) error {
				e.AddNetwork("other", "10.9.0.0/16")
				return e.Connect(ctx, id, "other")
			},
			want: changed + `NetworkSettings.Networks.other: nothing -> an entry`,
		},
		"Memory": {
			reason: "The replacement would do without the limit.",
			meddle: func(ctx context.Context, e *enginetest.Engine, id string) error {
				return e.Update(ctx, id, func(host *container.HostConfig) { host.Memory = 64 << 20 })
			},
			want: changed + "HostConfig.Memory: 0 -> 67108864",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, r := world(t)
				var meddled []string
				reader := &meddlingReader{Engine: e, meddle: func() {
					if err := tc.meddle(t.Context(), e, r.Old.ID); err != nil {
						t.Error(err)
					}
					meddled = others(t, e, engine.TempName(r.Old.CleanName()))
				}}
				swapper := &engine.Swapper{Reader: reader, Writer: e, APIVersion: engine.MinAPIVersion}
				_, err := swapper.Swap(t.Context(), r, pace)
				failure, ok := errors.AsType[*engine.SwapError](err)
				if want := strings.ReplaceAll(tc.want, "%s", r.Old.ID); !ok || failure.UndoErr != nil || err.Error() != want {
					t.Errorf("%s\ngot %v, want %q, undone", tc.reason, err, want)
				}
				if diff := cmp.Diff(meddled, others(t, e, "")); diff != "" {
					t.Errorf("%s\ncontainers after somebody else was at them (-want +got):\n%s", tc.reason, diff)
				}
			})
		})
	}
}

// meddlingReader lets somebody else in when the new container is proved.
type meddlingReader struct {
	*enginetest.Engine
	meddle func()
}

func (r *meddlingReader) Inspect(ctx context.Context, id string) (engine.Container, error) {
	c, err := r.Engine.Inspect(ctx, id)
	if err == nil && r.meddle != nil && c.State.Status == container.StateCreated {
		r.meddle()
		r.meddle = nil
	}
	return c, err
}

// others are the inspect answers of all containers but the named one.
func others(t *testing.T, e *enginetest.Engine, name string) []string {
	t.Helper()
	listed, err := e.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var answers []string
	for _, c := range listed {
		if c.CleanName() != name {
			answers = append(answers, string(c.Raw))
		}
	}
	return answers
}

// lateWriter is an engine that takes a while to create and goes on when its caller has left.
type lateWriter struct{ engine.Writer }

func (w lateWriter) Create(ctx context.Context, spec engine.Spec) (string, error) {
	var id string
	var err error
	created := make(chan struct{})
	time.AfterFunc(time.Second, func() {
		id, err = w.Writer.Create(context.WithoutCancel(ctx), spec)
		close(created)
	})
	select {
	case <-created:
		return id, err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func TestSwapInterruptedInCreateLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, r := world(t)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		swapper := &engine.Swapper{Reader: e, Writer: lateWriter{e}, APIVersion: engine.MinAPIVersion}
		_, err := swapper.Swap(ctx, r, pace)
		failure, ok := errors.AsType[*engine.SwapError](err)
		if !ok || failure.UndoErr != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want the interruption, undone", err)
		}
		<-time.After(time.Minute)
		wantRestored(t, e, r.Old)
		wantUntouched(t, e, r.Old)
	})
}

// wantUntouched checks that the old container was not restarted.
func wantUntouched(t *testing.T, e *enginetest.Engine, old engine.Container) {
	t.Helper()
	now, err := e.Inspect(t.Context(), old.ID)
	if err != nil || now.State.StartedAt != old.State.StartedAt {
		t.Errorf("the old container was touched: %v", err)
	}
}

// cutOff loses the connection while a stop is on its way.
type cutOff struct {
	engine.Writer
	stops int
}

func (w *cutOff) Stop(ctx context.Context, id string) error {
	if w.stops++; w.stops > 1 {
		return w.Writer.Stop(ctx, id)
	}
	ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	return w.Writer.Stop(ctx, id)
}

func TestSwapUndoesAStopThatGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, r := slowWorld(t)
		swapper := &engine.Swapper{Reader: e, Writer: &cutOff{Writer: e}, APIVersion: engine.MinAPIVersion}
		swapped, err := swapper.Swap(t.Context(), r, pace)
		failure, ok := errors.AsType[*engine.SwapError](err)
		if !ok || failure.Stage != "stop" || failure.UndoErr != nil {
			t.Fatalf("got %v, want a failed stop, undone", err)
		}
		<-time.After(time.Minute)
		wantRestored(t, e, r.Old)
		if !swapped.Stopped {
			t.Error("a later undo cannot know that the old container was told to stop")
		}
	})
}

// slowWorld is a world whose container takes a while to stop.
func slowWorld(t *testing.T) (*enginetest.Engine, engine.Replacement) {
	t.Helper()
	e := enginetest.New(enginetest.Options{})
	e.AddImage(enginetest.Image{Name: "web:1", Program: conformance.Script})
	return e, serviceIn(t, e, map[string]string{conformance.ScriptStop: "2s"})
}

func TestCommitRefusesWhatIsNotAlive(t *testing.T) {
	cases := map[string]struct {
		reason string
		env    string // of the new container, beside the old one's
		meddle func(context.Context, *enginetest.Engine, string) error
		want   string
	}{
		"Alive": {reason: "Nothing is wrong."},
		"Stopped": {
			reason: "Without the old one nothing would run.",
			meddle: func(ctx context.Context, e *enginetest.Engine, id string) error { return e.Stop(ctx, id) },
			want:   "is not alive: it is exited",
		},
		"Renamed": {
			reason: "Its name leads to nothing.",
			meddle: func(ctx context.Context, e *enginetest.Engine, id string) error { return e.Rename(ctx, id, "other") },
			want:   `is not alive: it is called "other"`,
		},
		"Gone": {
			reason: "The old one is all there is.",
			meddle: func(ctx context.Context, e *enginetest.Engine, id string) error { return e.Remove(ctx, id, true) },
			want:   "is gone",
		},
		"Crashed": {reason: "It runs between two crashes.", env: "CRASH=5s", want: "is not alive: it has restarted by itself"},
		"Sick":    {reason: "It fell ill after the swap.", env: "SICK=5s", want: "is not alive: its health is unhealthy"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := enginetest.New(enginetest.Options{})
				e.AddImage(enginetest.Image{Name: "web:1", Program: failing})
				r := serviceIn(t, e, nil)
				r.Env = []string{tc.env}
				if tc.env == "" {
					r.Env = nil
				}
				swapper := &engine.Swapper{Reader: e, Writer: e, APIVersion: engine.MinAPIVersion}
				swapped, err := swapper.Swap(t.Context(), r, pace)
				if err != nil {
					t.Fatal(err)
				}
				if tc.meddle != nil {
					err = tc.meddle(t.Context(), e, swapped.NewID)
				}
				if err != nil {
					t.Fatal(err)
				}
				<-time.After(6 * time.Second) // into the failure, which the swap was too short to see
				for what, err := range map[string]error{
					"Alive": swapper.Alive(t.Context(), swapped), "Commit": swapper.Commit(t.Context(), swapped),
				} {
					if got := fmt.Sprint(err); (err == nil) != (tc.want == "") || !strings.HasSuffix(got, tc.want) && err != nil {
						t.Errorf("%s\n%s: got %v, want %q", tc.reason, what, err, tc.want)
					}
				}
				if _, err := e.Inspect(t.Context(), r.Old.ID); (err == nil) != (tc.want != "") {
					t.Errorf("%s\nthe old container: %v", tc.reason, err)
				}
			})
		})
	}
}

// failing runs well for as long as CRASH or SICK says.
func failing(env map[string]string) enginetest.Behavior {
	if after, err := time.ParseDuration(env["CRASH"]); err == nil {
		return enginetest.Behavior{Exit: &enginetest.Exit{After: after, Code: 1}}
	}
	if after, err := time.ParseDuration(env["SICK"]); err == nil {
		return enginetest.Behavior{Health: []enginetest.Health{{Status: container.Healthy}, {After: after, Status: container.Unhealthy}}}
	}
	return enginetest.Behavior{}
}

func TestSwapTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := enginetest.New(enginetest.Options{})
		e.AddImage(enginetest.Image{Name: "web:1", Program: func(map[string]string) enginetest.Behavior {
			return enginetest.Behavior{Health: []enginetest.Health{{After: time.Hour, Status: container.Healthy}}}
		}})
		r := serviceIn(t, e, nil)
		began := time.Now()
		swapper := &engine.Swapper{Reader: e, Writer: e, APIVersion: engine.MinAPIVersion}
		_, err := swapper.Swap(t.Context(), r, pace)
		const want = `wait: out of time: container "shop-web-1.composure-new" is starting`
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %q", err, want)
		}
		if waited := time.Since(began); waited != pace.Timeout+pace.StableFor {
			t.Errorf("waited %s, want %s, and %s for the old one", waited, pace.Timeout, pace.StableFor)
		}
	})
}
