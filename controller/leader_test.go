package controller

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/composure-dev/composure/internal/lease"
)

// ballot is an election that the test decides.
type ballot struct {
	mu      sync.Mutex
	state   lease.State
	changed chan struct{}
	ended   bool
	engine  string
}

func newBallot() *ballot { return &ballot{changed: make(chan struct{}, 1)} }

func (b *ballot) elect(engine string) Election {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.engine = engine
	return b
}

func (b *ballot) Run(ctx context.Context) {
	<-ctx.Done()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
}

func (b *ballot) State() lease.State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

func (b *ballot) Changed() <-chan struct{} { return b.changed }

func (b *ballot) decide(state lease.State) {
	b.mu.Lock()
	b.state = state
	b.mu.Unlock()
	b.changed <- struct{}{}
}

// Who does not lead looks, says who does, and begins nothing.
func TestRunWaitsForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBallot()
		d := prepareDaemon(t, enforced, nil)
		d.options.Elect = b.elect
		d.start()
		steps := []struct {
			what         string
			state        lease.State
			edit         bool
			reason       Reason
			message      string
			transactions int
		}{
			{"nobody is elected yet", lease.State{}, false, ReasonStandby, "nobody leads yet", 0},
			{"another one is", lease.State{Reachable: true, Holder: "other/1"}, false, ReasonStandby, "other/1 leads", 0},
			{"Redis is away", lease.State{Err: "connection refused"}, false, ReasonStandby, "Redis does not answer, and nobody is promoted: connection refused", 0},
			{"this one is", lease.State{Leads: true, Reachable: true, Holder: "self"}, false, ReasonCompliant, "", 1},
			{"Redis goes away while it leads", lease.State{Leads: true, Holder: "self", Err: "timeout"}, true, ReasonCompliant, "", 2},
			{"and its lease runs out", lease.State{Err: "timeout"}, true, ReasonStandby, "nobody is promoted: timeout", 2},
			{"it is elected again", lease.State{Leads: true, Reachable: true, Holder: "self"}, false, ReasonCompliant, "", 3},
		}
		for _, step := range steps {
			b.decide(step.state)
			d.after(time.Second)
			if step.edit {
				d.edit("compose.yaml", strings.Replace(d.file(), "SYNC=true", "SYNC=no", 1))
			}
			d.after(time.Minute)
			d.want(step.what, step.reason, step.transactions)
			if got := d.status().Message; !strings.HasSuffix(got, step.message) {
				t.Errorf("%s: it says %q, want %q", step.what, got, step.message)
			}
		}
		d.stop()
		if !b.ended || b.engine != "in-memory" {
			t.Errorf("the election of engine %q has ended: %t", b.engine, b.ended)
		}
	})
}

// What is under way when the daemon is told to end is undone by the leader: another one must not be promoted meanwhile.
func TestRunLeadsToItsEnd(t *testing.T) {
	slow := strings.Replace(enforced, "stableFor: 1s, timeout: 10s", "stableFor: 30s, timeout: 60s", 1)
	synctest.Test(t, func(t *testing.T) {
		b := newBallot()
		b.state = lease.State{Leads: true, Reachable: true}
		d := prepareDaemon(t, slow, nil)
		d.options.Elect = b.elect
		d.options.Notify = (&told{}).notify
		d.start()
		d.after(10 * time.Second)
		d.want("under way", ReasonRepairing, 1)
		resigned := make(chan string, 1)
		go func() {
			for !b.over() {
				<-time.After(time.Millisecond)
			}
			resigned <- d.status().Outcome
		}()
		d.stop()
		if outcome := <-resigned; outcome != "rolled back" {
			t.Errorf("it resigned when the transaction had come to %q", outcome)
		}
	})
}

func (b *ballot) over() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended
}
