package controller

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/composure-dev/composure/internal/api"
	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/state"
)

const enforced = `apiVersion: composure/v1alpha1
kind: EnvironmentPolicy
metadata: {name: sync}
spec:
  enforcement: {files: Enforce, containers: Enforce}
  selector: {services: [app]}
  variables:
  - {name: SYNC, value: "true"}
  rollout: {stableFor: 1s, timeout: 10s}
  verify:
  - healthy: true
`

// fakeWatcher is told of changes by the test.
type fakeWatcher struct {
	mu      sync.Mutex
	paths   map[string][]string
	changed chan string
}

func newFakeWatcher() *fakeWatcher {
	return &fakeWatcher{paths: map[string][]string{}, changed: make(chan string, 16)}
}

func (w *fakeWatcher) Set(name string, paths []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.paths[name] = paths
}

func (w *fakeWatcher) Forget(name string) { w.Set(name, nil) }

func (w *fakeWatcher) Run(ctx context.Context, changed func(string)) error {
	for {
		select {
		case name := <-w.changed:
			changed(name)
		case <-ctx.Done():
			return nil
		}
	}
}

// touch tells whoever has the file watched.
func (w *fakeWatcher) touch(t *testing.T, path string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	told := false
	for name, paths := range w.paths {
		if slices.ContainsFunc(paths, func(p string) bool { return p == path || p == filepath.Dir(path) }) {
			w.changed <- name
			told = true
		}
	}
	if !told {
		t.Errorf("%s is not watched", path)
	}
}

// daemon is a project on a host, and the daemon that looks after it.
type daemon struct {
	*host
	dir     string
	config  Config
	watcher *fakeWatcher
	options RunOptions // beyond what every test has
	loop    *loop
	stop    func()
	ended   chan error
}

// prepareDaemon brings the project up. The daemon runs from start until stop, or the end of the test.
func prepareDaemon(t *testing.T, policyText string, change func(*host)) *daemon {
	t.Helper()
	h := newHost(t)
	if change != nil {
		change(h)
	}
	d := &daemon{host: h, dir: h.project("shop"), watcher: newFakeWatcher()}
	h.write(filepath.Join(d.dir, "composure", "sync.yaml"), policyText)
	d.config = h.config(d.dir)
	return d
}

func (d *daemon) start() {
	d.t.Helper()
	ctx, cancel := context.WithCancel(d.t.Context())
	var err error
	o := d.options
	o.Watcher, o.Open, o.Guard = d.watcher, d.open, api.Guard{Names: true}
	if d.loop, err = newLoop(ctx, d.config, o.withDefaults()); err != nil {
		d.t.Fatal(err)
	}
	d.ended = make(chan error, 1)
	go func() { d.ended <- d.loop.forever(ctx) }()
	d.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-d.ended; err != nil {
			d.t.Errorf("it ends with %v", err)
		}
	})
	d.t.Cleanup(d.stop)
}

func (h *host) open(context.Context) (LiveEngine, error) {
	if h.live != nil {
		return h.live, nil
	}
	return h.engine, nil
}

// after lets time go by.
func (d *daemon) after(span time.Duration) {
	<-time.After(span)
	synctest.Wait()
}

func (d *daemon) status() Status {
	status, _ := d.loop.statuses.get("shop")
	return status
}

func (d *daemon) want(what string, reason Reason, transactions int) {
	d.t.Helper()
	records, err := state.Store{Dir: d.config.StateDir}.List("shop")
	if err != nil {
		d.t.Error(err)
	}
	if status := d.status(); status.Reason != reason || len(records) != transactions {
		d.t.Errorf("%s: %s (%s) after %d transactions, want %s after %d", what, status.Reason, status.Message, len(records), reason, transactions)
	}
}

