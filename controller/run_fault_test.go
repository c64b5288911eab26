package controller

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/composure-dev/composure/internal/api"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/state"
	"github.com/composure-dev/composure/reconcile"
)

var errInjected = errors.New("injected")

// moody is an engine of which some calls fail.
type moody struct {
	*enginetest.Engine
	mu   sync.Mutex
	fail func(verb, id string) bool
}

func (m *moody) refuses(verb, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil && m.fail(verb, id) {
		return errInjected
	}
	return nil
}

func (m *moody) set(fail func(verb, id string) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = fail
}

func (m *moody) Start(ctx context.Context, id string) error {
	if err := m.refuses("start", id); err != nil {
		return err
	}
	return m.Engine.Start(ctx, id)
}

func (m *moody) Remove(ctx context.Context, id string, force bool) error {
	if err := m.refuses("remove", id); err != nil {
		return err
	}
	return m.Engine.Remove(ctx, id, force)
}

func (m *moody) Summaries(ctx context.Context, labels ...string) ([]engine.Summary, error) {
	if err := m.refuses("list", ""); err != nil {
		return nil, err
	}
	return m.Engine.Summaries(ctx, labels...)
}

// runMoody is run with an engine that the test may spoil from the start on.
func runMoody(t *testing.T, program enginetest.Program, fail func(m *moody) func(verb, id string) bool, test func(*testing.T, *daemon, *moody)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var m *moody
		d := prepareDaemon(t, enforced, func(h *host) {
			if program != nil {
				h.engine.AddImage(enginetest.Image{Name: "app:1", Program: program})
			}
			m = &moody{Engine: h.engine}
			h.live = m
		})
		m.set(fail(m))
		d.start()
		test(t, d, m)
		d.stop()
	})
}

// A lock that this very process could not remove keeps it from nothing.
func TestRunGetsOverItsOwnLock(t *testing.T) {
	refuseLocks := func(m *moody) func(string, string) bool {
		return func(verb, id string) bool {
			c, err := m.Engine.Inspect(t.Context(), id)
			return verb == "remove" && err == nil && c.Label(engine.LabelRole) == engine.RoleLock
		}
	}
	runMoody(t, nil, refuseLocks, func(_ *testing.T, d *daemon, m *moody) {
		d.after(10 * time.Second)
		m.set(nil)
		d.edit("compose.yaml", strings.Replace(d.file(), "SYNC=true", "SYNC=no", 1))
		d.after(time.Minute)
		d.want("with a lock of its own in the way", ReasonCompliant, 2)
	})
}

// What failed by no fault of the change is tried again.
func TestRunTriesAgainAfterAFaultOfTheEngine(t *testing.T) {
	once := func(*moody) func(string, string) bool {
		failed := false
		return func(verb, _ string) bool {
			first := verb == "start" && !failed
			failed = failed || first
			return first
		}
	}
	runMoody(t, nil, once, func(_ *testing.T, d *daemon, _ *moody) {
		d.after(time.Minute)
		d.want("after a start that the engine refused", ReasonCompliant, 2)
	})
}

// A rollback that fails calls for a person, and is no reason to start containers for ever.
func TestRunLeavesWhatCannotBePutBackToAPerson(t *testing.T) {
	started := 0
	program := func(map[string]string) enginetest.Behavior {
		if started++; started == 1 {
			return enginetest.Behavior{}
		}
		return enginetest.Behavior{Exit: &enginetest.Exit{Code: 1}}
	}
	runMoody(t, program, func(*moody) func(string, string) bool { return nil }, func(t *testing.T, d *daemon, _ *moody) {
		d.after(6 * time.Hour)
		if status := d.status(); status.Reason != ReasonStuck || !status.Stalled || status.ExitCode() != 4 {
			t.Errorf("status = %+v, want that a person is needed", status)
		}
		if started > 30 {
			t.Errorf("containers were started %d times in six hours", started)
		}
	})
}

// An engine that is away is waited for, and what has drifted meanwhile is mended then.
func TestRunComesBackToTheEngine(t *testing.T) {
	runMoody(t, nil, func(*moody) func(string, string) bool { return nil }, func(t *testing.T, d *daemon, m *moody) {
		d.after(time.Minute)
		d.want("at the start", ReasonCompliant, 1)
		away := func(verb, _ string) bool { return verb == "list" }
		m.set(away)
		d.engine.DropEvents()
		d.write(filepath.Join(d.dir, "compose.yaml"), strings.Replace(d.file(), "SYNC=true", "SYNC=no", 1))
		d.after(10 * time.Second)
		d.want("for a moment", ReasonCompliant, 1)
		d.after(5 * time.Minute)
		d.want("while it is away", ReasonNoEngine, 1)
		ready := api.Find(d.loop.projects()[0].Conditions, api.Ready)
		if d.loop.ready() || ready.Status != api.Unknown || !strings.Contains(ready.Message, "injected") {
			t.Errorf("it is said to be ready: %+v", ready)
		}
		m.set(nil)
		d.after(5 * time.Minute)
		d.want("when it is back", ReasonCompliant, 2)
	})
}

