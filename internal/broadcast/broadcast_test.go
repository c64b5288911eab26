package broadcast

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

// fakeRedis remembers what was published.
type fakeRedis struct {
	mu       sync.Mutex
	away     bool          // refuses at once
	hangs    bool          // does not answer
	loses    bool          // takes what is published, and does not answer
	slow     chan struct{} // it takes its time until this is closed
	tries    int
	received []string
}

func (f *fakeRedis) is(change func(f *fakeRedis)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fakeRedis) Publish(ctx context.Context, channel string, body any) *redis.IntCmd {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tries++
	switch {
	case channel != "results":
		return redis.NewIntResult(0, errors.New("not the channel"))
	case ctx.Err() != nil:
		return redis.NewIntResult(0, ctx.Err())
	case f.away:
		return redis.NewIntResult(0, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")})
	case f.hangs || f.loses:
		if f.loses {
			f.received = append(f.received, string(body.([]byte)))
		}
		f.mu.Unlock()
		<-ctx.Done()
		f.mu.Lock()
		return redis.NewIntResult(0, ctx.Err())
	}
	if slow := f.slow; slow != nil {
		f.mu.Unlock()
		<-slow
		f.mu.Lock()
	}
	f.received = append(f.received, string(body.([]byte)))
	return redis.NewIntResult(2, nil)
}

func (f *fakeRedis) got() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.received)
}

func (f *fakeRedis) tried() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tries
}

// lines keeps what is logged, and counts what is told.
type lines struct {
	mu    sync.Mutex
	all   []string
	tally map[string]int
}

func (l *lines) told(result string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tally == nil {
		l.tally = map[string]int{}
	}
	l.tally[result]++
}

// count is how many results came to that.
func (l *lines) count(result string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tally[result]
}

// wantTold wants that, and no more, to be told of results.
func (l *lines) wantTold(t *testing.T, reason string, want map[string]int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if diff := cmp.Diff(want, l.tally); diff != "" {
		t.Errorf("%s: told (-want +got):\n%s", reason, diff)
	}
}

func (l *lines) log() logr.Logger {
	return funcr.New(func(_, args string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all = append(l.all, args)
	}, funcr.Options{})
}

// said counts the lines that have a part.
func (l *lines) said(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(l.all), func(line string) bool { return !strings.Contains(line, part) }))
}

type result struct {
	Number int `json:"number"`
}

// from are the bodies of results first to last.
func from(first, last int) []string {
	var bodies []string
	for number := first; number <= last; number++ {
		bodies = append(bodies, fmt.Sprintf(`{"number":%d}`, number))
	}
	return bodies
}

// bubble runs a broadcaster in virtual time.
func bubble(t *testing.T, test func(t *testing.T, server *fakeRedis, b *Broadcaster, log *lines, end func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		server, log := &fakeRedis{}, &lines{}
		b := New(Options{Client: server, Channel: "results", Log: log.log(), Told: log.told})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			b.Run(ctx)
		}()
		end := func() { cancel(); <-done }
		defer end()
		test(t, server, b, log, end)
	})
}

func after(span time.Duration) {
	<-time.After(span)
	synctest.Wait()
}

func publish(b *Broadcaster, first, last int) {
	for number := first; number <= last; number++ {
		b.Publish(result{number})
	}
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestPublishes(t *testing.T) {
	bubble(t, func(t *testing.T, server *fakeRedis, b *Broadcaster, log *lines, _ func()) {
		publish(b, 1, 3)
		synctest.Wait()
		publish(b, 4, 4)
		synctest.Wait()
		same(t, "in order", server.got(), from(1, 4))
		if got := log.said(`"msg"="result published" "channel"="results" "subscribers"=2`); got != 4 {
			t.Errorf("said %d times", got)
		}
		log.wantTold(t, "each", map[string]int{Delivered: 4})
	})
}

func TestAwayAndBack(t *testing.T) {
	cases := map[string]struct {
		reason string
		away   func(f *fakeRedis)
		cause  string
		twice  bool
	}{
		"Refuses": {"nobody listens there", func(f *fakeRedis) { f.away = true }, "connection refused", false},
		"Hangs":   {"it does not answer", func(f *fakeRedis) { f.hangs = true }, "no answer in time", false},
		"Loses":   {"it does what it is asked, and the answer is lost", func(f *fakeRedis) { f.loses = true }, "no answer in time", true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, server *fakeRedis, b *Broadcaster, log *lines, _ func()) {
				for outage := range 3 {
					server.is(tc.away)
					first := outage*10 + 1
					publish(b, first, first+9)
					after(time.Minute)
					if got := log.count(Delivered); got != outage*10 {
						t.Errorf("%s: %d published", tc.reason, got)
					}
					server.is(func(f *fakeRedis) { f.away, f.hangs, f.loses = false, false, false })
					after(2 * longestPause)
				}
				got := server.got()
				if tc.twice {
					got = slices.Compact(got)
				}
				same(t, tc.reason, got, from(1, 30))
				if gone, back := log.said("redis does not answer"), log.said("redis answers again"); gone != 3 || back != 3 || log.said(tc.cause) != 3 {
					t.Errorf("%s: each change is to be said once with its cause: %q", tc.reason, log.all)
				}
				log.wantTold(t, tc.reason, map[string]int{Delivered: 30})
				if tries := server.tried(); tries < 30+3 || tries > 30+3*30 {
					t.Errorf("%s: %d tries", tc.reason, tries)
				}
			})
		})
	}
}

