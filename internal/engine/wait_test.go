package engine_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
)

func TestPaceLimit(t *testing.T) {
	test := []string{"CMD", "true"}
	tests := map[string]struct {
		reason string
		check  *container.HealthConfig
		want   time.Duration
	}{
		"NoHealthcheck": {"there is no verdict to wait for", nil, time.Minute},
		"Disabled":      {"the file has turned the image's off", &container.HealthConfig{Test: []string{"NONE"}, StartPeriod: time.Hour}, time.Minute},
		"Inherited":     {"without a test there is none", &container.HealthConfig{StartPeriod: time.Hour}, time.Minute},
		"Defaults":      {"the engine's own where it is told nothing", &container.HealthConfig{Test: test}, 4 * time.Minute},
		"Slow": {
			"a verdict of unhealthy comes no sooner",
			&container.HealthConfig{Test: test, StartPeriod: time.Minute, Interval: 10 * time.Second, Timeout: 5 * time.Second, Retries: 9},
			time.Minute + 150*time.Second,
		},
		"Quick": {"the timeout that was asked for is the least", &container.HealthConfig{Test: test, Interval: time.Second, Timeout: time.Second}, time.Minute},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := engine.Container{InspectResponse: container.InspectResponse{Config: &container.Config{Healthcheck: tc.check}}}
			if got := pace.Limit(c); got != tc.want {
				t.Errorf("%s: got %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}

// lateHealth is a world whose service becomes healthy eight minutes after its start, as its healthcheck allows.
func lateHealth(t *testing.T) (*enginetest.Engine, engine.Replacement) {
	t.Helper()
	e := enginetest.New(enginetest.Options{})
	check := &container.HealthConfig{Test: []string{"CMD", "true"}, StartPeriod: 10 * time.Minute}
	e.AddImage(enginetest.Image{Name: "web:1", Config: container.Config{Healthcheck: check}, Program: func(map[string]string) enginetest.Behavior {
		return enginetest.Behavior{Health: []enginetest.Health{{After: 8 * time.Minute, Status: container.Healthy}}}
	}})
	r := serviceIn(t, e, nil)
	<-time.After(9 * time.Minute)
	var err error
	if r.Old, err = e.Inspect(t.Context(), r.Old.ID); err != nil {
		t.Fatal(err)
	}
	return e, r
}

// A start period longer than the timeout is no reason to take a container for broken, nor an undo for failed.
func TestSwapWaitsForTheStartPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, r := lateHealth(t)
		swapper := &engine.Swapper{Reader: e, Writer: e, APIVersion: engine.MinAPIVersion}
		swapped, err := swapper.Swap(t.Context(), r, pace)
		if err != nil {
			t.Fatal(err)
		}
		if err := swapper.Undo(t.Context(), &swapped); err != nil {
			t.Fatal(err)
		}
		old, err := e.Inspect(t.Context(), r.Old.ID)
		if err != nil || engine.Healthy(old) != nil {
			t.Errorf("the old one: %v, %v", err, engine.Healthy(old))
		}
	})
}

func TestOneShotFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := enginetest.New(enginetest.Options{})
		e.AddImage(enginetest.Image{Name: "web:1", Program: func(env map[string]string) enginetest.Behavior {
			if env["B"] == "" {
				return enginetest.Behavior{}
			}
			return enginetest.Behavior{Exit: &enginetest.Exit{After: time.Second, Code: 3}, Logs: []enginetest.Log{{Text: "no such table"}}}
		}})
		r := serviceIn(t, e, nil)
		swapper := &engine.Swapper{Reader: e, Writer: e, APIVersion: engine.MinAPIVersion}
		_, err := swapper.Swap(t.Context(), r, engine.Pace{StableFor: 3 * time.Second, Timeout: time.Minute, OneShot: true})
		failure, ok := errors.AsType[*engine.SwapError](err)
		if !ok || failure.Stage != "wait" || failure.UndoErr != nil {
			t.Fatalf("got %v, want a failed wait, undone", err)
		}
		if want := []string{"no such table"}; !slices.Contains(failure.Logs, want[0]) {
			t.Errorf("last lines = %q, want %q", failure.Logs, want)
		}
		wantRestored(t, e, r.Old)
	})
}