func (d *daemon) app() engine.Container {
	d.t.Helper()
	c, err := d.engine.Inspect(d.t.Context(), "/shop-app-1")
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

func (d *daemon) file() string {
	d.t.Helper()
	content, err := os.ReadFile(filepath.Join(d.dir, "compose.yaml"))
	if err != nil {
		d.t.Fatal(err)
	}
	return string(content)
}

func (d *daemon) edit(path, content string) {
	d.t.Helper()
	path = filepath.Join(d.dir, path)
	d.write(path, content)
	d.watcher.touch(d.t, path)
}

// up is docker compose up -d --force-recreate with another environment of the shell.
func (d *daemon) up(environ ...string) {
	d.t.Helper()
	project, err := compose.Load(d.t.Context(), compose.Options{Directory: d.dir, Environ: environ})
	if err != nil {
		d.t.Fatal(err)
	}
	if err := d.engine.Remove(d.t.Context(), d.app().ID, true); err != nil {
		d.t.Fatal(err)
	}
	if _, err := d.engine.Up(d.t.Context(), project, nil); err != nil {
		d.t.Fatal(err)
	}
}

func run(t *testing.T, policyText string, change func(*host), test func(*testing.T, *daemon)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := prepareDaemon(t, policyText, change)
		d.start()
		test(t, d)
		d.stop()
	})
}

// Whatever drifts is mended once, by itself.
func TestRunMends(t *testing.T) {
	declared := strings.Replace(enforced, `value: "true"}`, `value: "true", declare: "${SYNC:-true}"}`, 1)
	run(t, declared, nil, func(t *testing.T, d *daemon) {
		d.after(10 * time.Second)
		d.want("at the start", ReasonCompliant, 1)
		if got := d.app().Env()["SYNC"]; got == nil || *got != "true" || !strings.Contains(d.file(), "SYNC=${SYNC:-true}") {
			t.Errorf("SYNC is %v, the file is\n%s", got, d.file())
		}

		d.up("SYNC=false")
		d.after(10 * time.Second)
		d.want("after an up from another shell", ReasonCompliant, 2)

		d.edit("compose.yaml", strings.Replace(d.file(), "SYNC=${SYNC:-true}", "SYNC=no", 1))
		d.after(10 * time.Second)
		d.want("after an edit of the file", ReasonCompliant, 3)

		d.edit("composure/sync.yaml", strings.ReplaceAll(declared, "SYNC", "SYNCED"))
		d.after(10 * time.Second)
		d.want("after an edit of the policy", ReasonCompliant, 4)
		if d.app().Env()["SYNCED"] == nil {
			t.Error("the new policy is not in force")
		}

		before := d.app().ID
		d.after(24 * time.Hour)
		d.want("a day later", ReasonCompliant, 4)
		if d.app().ID != before {
			t.Error("the container was replaced for nothing")
		}
	})
}

func TestRunAudits(t *testing.T) {
	run(t, strings.ReplaceAll(enforced, "Enforce", "Audit"), nil, func(t *testing.T, d *daemon) {
		file, id := d.file(), d.app().ID
		d.after(time.Hour)
		d.want("a policy that audits", ReasonHeld, 0)
		if status := d.status(); !status.Stalled || status.Differences == 0 || len(status.Held) == 0 {
			t.Errorf("status = %+v", status)
		}
		if d.file() != file || d.app().ID != id {
			t.Error("something was changed")
		}
	})
}

// What was undone is not tried again until it could end otherwise.
func TestRunQuarantines(t *testing.T) {
	crash := func(h *host) {
		h.engine.AddImage(enginetest.Image{Name: "app:1", Program: func(env map[string]string) enginetest.Behavior {
			if env["SYNC"] == "true" {
				return enginetest.Behavior{Exit: &enginetest.Exit{Code: 1}}
			}
			return enginetest.Behavior{}
		}})
	}
	run(t, enforced, crash, func(t *testing.T, d *daemon) {
		file, id := d.file(), d.app().ID
		d.after(6 * time.Hour)
		d.want("what crashes", ReasonQuarantined, 1)
		if d.file() != file || d.app().ID != id || !d.app().Running() {
			t.Error("not everything is as before")
		}
		d.edit("compose.yaml", d.file()+"# another try\n")
		d.after(time.Minute)
		d.want("after an edit", ReasonQuarantined, 2)
		d.stop()
		d.start()
		d.after(time.Hour)
		d.want("after a restart", ReasonQuarantined, 2)
	})
}

