package enginetest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
)

func TestFaults(t *testing.T) {
	tests := map[string]struct {
		reason  string
		mode    Mode
		crashed bool
		err     error
		status  container.ContainerState // afterwards; empty: it is gone
	}{
		"None":        {"a call without a fault is the engine's", "", false, nil, container.StateExited},
		"ErrorBefore": {"the engine is never asked", ErrorBefore, false, ErrInjected, container.StateRunning},
		"ErrorAfter":  {"the engine has done it, and only the answer is lost", ErrorAfter, false, ErrInjected, container.StateExited},
		"CrashBefore": {"the engine is never asked, and nobody is told", CrashBefore, true, nil, container.StateRunning},
		"CrashAfter":  {"the engine has done it, and nobody is told", CrashAfter, true, nil, container.StateExited},
		"Hang":        {"the deadline answers", Hang, false, context.DeadlineExceeded, container.StateRunning},
		"Stranger":    {"somebody else comes first", Stranger, false, engine.ErrNotFound, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := New(Options{})
				e.AddImage(Image{Name: "shop:1"})
				c, err := e.AddService(t.Context(), Service{Project: "shop", Name: "app", Image: "shop:1"})
				if err != nil {
					t.Fatal(err)
				}
				faults := NewFaults(Fault{Call: 1, Mode: tc.mode, Act: func() error { return e.Remove(t.Context(), c.ID, true) }})
				faulty := &Faulty{Faults: faults, Engine: e}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				var got error
				crashed := faults.Run(func() {
					ended := false
					defer func() {
						if !ended && faulty.Remove(ctx, c.ID, true) == nil {
							t.Error("the dead tidy up")
						}
					}()
					if _, err := faulty.Inspect(ctx, c.ID); err != nil {
						t.Error(err)
					}
					got, ended = faulty.Stop(ctx, c.ID), true
				})
				if crashed != tc.crashed || !errors.Is(got, tc.err) {
					t.Errorf("%s: crashed %v, error %v", tc.reason, crashed, got)
				}
				left, _ := e.Inspect(t.Context(), c.ID) // gone, or as it is
				if left.State == nil && tc.status != "" || left.State != nil && left.State.Status != tc.status {
					t.Errorf("%s: it is %+v, want %s", tc.reason, left.State, tc.status)
				}
				if faults.Calls() != 2 || faults.Writes() != 1 || len(faults.Trace()) != 2 {
					t.Errorf("%d calls, %d writes: %q", faults.Calls(), faults.Writes(), faults.Trace())
				}
			})
		})
	}
}

func TestStaleList(t *testing.T) {
	e := New(Options{})
	e.AddImage(Image{Name: "shop:1"})
	faulty := &Faulty{Faults: NewFaults(Fault{Call: 1, Mode: Stale}), Engine: e}
	for i, want := range []int{0, 0, 2} {
		list, err := faulty.List(t.Context())
		if err != nil || len(list) != want {
			t.Errorf("list %d: %d containers, %v, want %d", i, len(list), err, want)
		}
		if i > 1 {
			continue
		}
		if _, err := e.AddService(t.Context(), Service{Project: "shop", Name: "app", Number: i + 1, Image: "shop:1"}); err != nil {
			t.Fatal(err)
		}
	}
}
