package controller

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/composure-dev/composure/internal/api"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/reconcile"
	"github.com/composure-dev/composure/reconcile/plan"
)

// repair carries out a plan that may be carried out. What the view remembers has found it; it is made again from what the engine
// says then, and left when it is another one.
func (l *loop) repair(ctx context.Context, src reconcile.Source, p reconcile.Proposal, status Status) (again time.Duration, err error) {
	name := status.Project
	status.Attempted = status.Observed
	l.tell(status)
	src.Reader, src.Load = l.view.Project(name), nil
	transaction := newID()
	executor := l.config.executor(l.engine, item{source: src, proposal: p}, ApplyOptions{
		Progress: func(line string) {
			l.log.Info("transaction", "project", name, "transaction", transaction, "step", line)
			said, _, _ := strings.Cut(line, "; should this process die") // how to end it by hand is in the log
			l.record(api.Event{Type: api.Normal, Project: name, Reason: "Step", Message: said, Transaction: transaction})
		},
	})
	executor.NewID = func() string { return transaction }
	src.Now = time.Now()
	counted := false
	executor.Permit = func() error {
		err := l.permit(name, p, src.Now)
		counted = err == nil && !reconcile.Recovers(p.Plan)
		return err
	}
	defer l.begin(name, transaction)()
	began := time.Now()
	applied, err := executor.Apply(ctx, src, p.Plan)
	if err != nil && counted {
		l.recreated.giveBack(len(p.Plan.Recreates()))
	}
	// What this has changed is not to be found again before its events have come.
	l.loads.changed(name)
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookWithin)
	defer cancel()
	if _, listed := src.Reader.List(after); listed != nil && err == nil {
		l.log.Error(listed, "project cannot be listed after a transaction", "project", name)
	}
	locked, isLocked := errors.AsType[*engine.LockedError](err)
	later, isLater := errors.AsType[*notNow](err)
	switch {
	case isLater:
		return l.wait(status, later), nil
	case errors.Is(err, reconcile.ErrMoved):
		return settleFor, nil // somebody is at it: what is so then is looked at then
	case isLocked:
		status.Reason, status.Message = ReasonLocked, locked.Error()
		l.tell(status)
		return lockedPause, nil
	case err != nil:
		return 0, err
	}
	l.options.Metrics.Transaction(string(applied.Result), time.Since(began), recreated(p.Plan, applied.Outcomes))
	if reconcile.Recovers(p.Plan) {
		l.stuck.note(name, applied.Result == reconcile.ResultRecovered)
	}
	l.concluded(status, transaction, applied)
	return lookAgainAfter(applied.Result), nil
}

// recreated is how many containers were replaced, be it that they were put back afterwards.
func recreated(p plan.Plan, outcomes []plan.Outcome) int {
	count := 0
	for _, step := range p.Steps {
		at := slices.IndexFunc(outcomes, func(o plan.Outcome) bool { return o.Step == step.ID })
		if at < 0 || !slices.Contains([]plan.Result{plan.ResultDone, plan.ResultRolledBack, plan.ResultNotUndone}, outcomes[at].Result) {
			continue
		}
		if step.Swap != nil || step.Compose != nil {
			count++
		}
	}
	return count
}

// wait notes why a project is not mended now.
func (l *loop) wait(status Status, why *notNow) time.Duration {
	status.Reason, status.Message = why.reason, why.message
	status.Reconciling = why.wait > 0 || why.reason == ReasonStandby // the leader does it
	status.Stalled = !status.Reconciling && why.reason != ReasonSuspended
	l.tell(status)
	return why.wait
}

// begin notes that this process is at work on a transaction, until end is called.
func (l *loop) begin(project, transaction string) (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.working[transaction] = project
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.working, transaction)
	}
}

func (l *loop) underWay(transaction string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, is := l.working[transaction]
	return is
}

// mending reports whether the events of a project are this process's own doing.
func (l *loop) mending(project string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Contains(slices.Collect(maps.Values(l.working)), project)
}

// concluded notes how a transaction ended.
func (l *loop) concluded(status Status, transaction string, applied reconcile.Applied) {
	status.Transaction, status.Outcome, status.Failure, status.Ended = transaction, string(applied.Result), applied.Failure, time.Now()
	status.Message = applied.Failure
	l.log.Info("transaction ended", "project", status.Project, "transaction", transaction, "result", applied.Result,
		"failure", applied.Failure, "restored", applied.Restored)
	l.notify(l.record(transactionEvent(status.Project, transaction, applied)))
	switch applied.Result {
	case reconcile.ResultRolledBack:
		status.Reason = ReasonRolledBack
	case reconcile.ResultRollbackFailed:
		status.Reason, status.Reconciling, status.Stalled = ReasonStuck, false, true
	case reconcile.ResultNothing, reconcile.ResultCommitted, reconcile.ResultKept, reconcile.ResultRecovered:
	}
	l.tell(status)
}

// lookAgainAfter is when to look at the project once more: at once to say how it is now, and later where something went wrong.
func lookAgainAfter(result reconcile.Result) time.Duration {
	if result == reconcile.ResultRollbackFailed {
		return firstPause
	}
	return time.Millisecond
}
