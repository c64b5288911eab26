package engine_test

import (
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
)

func TestRunSince(t *testing.T) {
	const created, firstEnd, started = "2026-01-02T03:04:05.1Z", "2026-01-02T03:05:00.5Z", "2026-01-02T03:05:01.9Z"
	tests := map[string]struct {
		reason string
		state  *container.State
		want   string
	}{
		"FirstRun": {
			"a line logged before the engine noted StartedAt belongs to the run",
			&container.State{StartedAt: started, FinishedAt: "0001-01-01T00:00:00Z"}, created,
		},
		"SecondRun": {"lines of the run before must not pass for lines of this one", &container.State{StartedAt: started, FinishedAt: firstEnd}, firstEnd},
		"NoState":   {"an engine that tells nothing", nil, created},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := engine.Container{InspectResponse: container.InspectResponse{Created: created, State: tc.state}}
			if got := c.RunSince().Format(time.RFC3339Nano); got != tc.want {
				t.Errorf("%s: RunSince = %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}