func TestRunObeysTheRemovalOfAPolicy(t *testing.T) {
	run(t, enforced, nil, func(t *testing.T, d *daemon) {
		d.after(time.Minute)
		d.want("at the start", ReasonCompliant, 1)
		path := filepath.Join(d.dir, "composure", "sync.yaml")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		d.watcher.touch(t, path)
		d.edit("compose.yaml", strings.Replace(d.file(), "SYNC=true", "SYNC=no", 1))
		d.after(time.Hour)
		d.want("without a policy", ReasonNotSelected, 1)
	})
}

// A record that cannot be read may be the one that says what was undone.
func TestRunWaitsForUnreadableRecords(t *testing.T) {
	run(t, enforced, nil, func(t *testing.T, d *daemon) {
		d.after(time.Minute)
		records, err := state.Store{Dir: d.config.StateDir}.List("shop")
		if err != nil || len(records) != 1 {
			t.Fatalf("%v, %d records", err, len(records))
		}
		d.write(state.Store{Dir: d.config.StateDir}.Path(records[0]), "{")
		d.edit("compose.yaml", strings.Replace(d.file(), "SYNC=true", "SYNC=no", 1))
		d.after(time.Minute)
		if status := d.status(); status.Reason != ReasonFailed || !strings.Contains(status.Message, "whether the same was tried before is not known") {
			t.Errorf("status = %+v", status)
		}
	})
}

// A single run ends, also after one that has left its lock.
func TestRunOnceAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := prepareDaemon(t, enforced, nil)
		name, err := os.Hostname()
		if err != nil {
			t.Fatal(err)
		}
		locker := engine.Locker{
			Reader: d.engine, Writer: d.engine, Prober: d.engine, Host: name,
			Alive: func(int) bool { return true }, Born: func(int) string { return "another boot" },
		}
		if _, err := locker.Lock(t.Context(), "shop", "dead"); err != nil {
			t.Fatal(err)
		}
		statuses, err := Run(t.Context(), d.config, RunOptions{Once: true, Open: d.open})
		if err != nil || len(statuses) != 1 || statuses[0].Reason != ReasonCompliant {
			t.Errorf("%v: %+v", err, statuses)
		}
	})
}

func TestRunOnceThatJudgesNothingIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := prepareDaemon(t, strings.Replace(enforced, "[app]", "[nobody]", 1), nil)
		if _, err := Run(t.Context(), d.config, RunOptions{Once: true, Open: d.open}); err == nil || !strings.Contains(err.Error(), "nothing was judged") {
			t.Errorf("error = %v", err)
		}
	})
}

func TestStatusExitCode(t *testing.T) {
	tests := map[string]struct {
		reason string
		status Status
		want   int
	}{
		"Ready":      {"nothing is to be done", Status{Ready: true, Reason: ReasonCompliant}, 0},
		"Held":       {"something differs", Status{Reason: ReasonHeld}, 1},
		"Failed":     {"it could not be looked at", Status{Reason: ReasonFailed}, 2},
		"RolledBack": {"what was done is undone", Status{Reason: ReasonQuarantined, Outcome: string(reconcile.ResultRolledBack)}, 3},
		"Stuck":      {"a person is needed", Status{Reason: ReasonStuck}, 4},
	}
	for name, tc := range tests {
		if got := tc.status.ExitCode(); got != tc.want {
			t.Errorf("%s: %s: %d, want %d", name, tc.reason, got, tc.want)
		}
	}
}

// Whoever watches over it must be able to tell that it hangs, and not take an engine that is away for that.
func TestRunTellsThatItIsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := prepareDaemon(t, enforced, nil)
		alive := make(chan func() bool, 1)
		d.options.Started = func(is func() bool) { alive <- is }
		d.start()
		is := <-alive
		for range 50 {
			d.after(7 * time.Minute)
			d.engine.DropEvents()
			if !is() {
				t.Fatal("it is taken for one that hangs")
			}
		}
		d.stop()
		<-time.After(time.Hour)
		if is() {
			t.Error("it is taken for alive an hour after its end")
		}
	})
}
