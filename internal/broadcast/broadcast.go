// Package broadcast publishes results on a Redis channel, in order and in the background.
//
// While Redis is away results wait, the newest of them: what nobody could hear in time is worth less than what is so now. A result
// whose answer was lost is published again, so a subscriber may see it twice.
package broadcast

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/go-logr/logr"
	"github.com/redis/go-redis/v9"

	"github.com/composure-dev/composure/internal/grace"
	"github.com/composure-dev/composure/internal/redact"
	"github.com/composure-dev/composure/internal/redisurl"
)

// What becomes of a result.
const (
	Delivered = "delivered" // Redis has taken it, whoever heard it
	Failed    = "failed"    // it has no form in JSON
	Dropped   = "dropped"   // it had to go for a newer one, or could not be published before the program ended
)

const (
	capacity    = 256 // results that wait
	sendWithin  = 3 * time.Second
	drainWithin = 2 * time.Second
	firstPause  = 500 * time.Millisecond
	// longestPause is about how long after its return Redis is asked at the latest.
	longestPause = 15 * time.Second
)

// Publisher is the client of a Redis.
type Publisher interface {
	Publish(ctx context.Context, channel string, message any) *redis.IntCmd
}

// Options of a broadcaster.
type Options struct {
	Client  Publisher // is not closed
	Channel string
	Log     logr.Logger
	// Told is called once for each result with what became of it: Delivered, Failed or Dropped. Nil: nobody counts.
	Told func(result string)
}

// Broadcaster publishes results. It is safe for concurrent use.
type Broadcaster struct {
	client  Publisher
	channel string
	log     logr.Logger
	told    func(result string)
	wake    chan struct{}

	mu      sync.Mutex
	queue   []message
	number  uint64 // of the last message
	away    bool   // Redis is, and that was said
	crowded bool   // results were dropped since all were published, and that was said
	lost    int    // how many, since Redis went away
}

type message struct {
	number uint64
	body   []byte
}

// New is a broadcaster whose results wait for Run.
func New(o Options) *Broadcaster {
	b := &Broadcaster{client: o.Client, channel: o.Channel, log: o.Log.WithValues("channel", o.Channel), told: o.Told, wake: make(chan struct{}, 1)}
	if b.told == nil {
		b.told = func(string) {}
	}
	return b
}

// Publish has payload published as JSON. It does not wait: when too many results do, the oldest is dropped.
func (b *Broadcaster) Publish(payload any) {
	body, err := json.Marshal(payload)
	if err != nil {
		b.log.Info("a result is not published: it has no form in JSON", "cause", redact.Value(err.Error(), false))
		b.told(Failed)
		return
	}
	if b.push(body) {
		b.told(Dropped)
	}
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// push queues a result, and reports whether the oldest one had to go for it.
func (b *Broadcaster) push(body []byte) (dropped bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.number++
	b.queue = append(b.queue, message{b.number, body})
	if len(b.queue) <= capacity {
		return false
	}
	b.queue = b.queue[1:]
	b.lost++
	if !b.crowded {
		b.crowded = true
		b.log.Info("too many results wait to be published: the oldest are dropped", "waiting", capacity)
	}
	return true
}

// Run publishes until ctx ends, and for at most two seconds more when results wait then. It is called once.
func (b *Broadcaster) Run(ctx context.Context) {
	sending, cancel := grace.Context(ctx, drainWithin)
	defer cancel()
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = firstPause, longestPause
	for {
		ended := ctx.Err() != nil
		next, waits := b.oldest()
		switch {
		case !waits && ended:
			return
		case !waits:
			select {
			case <-b.wake:
			case <-ctx.Done():
			}
		case b.send(sending, next):
			pause.Reset()
		case ended:
			b.giveUp()
			return
		default:
			later := time.NewTimer(pause.NextBackOff())
			select {
			case <-later.C:
			case <-ctx.Done():
				later.Stop()
			}
		}
	}
}

func (b *Broadcaster) oldest() (message, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return message{}, false
	}
	return b.queue[0], true
}

// send publishes one message, which then waits no more.
func (b *Broadcaster) send(ctx context.Context, m message) bool {
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	subscribers, err := b.client.Publish(ctx, b.channel, m.body).Result()
	if err != nil {
		b.awaits(err)
		return false
	}
	if b.took(m) {
		b.told(Delivered)
	}
	b.log.Info("result published", "subscribers", subscribers)
	return true
}

// awaits says, once, that Redis is away.
func (b *Broadcaster) awaits(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.away {
		b.away = true
		b.log.Info("redis does not answer: results wait to be published", "cause", redisurl.Cause(err))
	}
}

// took removes what Redis has taken. It reports whether that waited still: what was dropped meanwhile has been told of.
func (b *Broadcaster) took(m message) (waited bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		b.log.Info("redis answers again: results are published", "dropped", b.lost)
		b.away, b.lost = false, 0
	}
	if waited = b.queue[0].number == m.number; waited {
		b.queue = b.queue[1:]
	}
	b.crowded = b.crowded && len(b.queue) > 0
	return waited
}

// giveUp leaves what could not be published in the time there was.
func (b *Broadcaster) giveUp() {
	b.mu.Lock()
	left := len(b.queue)
	b.queue = nil
	b.mu.Unlock()
	b.log.Info("results are not published: redis does not answer", "results", left)
	for range left {
		b.told(Dropped)
	}
}
