package enginetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
)

// Mode is how a call goes wrong.
type Mode string

// The modes.
const (
	ErrorBefore Mode = "error-before" // an error, and no effect
	ErrorAfter  Mode = "error-after"  // the effect, and an error: the answer was lost
	CrashBefore Mode = "crash-before" // the process dies, and the call has no effect
	CrashAfter  Mode = "crash-after"  // the process dies, and the call has its effect
	Stale       Mode = "stale"        // a list answers what it answered before
	Hang        Mode = "hang"         // no effect and no answer until the deadline
	Stranger    Mode = "stranger"     // somebody else acts right before the call
	NoLists     Mode = "no-lists"     // from that call on each list is an error
)

// Fault makes one call, counted from 0, go wrong.
type Fault struct {
	Call int
	Mode Mode
	Act  func() error // of a stranger
}

// Call is one call of what is watched over: of the engine, or of a file or record.
type Call struct {
	Verb   string
	Object string
	Writes bool
}

func (c Call) String() string { return c.Verb + " " + c.Object }

var (
	// ErrInjected is the error of a call that went wrong on purpose.
	ErrInjected = errors.New("injected")
	errDead     = errors.New("the process is dead")
)

// endless is after how long a call without a deadline is answered with an error: clients have a limit, too.
const endless = time.Hour

// Faults counts all calls of one process with one counter, and makes some of them go wrong. Once the process is dead, no call
// has an effect. It is safe for concurrent use.
type Faults struct {
	// Watch, when set, is told of every call of a living process after its effect.
	Watch func(Call)
	// Died, when set, is told of the death before anything is unwound.
	Died func()

	planned []Fault
	mu      sync.Mutex
	calls   int
	writes  int
	dead    bool
	trace   []string
}

// NewFaults is a process in which the faults happen.
func NewFaults(planned ...Fault) *Faults { return &Faults{planned: planned} }

// died is what a crash panics with.
type died struct{ call Call }

// Run does what the process does, and reports whether it died meanwhile.
func (f *Faults) Run(do func()) (crashed bool) {
	defer func() {
		cause := recover()
		if _, crashed = cause.(died); cause != nil && !crashed {
			panic(cause)
		}
	}()
	do()
	return false
}

// Calls is how many calls were made.
func (f *Faults) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// Writes is how many calls were to change something.
func (f *Faults) Writes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writes
}

// Trace is one line for each call.
func (f *Faults) Trace() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.trace
}

// take counts a call and gives the fault that is planned for it.
func (f *Faults) take(call Call) (Fault, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return Fault{}, errDead
	}
	now := f.calls
	f.calls++
	if call.Writes {
		f.writes++
	}
	line := fmt.Sprintf("%3d %s", now, call)
	var fault Fault
	for _, planned := range f.planned {
		if planned.Call == now || planned.Mode == NoLists && planned.Call < now && call.Verb == "list" {
			fault = planned
		}
	}
	if fault.Mode != "" {
		line += "   <-- " + string(fault.Mode)
	}
	f.trace = append(f.trace, line)
	return fault, nil
}

// Do makes a call, or makes it go wrong.
func (f *Faults) Do(ctx context.Context, call Call, effect func() error) error {
	fault, err := f.take(call)
	if err != nil {
		return err
	}
	injected := fmt.Errorf("%s: %w", call, ErrInjected)
	switch fault.Mode {
	case ErrorBefore, NoLists:
		return injected
	case CrashBefore:
		f.die(call)
	case Hang:
		return hang(ctx, injected)
	case Stranger:
		if err := fault.Act(); err != nil {
			return fmt.Errorf("the stranger: %w", err)
		}
	case ErrorAfter, CrashAfter, Stale:
	}
	err = effect()
	if f.Watch != nil {
		f.Watch(call)
	}
	if fault.Mode == CrashAfter {
		f.die(call)
	}
	if fault.Mode == ErrorAfter && err == nil {
		return injected
	}
	return err
}

func (f *Faults) die(call Call) {
	f.mu.Lock()
	f.dead = true
	f.mu.Unlock()
	if f.Died != nil {
		f.Died()
	}
	panic(died{call})
}