func TestDropsTheOldest(t *testing.T) {
	bubble(t, func(t *testing.T, server *fakeRedis, b *Broadcaster, log *lines, _ func()) {
		server.is(func(f *fakeRedis) { f.hangs = true })
		publish(b, 1, 1)
		after(time.Second) // it is being published
		publish(b, 2, 1000)
		after(time.Minute)
		if log.said("the oldest are dropped") != 1 {
			t.Errorf("it is to be said once: %q", log.all)
		}
		log.wantTold(t, "those that are gone", map[string]int{Dropped: 1000 - capacity})
		server.is(func(f *fakeRedis) { f.hangs = false })
		after(2 * longestPause)
		same(t, "the newest", server.got(), from(1001-capacity, 1000))
		if log.said(fmt.Sprintf(`"msg"="redis answers again: results are published" "channel"="results" "dropped"=%d`, 1000-capacity)) != 1 {
			t.Errorf("it was not said how many: %q", log.all[:3])
		}
		server.is(func(f *fakeRedis) { f.away = true })
		publish(b, 1001, 1001+capacity)
		synctest.Wait()
		if log.said("the oldest are dropped") != 2 {
			t.Errorf("the next time it is not said")
		}
		server.is(func(f *fakeRedis) { f.away = false })
		after(2 * longestPause)
		if log.said(`"dropped"=1`) != 1 {
			t.Error("what was lost before is counted again")
		}
	})
}

// What is dropped while it is being published is not taken for the one that moved up.
func TestDropsWhatIsUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T, server *fakeRedis, b *Broadcaster, log *lines, _ func()) {
		slow := make(chan struct{})
		server.is(func(f *fakeRedis) { f.slow = slow })
		publish(b, 1, 1)
		synctest.Wait()
		publish(b, 2, 1+capacity)
		close(slow)
		synctest.Wait()
		same(t, "it was heard after all", server.got(), from(1, 1+capacity))
		log.wantTold(t, "each once", map[string]int{Dropped: 1, Delivered: capacity})
	})
}

func TestDrains(t *testing.T) {
	cases := map[string]struct {
		reason string
		state  func(f *fakeRedis)
		want   []string
		within time.Duration
	}{
		"Works": {"all that waits goes out", func(*fakeRedis) {}, from(1, 20), 0},
		"Away":  {"one try", func(f *fakeRedis) { f.away = true }, nil, 0},
		"Hangs": {"no longer than said", func(f *fakeRedis) { f.hangs = true }, nil, drainWithin},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, server *fakeRedis, b *Broadcaster, log *lines, end func()) {
				server.is(tc.state)
				publish(b, 1, 20)
				began := time.Now()
				end()
				if took := time.Since(began); took > tc.within {
					t.Errorf("%s: it took %s", tc.reason, took)
				}
				same(t, tc.reason, server.got(), tc.want)
				left := 20 - len(tc.want)
				if log.said(`"results"=20`) != left/20 {
					t.Errorf("%s: %q", tc.reason, log.all)
				}
				if got := log.count(Delivered); got != len(tc.want) || log.count(Dropped) != left {
					t.Errorf("%s: %d delivered, %d dropped", tc.reason, got, log.count(Dropped))
				}
			})
		})
	}
}

// The end comes while it waits for a Redis that is there again.
func TestDrainsAfterAnOutage(t *testing.T) {
	bubble(t, func(t *testing.T, server *fakeRedis, b *Broadcaster, _ *lines, end func()) {
		server.is(func(f *fakeRedis) { f.away = true })
		publish(b, 1, 20)
		after(time.Minute)
		server.is(func(f *fakeRedis) { f.away = false })
		began := time.Now()
		end()
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %s", took)
		}
		same(t, "all that waited", server.got(), from(1, 20))
	})
}

// An outage is not paid for by the one after it.
func TestPausesBeginAnew(t *testing.T) {
	bubble(t, func(t *testing.T, server *fakeRedis, b *Broadcaster, _ *lines, _ func()) {
		for number, outage := range []time.Duration{time.Hour, 0} {
			server.is(func(f *fakeRedis) { f.away = true })
			publish(b, number, number)
			after(outage)
			server.is(func(f *fakeRedis) { f.away = false })
			after(max(outage, 2*firstPause))
		}
		same(t, "soon after the second one", server.got(), from(0, 1))
	})
}

func TestNoJSON(t *testing.T) {
	bubble(t, func(t *testing.T, server *fakeRedis, b *Broadcaster, log *lines, _ func()) {
		b.Publish(func() {})
		publish(b, 1, 1)
		synctest.Wait()
		same(t, "the others", server.got(), from(1, 1))
		if log.said("it has no form in JSON") != 1 {
			t.Errorf("it is to be said: %q", log.all)
		}
		log.wantTold(t, "as the webhook counts it", map[string]int{Failed: 1, Delivered: 1})
	})
}
