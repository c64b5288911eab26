package torture

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// What an operator says of the election.
const (
	saidLeads  = "this operator leads"
	saidNoMore = "this operator leads no more"
)

// blackout is one time in which Redis is away.
type blackout struct {
	how  absence
	long bool // longer than the lease lasts
	kind drift
}

// blackouts are as many as there are, and then again.
func blackouts(n int) []blackout {
	all := []blackout{
		{keeping, true, driftUp}, {losing, false, driftPolicy}, {hanging, true, driftEdit}, {keeping, false, driftUp}, {losing, true, driftPolicy},
		{hanging, false, driftUp}, {keeping, false, driftEdit}, {losing, false, driftUp}, {hanging, false, driftPolicy}, {keeping, false, driftPolicy},
	}
	for len(all) < n {
		all = append(all, all...)
	}
	return all[:n]
}

// tenure is a time in which one operator led.
type tenure struct {
	operator int
	began    time.Time
	ended    time.Time // in the future when it has not
}

// elected is a pair that elects a leader by a Redis which comes and goes.
type elected struct {
	*pair
	redis  *redisServer
	away   [][2]time.Time // since when, and until when
	lost   []time.Time    // when Redis forgot who leads
	waited int            // drifts that were left alone for as long as nobody led
}

// Of two operators that share a Redis one does the work. While Redis is away nobody else begins to, and who led stops in time.
func TestDaemonRedis(t *testing.T) {
	if !full() {
		t.Skip("stops a Redis over and over: make torture")
	}
	times := amount(t, "COMPOSURE_REDIS_RESTARTS", 2, 10)
	needEngine(t)
	t.Parallel()
	server := newRedisServer(t)
	r := &elected{redis: server, pair: newPair(t, newProject(t, "redis", composeOf(t, ""), "daemon"), "--redis", "redis://"+server.address)}
	r.waitOneLeads()
	r.fresh()
	began, counts := time.Now(), map[string]int{}
	for _, each := range blackouts(times) {
		counts[string(each.how)]++
		if each.long {
			r.long(each)
		} else {
			r.short(each)
		}
		if t.Failed() {
			t.Fatalf("Redis was %s; %s\n%s", each.how, each.kind, r.told())
		}
	}
	tenures := r.tenures()
	shares := [2]int{len(r.history(r.operators[0].state)), len(r.history(r.operators[1].state))}
	r.wantElected(tenures)
	all := r.conclude()
	t.Logf("Redis was away %d times in %s (%s), %d times longer than a lease; nobody was promoted meanwhile; %d promotions in all",
		times, time.Since(began).Round(time.Second), inWords(counts), r.waited, len(tenures))
	t.Logf("%d drifts, each mended once, %d of them only when somebody led again: %d transactions, %d of one operator and %d of the other, each begun by who led; %d locks, one at a time",
		times, r.waited, len(all), shares[0], shares[1], r.witness.locks)
	t.Logf("from the drift, or from Redis' return, until both found all well: median %.1f s, at most %.1f s", median(r.seconds), slices.Max(r.seconds))
}

// short is over before the lease is: who leads may go on.
func (r *elected) short(b blackout) {
	r.t.Helper()
	r.vanish(b.how)
	r.drift(b.kind)
	r.reappear(b.how)
	r.wantMendedOnce()
}

// long makes the project differ when nobody leads any more, which nobody mends before Redis is back.
func (r *elected) long(b blackout) {
	r.t.Helper()
	leader := r.operators[r.waitOneLeads()]
	from := []int{r.operators[0].mark(), r.operators[1].mark()}
	r.vanish(b.how)
	leader.wait(from[slices.Index(r.operators, leader)], "the end of the lease", func(s said) bool { return s.Msg == saidNoMore })
	r.drift(b.kind)
	for i, o := range r.operators {
		line, _ := o.wait(from[i], "that it is left alone", func(s said) bool { return s.status("Standby") })
		if line.Message == "" {
			r.t.Errorf("it does not say why the project is left alone: %s", line)
		}
	}
	// Longer than a project has to be left alone before it is mended.
	<-time.After(5 * time.Second)
	if all := r.fresh(); len(all) > 0 {
		r.t.Errorf("nobody led, and yet there were transactions: %v", all)
	}
	r.waited++
	r.reappear(b.how)
	r.wantMendedOnce()
}

func (r *elected) vanish(how absence) {
	r.t.Helper()
	r.redis.away(how)
	r.away = append(r.away, [2]time.Time{time.Now()})
	if how == losing {
		r.lost = append(r.lost, time.Now())
	}
}

func (r *elected) reappear(how absence) {
	r.t.Helper()
	r.away[len(r.away)-1][1] = time.Now()
	r.redis.back(how)
}

func (r *elected) wantMendedOnce() {
	r.t.Helper()
	if all := r.mended(); len(all) != 1 || all[0].Outcome != committed {
		r.t.Errorf("want one transaction, got %v", all)
	}
	r.waitOneLeads()
}

// waitOneLeads waits until one says that it leads, and the other does not, and returns which.
func (r *elected) waitOneLeads() int {
	r.t.Helper()
	leader := -1
	eventually(r.t, "one leader", func() bool {
		a, b := r.operators[0].leads(), r.operators[1].leads()
		if leader = 0; b {
			leader = 1
		}
		return a != b
	})
	return leader
}

// leads reports what the operator has said of itself last.
func (o *operator) leads() bool {
	lines, _ := o.since(0)
	for _, line := range slices.Backward(lines) {
		if line.Msg == saidLeads || line.Msg == saidNoMore {
			return line.Msg == saidLeads
		}
	}
	return false
}

// tenures are the times in which somebody led, by the logs.
func (r *elected) tenures() []tenure {
	var all []tenure
	for i, o := range r.operators {
		lines, _ := o.since(0)
		for _, line := range lines {
			switch line.Msg {
			case saidLeads:
				all = append(all, tenure{operator: i, began: line.Time, ended: time.Now().Add(time.Hour)})
			case saidNoMore:
				all[len(all)-1].ended = line.Time
			}
		}
	}
	slices.SortFunc(all, func(a, b tenure) int { return a.began.Compare(b.began) })
	return all
}

// wantElected wants nobody to have been promoted while Redis was away, nobody to have led beside another unless Redis had forgotten him,
// and each transaction to have been begun by who led.
func (r *elected) wantElected(all []tenure) {
	r.t.Helper()
	for i, each := range all {
		for _, span := range r.away {
			if each.began.After(span[0]) && each.began.Before(span[1]) {
				r.t.Errorf("an operator was promoted at %s, and Redis was away from %s to %s", each.began, span[0], span[1])
			}
		}
		forgotten := i > 0 && slices.ContainsFunc(r.lost, func(at time.Time) bool { return at.After(all[i-1].began) && at.Before(each.began) })
		if i > 0 && each.began.Before(all[i-1].ended) && !forgotten {
			r.t.Errorf("an operator was promoted at %s, and the other one led until %s", each.began, all[i-1].ended)
		}
	}
	for i, o := range r.operators {
		for _, each := range r.history(o.state) {
			led := func(t tenure) bool { return t.operator == i && each.Began.After(t.began) && each.Began.Before(t.ended) }
			if !slices.ContainsFunc(all, led) {
				r.t.Errorf("transaction %s was begun at %s by an operator that did not lead: %s", each.ID, each.Began, fmt.Sprint(all))
			}
		}
	}
}
