package lease

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// election starts two candidates in a bubble; a is the first.
func election(t *testing.T, test func(t *testing.T, redis *fakeRedis, a, b *candidate)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		redis := &fakeRedis{}
		a := stand(t.Context(), redis, "a")
		b := stand(t.Context(), redis, "b")
		defer func() {
			for _, c := range []*candidate{a, b} {
				c.have(works)
				c.leave()
			}
		}()
		test(t, redis, a, b)
	})
}

func TestOneLeads(t *testing.T) {
	election(t, func(t *testing.T, _ *fakeRedis, a, b *candidate) {
		began := time.Now()
		if want := (State{Leads: true, Reachable: true, Holder: "a", Since: began}); a.State() != want {
			t.Errorf("a: %+v, want %+v", a.State(), want)
		}
		if want := (State{Reachable: true, Holder: "a", Since: began}); b.State() != want {
			t.Errorf("b: %+v, want %+v", b.State(), want)
		}
		if got, want := a.Until(), began.Add(ttl-ttl/10); !got.Equal(want) || !b.Until().IsZero() {
			t.Errorf("a leads until %s, want %s; b until %s", got, want, b.Until())
		}
		for range 100 * 10 {
			after(ttl / 10)
			if !a.leads() || b.leads() {
				t.Fatalf("after %s: %+v, %+v", time.Since(began), a.State(), b.State())
			}
		}
		if !a.State().Since.Equal(began) || a.said("this operator leads") != 1 || b.said("another operator leads") != 1 || len(a.log)+len(b.log) != 2 {
			t.Errorf("one election, but %q, %q", a.log, b.log)
		}
	})
}

func TestChangedWakes(t *testing.T) {
	election(t, func(t *testing.T, _ *fakeRedis, a, b *candidate) {
		for name, c := range map[string]*candidate{"a": a, "b": b} {
			select {
			case <-c.Changed():
			default:
				t.Errorf("%s was not told how the election went out", name)
			}
		}
		after(ttl)
		select {
		case <-a.Changed():
			t.Error("a refresh is no change")
		default:
		}
		a.leave()
		select {
		case <-b.Changed():
		case <-time.After(ttl):
		}
		if !b.leads() {
			t.Errorf("b was not woken as the leader: %+v", b.State())
		}
	})
}

func TestReleaseLetsTheOtherLead(t *testing.T) {
	election(t, func(t *testing.T, redis *fakeRedis, a, b *candidate) {
		a.leave()
		if token, _ := redis.held(); token != "" || a.leads() || a.State().Leads {
			t.Errorf("a keeps it: %q, %+v", token, a.State())
		}
		eventually(t, ttl/triesPerTTL, "b leads", b.leads)
	})
}

// A release that Redis does not hear costs the time of one call.
func TestEndsWithoutRedis(t *testing.T) {
	for _, fault := range []fault{refuses, hangs, loses} {
		t.Run(string(fault), func(t *testing.T) {
			election(t, func(t *testing.T, _ *fakeRedis, a, _ *candidate) {
				after(time.Second)
				a.have(fault)
				began := time.Now()
				a.leave()
				if took := time.Since(began); took > ttl/callsPerTTL || a.leads() {
					t.Errorf("it took %s, leads: %t", took, a.leads())
				}
				if a.said("the lease is not given back: it expires by itself") != 1 {
					t.Errorf("it was not said: %q", a.log)
				}
			})
		})
	}
}

// The end comes while a question is under way that Redis answers with yes.
func TestEndsWhileAsking(t *testing.T) {
	election(t, func(t *testing.T, redis *fakeRedis, a, b *candidate) {
		b.have(slow)
		a.leave()
		eventually(t, ttl/triesPerTTL, "Redis gives it to b", func() bool {
			token, _ := redis.held()
			return token == b.token
		})
		if b.leads() {
			t.Error("b leads before it has heard of it")
		}
		b.leave()
		if token, _ := redis.held(); token != "" || b.leads() {
			t.Errorf("%q is held by nobody who runs", token)
		}
	})
}

