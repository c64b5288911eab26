package lease

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// referee watches candidates at every instant.
type referee struct {
	t      *rapid.T
	redis  *fakeRedis
	among  []*candidate
	until  []time.Time
	heard  []int
	turns  int // how often another one led than before
	leader *candidate
}

func (r *referee) look() {
	r.t.Helper()
	token, expires := r.redis.held()
	var leaders []*candidate
	for i, c := range r.among {
		until, heard := c.Until(), c.heard()
		switch {
		case until.IsZero():
			r.until[i] = until
			continue
		case !c.leads():
			r.t.Fatalf("%s says that it leads until %s, which is over", c.Lease.holder, until)
		case token != c.token:
			r.t.Fatalf("%s leads, but Redis has given it to %q", c.Lease.holder, token)
		case until.After(expires):
			r.t.Fatalf("%s counts on %s more than Redis grants", c.Lease.holder, until.Sub(expires))
		case !until.Equal(r.until[i]) && heard == r.heard[i]:
			r.t.Fatalf("%s leads for longer without Redis' word", c.Lease.holder)
		}
		r.until[i], r.heard[i] = until, heard
		leaders = append(leaders, c)
	}
	if len(leaders) > 1 {
		r.t.Fatalf("%d lead at once", len(leaders))
	}
	if len(leaders) == 1 && leaders[0] != r.leader {
		r.leader = leaders[0]
		r.turns++
	}
}

// watch lets time pass.
func (r *referee) watch(span time.Duration) {
	r.t.Helper()
	for end := time.Now().Add(span); time.Now().Before(end); after(50 * time.Millisecond) {
		r.look()
	}
}

// replace ends a candidate, and starts another process in its place.
func (r *referee) replace(i int, name string) {
	r.among[i].leave()
	r.among[i] = stand(r.t.Context(), r.redis, name)
	r.until[i], r.heard[i] = time.Time{}, 0
}

// TestRandomFaults: as long as Redis keeps its data no two lead at once, nobody leads beyond what Redis granted or without its word,
// and when the faults end one leads, and stays.
func TestRandomFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changes := 0
		rapid.Check(struct{ testing.TB }{t}, func(t *rapid.T) { // without the deadline of the test, which is none of a bubble's
			redis := &fakeRedis{pace: rapid.Float64Range(0.95, 1.05).Draw(t, "pace of Redis' clock")}
			r := &referee{t: t, redis: redis}
			for i := range rapid.IntRange(2, 4).Draw(t, "candidates") {
				r.among = append(r.among, stand(t.Context(), redis, fmt.Sprint("first ", i)))
			}
			r.until, r.heard = make([]time.Time, len(r.among)), make([]int, len(r.among))
			defer func() {
				for _, c := range r.among {
					c.have(works)
					c.leave()
				}
			}()
			faults := rapid.SampledFrom([]fault{works, works, refuses, hangs, loses, delays, slow, frozen})
			for step := range rapid.IntRange(1, 20).Draw(t, "steps") {
				whom := rapid.IntRange(-1, len(r.among)-1).Draw(t, "whom, or all")
				switch fault := faults.Draw(t, "fault"); {
				case whom < 0:
					for _, c := range r.among {
						c.have(fault)
					}
				case rapid.IntRange(0, 5).Draw(t, "ends") == 0 && r.among[whom].fault != frozen:
					r.replace(whom, fmt.Sprint("later ", step))
				default:
					r.among[whom].have(fault)
				}
				r.watch(time.Duration(rapid.IntRange(0, 25_000).Draw(t, "ms")) * time.Millisecond)
			}
			for _, c := range r.among {
				c.have(works)
			}
			r.watch(3 * ttl)
			settled, before := r.leader, r.turns
			r.watch(3 * ttl)
			if settled == nil || !settled.leads() || r.turns != before {
				t.Fatalf("the faults are over, and nobody leads for good")
			}
			for _, c := range r.among {
				if state := c.State(); !state.Reachable || state.Holder != settled.Lease.holder || state.Leads != (c == settled) || state.Err != "" {
					t.Fatalf("%s knows %+v; %s leads", c.Lease.holder, state, settled.Lease.holder)
				}
			}
			changes += r.turns
		})
		t.Logf("%d times another one led", changes)
	})
}
