package conformance

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
)

// replacement is the container with one variable more.
func (f Fixture) replacement(t *testing.T, old engine.Container, entry string) engine.Replacement {
	t.Helper()
	image, err := f.Reader.Image(t.Context(), old.Image)
	f.must(t, err)
	return engine.Replacement{
		Old:         old,
		Image:       image,
		Env:         append(slices.Clone(old.Config.Env), entry),
		ConfigHash:  "after",
		Transaction: "tx-1",
	}
}

func testSwap(t *testing.T, f Fixture) {
	spec := f.spec("swap", "KEPT=1", "HIDDEN")
	spec.Config.Volumes = map[string]struct{}{"/anonymous": {}}
	old := f.run(t, spec)
	r := f.replacement(t, old, "ADDED=1")
	swapped, err := f.swapper().Swap(t.Context(), r, f.pace())
	f.must(t, err)

	replaced := f.inspect(t, old.Name)
	if replaced.ID != swapped.NewID || replaced.ID == old.ID || !replaced.Running() {
		t.Errorf("the name means %q (%s), want the running %q", replaced.ID, replaced.State.Status, swapped.NewID)
	}
	byText := cmpopts.SortSlices(func(a, b string) bool { return a < b })
	if diff := cmp.Diff(r.Env, replaced.Config.Env, byText); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if got := replaced.Label(engine.LabelConfigHash); got != "after" {
		t.Errorf("config hash is %q", got)
	}
	if diff := cmp.Diff(volumes(old), volumes(replaced)); diff != "" {
		t.Errorf("volumes (-old +new):\n%s", diff)
	}
	kept := f.inspect(t, old.ID)
	if kept.Running() || kept.CleanName() != engine.KeptName(old.CleanName()) {
		t.Errorf("the old container is %s and called %q", kept.State.Status, kept.Name)
	}
	f.wantUnfinished(t, engine.LeftoverReplacement, engine.LeftoverKept)

	f.must(t, f.swapper().Commit(t.Context(), swapped))
	f.must(t, f.swapper().Commit(t.Context(), swapped))
	_, err = f.Reader.Inspect(t.Context(), old.ID)
	wantError(t, "the old container", err, engine.ErrNotFound)
	f.wantUnfinished(t)
}

// volumes are the names of the mounted volumes by destination.
func volumes(c engine.Container) map[string]string {
	names := make(map[string]string)
	for _, point := range c.Mounts {
		names[point.Destination] = point.Name
	}
	return names
}

func (f Fixture) wantUnfinished(t *testing.T, want ...engine.LeftoverKind) {
	t.Helper()
	listed, err := f.Reader.List(t.Context(), engine.LabelProject+"="+f.Prefix)
	f.must(t, err)
	var kinds []engine.LeftoverKind
	for _, leftover := range engine.Unfinished(listed) {
		kinds = append(kinds, leftover.Kind)
	}
	if diff := cmp.Diff(want, kinds, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("leftovers (-want +got):\n%s", diff)
	}
}

// wantRestored checks that the very same container runs as before, and that nothing else is left.
func (f Fixture) wantRestored(t *testing.T, old engine.Container) {
	t.Helper()
	now := f.inspect(t, old.Name)
	if now.ID != old.ID || !now.Running() {
		t.Errorf("the name means %q (%s), want the running %q", now.ID, now.State.Status, old.ID)
	}
	if diff := cmp.Diff(old.HostConfig.RestartPolicy, now.HostConfig.RestartPolicy); diff != "" {
		t.Errorf("restart policy (-want +got):\n%s", diff)
	}
	f.wantUnfinished(t)
}

func testSwapCrash(t *testing.T, f Fixture) {
	old := f.run(t, f.spec("crash"))
	_, err := f.swapper().Swap(t.Context(), f.replacement(t, old, ScriptExit+"=2"), f.pace())
	var failure *engine.SwapError
	if !errors.As(err, &failure) || failure.Stage != "wait" || failure.UndoErr != nil || !strings.HasSuffix(err.Error(), "code 2") {
		t.Fatalf("got %v, want a failed wait with the exit code, undone", err)
	}
	if !slices.Contains(failure.Logs, ScriptExit+"=2") {
		t.Errorf("last lines of the new container: %q", failure.Logs)
	}
	f.wantRestored(t, old)
}

func testSwapUnhealthy(t *testing.T, f Fixture) {
	spec := f.spec("health", ScriptHealth+"=ok")
	spec.Config.Healthcheck = healthcheck()
	old := f.run(t, spec)
	eventually(t, "the health of the old container", func() bool {
		old = f.inspect(t, old.ID)
		return engine.Healthy(old) == nil
	})
	r := f.replacement(t, old, "OTHER=1")
	r.Env = slices.DeleteFunc(r.Env, func(entry string) bool { return entry == ScriptHealth+"=ok" })
	r.Env = append(r.Env, ScriptHealth+"=bad")
	_, err := f.swapper().Swap(t.Context(), r, f.pace())
	var failure *engine.SwapError
	if !errors.As(err, &failure) || failure.UndoErr != nil || !strings.HasSuffix(err.Error(), "is unhealthy") {
		t.Fatalf("got %v, want the bad health, undone", err)
	}
	f.wantRestored(t, old)
	if now := f.inspect(t, old.ID); now.State.Health == nil || now.State.Health.Status != container.Healthy {
		t.Errorf("the old container was not waited for: %+v", now.State.Health)
	}
	f.must(t, f.Writer.Stop(t.Context(), old.ID))
	if now := f.inspect(t, old.ID); now.State.Health == nil || now.State.Health.Status != container.Unhealthy {
		t.Errorf("a stopped container tells of its health: %+v", now.State.Health)
	}
}

