package lease

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bsm/redislock"
	"github.com/go-logr/logr/funcr"
)

const ttl = 15 * time.Second

var errRefused = errors.New("refused")

// fakeRedis is one key with an expiry.
type fakeRedis struct {
	mu            sync.Mutex
	token, holder string
	expires       time.Time
	pace          float64 // of its clock; 0 means that of everybody else's
}

// owner is called with the lock held.
func (r *fakeRedis) owner() string {
	if !time.Now().Before(r.expires) {
		r.token, r.holder = "", ""
	}
	return r.token
}

// grant is called with the lock held.
func (r *fakeRedis) grant(ttl time.Duration) {
	if r.pace != 0 {
		ttl = time.Duration(float64(ttl) / r.pace)
	}
	r.expires = time.Now().Add(ttl)
}

// held is whose token the key has and until when.
func (r *fakeRedis) held() (token string, expires time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.owner(), r.expires
}

func (r *fakeRedis) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expires = time.Time{}
}

// fault is what happens to the calls of one process.
type fault string

const (
	works   fault = "works"
	refuses fault = "refuses" // at once, and nothing is done
	hangs   fault = "hangs"   // to the deadline, and nothing is done
	loses   fault = "loses"   // the answer: it is done
	delays  fault = "delays"  // the question: it is done long after the deadline
	slow    fault = "slow"    // it is done at once, and answered right before the deadline
	frozen  fault = "frozen"  // it is done, and then the process stands still, whatever its deadlines
)

// fakeLocker asks a fakeRedis.
type fakeLocker struct {
	redis         *fakeRedis
	token, holder string

	mu      sync.Mutex
	fault   fault
	thawed  chan struct{}
	granted int // how often Redis' yes was heard
}

func newFakeLocker(redis *fakeRedis, name string) *fakeLocker {
	return &fakeLocker{redis: redis, token: "token of " + name, holder: name, fault: works, thawed: make(chan struct{})}
}

// have makes the fault that of all calls that begin from now on.
func (f *fakeLocker) have(next fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fault == frozen && next != frozen {
		close(f.thawed)
		f.thawed = make(chan struct{})
	}
	f.fault = next
}

func (f *fakeLocker) heard() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.granted
}

func (f *fakeLocker) call(ctx context.Context, do func() (string, error)) (holder string, err error) {
	f.mu.Lock()
	fault, thawed := f.fault, f.thawed
	f.mu.Unlock()
	defer func() {
		if err == nil {
			f.mu.Lock()
			f.granted++
			f.mu.Unlock()
		}
	}()
	deadline, _ := ctx.Deadline()
	switch fault {
	case works:
		return do()
	case refuses:
		return "", errRefused
	case hangs:
	case loses:
		_, _ = do()
	case delays:
		time.AfterFunc(2*time.Until(deadline), func() { _, _ = do() })
	case slow:
		holder, err := do()
		select {
		case <-time.After(time.Until(deadline) - time.Millisecond):
			return holder, err
		case <-ctx.Done():
		}
	case frozen:
		defer func() { <-thawed }()
		return do()
	}
	<-ctx.Done()
	return "", ctx.Err()
}

func (f *fakeLocker) Obtain(ctx context.Context, ttl time.Duration) (string, error) {
	return f.call(ctx, func() (string, error) {
		r := f.redis
		r.mu.Lock()
		defer r.mu.Unlock()
		if owner := r.owner(); owner != "" && owner != f.token {
			return r.holder, redislock.ErrNotObtained
		}
		r.token, r.holder = f.token, f.holder
		r.grant(ttl)
		return f.holder, nil
	})
}

func (f *fakeLocker) Refresh(ctx context.Context, ttl time.Duration) error {
	_, err := f.call(ctx, func() (string, error) {
		r := f.redis
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.owner() != f.token {
			return "", redislock.ErrNotObtained
		}
		r.grant(ttl)
		return f.holder, nil
	})
	return err
}

// Release can give back only what it has heard of, as redislock.
func (f *fakeLocker) Release(ctx context.Context) error {
	if f.heard() == 0 {
		return nil
	}
	_, err := f.call(ctx, func() (string, error) {
		r := f.redis
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.owner() == f.token {
			r.expires = time.Time{}
		}
		return "", nil
	})
	return err
}

// candidate is a lease that takes part, and what it says.
type candidate struct {
	*Lease
	*fakeLocker
	cancel context.CancelFunc
	done   chan struct{}

	logged sync.Mutex
	log    []string
}

// stand starts a candidate. In a bubble it has asked once when stand returns.
func stand(ctx context.Context, redis *fakeRedis, name string) *candidate {
	c := &candidate{fakeLocker: newFakeLocker(redis, name), done: make(chan struct{})}
	log := funcr.New(func(_, args string) {
		c.logged.Lock()
		defer c.logged.Unlock()
		c.log = append(c.log, args)
	}, funcr.Options{})
	c.Lease = newLease(c.fakeLocker, name, Options{TTL: ttl, Log: log})
	ctx, c.cancel = context.WithCancel(ctx)
	go func() {
		defer close(c.done)
		c.Run(ctx)
	}()
	synctest.Wait()
	return c
}

// leave ends it.
func (c *candidate) leave() {
	c.cancel()
	<-c.done
}

// said counts the lines with a message.
func (c *candidate) said(message string) int {
	c.logged.Lock()
	defer c.logged.Unlock()
	return len(slices.DeleteFunc(slices.Clone(c.log), func(line string) bool { return !strings.Contains(line, `"msg"="`+message+`"`) }))
}

// leads is what the one who starts transactions goes by.
func (c *candidate) leads() bool { return time.Now().Before(c.Until()) }

// after lets virtual time pass.
func after(span time.Duration) {
	<-time.After(span)
	synctest.Wait()
}

// eventually waits for at most a span, and says how long it took.
func eventually(t *testing.T, within time.Duration, what string, is func() bool) time.Duration {
	t.Helper()
	for began := time.Now(); ; after(10 * time.Millisecond) {
		passed := time.Since(began)
		if is() {
			return passed
		}
		if passed > within {
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}
