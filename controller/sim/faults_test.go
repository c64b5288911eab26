package sim

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
)

var errInjected = errors.New("injected")

// armed is a fault that waits for its call.
type armed struct {
	mode  enginetest.Mode
	verb  string // only calls of this verb; "" any, "write" any that writes
	after int    // how many such calls are spared
	act   func() // of a stranger
}

// faults are what goes wrong between the daemon and its engine. They outlive the daemon.
type faults struct {
	mu     sync.Mutex
	random *rand.Rand
	armed  []*armed
	away   bool
	logs   int // the daemon dies at so manieth line of its log about a transaction; 0 never
	lose   float64
	double float64
	swap   float64
	counts map[string]int // of those that happened
	events map[string]int // of events that were lost, doubled or late
	calls  int
	writes int
}

func (f *faults) count(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[what]++
}

func (f *faults) total() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	total := 0
	for _, n := range f.counts {
		total += n
	}
	return total
}

func (f *faults) arm(a *armed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = append(f.armed, a)
}

func (f *faults) set(change func(f *faults)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// calm ends all faults.
func (f *faults) calm() {
	f.set(func(f *faults) { f.armed, f.away, f.logs, f.lose, f.double, f.swap = nil, false, 0, 0, 0, 0 })
}

// disturbed reports whether the daemon may not be told of an event.
func (f *faults) disturbed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.away || f.lose > 0 || f.swap > 0
}

// take is the fault of this call, if there is one.
func (f *faults) take(call enginetest.Call) (armed, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if call.Writes {
		f.writes++
	}
	if f.away {
		return armed{mode: "away"}, true
	}
	for i, a := range f.armed {
		if a.verb != "" && !strings.HasPrefix(call.Verb, a.verb) && (a.verb != "write" || !call.Writes) {
			continue
		}
		if a.after--; a.after >= 0 {
			continue
		}
		f.armed = append(f.armed[:i:i], f.armed[i+1:]...)
		f.counts[string(a.mode)]++
		return *a, true
	}
	return armed{}, false
}

// client is the engine as one life of the daemon sees it.
type client struct {
	w    *world
	dead chan struct{}
	die  func()

	mu        sync.Mutex
	lists     map[string][]engine.Container
	summaries map[string][]engine.Summary
}

func newClient(w *world) *client {
	c := &client{w: w, dead: make(chan struct{}), lists: map[string][]engine.Container{}, summaries: map[string][]engine.Summary{}}
	c.die = sync.OnceFunc(func() { w.freeze(); close(c.dead) })
	return c
}

func (c *client) isDead() bool {
	select {
	case <-c.dead:
		return true
	default:
		return false
	}
}

// exit ends the goroutine of a dead process where it is. What is deferred in it gives back locks alone, and those of the engine cannot
// be reached.
func (c *client) exit() {
	if c.isDead() {
		runtime.Goexit()
	}
}

// do makes a call, or makes it go wrong. stale says that its answer was an old one.
func (c *client) do(ctx context.Context, call enginetest.Call, effect func() error) (stale bool, err error) {
	c.exit()
	if err := ctx.Err(); err != nil {
		return false, err
	}
	fault, _ := c.w.faults.take(call)
	if fault.mode != "" {
		c.w.noteFault()
	}
	if fault.mode != "" && fault.mode != "away" {
		c.w.logf("fault: %s at %s", fault.mode, call)
	}
	switch fault.mode {
	case "away":
		return false, &engine.UnreachableError{Host: "memory://", Cause: "refused"}
	case enginetest.ErrorBefore, enginetest.NoLists:
		return false, errInjected
	case enginetest.CrashBefore:
		c.die()
		c.exit()
	case enginetest.Hang:
		return false, c.hang(ctx)
	case enginetest.Stranger:
		fault.act()
	case enginetest.ErrorAfter, enginetest.CrashAfter, enginetest.Stale:
	}
	err = effect()
	c.exit()
	c.w.after(call, err) //nolint:contextcheck // the world looks whatever becomes of the call
	switch {
	case fault.mode == enginetest.CrashAfter:
		c.die()
		c.exit()
	case fault.mode == enginetest.ErrorAfter && err == nil:
		return false, errInjected
	}
	return fault.mode == enginetest.Stale, err
}

// endless is after how long a call without a deadline is answered with an error.
const endless = 10 * time.Minute

func (c *client) hang(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.dead:
		c.exit()
	case <-time.After(endless):
	}
	return errInjected
}

func answer[T any](ctx context.Context, c *client, call enginetest.Call, ask func() (T, error)) (T, error) {
	var got, nothing T
	_, err := c.do(ctx, call, func() (err error) {
		got, err = ask()
		return err
	})
	if err != nil {
		return nothing, err
	}
	return got, nil
}

func (c *client) Info(ctx context.Context) (engine.Info, error) {
	return answer(ctx, c, enginetest.Call{Verb: "info"}, func() (engine.Info, error) { return c.w.engine.Info(ctx) })
}