func TestRunObeysSuspension(t *testing.T) {
	var store state.Store
	run(t, strings.ReplaceAll(enforced, "files: Enforce", "files: Audit"), nil, func(t *testing.T, d *daemon) {
		store = state.Store{Dir: d.config.StateDir}
		d.after(time.Minute)
		d.want("before", ReasonHeld, 0)
		if err := store.Suspend("shop", state.Suspension{Reason: "maintenance"}); err != nil {
			t.Fatal(err)
		}
		d.edit("composure/sync.yaml", enforced)
		d.after(time.Hour)
		d.want("while it is suspended", ReasonSuspended, 0)
		if err := store.Resume("shop"); err != nil {
			t.Fatal(err)
		}
		d.after(2 * time.Minute)
		d.want("after it was resumed", ReasonCompliant, 1)
	})
}

// An interrupted transaction says nothing of what it would have come to.
func TestRunFinishesOrUndoesWhenItEnds(t *testing.T) {
	slow := strings.Replace(enforced, "stableFor: 1s, timeout: 10s", "stableFor: 30s, timeout: 60s", 1)
	run(t, slow, nil, func(t *testing.T, d *daemon) {
		file, id := d.file(), d.app().ID
		d.after(10 * time.Second)
		d.want("under way", ReasonRepairing, 1)
		d.stop()
		if all, err := d.engine.List(t.Context()); err != nil || len(all) != 1 || all[0].ID != id || !all[0].Running() || d.file() != file {
			t.Errorf("%d containers are left, %v", len(all), err)
		}
		d.start()
		d.after(time.Hour)
		d.want("when it runs again", ReasonCompliant, 2)
	})
}

// Events may break off as often as they like.
func TestRunWaitsForTheEngine(t *testing.T) {
	run(t, enforced, nil, func(_ *testing.T, d *daemon) {
		d.after(time.Minute)
		d.want("at the start", ReasonCompliant, 1)
		for range 20 {
			d.engine.DropEvents()
			d.after(90 * time.Second)
		}
		d.want("after its events broke off again and again", ReasonCompliant, 1)
		d.edit("compose.yaml", strings.Replace(d.file(), "SYNC=true", "SYNC=no", 1))
		d.after(time.Minute)
		d.want("after a change of the file", ReasonCompliant, 2)
		d.up()
		d.after(time.Minute)
		d.want("after a container that is as it should be", ReasonCompliant, 2)
	})
}

// A policy that cannot be read any more stays in force as it was, and is no reason to forget the others.
func TestRunKeepsGoodPolicies(t *testing.T) {
	run(t, enforced, nil, func(t *testing.T, d *daemon) {
		d.after(10 * time.Second)
		d.want("at the start", ReasonCompliant, 1)
		d.edit("composure/sync.yaml", "kind: [")
		d.edit("composure/other.yaml", strings.NewReplacer("SYNC", "OTHER", "name: sync", "name: other").Replace(enforced))
		d.after(10 * time.Second)
		d.want("beside a broken one", ReasonCompliant, 2)
		if env := d.app().Env(); env["SYNC"] == nil || env["OTHER"] == nil {
			t.Errorf("environment: %v", env)
		}
		if got := names(d.loop.policies.inForce()); !slices.Equal(got, []string{"other", "sync"}) {
			t.Errorf("in force: %q", got)
		}
	})
}

// A person who edits all the time is not fought for ever.
func TestRunHasABudget(t *testing.T) {
	run(t, enforced, nil, func(_ *testing.T, d *daemon) {
		d.after(10 * time.Second)
		wrong := strings.Replace(d.file(), "SYNC=true", "SYNC=no", 1)
		for range 10 {
			d.edit("compose.yaml", wrong)
			d.after(20 * time.Second)
		}
		d.want("in the first minutes", ReasonBudget, 6)
		d.after(time.Hour)
		d.want("an hour later", ReasonCompliant, 7)
	})
}

func TestRunOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		dirs := map[string]string{"one": h.project("one"), "two": h.project("two")}
		h.write(filepath.Join(dirs["one"], "policies", "sync.yaml"), enforced)
		c := h.config("")
		c.All, c.Policies, c.AllowRoots = true, []string{filepath.Join(dirs["one"], "policies")}, []string{dirs["one"]}
		statuses, err := Run(t.Context(), c, RunOptions{Once: true, Open: h.open})
		if err != nil {
			t.Fatal(err)
		}
		if len(statuses) != 2 || statuses[0].Reason != ReasonCompliant || statuses[1].Reason != ReasonUnreachable {
			t.Errorf("statuses: %+v", statuses)
		}
	})
}
