package metrics

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/composure-dev/composure/internal/engine"
)

// Engine is all views of an engine that tells what happens to it.
type Engine interface { //nolint:interfacebloat // four views, no method of its own
	engine.Reader
	engine.Writer
	engine.Prober
	engine.Watcher
}

// engineCalls counts and times calls of an engine.
type engineCalls struct {
	total    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newEngineCalls(factory promauto.Factory) *engineCalls {
	calls := &engineCalls{
		total: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "composure_engine_calls_total", Help: "Calls of the engine, by what was asked and by what it answered.",
		}, []string{"call", "result"}),
		duration: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name: "composure_engine_call_duration_seconds", Help: "How long the engine took to answer.", Buckets: callBuckets(),
		}, []string{"call"}),
	}
	for _, call := range callNames() {
		tallyOf(calls.total.MustCurryWith(prometheus.Labels{"call": call}), callResults())
		calls.duration.WithLabelValues(call)
	}
	return calls
}

func callNames() []string {
	return []string{
		"info", "list", "inspect", "image", "logs", "copy-from", "create", "start", "stop", "rename", "remove", "set-restart-policy", "copy-to",
		"ensure-image", "probe", "summaries", "subscribe", "id",
	}
}

func callResults() []string {
	return []string{"ok", "not-found", "conflict", "unreachable", "canceled", "timeout", "error"}
}

// callResult is one of callResults. Canceled is what was asked of the engine in vain because this process has ended it, timeout what took
// longer than this process waits.
func callResult(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, engine.ErrUnreachable):
		return "unreachable"
	case errors.Is(err, engine.ErrNotFound):
		return "not-found"
	case errors.Is(err, engine.ErrConflict):
		return "conflict"
	}
	return "error"
}

// Engine is next with each of its calls counted and timed. A call is one of this program's: a list that inspects what it has found is
// one. Where the answer is a stream, that of Logs, CopyFrom and Subscribe, its beginning is waited for and not its end.
func (m *Metrics) Engine(next Engine) Engine {
	if m == nil {
		return next
	}
	return &countedEngine{next: next, calls: m.engine}
}

type countedEngine struct {
	next  Engine
	calls *engineCalls
}

func (e *countedEngine) tell(call string, do func() error) error {
	began := time.Now()
	err := do()
	e.calls.duration.WithLabelValues(call).Observe(time.Since(began).Seconds())
	e.calls.total.WithLabelValues(call, callResult(err)).Inc()
	return err
}

func ask[T any](e *countedEngine, call string, do func() (T, error)) (answer T, err error) {
	err = e.tell(call, func() error {
		answer, err = do()
		return err
	})
	return answer, err
}

func (e *countedEngine) Info(ctx context.Context) (engine.Info, error) {
	return ask(e, "info", func() (engine.Info, error) { return e.next.Info(ctx) })
}

func (e *countedEngine) List(ctx context.Context, labels ...string) ([]engine.Container, error) {
	return ask(e, "list", func() ([]engine.Container, error) { return e.next.List(ctx, labels...) })
}

func (e *countedEngine) Inspect(ctx context.Context, id string) (engine.Container, error) {
	return ask(e, "inspect", func() (engine.Container, error) { return e.next.Inspect(ctx, id) })
}

func (e *countedEngine) Image(ctx context.Context, ref string) (engine.Image, error) {
	return ask(e, "image", func() (engine.Image, error) { return e.next.Image(ctx, ref) })
}

func (e *countedEngine) Logs(ctx context.Context, id string, since time.Time, tail int) (io.ReadCloser, error) {
	return ask(e, "logs", func() (io.ReadCloser, error) { return e.next.Logs(ctx, id, since, tail) })
}

func (e *countedEngine) CopyFrom(ctx context.Context, id, path string) (io.ReadCloser, error) {
	return ask(e, "copy-from", func() (io.ReadCloser, error) { return e.next.CopyFrom(ctx, id, path) })
}

func (e *countedEngine) Create(ctx context.Context, spec engine.Spec) (string, error) {
	return ask(e, "create", func() (string, error) { return e.next.Create(ctx, spec) })
}

func (e *countedEngine) Start(ctx context.Context, id string) error {
	return e.tell("start", func() error { return e.next.Start(ctx, id) })
}

func (e *countedEngine) Stop(ctx context.Context, id string) error {
	return e.tell("stop", func() error { return e.next.Stop(ctx, id) })
}

func (e *countedEngine) Rename(ctx context.Context, id, name string) error {
	return e.tell("rename", func() error { return e.next.Rename(ctx, id, name) })
}

func (e *countedEngine) Remove(ctx context.Context, id string, force bool) error {
	return e.tell("remove", func() error { return e.next.Remove(ctx, id, force) })
}

func (e *countedEngine) SetRestartPolicy(ctx context.Context, id string, policy container.RestartPolicy) error {
	return e.tell("set-restart-policy", func() error { return e.next.SetRestartPolicy(ctx, id, policy) })
}

func (e *countedEngine) CopyTo(ctx context.Context, id, path string, tar io.Reader) error {
	return e.tell("copy-to", func() error { return e.next.CopyTo(ctx, id, path, tar) })
}

func (e *countedEngine) EnsureImage(ctx context.Context) (string, error) {
	return ask(e, "ensure-image", func() (string, error) { return e.next.EnsureImage(ctx) })
}

func (e *countedEngine) Probe(ctx context.Context, target string, job []byte) ([]byte, error) {
	return ask(e, "probe", func() ([]byte, error) { return e.next.Probe(ctx, target, job) })
}

func (e *countedEngine) Summaries(ctx context.Context, labels ...string) ([]engine.Summary, error) {
	return ask(e, "summaries", func() ([]engine.Summary, error) { return e.next.Summaries(ctx, labels...) })
}

func (e *countedEngine) ID(ctx context.Context) (string, error) {
	return ask(e, "id", func() (string, error) { return e.next.ID(ctx) })
}

func (e *countedEngine) Subscribe(ctx context.Context) (*engine.Subscription, error) {
	return ask(e, "subscribe", func() (*engine.Subscription, error) { return e.next.Subscribe(ctx) })
}
