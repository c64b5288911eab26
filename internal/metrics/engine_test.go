package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/engine/enginetest/conformance"
	"github.com/composure-dev/composure/internal/metrics"
)

// An engine that is counted does what it does uncounted. The suite uses every call but Info, so that each is seen to be counted under
// its name.
func TestEngineIsTheSame(t *testing.T) {
	t.Parallel() // the suite waits for containers most of the time
	m := metrics.New("dev")
	t.Run("conformance", func(t *testing.T) {
		conformance.Run(t, func(*testing.T) conformance.Fixture {
			f := conformance.MemoryFixture("1.51")
			counted := m.Engine(f.Reader.(*enginetest.Engine))
			f.Reader, f.Writer, f.Prober, f.Watcher = counted, counted, counted, counted
			return f
		})
	})
	want, err := enginetest.New(enginetest.Options{}).Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.Engine(enginetest.New(enginetest.Options{})).Info(t.Context()); err != nil || got != want {
		t.Errorf("info: %+v, %v, want %+v", got, err, want)
	}
	expected := calls(samples(t, metrics.New("dev"), "composure_engine_calls_total"))
	if got := calls(nonzero(samples(t, m, "composure_engine_calls_total"))); !slices.Equal(got, expected) {
		t.Errorf("calls that were counted (-expected +counted):\n%s", cmp.Diff(expected, got))
	}
	if got := calls(nonzero(samples(t, m, "composure_engine_call_duration_seconds_count"))); !slices.Equal(got, expected) {
		t.Errorf("calls that were timed (-expected +timed):\n%s", cmp.Diff(expected, got))
	}
	if len(expected) != 18 {
		t.Errorf("an engine has 18 methods, %d have a name here", len(expected))
	}
}

// calls are the values of the label call.
func calls(lines []string) []string {
	var found []string
	for _, line := range lines {
		found = append(found, regexp.MustCompile(`call="([^"]*)"`).FindStringSubmatch(line)[1])
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// answering is an engine whose inspect takes a second and ends with err.
type answering struct {
	metrics.Engine
	err error
}

func (a answering) Inspect(context.Context, string) (engine.Container, error) {
	<-time.After(time.Second)
	return engine.Container{Raw: []byte("{}")}, a.err
}

func TestEngineResults(t *testing.T) {
	tests := map[string]struct {
		err    error
		want   string
		reason string
	}{
		"ok":          {nil, "ok", "an answer is an answer"},
		"not found":   {fmt.Errorf("inspect: %w", engine.ErrNotFound), "not-found", "a container may vanish at any time: it is not taken for an error of the engine"},
		"conflict":    {fmt.Errorf("create: %w", engine.ErrConflict), "conflict", "a lock that somebody has is a conflict"},
		"unreachable": {fmt.Errorf("list: %w", &engine.UnreachableError{Host: "unix:///run/docker.sock"}), "unreachable", "the address is no label"},
		"canceled":    {fmt.Errorf("list: %w", context.Canceled), "canceled", "the daemon ends: that is no fault of the engine"},
		"timeout":     {fmt.Errorf("list: %w", context.DeadlineExceeded), "timeout", "an engine that hangs"},
		"cut off":     {errors.Join(engine.ErrUnreachable, context.Canceled), "canceled", "a call that we have ended says nothing about the engine"},
		"too old":     {fmt.Errorf("info: %w", engine.ErrTooOld), "error", "it shows at once in the log"},
		"else":        {errors.New("password=secret"), "error", "words of the engine are no label"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := metrics.New("dev")
				got, err := m.Engine(answering{err: test.err}).Inspect(t.Context(), "id")
				if !errors.Is(err, test.err) || string(got.Raw) != "{}" {
					t.Errorf("answer: %s, %v", got.Raw, err)
				}
				want := []string{
					`composure_engine_call_duration_seconds_bucket{call="inspect",le="1"} 1`,
					`composure_engine_call_duration_seconds_sum{call="inspect"} 1`,
					`composure_engine_calls_total{call="inspect",result="` + test.want + `"} 1`,
				}
				lines := nonzero(samples(t, m, "composure_engine_calls_total", "composure_engine_call_duration_seconds_sum",
					`composure_engine_call_duration_seconds_bucket{call="inspect",le="1"}`, `composure_engine_call_duration_seconds_bucket{call="inspect",le="0.5"}`))
				if diff := cmp.Diff(want, lines); diff != "" {
					t.Errorf("%s (-want +got):\n%s", test.reason, diff)
				}
			})
		})
	}
}

func BenchmarkEngineCall(b *testing.B) {
	plain := enginetest.New(enginetest.Options{})
	for name, e := range map[string]metrics.Engine{"plain": plain, "counted": metrics.New("dev").Engine(plain)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Info(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
