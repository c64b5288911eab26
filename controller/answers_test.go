package controller

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/internal/api"
	"github.com/composure-dev/composure/internal/engine/enginetest"
)

// told collects what those who are notified are told.
type told struct {
	mu     sync.Mutex
	ids    []string
	events []api.Event
}

func (n *told) notify(id string, event api.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ids, n.events = append(n.ids, id), append(n.events, event)
}

// since gives the reasons that were told of since the last call.
func (n *told) since() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	reasons := []string{}
	for _, e := range n.events {
		reasons = append(reasons, e.Reason)
	}
	n.events = nil
	return reasons
}

// Those who are notified are told of each transaction, and of what lasts, once.
func TestRunNotifiesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n told
		d := prepareDaemon(t, enforced, nil)
		d.options.Notify = n.notify
		d.start()
		steps := []struct {
			what string
			do   func()
			want []string
		}{
			{"mended at the start", func() {}, []string{"Committed"}},
			{"nothing happens", func() {}, []string{}},
			{"a drift", func() { d.edit("compose.yaml", strings.Replace(d.file(), "SYNC=true", "SYNC=no", 1)) }, []string{"Committed"}},
			{"a policy that cannot be read", func() { d.edit("composure/other.yaml", "kind: [") }, []string{"Invalid"}},
			{"and still", func() { d.after(time.Hour) }, []string{}},
			{"it is removed", func() { d.remove("composure/other.yaml") }, []string{}},
			{"a person is wanted", func() {
				d.edit("composure/sync.yaml", strings.NewReplacer("Enforce", "Audit", `"true"`, `"on"`).Replace(enforced))
			}, []string{"Held"}},
			{"that lasts", func() { d.after(24 * time.Hour) }, []string{}},
			{"and is over", func() { d.edit("composure/sync.yaml", enforced) }, []string{"Compliant"}},
			{"the engine goes away for a moment", func() { d.engine.DropEvents() }, []string{"EngineAway", "EngineAnswers"}},
		}
		for _, step := range steps {
			step.do()
			d.after(time.Minute)
			if diff := cmp.Diff(step.want, n.since()); diff != "" {
				t.Errorf("%s: %s", step.what, diff)
			}
		}
		if ids := slices.Clone(n.ids); len(slices.Compact(slices.Sorted(slices.Values(ids)))) != len(n.ids) {
			t.Errorf("ids are used again: %q", n.ids)
		}
		d.stop()
	})
}

