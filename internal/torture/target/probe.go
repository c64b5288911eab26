package main

import (
	"bufio"
	"fmt"
	"io"
	"time"
)

const (
	// every is how often the probe knocks.
	every = 2 * time.Millisecond
	// patience is what a knock may take.
	patience = 20 * time.Millisecond
	// settled is how long every knock must have been answered before the outage counts as over.
	settled = 150 * time.Millisecond
)

// outage adds up the time in which nobody answers.
type outage struct {
	total    time.Duration
	answered time.Time // the last answer
	steady   time.Time // since when every knock was answered
	failing  bool
}

// knocked notes one knock. An outage lasts from the last answer before it to the first one after it.
func (o *outage) knocked(began time.Time, err error) {
	switch {
	case err != nil:
		o.failing = true
	case o.failing || o.answered.IsZero():
		if o.failing && !o.answered.IsZero() {
			o.total += began.Sub(o.answered)
		}
		o.failing, o.steady, o.answered = false, began, began
	default:
		o.answered = began
	}
}

// probe knocks at the address by fresh connections. For each line that it reads, it answers with one line, once there are answers
// again: the outage since the line before, in microseconds.
func probe(address string, from io.Reader, to io.Writer) error {
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		for lines := bufio.NewScanner(from); lines.Scan(); {
			asked <- struct{}{}
		}
	}()
	var seen outage
	var since time.Time // when the pending question was asked
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case _, more := <-asked:
			if !more {
				return nil
			}
			since = time.Now()
		case <-ticker.C:
			began := time.Now()
			seen.knocked(began, get("http://"+address+"/healthz", io.Discard, patience))
			if since.IsZero() || seen.failing || seen.answered.Sub(since) < settled || seen.answered.Sub(seen.steady) < settled {
				continue
			}
			if _, err := fmt.Fprintln(to, seen.total.Microseconds()); err != nil {
				return err
			}
			seen.total, since = 0, time.Time{}
		}
	}
}
