package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
)

func TestRestart(t *testing.T) {
	for _, after := range []bool{false, true} {
		for failAt := range 3 { // zero: no fault
			t.Run(fmt.Sprintf("call %d, effect %t", failAt, after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e, r := slowWorld(t)
					<-time.After(time.Second)
					swapper := &engine.Swapper{Reader: e, Writer: &faultyWriter{Writer: e, failAt: failAt, after: after}}
					if err := swapper.Restart(t.Context(), r.Old, pace); err != nil {
						t.Error(err)
					}
					now, err := e.Inspect(t.Context(), r.Old.ID)
					if err != nil || !now.Running() || now.State.StartedAt == r.Old.State.StartedAt {
						t.Errorf("it runs since %s, was started at %s: %v", now.State.StartedAt, r.Old.State.StartedAt, err)
					}
				})
			})
		}
	}
}

func TestRestartInterruptedLeavesItRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, r := slowWorld(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // in the middle of the stop
		defer cancel()
		if err := (&engine.Swapper{Reader: e, Writer: e}).Restart(ctx, r.Old, pace); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the interruption", err)
		}
		wantRestored(t, e, r.Old)
	})
}

func TestRestartLeavesWhatOthersWereAt(t *testing.T) {
	tests := map[string]struct {
		reason string
		meddle func(context.Context, *enginetest.Engine, string) error
		want   string
	}{
		"Stopped": {
			"Who stopped it wants it stopped.",
			func(ctx context.Context, e *enginetest.Engine, id string) error { return e.Stop(ctx, id) }, "is exited",
		},
		"Renamed": {
			"It may be another swap's old container.",
			func(ctx context.Context, e *enginetest.Engine, id string) error { return e.Rename(ctx, id, "other") }, `is now called "other"`,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, r := world(t)
				if err := tc.meddle(t.Context(), e, r.Old.ID); err != nil {
					t.Fatal(err)
				}
				before := others(t, e, "")
				err := (&engine.Swapper{Reader: e, Writer: e}).Restart(t.Context(), r.Old, pace)
				if err == nil || !strings.HasSuffix(err.Error(), tc.want) {
					t.Errorf("%s: got %v, want %q", tc.reason, err, tc.want)
				}
				if after := others(t, e, ""); after[0] != before[0] {
					t.Errorf("%s: it was touched", tc.reason)
				}
			})
		})
	}
}
