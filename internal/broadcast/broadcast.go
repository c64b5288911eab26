// Package broadcast publishes results on a Redis channel, in order and in the background.
//
// While Redis is away results wait, the newest of them: what nobody could hear in time is worth less than what is so now. A result
// whose answer was lost is published again, so a subscriber may see it twice.
package broadcast

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/go-logr/logr"
	"github.com/redis/go-redis/v9"

	"github.com/composure-dev/composure/internal/redact"
	"github.com/composure-dev/composure/internal/redisurl"
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
}

// Broadcaster publishes results. It is safe for concurrent use.
type Broadcaster struct {
	client  Publisher
	channel string
	log     logr.Logger
	wake    chan struct{}

	published, failed, dropped atomic.Uint64

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
	return &Broadcaster{client: o.Client, channel: o.Channel, log: o.Log.WithValues("channel", o.Channel), wake: make(chan struct{}, 1)}
}

// Published counts the results that Redis has taken.
func (b *Broadcaster) Published() uint64 { return b.published.Load() }

// Failed counts tries that came to nothing.
func (b *Broadcaster) Failed() uint64 { return b.failed.Load() }

// Dropped counts the results that did not wait for long enough, or had no form.
func (b *Broadcaster) Dropped() uint64 { return b.dropped.Load() }

// Publish has payload published as JSON. It does not wait: when too many results do, the oldest is dropped.
func (b *Broadcaster) Publish(payload any) {
	body, err := json.Marshal(payload)
	if err != nil {
		b.dropped.Add(1)
		b.log.Info("a result is not published: it has no form in JSON", "cause", redact.Value(err.Error(), false))
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.number++
	b.queue = append(b.queue, message{b.number, body})
	if len(b.queue) > capacity {
		b.drop(1)
		if !b.crowded {
			b.crowded = true
			b.log.Info("too many results wait to be published: the oldest are dropped", "waiting", capacity)
		}
	}
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// drop is called with the lock held.
func (b *Broadcaster) drop(count int) {
	b.queue = b.queue[count:]
	b.lost += count
	b.dropped.Add(uint64(count))
}

// Run publishes until ctx ends, and for at most two seconds more when results wait then. It is called once.
func (b *Broadcaster) Run(ctx context.Context) {
	sending, cancel := lingering(ctx, drainWithin)
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

// lingering is a context that ends a while after ctx.
func lingering(ctx context.Context, span time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(span, cancel) })
	return longer, func() {
		stop()
		cancel()
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
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.failed.Add(1)
		if !b.away {
			b.away = true
			b.log.Info("redis does not answer: results wait to be published", "cause", redisurl.Cause(err))
		}
		return false
	}
	b.published.Add(1)
	if b.away {
		b.log.Info("redis answers again: results are published", "dropped", b.lost)
		b.away, b.lost = false, 0
	}
	if b.queue[0].number == m.number { // and was not dropped meanwhile
		b.queue = b.queue[1:]
	}
	b.crowded = b.crowded && len(b.queue) > 0
	b.log.Info("result published", "subscribers", subscribers)
	return true
}

// giveUp leaves what could not be published in the time there was.
func (b *Broadcaster) giveUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	count := len(b.queue)
	b.drop(count)
	b.log.Info("results are not published: redis does not answer", "results", count)
}
