package lease

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/bsm/redislock"
	"github.com/go-logr/logr/testr"
	"github.com/redis/go-redis/v9"

	"github.com/composure-dev/composure/internal/redisurl"
)

const key = "composure:leader:test"

func connect(t *testing.T, server *miniredis.Miniredis) *redis.Client {
	t.Helper()
	client, err := redisurl.Connect("redis://" + server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// TestLockers holds the fake to what the real one does.
func TestLockers(t *testing.T) {
	kinds := map[string]func(t *testing.T) (open func(name string) locker, pass func(time.Duration), flush func()){
		"Redis": func(t *testing.T) (func(string) locker, func(time.Duration), func()) {
			server := miniredis.RunT(t)
			client := connect(t, server)
			open := func(name string) locker { return New(Options{Client: client, Key: key, Holder: name}).locker }
			return open, server.FastForward, server.FlushAll
		},
		"Fake": func(*testing.T) (func(string) locker, func(time.Duration), func()) {
			server := &fakeRedis{}
			pass := func(span time.Duration) { server.expires = server.expires.Add(-span) }
			return func(name string) locker { return newFakeLocker(server, name) }, pass, server.flush
		},
	}
	for kind, prepare := range kinds {
		t.Run(kind, func(t *testing.T) {
			open, pass, flush := prepare(t)
			a, b := open("a"), open("b")
			obtain := func(who locker, wantHolder string, want error) {
				t.Helper()
				if holder, err := who.Obtain(t.Context(), ttl); holder != wantHolder || !errors.Is(err, want) {
					t.Errorf("obtained: %q, %v; want %q, %v", holder, err, wantHolder, want)
				}
			}
			refresh := func(who locker, want error) {
				t.Helper()
				if err := who.Refresh(t.Context(), ttl); !errors.Is(err, want) {
					t.Errorf("refreshed: %v, want %v", err, want)
				}
			}
			if err := b.Release(t.Context()); err != nil {
				t.Errorf("released without having had it: %v", err)
			}
			obtain(a, "a", nil)
			obtain(b, "a", redislock.ErrNotObtained)
			pass(ttl - time.Second)
			refresh(a, nil)
			pass(ttl - time.Second)
			obtain(b, "a", redislock.ErrNotObtained) // the refresh counts
			obtain(a, "a", nil)                      // what is its own it obtains again: the answer to the first time may have been lost
			pass(ttl - time.Second)
			obtain(b, "a", redislock.ErrNotObtained) // and that counts as well
			pass(time.Second)
			refresh(a, redislock.ErrNotObtained) // it has expired
			obtain(b, "b", nil)
			refresh(a, redislock.ErrNotObtained)
			if err := a.Release(t.Context()); err != nil {
				t.Errorf("released what is another's: %v", err)
			}
			obtain(a, "b", redislock.ErrNotObtained)
			flush()
			refresh(b, redislock.ErrNotObtained)
			obtain(a, "a", nil)
			if err := a.Release(t.Context()); err != nil {
				t.Errorf("released: %v", err)
			}
			obtain(b, "b", nil)
		})
	}
}

// Somebody may have put something else under the key.
func TestForeignValue(t *testing.T) {
	server := miniredis.RunT(t)
	locker := New(Options{Client: connect(t, server), Key: key}).locker
	if err := server.Set(key, "short"); err != nil {
		t.Fatal(err)
	}
	if holder, err := locker.Obtain(t.Context(), ttl); holder != "" || !errors.Is(err, redislock.ErrNotObtained) {
		t.Errorf("%q, %v", holder, err)
	}
	server.Del(key)
	if _, err := server.Push(key, "a list"); err != nil {
		t.Fatal(err)
	}
	holder, err := locker.Obtain(t.Context(), ttl)
	if holder != "" || err == nil {
		t.Errorf("%q, %v", holder, err)
	}
}

// until waits for a state.
func until(t *testing.T, l *Lease, what string, is func(State) bool) State {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		if state := l.State(); is(state) {
			return state
		}
		select {
		case <-l.Changed():
		case <-limit:
			t.Fatalf("it does not come to: %s; but %+v", what, l.State())
		}
	}
}

// TestElectionByRedis is the whole way: Redis goes away and comes back under two operators, and one of them ends.
func TestElectionByRedis(t *testing.T) {
	server := miniredis.RunT(t)
	type operator struct {
		*Lease
		end context.CancelFunc
	}
	start := func(name string) operator {
		l := New(Options{Client: connect(t, server), Key: key, TTL: 900 * time.Millisecond, Holder: name, Log: testr.New(t).WithName(name)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.Run(ctx)
		}()
		end := func() { cancel(); <-done }
		t.Cleanup(end)
		return operator{l, end}
	}
	leads := func(s State) bool { return s.Leads }
	follows := func(s State) bool { return s.Holder == "a" && s.Reachable && !s.Leads }
	a := start("a")
	until(t, a.Lease, "a leads", leads)
	b := start("b")
	until(t, b.Lease, "b follows a", follows)

	for range 2 {
		server.Close()
		for _, one := range []operator{a, b} {
			away := until(t, one.Lease, "nobody leads, and it knows why", func(s State) bool { return !s.Leads && !s.Reachable && s.Err != "" })
			if !strings.Contains(away.Err, "connection refused") && !strings.Contains(away.Err, "closed the connection") {
				t.Errorf("the reason is %q", away.Err)
			}
			if !one.Until().IsZero() {
				t.Errorf("it leads until %s", one.Until())
			}
		}
		if err := server.Restart(); err != nil { // with its data, and its clock stood still
			t.Fatal(err)
		}
		until(t, a.Lease, "a leads again", leads)
		until(t, b.Lease, "b follows a", follows)
	}

	a.end()
	until(t, b.Lease, "b leads", leads)
	if a.State().Leads {
		t.Errorf("a believes that it leads: %+v", a.State())
	}
	b.end()
	if server.Exists(key) {
		t.Error("the key is left behind")
	}
}
