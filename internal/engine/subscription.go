package engine

import (
	"errors"
	"sync"
	"time"

	"github.com/moby/moby/api/types/events"
)

// ErrEventsLost ends a subscription whose events came faster than they were read. Everything is to be listed anew.
var ErrEventsLost = errors.New("events were lost: they came faster than they were read")

// Event says that something has happened. It only wakes: what is so now is read then, by Inspect, since the engine's list may
// show for some moments after an event what was before it.
type Event struct {
	Type    events.Type   // container or image
	Action  events.Action // "start"; of a health_status with what it is: "health_status: healthy"
	ID      string        // the container's full id, or the image's id or name
	Name    string        // the container's, without a slash
	Project string        // by the labels of compose, "" without them
	Service string
	Role    string // of what Composure has made for its own needs: LabelRole
	OneOff  bool   // it is of docker compose run
	Time    time.Time
}

// capacity is how many events may wait to be read: as many as the engine itself keeps for a reader.
const capacity = 1024

// Subscription is events on their way from an engine.
type Subscription struct{ feed *Feed }

// C has the events. It is closed when they end.
func (s *Subscription) C() <-chan Event { return s.feed.events }

// Err says why the events have ended, once C is closed: nil after the end of the context or Close, ErrUnreachable when the engine
// went away, ErrEventsLost when the reader was too slow.
func (s *Subscription) Err() error {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	return s.feed.err
}

// Close ends the events. It may be called again.
func (s *Subscription) Close() { s.feed.End(nil) }

// Feed is the other end of a subscription, for an engine. It never blocks. It is safe for concurrent use.
type Feed struct {
	events  chan Event
	release func()

	mu    sync.Mutex
	ended bool
	err   error
}

// NewSubscription has no events yet. release is called once, when it ends; it must not wait for a call of Send.
func NewSubscription(release func()) (*Subscription, *Feed) {
	feed := &Feed{events: make(chan Event, capacity), release: release}
	return &Subscription{feed: feed}, feed
}

// Send passes an event on and reports whether it could. When the reader is too far behind the subscription ends.
func (f *Feed) Send(event Event) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return false
	}
	select {
	case f.events <- event:
		return true
	default:
		f.end(ErrEventsLost)
		return false
	}
}

// End closes the channel. Only the first reason counts.
func (f *Feed) End(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end(err)
}

func (f *Feed) end(err error) {
	if f.ended {
		return
	}
	f.ended, f.err = true, err
	close(f.events)
	f.release()
}