// testSwapInterrupted cancels while the old container stops: the engine goes on with that, whatever becomes of the request.
func testSwapInterrupted(t *testing.T, f Fixture) {
	old := f.run(t, f.spec("interrupted", ScriptStop+"=2s"))
	f.ready(t, old)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	swapper := f.swapper()
	swapper.Writer = &interruptedStop{Writer: f.Writer, id: old.ID, interrupt: func() { time.AfterFunc(200*time.Millisecond, cancel) }}
	_, err := swapper.Swap(ctx, f.replacement(t, old, "ADDED=1"), f.pace())
	var failure *engine.SwapError
	if !errors.As(err, &failure) || failure.UndoErr != nil || !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want the interruption, undone", err)
	}
	f.wantRestored(t, old)
	throughout(t, 4*time.Second, "the old container running", func() bool { return f.inspect(t, old.ID).Running() })
	f.wantRestored(t, old)
}

// interruptedStop calls interrupt when one container is about to be stopped.
type interruptedStop struct {
	engine.Writer
	id        string
	interrupt func()
}

func (w *interruptedStop) Stop(ctx context.Context, id string) error {
	if id == w.id {
		w.interrupt()
	}
	return w.Writer.Stop(ctx, id)
}

func testUndo(t *testing.T, f Fixture) {
	old := f.run(t, f.spec("undo"))
	swapped, err := f.swapper().Swap(t.Context(), f.replacement(t, old, "ADDED=1"), f.pace())
	f.must(t, err)
	for range 2 {
		f.must(t, f.swapper().Undo(t.Context(), &swapped))
		f.wantRestored(t, old)
	}
	f.run(t, f.spec("undo-beside")) // without another one it would be taken for docker compose down
	f.must(t, f.Writer.Remove(t.Context(), old.ID, true))
	for range 2 {
		f.must(t, f.swapper().Undo(t.Context(), &swapped))
		rebuilt := f.inspect(t, old.Name)
		if rebuilt.ID != swapped.Rebuilt || !rebuilt.Running() {
			t.Errorf("the name means %q (%s), want the running %q", rebuilt.ID, rebuilt.State.Status, swapped.Rebuilt)
		}
		f.wantUnfinished(t)
	}
}

func testLock(t *testing.T, f Fixture) {
	alive, born := true, "boot/1"
	locker := &engine.Locker{
		Reader: f.Reader, Writer: f.Writer, Prober: f.Prober, Host: "here",
		Alive: func(int) bool { return alive }, Born: func(int) string { return born },
	}
	unlock, err := locker.Lock(t.Context(), f.Prefix, "first")
	f.must(t, err)
	t.Cleanup(func() { _ = unlock(context.WithoutCancel(t.Context())) })

	_, err = locker.Lock(t.Context(), f.Prefix, "second")
	var locked *engine.LockedError
	if !errors.As(err, &locked) {
		t.Fatalf("got %v, want a LockedError", err)
	}
	want := &engine.LockedError{Project: f.Prefix, Host: "here", Transaction: "first", Command: "docker rm composure-lock-" + f.Prefix}
	if diff := cmp.Diff(want, locked, cmpopts.IgnoreFields(engine.LockedError{}, "Since")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if age := time.Since(locked.Since); age < 0 || age > time.Minute {
		t.Errorf("held since %s", locked.Since)
	}

	alive = false
	unlockSecond, err := locker.Lock(t.Context(), f.Prefix, "second")
	f.must(t, err)
	f.must(t, unlock(t.Context()))
	f.must(t, unlockSecond(t.Context()))
	alive = true
	unlockThird, err := locker.Lock(t.Context(), f.Prefix, "third")
	f.must(t, err)
	born = "boot/2" // another process has the id by now
	unlockFourth, err := locker.Lock(t.Context(), f.Prefix, "fourth")
	f.must(t, err)
	f.must(t, unlockThird(t.Context()))
	f.must(t, unlockFourth(t.Context()))
}

func testProbe(t *testing.T, f Fixture) {
	target := f.run(t, f.spec("probe"))
	job := []byte(`{"password": "not in any log"}` + "\n")
	answer, err := f.Prober.Probe(t.Context(), target.ID, job)
	f.must(t, err)
	if diff := cmp.Diff(string(job), string(answer)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	left, err := f.Reader.List(t.Context(), engine.LabelRole+"="+engine.RoleProbe)
	f.must(t, err)
	for _, c := range left {
		if string(c.HostConfig.NetworkMode) == "container:"+target.ID {
			t.Errorf("probe container %q was left", c.Name)
		}
	}
	f.must(t, f.Writer.Stop(t.Context(), target.ID))
	if _, err := f.Prober.Probe(t.Context(), target.ID, job); err == nil {
		t.Error("a stopped container was probed")
	}
}