func hang(ctx context.Context, late error) error {
	timer := time.NewTimer(endless)
	defer timer.Stop()
	select {
	case <-timer.C:
		return late
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Faulty is the engine as a process sees it whose calls go wrong.
type Faulty struct {
	*Faults
	Engine *Engine

	mu    sync.Mutex
	lists map[string][]engine.Container // the last answers, by labels
}

var (
	_ engine.Reader = (*Faulty)(nil)
	_ engine.Writer = (*Faulty)(nil)
	_ engine.Prober = (*Faulty)(nil)
)

// answer is a call that returns something; it is nothing when the answer is lost.
func answer[T any](ctx context.Context, f *Faults, call Call, ask func() (T, error)) (T, error) {
	var got, nothing T
	err := f.Do(ctx, call, func() (err error) {
		got, err = ask()
		return err
	})
	if err != nil {
		return nothing, err
	}
	return got, nil
}

// Info implements engine.Reader.
func (f *Faulty) Info(ctx context.Context) (engine.Info, error) {
	return answer(ctx, f.Faults, Call{Verb: "info"}, func() (engine.Info, error) { return f.Engine.Info(ctx) })
}

// List implements engine.Reader.
func (f *Faulty) List(ctx context.Context, labels ...string) ([]engine.Container, error) {
	key := strings.Join(labels, ",")
	f.mu.Lock()
	if f.lists == nil {
		f.lists = map[string][]engine.Container{}
	}
	before, asked := f.lists[key]
	f.mu.Unlock()
	stale := asked && f.next(Stale)
	list, err := answer(ctx, f.Faults, Call{Verb: "list", Object: key}, func() ([]engine.Container, error) { return f.Engine.List(ctx, labels...) })
	if err != nil {
		return nil, err
	}
	if stale {
		return before, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lists[key] = list
	return list, nil
}

// Summaries lists as a client does.
func (f *Faulty) Summaries(ctx context.Context, labels ...string) ([]engine.Summary, error) {
	call := Call{Verb: "list", Object: strings.Join(labels, ",")}
	return answer(ctx, f.Faults, call, func() ([]engine.Summary, error) { return f.Engine.Summaries(ctx, labels...) })
}

// ID tells the engine as a client does.
func (f *Faulty) ID(ctx context.Context) (string, error) {
	return answer(ctx, f.Faults, Call{Verb: "id"}, func() (string, error) { return f.Engine.ID(ctx) })
}

// Subscribe subscribes as a client does.
func (f *Faulty) Subscribe(ctx context.Context) (*engine.Subscription, error) {
	return answer(ctx, f.Faults, Call{Verb: "subscribe"}, func() (*engine.Subscription, error) { return f.Engine.Subscribe(ctx) })
}

// next reports whether the next call is to go wrong that way.
func (f *Faults) next(mode Mode) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, planned := range f.planned {
		if planned.Call == f.calls && planned.Mode == mode {
			return true
		}
	}
	return false
}

// Inspect implements engine.Reader.
func (f *Faulty) Inspect(ctx context.Context, id string) (engine.Container, error) {
	return answer(ctx, f.Faults, Call{Verb: "inspect", Object: f.named(id)}, func() (engine.Container, error) { return f.Engine.Inspect(ctx, id) })
}

// Image implements engine.Reader.
func (f *Faulty) Image(ctx context.Context, ref string) (engine.Image, error) {
	return answer(ctx, f.Faults, Call{Verb: "image", Object: ref}, func() (engine.Image, error) { return f.Engine.Image(ctx, ref) })
}

// Logs implements engine.Reader.
func (f *Faulty) Logs(ctx context.Context, id string, since time.Time, tail int) (io.ReadCloser, error) {
	return answer(ctx, f.Faults, Call{Verb: "logs", Object: f.named(id)}, func() (io.ReadCloser, error) { return f.Engine.Logs(ctx, id, since, tail) })
}

// CopyFrom implements engine.Reader.
func (f *Faulty) CopyFrom(ctx context.Context, id, path string) (io.ReadCloser, error) {
	call := Call{Verb: "copy from", Object: f.named(id)}
	return answer(ctx, f.Faults, call, func() (io.ReadCloser, error) { return f.Engine.CopyFrom(ctx, id, path) })
}

// Create implements engine.Writer.
func (f *Faulty) Create(ctx context.Context, spec engine.Spec) (string, error) {
	return answer(ctx, f.Faults, Call{Verb: "create", Object: spec.Name, Writes: true}, func() (string, error) { return f.Engine.Create(ctx, spec) })
}

func (f *Faulty) write(ctx context.Context, verb, id string, effect func() error) error {
	return f.Do(ctx, Call{Verb: verb, Object: f.named(id), Writes: true}, effect)
}

// Start implements engine.Writer.
func (f *Faulty) Start(ctx context.Context, id string) error {
	return f.write(ctx, "start", id, func() error { return f.Engine.Start(ctx, id) })
}

// Stop implements engine.Writer.
func (f *Faulty) Stop(ctx context.Context, id string) error {
	return f.write(ctx, "stop", id, func() error { return f.Engine.Stop(ctx, id) })
}

// Rename implements engine.Writer.
func (f *Faulty) Rename(ctx context.Context, id, name string) error {
	return f.write(ctx, "rename to "+name, id, func() error { return f.Engine.Rename(ctx, id, name) })
}

// Remove implements engine.Writer.
func (f *Faulty) Remove(ctx context.Context, id string, force bool) error {
	return f.write(ctx, "remove", id, func() error { return f.Engine.Remove(ctx, id, force) })
}

// SetRestartPolicy implements engine.Writer.
func (f *Faulty) SetRestartPolicy(ctx context.Context, id string, policy container.RestartPolicy) error {
	return f.write(ctx, "update to restart="+string(policy.Name), id, func() error { return f.Engine.SetRestartPolicy(ctx, id, policy) })
}

// CopyTo implements engine.Writer.
func (f *Faulty) CopyTo(ctx context.Context, id, path string, tar io.Reader) error {
	return f.write(ctx, "copy to", id, func() error { return f.Engine.CopyTo(ctx, id, path, tar) })
}

// EnsureImage implements engine.Prober.
func (f *Faulty) EnsureImage(ctx context.Context) (string, error) {
	return answer(ctx, f.Faults, Call{Verb: "ensure image"}, func() (string, error) { return f.Engine.EnsureImage(ctx) })
}

// Probe implements engine.Prober.
func (f *Faulty) Probe(ctx context.Context, target string, job []byte) ([]byte, error) {
	call := Call{Verb: "probe from", Object: f.named(target)}
	return answer(ctx, f.Faults, call, func() ([]byte, error) { return f.Engine.Probe(ctx, target, job) })
}

// named is a container's short id and name, for the trace.
func (f *Faulty) named(id string) string {
	f.Engine.mu.Lock()
	defer f.Engine.mu.Unlock()
	if b := f.Engine.containers[id]; b != nil {
		return engine.ShortID(id) + " " + strings.TrimPrefix(b.Name, "/")
	}
	if strings.HasPrefix(id, "/") {
		return id
	}
	return engine.ShortID(id)
}
