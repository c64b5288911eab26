package controller

import (
	"context"
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
