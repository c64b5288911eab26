// Package lease elects one leader among several operators by a key in Redis that expires.
//
// A lease saves work, it excludes nobody: a Redis that has lost its data, or a replica that took over without the key, lets another
// one lead while the former leader still believes that it does. What must not happen twice at once has a lock of its own.
//
// The leader counts from the moment before it asked, and less than Redis does, so that it stops before another one can begin. Without
// Redis' word nobody becomes the leader, and who leads does so for the rest of the lease at most.
package lease

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/bsm/redislock"
	"github.com/cenkalti/backoff/v5"
	"github.com/go-logr/logr"
	"github.com/redis/go-redis/v9"

	"github.com/composure-dev/composure/internal/redisurl"
)

const (
	defaultTTL = 15 * time.Second
	// A lease is refreshed, and one that is another's asked for, within each third of a TTL: two tries may fail.
	triesPerTTL = 3
	// One call may take a fifth of a TTL, and nobody counts on the last tenth: Redis' clock may be the faster one.
	callsPerTTL, marginsPerTTL = 5, 10
	// retriesPerTTL is how often a Redis that is away is asked at first, and then more and more rarely.
	retriesPerTTL = 30
)

// Options of a lease.
type Options struct {
	Client redis.UniversalClient // is not closed
	Key    string                // what the operators have in common: composure:leader:NAME
	TTL    time.Duration         // after which another one may lead when the leader is gone; 0 means 15 s
	Holder string                // how the others are told of this process; "" means its host and process id
	Log    logr.Logger
}

// locker is the lock in Redis. A call asks once, and ends with its context.
type locker interface {
	// Obtain takes the lock for ttl when it is free, or has been this locker's all along. When it is another's it fails with
	// redislock.ErrNotObtained and says whose, "" when that cannot be told.
	Obtain(ctx context.Context, ttl time.Duration) (holder string, err error)
	// Refresh makes it last for ttl from now on. It fails with redislock.ErrNotObtained when it is this locker's no more.
	Refresh(ctx context.Context, ttl time.Duration) error
	// Release gives the lock back if it is this locker's.
	Release(ctx context.Context) error
}

// Lease is one process' part in an election. It is safe for concurrent use.
type Lease struct {
	locker  locker
	ttl     time.Duration
	holder  string
	log     logr.Logger
	changed chan struct{}

	mu     sync.Mutex
	state  State
	until  time.Time // by the monotonic clock; until it, and until wall, this process leads
	wall   time.Time
	expiry *time.Timer
}

// New is a lease that nobody has asked for yet.
func New(o Options) *Lease {
	holder := cmp.Or(o.Holder, self())
	return newLease(&redisLocker{client: o.Client, locks: redislock.New(o.Client), key: o.Key, token: rand.Text(), holder: holder}, holder, o)
}

func newLease(locker locker, holder string, o Options) *Lease {
	return &Lease{locker: locker, ttl: cmp.Or(o.TTL, defaultTTL), holder: holder, log: o.Log, changed: make(chan struct{}, 1)}
}

// self names this process. The number behind it tells those apart that share a host's name, as copies of a container may.
func self() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%d/%s", host, os.Getpid(), rand.Text()[:4])
}

// Run takes part in the election until ctx ends, and gives the lease back then, which takes two fifths of a TTL at most. It is called
// once. Who finishes something as the leader when it is told to end lets Run end after that.
func (l *Lease) Run(ctx context.Context) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = l.ttl/retriesPerTTL, l.ttl/triesPerTTL
	defer l.end(ctx)
	for ctx.Err() == nil {
		wait := l.ttl / triesPerTTL
		if err := l.try(ctx); err != nil {
			wait = min(wait, pause.NextBackOff())
		} else {
			pause.Reset()
			wait -= mathrand.N(wait / 10)
		}
		next := time.NewTimer(wait)
		select {
		case <-next.C:
		case <-ctx.Done():
			next.Stop()
		}
	}
}

// try asks Redis once. The error is that it did not answer. The end of ctx does not cut a call off: a lock that Redis gave without
// being heard is given back by nobody.
func (l *Lease) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.ttl/callsPerTTL)
	defer cancel()
	l.expire()
	began, holder := time.Now(), l.holder
	var err error
	if l.State().Leads {
		err = l.locker.Refresh(ctx, l.ttl)
		if errors.Is(err, redislock.ErrNotObtained) {
			l.resign() // Redis has lost it, and may have given it to another
			began = time.Now()
			holder, err = l.locker.Obtain(ctx, l.ttl)
		}
	} else {
		holder, err = l.locker.Obtain(ctx, l.ttl)
	}
	return l.note(began, holder, err)
}

// note takes down what Redis answered to what was asked at began.
func (l *Lease) note(began time.Time, holder string, err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	until := began.Add(l.ttl - l.ttl/marginsPerTTL)
	if err == nil && over(until, until.Round(0)) {
		err = context.DeadlineExceeded // the process stood still since then
	}
	switch {
	case err == nil:
		l.lead(until)
	case errors.Is(err, redislock.ErrNotObtained):
		l.change(State{Reachable: true, Holder: holder})
	default:
		l.change(State{Leads: l.state.Leads, Holder: l.state.Holder, Err: redisurl.Cause(err)})
		return err
	}
	return nil
}

// lead is called with the lock held.
func (l *Lease) lead(until time.Time) {
	l.until, l.wall = until, until.Round(0)
	l.stopExpiry()
	l.expiry = time.AfterFunc(time.Until(until), l.expire)
	l.change(State{Leads: true, Reachable: true, Holder: l.holder})
}

// stopExpiry is called with the lock held.
func (l *Lease) stopExpiry() {
	if l.expiry != nil {
		l.expiry.Stop()
	}
}

// over reports whether a moment has come by either clock: the monotonic one stands still while the machine is suspended, and the other
// one can be set back.
func over(until, wall time.Time) bool {
	now := time.Now()
	return !now.Before(until) || !now.Round(0).Before(wall)
}

// end gives the lease back, so that another one need not wait for its end.
func (l *Lease) end(ctx context.Context) {
	l.resign()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.ttl/callsPerTTL)
	defer cancel()
	if err := l.locker.Release(ctx); err != nil {
		l.log.Info("the lease is not given back: it expires by itself", "cause", redisurl.Cause(err))
	}
}