// Nobody is promoted without Redis' word: the leader's time runs out, and the other one does not begin.
func TestRedisAway(t *testing.T) {
	cases := map[fault]string{
		refuses: "it refuses connections",
		hangs:   "it accepts a question and does not answer",
		loses:   "its answers do not arrive",
		delays:  "questions arrive long after nobody waits for them",
	}
	for fault, reason := range cases {
		t.Run(string(fault), func(t *testing.T) {
			election(t, func(t *testing.T, _ *fakeRedis, a, b *candidate) {
				after(time.Second)
				until := a.Until()
				a.have(fault)
				b.have(fault)
				for time.Now().Before(until) {
					if !a.Until().Equal(until) || b.leads() {
						t.Fatalf("%s: a leads until %s, not %s; b: %t", reason, a.Until(), until, b.leads())
					}
					after(ttl / 100)
				}
				if a.said("this operator leads no more") != 1 {
					t.Errorf("%s: it is not said when its time is over: %q", reason, a.log)
				}
				for range 100 {
					if a.leads() || b.leads() || a.State().Leads {
						t.Fatalf("%s, and somebody leads: %+v, %+v", reason, a.State(), b.State())
					}
					after(ttl / 10)
				}
				if state := a.State(); state.Reachable || state.Err == "" || state.Holder != "" {
					t.Errorf("%s: a knows %+v", reason, state)
				}
				for _, c := range []*candidate{a, b} {
					if c.said("redis does not answer: nobody is promoted") != 1 {
						t.Errorf("%s: it is to be said once: %q", reason, c.log)
					}
				}
				a.have(works)
				b.have(works)
				eventually(t, 2*ttl, "one leads", func() bool { return a.leads() || b.leads() })
				after(ttl)
				if a.leads() == b.leads() || a.said("redis answers again") != 1 || b.said("redis answers again") != 1 {
					t.Errorf("%s: %q, %q", reason, a.log, b.log)
				}
			})
		})
	}
}

// A cut between Redis and the leader alone.
func TestPartition(t *testing.T) {
	for _, fault := range []fault{refuses, hangs} {
		t.Run(string(fault), func(t *testing.T) {
			election(t, func(t *testing.T, _ *fakeRedis, a, b *candidate) {
				after(time.Second)
				a.have(fault)
				took := eventually(t, ttl+ttl/triesPerTTL, "b leads", func() bool {
					if a.leads() && b.leads() {
						t.Fatal("both lead")
					}
					return b.leads()
				})
				if took < ttl/2 {
					t.Errorf("b took over within %s", took)
				}
				a.have(works)
				after(ttl)
				if state := a.State(); state.Leads || state.Holder != "b" || !b.leads() {
					t.Errorf("a knows %+v", state)
				}
			})
		})
	}
}

// A short cut costs nothing: it is refreshed again before its time is over.
func TestShortCut(t *testing.T) {
	election(t, func(t *testing.T, _ *fakeRedis, a, b *candidate) {
		a.have(hangs)
		b.have(hangs)
		after(ttl * 6 / 10)
		a.have(works)
		b.have(works)
		for range 20 {
			if !a.leads() || b.leads() {
				t.Fatalf("%+v, %+v", a.State(), b.State())
			}
			after(ttl / 10)
		}
		if a.said("this operator leads") != 1 || b.said("another operator leads") != 1 || b.said("redis answers again") != 1 {
			t.Errorf("said: %q, %q", a.log, b.log)
		}
	})
}

// Why Redis does not answer may be another reason each time: that is shown, and is no change.
func TestAwayForAnotherReason(t *testing.T) {
	election(t, func(t *testing.T, _ *fakeRedis, _, b *candidate) {
		b.have(hangs)
		after(ttl)
		<-b.Changed()
		before := b.State()
		b.have(refuses)
		after(ttl)
		select {
		case <-b.Changed():
			t.Error("it counts as a change")
		default:
		}
		if now := b.State(); now.Err == before.Err || !now.Since.Equal(before.Since) || b.said("redis does not answer: nobody is promoted") != 1 {
			t.Errorf("%+v after %+v; said: %q", now, before, b.log)
		}
	})
}

