package conformance

import (
	"errors"
	"testing"

	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
)

// testSwapChanged swaps containers that somebody has changed since they were looked at, and looks again.
func testSwapChanged(t *testing.T, f Fixture) {
	always := container.RestartPolicy{Name: container.RestartPolicyAlways}
	cases := map[string]struct {
		change func(id string) error
		kept   func(now engine.Container) bool
	}{
		"policy": {
			change: func(id string) error { return f.Writer.SetRestartPolicy(t.Context(), id, always) },
			kept:   func(now engine.Container) bool { return now.HostConfig.RestartPolicy == always },
		},
		"network": {
			change: func(id string) error { return f.Connect(t.Context(), id, f.Networks[1]) },
			kept: func(now engine.Container) bool {
				_, found := now.NetworkSettings.Networks[f.Networks[1]]
				return found && len(now.NetworkSettings.Networks) == 2
			},
		},
		"limit": {
			change: func(id string) error { return f.Limit(t.Context(), id, 512) },
			kept:   func(now engine.Container) bool { return now.HostConfig.CPUShares == 512 },
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			old := f.run(t, f.spec("changed-"+name))
			f.must(t, tc.change(old.ID))
			_, err := f.swapper().Swap(t.Context(), f.replacement(t, old, "ADDED=1"), f.pace())
			failure, failed := errors.AsType[*engine.SwapError](err)
			if _, told := errors.AsType[*engine.ChangedError](err); !failed || !told || failure.Stage != "recheck" || failure.UndoErr != nil {
				t.Fatalf("got %v, want it to be told at the recheck, undone", err)
			}
			t.Log(err)
			now := f.inspect(t, old.Name)
			if now.ID != old.ID || now.State.StartedAt != old.State.StartedAt || !tc.kept(now) {
				t.Errorf("the old container was touched: %s", now.Raw)
			}
			f.wantUnfinished(t)
			swapped, err := f.swapper().Swap(t.Context(), f.replacement(t, now, "ADDED=1"), f.pace())
			f.must(t, err)
			if replaced := f.inspect(t, swapped.NewID); !tc.kept(replaced) {
				t.Errorf("the change is lost: %s", replaced.Raw)
			}
			f.must(t, f.swapper().Commit(t.Context(), swapped))
		})
	}
}
