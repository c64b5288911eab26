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

	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/internal/api"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/state"
)

const slowly = "stableFor: 30s, timeout: 60s"

// A person who has a project left alone while it is mended means what comes after.
func TestSuspensionOutlivesTheTransactionUnderWay(t *testing.T) {
	run(t, strings.Replace(enforced, "stableFor: 1s, timeout: 10s", slowly, 1), nil, func(t *testing.T, d *daemon) {
		d.after(10 * time.Second)
		d.want("under way", ReasonRepairing, 1)
		if err := d.loop.suspend("shop", "restoring the database"); err != nil {
			t.Fatal(err)
		}
		d.after(time.Minute)
		d.edit("compose.yaml", strings.Replace(d.file(), "SYNC=true", "SYNC=no", 1))
		d.after(time.Hour)
		d.want("after a drift", ReasonSuspended, 1)
	})
}

// The last word comes right before the first change: what was allowed when the project was looked at may not be any more.
func TestTransactionIsPermittedLast(t *testing.T) {
	window := strings.Replace(enforced, "containers: Enforce}", "containers: Enforce, windows: [{schedule: '0 0 * * *', duration: 1h}]}", 1)
	tests := map[string]struct {
		reason, policy string
		meanwhile      func(*daemon)
		want           Reason
	}{
		"Suspended": {"a person suspends it", enforced, func(d *daemon) {
			if err := (state.Store{Dir: d.config.StateDir}).Suspend("shop", state.Suspension{Since: time.Now(), Reason: "a test"}); err != nil {
				d.t.Error(err)
			}
		}, ReasonSuspended},
		"Window": {"its window closes", window, func(*daemon) { <-time.After(2 * time.Hour) }, ReasonHeld},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &lister{}
				d := prepareDaemon(t, tc.policy, func(h *host) {
					l.Engine = h.engine
					h.live = l
				})
				l.meanwhile = sync.OnceFunc(func() { tc.meanwhile(d) })
				l.daemon = d
				d.start()
				d.after(4 * time.Hour)
				d.want(tc.reason, tc.want, 0)
				d.stop()
			})
		})
	}
}

// lister has something happen while a transaction makes its plan again.
type lister struct {
	*enginetest.Engine
	daemon    *daemon
	meanwhile func()
}

func (l *lister) List(ctx context.Context, labels ...string) ([]engine.Container, error) {
	if l.daemon.loop.mending("shop") {
		l.meanwhile()
	}
	return l.Engine.List(ctx, labels...)
}

// A second policy of one name is left out, and nothing else suffers for it, now or after a restart.
func TestPolicyNameThatIsTaken(t *testing.T) {
	run(t, enforced, nil, func(t *testing.T, d *daemon) {
		d.after(10 * time.Second)
		d.edit("composure/a-copy.yaml", strings.Replace(enforced, `"true"`, `"copied"`, 1))
		d.edit("composure/other.yaml", strings.NewReplacer("SYNC", "OTHER", "name: sync", "name: other").Replace(enforced))
		d.after(10 * time.Second)
		d.want("beside a copy", ReasonCompliant, 2)
		check := func(what string) {
			t.Helper()
			if got := names(d.loop.policies.inForce()); !slices.Equal(got, []string{"other", "sync"}) || d.loop.policies.problems() != 1 {
				t.Errorf("%s: in force: %q, %d problems", what, got, d.loop.policies.problems())
			}
			if env := d.app().Env(); env["SYNC"] == nil || *env["SYNC"] != "true" || env["OTHER"] == nil {
				t.Errorf("%s: environment %v", what, env)
			}
		}
		check("beside a copy")
		d.remove("composure/other.yaml")
		d.after(10 * time.Second)
		if got := names(d.loop.policies.inForce()); !slices.Equal(got, []string{"sync"}) {
			t.Errorf("after a removal: in force: %q", got)
		}
	})
}

func TestPolicyNameThatIsTakenAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := prepareDaemon(t, enforced, nil)
		d.write(filepath.Join(d.dir, "composure", "z-copy.yaml"), strings.Replace(enforced, `"true"`, `"copied"`, 1))
		d.start()
		d.after(10 * time.Second)
		d.want("with a copy", ReasonCompliant, 1)
		d.stop()
	})
}

// A policy that only audits must not lose its caution because its file was broken when the daemon was started.
func TestLastGoodPolicyOutlivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := prepareDaemon(t, enforced, nil)
		d.write(filepath.Join(d.dir, "composure", "audit.yaml"), strings.NewReplacer("name: sync", "name: cautious", "Enforce", "Audit").Replace(enforced))
		d.start()
		d.after(time.Minute)
		d.want("while one policy only audits", ReasonHeld, 0)
		d.stop()
		d.write(filepath.Join(d.dir, "composure", "audit.yaml"), "kind: [")
		var n told
		d.options.Notify = n.notify
		d.start()
		d.after(time.Minute)
		d.want("when that one is broken at the start", ReasonHeld, 0)
		if got := n.since(); !slices.Contains(got, policyInvalid) {
			t.Errorf("told: %q", got)
		}
		if err := os.Remove(filepath.Join(d.dir, "composure", "audit.yaml")); err != nil {
			t.Fatal(err)
		}
		d.stop()
		d.start()
		d.after(time.Minute)
		d.want("when it was removed", ReasonCompliant, 1)
		d.stop()
	})
}

// Files that are wrong need a person, who is told once; what was known of the project is not forgotten meanwhile.
func TestBrokenFilesNeedAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n told
		d := prepareDaemon(t, strings.ReplaceAll(enforced, "Enforce", "Audit"), nil)
		d.options.Notify = n.notify
		d.start()
		d.after(time.Minute)
		before := d.status()
		good := d.file()
		d.edit("compose.yaml", "services: [")
		d.after(3 * time.Hour)
		status := d.status()
		if !status.Stalled || status.Reconciling || status.Reason != ReasonFailed || status.Differences != before.Differences || len(status.Held) != len(before.Held) {
			t.Errorf("while it is broken: %+v", status)
		}
		d.edit("compose.yaml", good)
		d.after(time.Minute)
		if diff := cmp.Diff([]string{"Held", "Failed", "Held"}, n.since()); diff != "" {
			t.Error(diff)
		}
		d.stop()
	})
}

// A suspension is shown, measured and told of whether or not anything waits for it.
func TestSuspensionOfWhatIsCompliant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n told
		d := prepareDaemon(t, enforced, nil)
		d.options.Notify = n.notify
		d.start()
		d.after(time.Minute)
		n.since()
		for _, want := range []bool{true, false} {
			do, told := d.loop.resume, "Resumed"
			if want {
				do, told = func(name string) error { return d.loop.suspend(name, "a test") }, "Suspended"
			}
			if err := do("shop"); err != nil {
				t.Fatal(err)
			}
			d.after(time.Hour)
			if d.status().Suspended != want || d.loop.figures()[0].Suspended != want {
				t.Errorf("suspended: %t, want %t", d.status().Suspended, want)
			}
			if diff := cmp.Diff([]string{told}, n.since()); diff != "" {
				t.Error(diff)
			}
		}
		d.stop()
	})
}

// What a transaction came to is told although the daemon ends.
func TestResultIsPublishedAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := prepareDaemon(t, strings.Replace(enforced, "stableFor: 1s, timeout: 10s", slowly, 1), nil)
		var got []api.Result
		d.options.Publish = func(r api.Result) { got = append(got, r) }
		d.start()
		d.after(10 * time.Second)
		d.stop()
		if last := got[len(got)-1]; last.Outcome != "rolled back" || last.Transaction == "" {
			t.Errorf("last: %+v", last)
		}
	})
}
