package engine_test

import (
	"errors"
	"os"
	"strconv"
	"testing"

	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
)

// A process id says little: the next boot, or the next container of a fixed host name, gives it to another process.
func TestStaleLock(t *testing.T) {
	own, other := os.Getpid(), os.Getpid()+1
	tests := map[string]struct {
		reason    string
		host      string
		pid       int
		born      string // as the lock has it
		now       string // the process that has its id
		gone      bool
		wantStale bool
	}{
		"Dead":           {reason: "the next run removes it", host: "here", pid: other, born: "boot/1", gone: true, wantStale: true},
		"DeadOldRelease": {reason: "a lock without a birth says enough when nobody has its id", host: "here", pid: other, gone: true, wantStale: true},
		"Alive":          {reason: "its process is at work", host: "here", pid: other, born: "boot/1", now: "boot/1"},
		"Reused":         {reason: "another process has its id since the power failed", host: "here", pid: other, born: "boot/1", now: "later/9", wantStale: true},
		"OldRelease":     {reason: "an older release did not note it, and may be at work", host: "here", pid: other, now: "boot/1"},
		"NotTold":        {reason: "this system does not tell", host: "here", pid: other, born: "boot/1"},
		"Elsewhere":      {reason: "what runs on another host is not known", host: "there", pid: other, born: "boot/1", now: "boot/2", gone: true},
		"Own":            {reason: "another goroutine of this process is at work", host: "here", pid: own, born: "boot/1", now: "boot/1"},
		"OwnNotTold":     {reason: "without a birth it may be this process's", host: "here", pid: own},
		"Predecessor":    {reason: "a container's first process always has this id", host: "here", pid: own, born: "boot/1", now: "boot/2", wantStale: true},
		"OldPredecessor": {reason: "this process would have noted its birth", host: "here", pid: own, now: "boot/2", wantStale: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := enginetest.New(enginetest.Options{})
			held := putLock(t, e, map[string]string{
				engine.LabelHost: tc.host, engine.LabelPID: strconv.Itoa(tc.pid), engine.LabelProcess: tc.born,
			})
			locker := &engine.Locker{
				Reader: e, Writer: e, Prober: e, Host: "here",
				Alive: func(int) bool { return !tc.gone }, Born: func(int) string { return tc.now },
			}
			found, stale := locker.Stale("shop", listed(t, e))
			if stale != tc.wantStale || (found.ID == held) != tc.wantStale {
				t.Errorf("%s: stale = %t, want %t", tc.reason, stale, tc.wantStale)
			}
			if held := locker.Holder("shop", listed(t, e)) != nil; held == tc.wantStale {
				t.Errorf("%s: held = %t", tc.reason, held)
			}
			if _, stale := locker.Stale("other", listed(t, e)); stale {
				t.Error("another project's lock is taken for this one's")
			}
			_, err := locker.Lock(t.Context(), "shop", "next")
			if _, locked := errors.AsType[*engine.LockedError](err); locked == tc.wantStale {
				t.Errorf("%s: locking it: %v", tc.reason, err)
			}
		})
	}
}

// putLock makes a lock of project shop as another process would have. A label that is empty is left out.
func putLock(t *testing.T, e *enginetest.Engine, labels map[string]string) (id string) {
	t.Helper()
	image, err := e.EnsureImage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{engine.LabelRole: engine.RoleLock, engine.LabelTransaction: "tx"}
	for key, value := range labels {
		if value != "" {
			all[key] = value
		}
	}
	id, err = e.Create(t.Context(), engine.Spec{
		Name: "composure-lock-shop", Config: &container.Config{Image: image, Labels: all}, Host: &container.HostConfig{NetworkMode: "none"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestLockTellsItsProcess(t *testing.T) {
	for name, born := range map[string]string{"Told": "boot/1", "NotTold": ""} {
		t.Run(name, func(t *testing.T) {
			e := enginetest.New(enginetest.Options{})
			locker := &engine.Locker{
				Reader: e, Writer: e, Prober: e, Host: "here", Alive: func(int) bool { return true },
				Born: func(pid int) string {
					if pid != os.Getpid() {
						t.Errorf("process %d is asked for", pid)
					}
					return born
				},
			}
			if _, err := locker.Lock(t.Context(), "shop", "first"); err != nil {
				t.Fatal(err)
			}
			labels := listed(t, e)[0].Config.Labels
			if got, labelled := labels[engine.LabelProcess]; got != born || labelled != (born != "") {
				t.Errorf("labels = %v, want the birth %q", labels, born)
			}
			_, err := locker.Lock(t.Context(), "shop", "second")
			if _, locked := errors.AsType[*engine.LockedError](err); !locked {
				t.Errorf("two transactions of one process: %v", err)
			}
			if _, err := locker.Lock(t.Context(), "other", "third"); err != nil {
				t.Errorf("one process, two projects: %v", err)
			}
		})
	}
}
