package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
)

var errInjected = errors.New("injected")

// faultyWriter fails chosen calls, before their effect or after it.
type faultyWriter struct {
	engine.Writer
	calls int
	fail  func(call int, verb, id string) (before, after bool)
}

func (f *faultyWriter) do(verb, id string, call func() error) error {
	n := f.calls
	f.calls++
	before, after := f.fail(n, verb, id)
	if before {
		return fmt.Errorf("%s: %w", verb, errInjected)
	}
	if err := call(); err != nil {
		return err
	}
	if after {
		return fmt.Errorf("%s: %w", verb, errInjected)
	}
	return nil
}

func (f *faultyWriter) Create(ctx context.Context, spec engine.Spec) (id string, err error) {
	err = f.do("create", spec.Name, func() (err error) {
		id, err = f.Writer.Create(ctx, spec)
		return err
	})
	return id, err
}

func (f *faultyWriter) Start(ctx context.Context, id string) error {
	return f.do("start", id, func() error { return f.Writer.Start(ctx, id) })
}

func (f *faultyWriter) Stop(ctx context.Context, id string) error {
	return f.do("stop", id, func() error { return f.Writer.Stop(ctx, id) })
}

func (f *faultyWriter) Rename(ctx context.Context, id, name string) error {
	return f.do("rename", id, func() error { return f.Writer.Rename(ctx, id, name) })
}

func (f *faultyWriter) Remove(ctx context.Context, id string, force bool) error {
	return f.do("remove", id, func() error { return f.Writer.Remove(ctx, id, force) })
}

func (f *faultyWriter) SetRestartPolicy(ctx context.Context, id string, policy container.RestartPolicy) error {
	return f.do("update", id, func() error { return f.Writer.SetRestartPolicy(ctx, id, policy) })
}

// Whichever single call fails, the answer is true and no service is lost or doubled.
func TestAnySingleEngineFailureEndsTruthfully(t *testing.T) {
	for _, mode := range []string{"error before", "effect, then error"} {
		for k := 0; ; k++ {
			made := 0
			t.Run(fmt.Sprintf("%s at call %d", mode, k), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, syncPolicy)
					faulty := &faultyWriter{Writer: w.engine, fail: func(call int, _, _ string) (bool, bool) {
						return call == k && mode == "error before", call == k && mode != "error before"
					}}
					w.executor.Writer = faulty
					w.wantTruth(faulty)
					made = faulty.calls
				})
			})
			if k >= made {
				break
			}
		}
	}
}

func (w *world) wantTruth(faulty *faultyWriter) {
	w.t.Helper()
	before := w.containers()
	applied, err := w.executor.Apply(w.t.Context(), w.source, w.propose().Plan)
	switch {
	case err != nil:
		w.wantServicesAsBefore(before)
	case applied.Result == ResultRolledBack:
		w.wantServicesAsBefore(before)
	case applied.Result == ResultCommitted, applied.Result == ResultKept:
		if w.file() != patchedFile {
			w.t.Errorf("%s, but the file is not patched", applied.Result)
		}
	default:
		w.t.Errorf("a single failure ended as %q after %d calls: %s", applied.Result, faulty.calls, w.told(applied))
	}
	w.wantOneRunningEach()
}

// wantServicesAsBefore leaves out what is not a service's running container: a lock, or a stopped leftover that the next run reports.
func (w *world) wantServicesAsBefore(before map[string]string) {
	w.t.Helper()
	after := map[string]string{}
	for name, state := range w.containers() {
		if _, known := before[name]; known {
			after[name] = state
		}
	}
	if diff := cmp.Diff(before, after); diff != "" {
		w.t.Errorf("rolled back, but (-before +after):\n%s", diff)
	}
	if w.file() != composeFile {
		w.t.Errorf("rolled back, but the file is\n%s", w.file())
	}
}

func (w *world) wantOneRunningEach() {
	w.t.Helper()
	running := map[string]int{}
	for name, state := range w.containers() {
		if strings.Contains(state, "running") {
			running[strings.SplitN(name, ".", 2)[0]]++
		}
	}
	if diff := cmp.Diff(map[string]int{"shop-app-1": 1, "shop-beat-1": 1}, running); diff != "" {
		w.t.Errorf("running containers (-want +got):\n%s", diff)
	}
}

// Two lost answers in a row are no reason to call for a person.
func TestRollbackIsTriedThreeTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.ReplaceAll(syncPolicy, ":-updates", ":-nobody"))
		before, failed := w.containers(), 0
		w.executor.Writer = &faultyWriter{Writer: w.engine, fail: func(_ int, verb, _ string) (bool, bool) {
			if verb != "remove" || failed == 2 {
				return false, false
			}
			failed++
			return true, false
		}}
		if applied := w.apply(); applied.Result != ResultRolledBack || failed != 2 {
			t.Errorf("result = %q after %d failures: %s", applied.Result, failed, w.told(applied))
		}
		w.wantServicesAsBefore(before)
	})
}

func TestRollbackThatFailsSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.ReplaceAll(syncPolicy, ":-updates", ":-nobody"))
		beat, err := w.engine.Inspect(t.Context(), "/shop-beat-1")
		if err != nil {
			t.Fatal(err)
		}
		w.executor.Writer = &faultyWriter{Writer: w.engine, fail: func(_ int, verb, id string) (bool, bool) {
			return verb == "start" && id == beat.ID, false
		}}
		applied := w.apply()
		if applied.Result != ResultRollbackFailed {
			t.Fatalf("result = %q, want rollback failed", applied.Result)
		}
		told := strings.Join(applied.Restored, "\n")
		for _, want := range []string{"shop-beat-1", "docker start " + engine.ShortID(beat.ID), w.stateDir} {
			if !strings.Contains(told, want) {
				t.Errorf("a person is needed, and must be told %q:\n%s", want, told)
			}
		}
		if w.file() != composeFile {
			t.Error("one failed part must not keep the others from being put back")
		}
		w.wantNoSecrets(applied)
	})
}