// listed is a list that may be the one of before.
func listed[T any](ctx context.Context, c *client, lists map[string]T, labels []string, ask func() (T, error)) (list T, err error) {
	key := strings.Join(labels, ",")
	stale, err := c.do(ctx, enginetest.Call{Verb: "list", Object: key}, func() (err error) {
		list, err = ask()
		return err
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	before, asked := lists[key]
	if err != nil || stale && asked {
		return before, err
	}
	lists[key] = list
	return list, nil
}

func (c *client) List(ctx context.Context, labels ...string) ([]engine.Container, error) {
	return listed(ctx, c, c.lists, labels, func() ([]engine.Container, error) { return c.w.engine.List(ctx, labels...) })
}

func (c *client) Summaries(ctx context.Context, labels ...string) ([]engine.Summary, error) {
	return listed(ctx, c, c.summaries, labels, func() ([]engine.Summary, error) { return c.w.engine.Summaries(ctx, labels...) })
}

func (c *client) Inspect(ctx context.Context, id string) (engine.Container, error) {
	return answer(ctx, c, enginetest.Call{Verb: "inspect", Object: c.w.called(id)}, func() (engine.Container, error) { return c.w.engine.Inspect(ctx, id) })
}

func (c *client) Image(ctx context.Context, ref string) (engine.Image, error) {
	return answer(ctx, c, enginetest.Call{Verb: "image", Object: ref}, func() (engine.Image, error) { return c.w.engine.Image(ctx, ref) })
}

func (c *client) Logs(ctx context.Context, id string, since time.Time, tail int) (io.ReadCloser, error) {
	return answer(ctx, c, enginetest.Call{Verb: "logs", Object: c.w.called(id)}, func() (io.ReadCloser, error) { return c.w.engine.Logs(ctx, id, since, tail) })
}

func (c *client) CopyFrom(ctx context.Context, id, path string) (io.ReadCloser, error) {
	call := enginetest.Call{Verb: "copy from", Object: c.w.called(id)}
	return answer(ctx, c, call, func() (io.ReadCloser, error) { return c.w.engine.CopyFrom(ctx, id, path) })
}

func (c *client) Create(ctx context.Context, spec engine.Spec) (string, error) {
	call := enginetest.Call{Verb: "create", Object: spec.Name, Writes: true}
	return answer(ctx, c, call, func() (string, error) {
		c.w.creates(spec) //nolint:contextcheck // the world looks whatever becomes of the call
		return c.w.engine.Create(ctx, spec)
	})
}

func (c *client) write(ctx context.Context, verb, id string, effect func() error) error {
	_, err := c.do(ctx, enginetest.Call{Verb: verb, Object: c.w.called(id), Writes: true}, func() error { //nolint:contextcheck // the world looks whatever becomes of the call
		c.w.touches(verb, id)
		return effect()
	})
	return err
}

func (c *client) Start(ctx context.Context, id string) error {
	return c.write(ctx, "start", id, func() error { return c.w.engine.Start(ctx, id) })
}

func (c *client) Stop(ctx context.Context, id string) error {
	return c.write(ctx, "stop", id, func() error { return c.w.engine.Stop(ctx, id) })
}

func (c *client) Rename(ctx context.Context, id, name string) error {
	return c.write(ctx, "rename to "+name, id, func() error { return c.w.engine.Rename(ctx, id, name) })
}

func (c *client) Remove(ctx context.Context, id string, force bool) error {
	return c.write(ctx, "remove", id, func() error { return c.w.engine.Remove(ctx, id, force) })
}

func (c *client) SetRestartPolicy(ctx context.Context, id string, policy container.RestartPolicy) error {
	return c.write(ctx, "update to restart="+string(policy.Name), id, func() error { return c.w.engine.SetRestartPolicy(ctx, id, policy) })
}

func (c *client) CopyTo(ctx context.Context, id, path string, tar io.Reader) error {
	return c.write(ctx, "copy to", id, func() error { return c.w.engine.CopyTo(ctx, id, path, tar) })
}

func (c *client) EnsureImage(ctx context.Context) (string, error) {
	return answer(ctx, c, enginetest.Call{Verb: "ensure image"}, func() (string, error) { return c.w.engine.EnsureImage(ctx) })
}

func (c *client) Probe(ctx context.Context, target string, job []byte) ([]byte, error) {
	call := enginetest.Call{Verb: "probe", Object: c.w.called(target)}
	return answer(ctx, c, call, func() ([]byte, error) { return c.w.engine.Probe(ctx, target, job) })
}

func (c *client) ID(ctx context.Context) (string, error) {
	return answer(ctx, c, enginetest.Call{Verb: "id"}, func() (string, error) { return c.w.engine.ID(ctx) })
}

// Subscribe passes events on that may be lost, doubled, or late.
func (c *client) Subscribe(ctx context.Context) (*engine.Subscription, error) {
	return answer(ctx, c, enginetest.Call{Verb: "subscribe"}, func() (*engine.Subscription, error) {
		ctx, cancel := context.WithCancel(ctx)
		inner, err := c.w.engine.Subscribe(ctx)
		if err != nil {
			cancel()
			return nil, err
		}
		outer, feed := engine.NewSubscription(cancel)
		go c.pass(inner, feed)
		return outer, nil
	})
}

func (c *client) pass(inner *engine.Subscription, feed *engine.Feed) {
	var late []engine.Event
	for event := range inner.C() {
		f := c.w.faults
		f.mu.Lock()
		lost, doubled, swapped := f.random.Float64() < f.lose, f.random.Float64() < f.double, f.random.Float64() < f.swap
		for what, is := range map[string]bool{"event lost": lost, "event doubled": doubled, "event late": swapped} {
			if is {
				f.events[what]++
			}
		}
		f.mu.Unlock()
		switch {
		case lost:
		case swapped:
			late = append(late, event)
		default:
			feed.Send(event)
			if doubled {
				feed.Send(event)
			}
			for _, held := range late {
				feed.Send(held)
			}
			late = nil
		}
	}
	feed.End(inner.Err())
}
