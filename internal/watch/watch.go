// Package watch tells whose files may have changed.
//
// A name, such as a project's, depends on files and folders. When one of them leads to something else than before, the name is
// given out, to be looked at again; what has changed is for the one who looks. Folders are watched and not files, since a watch on a
// file dies with the file that a save puts another in place of. An event says only where to look: a name is given out when the stamp
// of what its paths lead to differs. A slow poll does the same without events, for filesystems that have none and for a host that has
// no watches left.
package watch

import (
	"cmp"
	"context"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

const (
	defaultDebounce = 200 * time.Millisecond
	defaultPoll     = 30 * time.Second
	// patience is how many debounces a burst of events may go on for before its name is given out nevertheless.
	patience = 10
)

// Options of a watcher. The zero value is good.
type Options struct {
	Debounce time.Duration // how long it must be quiet before a name is given out; 0 means 200 ms
	Poll     time.Duration // how often everything is looked at without an event; 0 means 30 s
	Log      logr.Logger
}

// Watcher gives out names whose files have changed. It is safe for concurrent use.
type Watcher struct {
	debounce, poll time.Duration
	log            logr.Logger
	open           func() (source, error)
	kicked         chan struct{} // a name became pending outside of Run

	mu       sync.Mutex
	notifier notifier // nil before and after Run, and without events
	degraded bool     // and that was said
	names    map[string]*subject
	folders  map[string]*folder
	pending  map[string]burst
}

// subject is what a name depends on.
type subject struct {
	stamps map[string]string // by path
	spots  []spot            // sorted
}

// spot is an entry of a folder: another one there may mean another file at the end of a path.
type spot struct {
	folder, base string // the base [anyYAML] stands for all that a folder is read for
}

// folder is watched as long as a name depends on one of its entries.
type folder struct {
	names map[string]map[string]bool // by entry
	seen  string                     // which folder was there when the watch was set; "" without one
}

// burst is a row of events of one name.
type burst struct{ first, last time.Time }

// New is a watcher of nothing. It holds nothing open before Run.
func New(options Options) *Watcher {
	return &Watcher{
		debounce: cmp.Or(options.Debounce, defaultDebounce),
		poll:     cmp.Or(options.Poll, defaultPoll),
		log:      options.Log,
		open:     openNotify,
		kicked:   make(chan struct{}, 1),
		names:    make(map[string]*subject),
		folders:  make(map[string]*folder),
		pending:  make(map[string]burst),
	}
}

// Set says which files and folders a name depends on, in place of what was said before. Of a folder that is its *.yaml and *.yml, not
// deeper. What does not exist is waited for.
//
// A path that was set before keeps the state it was last given out with, so that a change since then is not lost. A new one counts as
// it is now: who read it before Set, and must miss nothing, looks once more after it.
func (w *Watcher) Set(name string, paths []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.names[name]
	if before == nil {
		before = &subject{}
	}
	now := &subject{stamps: make(map[string]string, len(paths)), spots: before.spots}
	for _, path := range paths {
		if absolute, err := filepath.Abs(path); err == nil {
			path = absolute
		}
		now.stamps[path] = ""
	}
	w.names[name] = now
	stamps := w.look(name, now)
	for path, stamp := range stamps {
		if old, known := before.stamps[path]; known && old != stamp {
			w.touch(name, time.Now())
			stamp = old
		}
		now.stamps[path] = stamp
	}
	if _, waits := w.pending[name]; waits {
		select {
		case w.kicked <- struct{}{}:
		default:
		}
	}
}

// Forget gives a name out no more.
func (w *Watcher) Forget(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if known := w.names[name]; known != nil {
		w.move(name, known, nil)
	}
	delete(w.names, name)
	delete(w.pending, name)
}

// Run calls changed with each name whose files have changed, one at a time, until the context ends. It returns nil then. It is called
// once. changed must not block for long.
func (w *Watcher) Run(ctx context.Context, changed func(name string)) error {
	events := w.begin()
	defer w.end()
	poll := time.NewTicker(w.poll)
	defer poll.Stop()
	due := time.NewTimer(0)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, open := <-events.events:
			if !open {
				events.events = nil
			}
			w.note(event)
		case <-events.lost:
			w.lookAround()
		case <-poll.C:
			w.lookAround()
		case <-w.kicked:
		case <-due.C:
		}
		ready, next := w.due(time.Now())
		for _, name := range ready {
			changed(name)
		}
		if !next.IsZero() {
			due.Reset(time.Until(next))
		}
	}
}

// begin watches what was set before.
func (w *Watcher) begin() source {
	events, err := w.open()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.degrade(err)
		return source{}
	}
	w.notifier = events.notifier
	for _, name := range slices.Sorted(maps.Keys(w.names)) {
		w.compare(name, newPass())
	}
	return events
}

func (w *Watcher) end() {
	w.mu.Lock()
	open := w.notifier
	w.notifier = nil
	w.mu.Unlock()
	if open != nil {
		if err := open.Close(); err != nil {
			w.log.Error(err, "closing the watches on folders failed")
		}
	}
}

// lookAround compares everything.
func (w *Watcher) lookAround() {
	w.mu.Lock()
	defer w.mu.Unlock()
	shared := newPass()
	for name := range w.names {
		w.compare(name, shared)
	}
}

// touch notes that something may have happened to a name.
func (w *Watcher) touch(name string, now time.Time) {
	waiting, waits := w.pending[name]
	if !waits {
		waiting.first = now
	}
	waiting.last = now
	w.pending[name] = waiting
}

// due takes the names that have been quiet for long enough, or busy for too long, and have changed; and says when to ask again.
func (w *Watcher) due(now time.Time) (ready []string, next time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, waiting := range w.pending {
		at := waiting.last.Add(w.debounce)
		if limit := waiting.first.Add(patience * w.debounce); limit.Before(at) {
			at = limit
		}
		if at.After(now) {
			if next.IsZero() || at.Before(next) {
				next = at
			}
			continue
		}
		delete(w.pending, name)
		known := w.names[name]
		if stamps := w.look(name, known); !maps.Equal(stamps, known.stamps) {
			known.stamps = stamps
			ready = append(ready, name)
		}
	}
	slices.Sort(ready)
	return ready, next
}