func TestRunDescribes(t *testing.T) {
	run(t, strings.ReplaceAll(enforced, "containers: Enforce", "containers: Audit"), nil, func(t *testing.T, d *daemon) {
		d.after(time.Minute)
		description, err := d.loop.describe(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		want := []api.Finding{{Policy: "sync", Service: "app", Variable: "SYNC", Layer: "container", Verdict: "ContainerStale"}}
		for i := range description.Findings {
			description.Findings[i].Place = ""
		}
		if diff := cmp.Diff(want, description.Findings); diff != "" {
			t.Error(diff)
		}
		if len(description.Held) != 1 || len(description.Transactions) != 1 || description.Transactions[0].Outcome != "committed" || len(description.Events) < 3 {
			t.Errorf("held %+v, transactions %+v, %d events", description.Held, description.Transactions, len(description.Events))
		}
		if stalled := api.Find(description.Conditions, api.Stalled); stalled.Status != api.True || stalled.Reason != string(ReasonPending) {
			t.Errorf("stalled: %+v", stalled)
		}
		since := api.Find(description.Conditions, api.Ready).LastTransitionTime
		d.after(2 * time.Hour)
		later, err := d.loop.describe(t.Context(), "shop")
		if err != nil || !api.Find(later.Conditions, api.Ready).LastTransitionTime.Equal(since) || !later.LookedAt.After(description.LookedAt) {
			t.Errorf("two hours later: %+v, %v", later.Conditions, err)
		}
		if _, err := d.loop.describe(t.Context(), "nowhere"); !errors.Is(err, api.ErrNotFound) {
			t.Errorf("a project that is not there: %v", err)
		}
	})
}

func TestRunTellsOfPolicies(t *testing.T) {
	run(t, enforced, nil, func(t *testing.T, d *daemon) {
		d.after(time.Minute)
		list := d.loop.policyAnswers()
		if len(list) != 1 || !cmp.Equal(list[0].Services, []string{"shop/app"}) || !cmp.Equal(list[0].Variables, []string{"SYNC"}) || list[0].Files != "Enforce" ||
			api.Find(list[0].Conditions, api.Ready).Status != api.True {
			t.Errorf("a good one: %+v", list)
		}
		good := list[0].Digest
		d.edit("composure/sync.yaml", "kind: [")
		d.edit("composure/none.yaml", strings.Replace(enforced, "services: [app]", "services: [nowhere]", 1)+"  unknown: 1\n")
		d.after(time.Minute)
		list = d.loop.policyAnswers()
		if len(list) != 2 {
			t.Fatalf("policies: %+v", list)
		}
		for _, p := range list {
			stalled := api.Find(p.Conditions, api.Stalled)
			if stalled.Status != api.True || stalled.Reason != policyInvalid || !strings.Contains(stalled.Message, p.File+":") {
				t.Errorf("%s: %+v", p.Name, stalled)
			}
		}
		if list[1].Name != "sync" || list[1].Digest != good || list[1].Services == nil {
			t.Errorf("the last good version: %+v", list[1])
		}
		d.want("with its last good version in force", ReasonCompliant, 1)
		d.edit("composure/sync.yaml", strings.ReplaceAll(enforced, "Enforce", "Audit")+"  - healthy: true\n")
		d.remove("composure/none.yaml")
		d.edit("compose.yaml", strings.Replace(d.file(), "SYNC=true", "SYNC=no", 1))
		d.after(time.Minute)
		list = d.loop.policyAnswers()
		ready := api.Find(list[0].Conditions, api.Ready)
		if len(list) != 1 || ready.Status != api.False || ready.Reason != policyDiffers || list[0].Differences == 0 {
			t.Errorf("what it finds: %+v", list)
		}
		if since := time.Since(ready.LastTransitionTime); since < 50*time.Second || since > time.Minute {
			t.Errorf("not ready for %s", since)
		}
	})
}

func TestRunIsSuspendedByRequest(t *testing.T) {
	run(t, enforced, nil, func(t *testing.T, d *daemon) {
		d.after(time.Minute)
		if err := d.loop.suspend("shop", "a test"); err != nil {
			t.Fatal(err)
		}
		d.edit("compose.yaml", strings.Replace(d.file(), "SYNC=true", "SYNC=no", 1))
		d.after(time.Hour)
		d.want("while it is suspended", ReasonSuspended, 1)
		if p := d.loop.projects()[0]; p.Suspended == nil || p.Suspended.Reason != "a test" {
			t.Errorf("suspended: %+v", p.Suspended)
		}
		if err := d.loop.resume("shop"); err != nil {
			t.Fatal(err)
		}
		d.after(10 * time.Second)
		d.want("after it was resumed", ReasonCompliant, 2)
		if err := errors.Join(d.loop.suspend("nowhere", ""), d.loop.resume("nowhere")); !errors.Is(err, api.ErrNotFound) {
			t.Errorf("a project that is not there: %v", err)
		}
	})
}

// A policy that is wrong everywhere does not reach everything at once.
func TestRunRecreatesOnlySoMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		policies := t.TempDir()
		h.write(filepath.Join(policies, "sync.yaml"), enforced)
		c := h.config("")
		c.All, c.Policies, c.AllowRoots = true, []string{policies}, []string{h.project("a"), h.project("b"), h.project("c")}
		d := &daemon{host: h, config: c, watcher: newFakeWatcher(), options: RunOptions{MaxServices: 2}}
		d.start()
		reasons := func() (compliant, waiting int) {
			for _, s := range d.loop.statuses.list() {
				if s.Reason == ReasonCompliant {
					compliant++
				}
				if s.Reason == ReasonTooMany {
					waiting++
				}
			}
			return compliant, waiting
		}
		d.after(10 * time.Minute)
		if compliant, waiting := reasons(); compliant != 2 || waiting != 1 {
			t.Errorf("within the hour %d are mended and %d wait: %+v", compliant, waiting, d.loop.statuses.list())
		}
		d.after(time.Hour)
		if compliant, waiting := reasons(); compliant != 3 || waiting != 0 {
			t.Errorf("an hour later %d are mended and %d wait", compliant, waiting)
		}
		d.stop()
	})
}

func TestRecreationsThatAreTooManyAreLeftToAPerson(t *testing.T) {
	var r recreations
	why := r.admits(3, 2, true)
	if why == nil || why.reason != ReasonTooMany || why.wait != 0 || !strings.Contains(why.message, "composure apply") {
		t.Errorf("%+v", why)
	}
}

// Everything that is published is what a look came to.
func TestRunPublishesResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var got []string
		crash := func(h *host) {
			h.engine.AddImage(enginetest.Image{Name: "app:1", Program: func(env map[string]string) enginetest.Behavior {
				if env["SYNC"] == "true" {
					return enginetest.Behavior{Exit: &enginetest.Exit{Code: 1}}
				}
				return enginetest.Behavior{}
			}})
		}
		d := prepareDaemon(t, enforced, crash)
		d.options.Publish = func(r api.Result) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, strings.Join([]string{r.Project, r.Reason, r.Outcome}, " "))
		}
		d.start()
		d.after(30 * time.Second)
		d.stop()
		want := []string{"shop ProjectChanging ", "shop RolledBack rolled back", "shop Quarantined "}
		if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
			t.Error(diff)
		}
	})
}

func (d *daemon) remove(path string) {
	d.t.Helper()
	path = filepath.Join(d.dir, path)
	if err := os.Remove(path); err != nil {
		d.t.Fatal(err)
	}
	d.watcher.touch(d.t, path)
}
