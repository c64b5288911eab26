package watch

import (
	"maps"
	"slices"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// Fake is a notifier whose events a test sends.
type Fake struct {
	Events chan fsnotify.Event
	Lost   chan struct{}
	// Late, when set, happens while a watch is being set.
	Late func(folder string)

	mu      sync.Mutex
	watched map[string]bool
	added   map[string]int
	refusal error
	closed  bool
}

// NewFake is a fake without events.
func NewFake() *Fake {
	return &Fake{Events: make(chan fsnotify.Event), Lost: make(chan struct{}), watched: map[string]bool{}, added: map[string]int{}}
}

func (f *Fake) Add(folder string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refusal != nil {
		return f.refusal
	}
	if f.Late != nil {
		f.Late(folder)
	}
	f.watched[folder] = true
	f.added[folder]++
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

// Watched are the folders that are watched.
func (f *Fake) Watched() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.watched))
}

// Added is how often a watch was set on a folder.
func (f *Fake) Added(folder string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.added[folder]
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
