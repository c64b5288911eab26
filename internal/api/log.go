package api

import (
	"cmp"
	"slices"
	"sync"
)

// remembered is how many events a log keeps.
const remembered = 1000

// Log keeps the last events. It may be used by several goroutines at once.
type Log struct {
	mu     sync.Mutex
	last   uint64
	events []Event
	more   chan struct{}
}

// NewLog returns one without events.
func NewLog() *Log { return &Log{more: make(chan struct{})} }

// Append adds an event, and numbers it.
func (l *Log) Append(e Event) Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	e.ID = l.last
	if l.events = append(l.events, e); len(l.events) > 2*remembered {
		l.events = slices.Clone(l.events[len(l.events)-remembered:])
	}
	close(l.more)
	l.more = make(chan struct{})
	return e
}

// After gives the events that came after the one with the id, the oldest first, and a channel that is closed when there are more.
func (l *Log) After(id uint64) ([]Event, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, _ := slices.BinarySearchFunc(l.events, id+1, func(e Event, id uint64) int { return cmp.Compare(e.ID, id) })
	at = max(at, len(l.events)-remembered)
	return slices.Clone(l.events[at:]), l.more
}

// More gives a channel that is closed when there is another event.
func (l *Log) More() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.more
}

// Of keeps the events of one project.
func Of(events []Event, project string) []Event {
	return slices.DeleteFunc(events, func(e Event) bool { return project != "" && e.Project != project })
}