// A process is stopped, or its machine stands still, while it leads: when it goes on it knows that it leads no more.
func TestPaused(t *testing.T) {
	election(t, func(t *testing.T, _ *fakeRedis, a, b *candidate) {
		a.have(frozen)
		eventually(t, 2*ttl, "b leads", b.leads)
		after(ttl)
		if a.leads() || a.State().Leads {
			t.Errorf("a believes that it leads: %+v", a.State())
		}
		a.have(works) // the yes to a question from long ago
		for range 10 {
			synctest.Wait()
			if a.leads() || !b.leads() {
				t.Fatalf("%+v, %+v", a.State(), b.State())
			}
			after(ttl / 10)
		}
		if a.State().Holder != "b" || a.said("this operator leads") != 1 {
			t.Errorf("a knows %+v, and said %q", a.State(), a.log)
		}
	})
}

// While a machine is suspended the monotonic clock stands still, and the other one goes on.
func TestSuspended(t *testing.T) {
	election(t, func(t *testing.T, redis *fakeRedis, a, b *candidate) {
		after(time.Second)
		a.Lease.mu.Lock()
		a.Lease.wall = a.Lease.wall.Add(-time.Minute)
		a.Lease.mu.Unlock()
		if !a.Until().IsZero() || a.State().Leads {
			t.Errorf("a believes that it leads: %+v", a.State())
		}
		<-a.Changed() // that it leads, from the beginning
		eventually(t, ttl/triesPerTTL, "a leads again, for nobody else did", a.leads)
		if a.said("this operator leads no more") != 1 || a.said("this operator leads") != 2 || b.leads() {
			t.Errorf("it was not said: %q", a.log)
		}
		select {
		case <-a.Changed():
		default:
			t.Error("what waited for it is not woken")
		}
		if token, _ := redis.held(); token != a.token {
			t.Errorf("Redis says %q", token)
		}
	})
}

// Redis has lost its data, and the other one was the faster.
func TestFlushedAndTaken(t *testing.T) {
	election(t, func(t *testing.T, redis *fakeRedis, a, b *candidate) {
		after(time.Second)
		redis.flush()
		if _, err := b.Obtain(t.Context(), ttl); err != nil {
			t.Fatal(err)
		}
		eventually(t, ttl/triesPerTTL, "a knows", func() bool { return !a.leads() })
		eventually(t, ttl/triesPerTTL, "b knows", b.leads)
		if token, _ := redis.held(); token != b.token || a.State().Holder != "b" {
			t.Errorf("a has taken it from b: %q, %+v", token, a.State())
		}
		if a.said("this operator leads no more") != 1 || a.said("another operator leads") != 1 {
			t.Errorf("it was not said: %q", a.log)
		}
	})
}

func TestFlushedAndFree(t *testing.T) {
	election(t, func(t *testing.T, redis *fakeRedis, a, b *candidate) {
		b.have(refuses)
		after(time.Second)
		redis.flush()
		after(ttl)
		if token, _ := redis.held(); token != a.token || !a.leads() {
			t.Errorf("nobody leads: %q, %+v", token, a.State())
		}
		if a.said("this operator leads no more") != 1 || a.said("this operator leads") != 2 {
			t.Errorf("that Redis had lost it was not said: %q", a.log)
		}
	})
}

// What is promised ends before what Redis has granted, however slow the answer was and though Redis' clock is a bit faster.
func TestCountsFromTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		redis := &fakeRedis{pace: 1.05}
		a := stand(t.Context(), redis, "a")
		defer a.leave()
		a.have(slow)
		for range 100 {
			after(ttl / 20)
			if _, expires := redis.held(); a.Until().After(expires) {
				t.Fatalf("it counts on %s more than Redis grants", a.Until().Sub(expires))
			}
		}
		if !a.leads() {
			t.Errorf("it lost it: %q", a.log)
		}
	})
}

func TestHolderNamesProcess(t *testing.T) {
	one, other := New(Options{}), New(Options{})
	if one.holder == other.holder || strings.Count(one.holder, "/") != 2 {
		t.Errorf("%q and %q", one.holder, other.holder)
	}
	if named := New(Options{Holder: "blue"}); named.holder != "blue" {
		t.Errorf("named blue: %q", named.holder)
	}
}
