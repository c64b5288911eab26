package controller

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/composure-dev/composure/internal/api"
	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/metrics"
	"github.com/composure-dev/composure/internal/view"
	"github.com/composure-dev/composure/reconcile"
)

// failingFor is how long a look must have failed before a person is asked for: what passes by itself mostly does within it.
const failingFor = 5 * time.Minute

// failed notes what will be tried again. A person is needed for files that are wrong, and for what goes on failing.
func (l *loop) failed(name string, err error) {
	status := Status{Project: name, Reconciling: true, Reason: ReasonFailed, Message: err.Error()}
	_, isParse := errors.AsType[*compose.ParseError](err)
	was, _ := l.statuses.get(name)
	switch {
	case errors.Is(err, engine.ErrUnreachable):
		status.Reason = ReasonNoEngine
	case errors.Is(err, view.ErrIncomplete):
		l.mu.Lock()
		met, cause := l.met, l.cause
		l.mu.Unlock()
		if !met {
			return // it is looked at as soon as all is listed
		}
		status.Reason, status.Message = ReasonNoEngine, cmp.Or(cause, "its containers are being listed anew")
	case isParse || was.Reason == ReasonFailed && time.Since(was.Since) >= failingFor:
		status.Reconciling, status.Stalled = false, true
	}
	l.tell(status)
}

// tell notes a status. What it says that is new is logged, recorded as an event, and told to those who are notified.
func (l *loop) tell(status Status) {
	status.LookedAt = time.Now().UTC()
	if _, looked := l.statuses.get(status.Project); !looked {
		l.recall(&status)
	}
	now, was, known := l.statuses.set(status)
	if !known || !slices.EqualFunc(now.Policies, was.Policies, selection.same) {
		for _, s := range now.Policies {
			l.log.Info("policy selects services", "project", now.Project, "policy", s.policy, "services", s.services)
		}
	}
	if known && !now.news(was) {
		return
	}
	l.summarize()
	l.log.Info("project looked at", "project", now.Project, "ready", now.Ready, "reason", now.Reason,
		"message", now.Message, "differences", now.Differences, "held", now.HeldWords())
	if now.Suspended != was.Suspended {
		event := now.suspension()
		l.log.Info("project suspended or resumed", "project", now.Project, "suspended", now.Suspended)
		l.notify(l.record(event))
	}
	if now.Reason == ReasonNotSelected && !known {
		return
	}
	event := l.record(now.event())
	if l.settled.changed(now) {
		l.notify(event)
	}
}

// suspension is that a project was suspended, or resumed.
func (s Status) suspension() api.Event {
	if s.Suspended {
		return api.Event{Type: api.Normal, Project: s.Project, Reason: string(ReasonSuspended), Message: "it is left alone until composure resume, or the next composure apply that changes it"}
	}
	return api.Event{Type: api.Normal, Project: s.Project, Reason: "Resumed"}
}

// recall fills in how the last transaction of a project ended that an earlier process has looked after.
func (l *loop) recall(status *Status) {
	records, _ := l.store().List(status.Project) // those that can be read; gate says it when one cannot be
	for _, record := range slices.Backward(records) {
		if record.Ended != nil {
			status.Transaction, status.Outcome = record.Transaction, string(record.Outcome)
			return
		}
	}
}

func (l *loop) summarize() {
	if l.options.Summary != nil {
		l.options.Summary(l.statuses.summary())
	}
}

// HeldWords says what is held, one line each.
func (s Status) HeldWords() []string {
	var words []string
	for _, h := range s.Held {
		words = append(words, h.Object+": "+h.Reason)
	}
	return words
}

// event is what a status says, for people.
func (s Status) event() api.Event {
	event := api.Event{Type: api.Normal, Project: s.Project, Reason: string(s.Reason), Message: s.Message}
	if s.Stalled || slices.Contains([]Reason{ReasonRolledBack, ReasonFailed, ReasonNoEngine}, s.Reason) {
		event.Type = api.Warning
	}
	event.Message = cmp.Or(event.Message, strings.Join(s.HeldWords(), "; "))
	return event
}

// record keeps an event for those who ask.
func (l *loop) record(e api.Event) api.Event {
	e.Time = time.Now().UTC()
	return l.events.Append(e)
}

// notify passes an event on to those who want to be told. Where another operator leads it tells them.
func (l *loop) notify(e api.Event) {
	if l.options.Notify != nil && !l.follows() {
		l.options.Notify(newID(), e)
	}
}

// publish tells and counts what a look at a project came to.
func (l *loop) publish(name string, began time.Time) {
	status, known := l.statuses.get(name)
	if !known {
		l.options.Metrics.Reconciled(metrics.Gone, time.Since(began))
		return
	}
	l.options.Metrics.Reconciled(string(status.Reason), time.Since(began))
	if l.options.Publish == nil {
		return
	}
	host, _ := os.Hostname()
	result := api.Result{
		APIVersion: api.Version, Kind: api.KindResult, Host: host, Project: name, Ready: status.Ready, Reason: string(status.Reason), Message: status.Message,
		Differences: status.Differences, Time: status.LookedAt, DurationMs: time.Since(began).Milliseconds(),
	}
	if status.Ended.After(began) {
		result.Transaction, result.Outcome = status.Transaction, status.Outcome
	}
	l.options.Publish(result)
}

// figures are what is measured of each project.
func (l *loop) figures() []metrics.Project {
	var list []metrics.Project
	for _, s := range l.statuses.list() {
		list = append(list, metrics.Project{
			Name: s.Project, Ready: s.Ready, Reconciling: s.Reconciling, Stalled: s.Stalled, Suspended: s.Suspended,
			Reason: string(s.Reason), Drifted: s.Differences, Held: len(s.Held), LookedAt: s.LookedAt,
		})
	}
	return list
}

// transactionEvent is how a transaction ended.
func transactionEvent(project, transaction string, applied reconcile.Applied) api.Event {
	event := api.Event{Type: api.Normal, Project: project, Transaction: transaction, Message: applied.Failure}
	switch applied.Result {
	case reconcile.ResultNothing, reconcile.ResultCommitted:
		event.Reason = "Committed"
	case reconcile.ResultRecovered:
		event.Reason, event.Message = "Recovered", strings.Join(applied.Restored, "; ")
	case reconcile.ResultKept:
		event.Reason, event.Type = "Kept", api.Warning
	case reconcile.ResultRolledBack:
		event.Reason, event.Type = string(ReasonRolledBack), api.Warning
	case reconcile.ResultRollbackFailed:
		event.Reason, event.Type = string(ReasonStuck), api.Warning
	}
	return event
}

// settled keeps how each project was when it was last neither being mended nor waited for: those who are notified are told of what lasts.
// It may be used by several goroutines at once.
type settled struct {
	mu   sync.Mutex
	last map[string]Reason
}

// changed reports whether a status settles a project otherwise than it was. One that is ready when it is first looked at is no news.
func (s *settled) changed(status Status) bool {
	if !status.Ready && !status.Stalled {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	was, known := s.last[status.Project]
	s.last[status.Project] = status.Reason
	return was != status.Reason && (known || !status.Ready)
}

func (s *settled) forget(project string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, project)
}
