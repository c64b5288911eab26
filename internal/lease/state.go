package lease

import "time"

// State is what a process knows of the election. Before the first answer of Redis it is the zero State.
type State struct {
	Leads     bool      // this process does
	Reachable bool      // Redis answered when it was last asked
	Holder    string    // who leads, as Redis last told; "" when that is not known
	Since     time.Time // when it came to be so
	Err       string    // why Redis does not answer, without secrets; "" when it does
}

// State returns what is known now.
func (l *Lease) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	state := l.state
	state.Leads = state.Leads && !over(l.until, l.wall)
	return state
}

// Until is the moment before which another one cannot lead as long as Redis keeps its data; the zero time when this process does not
// lead. A leader begins nothing after it: Until is asked, and compared with [time.Now], right before.
func (l *Lease) Until() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.state.Leads || over(l.until, l.wall) {
		return time.Time{}
	}
	return l.until
}

// Changed tells that the State is another one, except for Err. Several changes may be told as one.
func (l *Lease) Changed() <-chan struct{} { return l.changed }

// expire ends the lease when its time is over, be it that a call which would have refreshed it hangs.
func (l *Lease) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state.Leads && over(l.until, l.wall) {
		l.change(State{Reachable: l.state.Reachable, Err: l.state.Err})
	}
}

// resign ends it at once.
func (l *Lease) resign() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopExpiry()
	if l.state.Leads {
		l.change(State{Reachable: l.state.Reachable, Err: l.state.Err})
	}
}

// change is called with the lock held. What is as before is neither said nor told.
func (l *Lease) change(next State) {
	was := l.state
	next.Since = was.Since
	l.state = next
	answers := (was.Err == "") == (next.Err == "")
	if answers && was.Leads == next.Leads && was.Reachable == next.Reachable && was.Holder == next.Holder {
		return
	}
	l.state.Since = time.Now()
	l.say(was, next)
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

func (l *Lease) say(was, next State) {
	switch {
	case was.Err == "" && next.Err != "":
		l.log.Info("redis does not answer: nobody is promoted", "cause", next.Err)
	case was.Err != "" && next.Err == "":
		l.log.Info("redis answers again")
	}
	switch {
	case !was.Leads && next.Leads:
		l.log.Info("this operator leads", "holder", next.Holder)
	case was.Leads && !next.Leads:
		l.log.Info("this operator leads no more", "holder", was.Holder)
	}
	if !next.Leads && next.Holder != "" && next.Holder != was.Holder {
		l.log.Info("another operator leads", "holder", next.Holder)
	}
}
