package watch

import (
	"maps"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// Fake is a notifier whose events a test sends.
type Fake struct {
	Events chan fsnotify.Event
	Lost   chan struct{}

	mu      sync.Mutex
	watched map[string]int
	refusal error
	closed  bool
}

// NewFake is a fake without events.
func NewFake() *Fake {
	return &Fake{Events: make(chan fsnotify.Event), Lost: make(chan struct{}), watched: map[string]int{}}
}

func (f *Fake) Add(folder string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refusal != nil {
		return f.refusal
	}
	f.watched[folder]++
	return nil
}

func (f *Fake) Remove(folder string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.watched, folder)
	return nil
}

func (f *Fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

// Refuse makes every further watch an error, or none.
func (f *Fake) Refuse(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refusal = err
}

// Watched is how often each folder was added since it was last removed.
func (f *Fake) Watched() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.watched)
}

// Closed reports whether it was closed.
func (f *Fake) Closed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}

// Use puts the fake in the place of the operating system's notifier. With an error there is none.
func (w *Watcher) Use(f *Fake, err error) {
	w.open = func() (source, error) {
		if err != nil {
			return source{}, err
		}
		return source{notifier: f, events: f.Events, lost: f.Lost}, nil
	}
}

// Holds is how much the watcher remembers.
func (w *Watcher) Holds() (names, folders, pending int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.names), len(w.folders), len(w.pending)
}

// LookAround is what the poll does.
func (w *Watcher) LookAround() { w.lookAround() }
