package controller

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/composure-dev/composure/internal/api"
	"github.com/composure-dev/composure/internal/lease"
)

// Election is one operator's part in an election, as package lease has it. What State says of who leads is so at that instant.
type Election interface {
	Run(ctx context.Context)
	State() lease.State
	Changed() <-chan struct{}
}

// lead takes part in the election among the operators of this engine until ctx ends. Without a lease there are no others.
func (l *loop) lead(ctx context.Context) {
	if l.options.Elect == nil {
		l.options.Metrics.Leading(true)
		return
	}
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 200*time.Millisecond, 30*time.Second
	for ctx.Err() == nil {
		asking, cancel := context.WithTimeout(ctx, lookWithin)
		id, err := l.engine.ID(asking)
		cancel()
		if err == nil {
			l.elected(ctx, id)
			return
		}
		l.log.V(1).Info("engine does not tell who it is, so no leader is elected yet", "err", err.Error())
		sleep(ctx, pause.NextBackOff())
	}
}

// elected is the election, once it is known of whom.
func (l *loop) elected(ctx context.Context, engine string) {
	elected := l.options.Elect(engine)
	l.mu.Lock()
	l.election = elected
	l.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		elected.Run(ctx)
	}()
	for {
		select {
		case <-elected.Changed():
			message, waits := l.standby()
			event := api.Event{Type: api.Normal, Reason: "Leads", Message: "this operator leads"}
			if waits {
				event.Reason, event.Message = string(ReasonStandby), message
			}
			l.record(event)
			l.options.Metrics.Leading(!waits)
			l.wakeAll() // what waited may go on, and what goes on has to wait
		case <-ended:
			return
		}
	}
}

// part is this operator's in the election, nil before it is known of whose engine.
func (l *loop) part() Election {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.election
}

// standby reports whether this operator must begin nothing, and why: it leads for as long as its lease surely holds.
func (l *loop) standby() (message string, is bool) {
	if l.options.Elect == nil {
		return "", false
	}
	elected := l.part()
	if elected == nil {
		return "no leader is elected before the engine tells who it is", true
	}
	state := elected.State()
	switch {
	case state.Leads:
		return "", false
	case state.Err != "":
		return "Redis does not answer, and nobody is promoted: " + state.Err, true
	case state.Holder != "":
		return state.Holder + " leads", true
	default:
		return "nobody leads yet", true
	}
}

// follows reports whether another operator is known to lead.
func (l *loop) follows() bool {
	elected := l.part()
	if elected == nil {
		return false
	}
	state := elected.State()
	return !state.Leads && state.Reachable && state.Holder != ""
}
