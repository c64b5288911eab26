package controller

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"k8s.io/client-go/util/workqueue"

	"github.com/composure-dev/composure/internal/state"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile"
	"github.com/composure-dev/composure/reconcile/plan"
)

const (
	// settleFor is how long a project must have been left alone before it is mended: docker compose up takes its time.
	settleFor = 3 * time.Second
	// lockedPause is how long somebody else's transaction is waited for.
	lockedPause = 5 * time.Second
	// unreadablePause is how long it waits for a state folder that cannot be read.
	unreadablePause = time.Minute
	// A recovery that failed is tried again after the first pause, and then after twice as long each time, up to the longest.
	firstPause, longestPause = 30 * time.Second, time.Hour
	budgetSpan               = time.Hour
	// startsWithin is how long a container that was made and not started is taken for one whose dependencies docker compose waits for.
	startsWithin = 10 * time.Minute
	changing     = "somebody is changing it"
)

// notNow is why a transaction was not begun, and the error of one: for a while, or without wait until something changes.
type notNow struct {
	reason  Reason
	message string
	wait    time.Duration
}

func (e *notNow) Error() string { return e.message }

// permit is the last word before a transaction begins: looking and locking take their time, and others do the same meanwhile.
func (l *loop) permit(name string, p reconcile.Proposal, looked time.Time) error {
	if message, waits := l.standby(); waits {
		return &notNow{ReasonStandby, message, 0}
	}
	if reconcile.Recovers(p.Plan) {
		return nil
	}
	if why := l.suspended(name); why != nil {
		return why
	}
	if change := policy.NextChange(p.Policies, looked); !change.IsZero() && !time.Now().Before(change) {
		return &notNow{ReasonChanging, "a maintenance window has opened or closed meanwhile", time.Millisecond}
	}
	if why := l.recreated.admits(len(p.Plan.Recreates()), l.options.MaxServices, true); why != nil {
		return why
	}
	return nil
}

// gate says why a plan is not carried out now; nil: it is. suspended is what says so of the project.
func (l *loop) gate(name string, p reconcile.Proposal, suspended *notNow) *notNow {
	if message, waits := l.standby(); waits {
		return &notNow{ReasonStandby, message, 0}
	}
	if left := l.settles(name, p.Snapshot); left > 0 {
		return &notNow{ReasonChanging, changing, left}
	}
	if reconcile.Recovers(p.Plan) {
		left := l.stuck.pause(name)
		if left <= 0 {
			return nil
		}
		return &notNow{ReasonStuck, "what was cut off could not be put in order: see composure history; it is tried again", left}
	}
	if suspended != nil {
		return suspended
	}
	records, err := l.store().List(name)
	if err != nil {
		return &notNow{ReasonFailed, "whether the same was tried before is not known: " + err.Error(), unreadablePause}
	}
	if reason, message := undoneBefore(records, p.Plan.Basis); reason != "" {
		return &notNow{reason, message, 0}
	}
	if left := shaky(records); left > 0 {
		return &notNow{ReasonRolledBack, "it was undone by no fault of the change, and is tried again", left}
	}
	if left := spent(records, l.options.Budget); left > 0 {
		return &notNow{ReasonBudget, fmt.Sprintf("it had %d transactions within an hour, and may have another one at %s; composure apply does not wait",
			l.options.Budget, time.Now().Add(left).UTC().Round(time.Second).Format(time.RFC3339)), left}
	}
	return l.recreated.admits(len(p.Plan.Recreates()), l.options.MaxServices, false)
}

// suspended says why a project is left alone, if it is.
func (l *loop) suspended(name string) *notNow {
	switch mark, err := l.suspension(name); {
	case err != nil:
		return &notNow{ReasonSuspended, "its mark of suspension cannot be read: " + err.Error(), unreadablePause}
	case mark != nil:
		return &notNow{ReasonSuspended, suspended(*mark), 0}
	}
	return nil
}

// shaky is how much longer what failed by no fault of the change has to wait: the more often it did in a row, the longer.
func shaky(records []state.Record) time.Duration {
	times := 0
	var last time.Time
	for _, record := range slices.Backward(records) {
		if record.Ended == nil || !failed(record) || !record.Inconclusive {
			break
		}
		if times++; times == 1 {
			last = *record.Ended
		}
	}
	if times == 0 {
		return 0
	}
	return doubling(times) - time.Since(last)
}

// failed holds for a transaction that was undone, or was to be.
func failed(record state.Record) bool {
	return record.Outcome == state.OutcomeRolledBack || record.Outcome == state.OutcomeRollbackFailed
}

// doubling is the pause after so many failures in a row.
func doubling(times int) time.Duration { return min(firstPause<<min(times-1, 10), longestPause) }

// recreations remembers how many services were recreated lately, over all projects: a policy that is wrong for all of them must not
// reach all of them at once. It may be used by several goroutines at once.
type recreations struct {
	mu   sync.Mutex
	past []recreation // the oldest first
}

type recreation struct {
	at       time.Time
	services int
}

// admits says why so many services are not recreated now; without wait they never are by itself. With take those that are admitted are
// counted.
func (r *recreations) admits(services, most int, take bool) *notNow {
	if services > most {
		return &notNow{ReasonTooMany, fmt.Sprintf("%d services would be recreated, more than the %d that may be within an hour: "+
			"look at it with composure diff, do it with composure apply, or raise --max-services", services, most), 0}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.past = slices.DeleteFunc(r.past, func(p recreation) bool { return time.Since(p.at) >= budgetSpan })
	free, wait := most, time.Duration(0)
	for _, p := range r.past {
		free -= p.services
	}
	for _, p := range r.past {
		if free >= services {
			break
		}
		free += p.services
		wait = budgetSpan - time.Since(p.at)
	}
	if wait > 0 {
		return &notNow{ReasonTooMany, fmt.Sprintf("%d services would be recreated, and %d may be within an hour, over all projects", services, most), wait}
	}
	if take && services > 0 {
		r.past = append(r.past, recreation{time.Now(), services})
	}
	return nil
}

// giveBack takes back what was counted last: nothing was begun.
func (r *recreations) giveBack(services int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, p := range slices.Backward(r.past) {
		if p.services == services {
			r.past = slices.Delete(r.past, i, i+1)
			return
		}
	}
}

// settles is how much longer the project has to be left alone. By the engine's clock, which may be another one, a container that was
// made a moment ago tells as well: events that came before this process was there are not known.
func (l *loop) settles(name string, snap reconcile.Snapshot) time.Duration {
	l.mu.Lock()
	left := settleFor - time.Since(l.touched[name])
	l.mu.Unlock()
	for _, containers := range snap.Containers {
		for _, c := range containers {
			made, err := time.Parse(time.RFC3339Nano, c.Created)
			age := time.Since(made)
			if err != nil || age < 0 {
				continue
			}
			left = max(left, settleFor-age)
			if c.State != nil && c.State.Status == container.StateCreated && age < startsWithin {
				left = max(left, settleFor)
			}
		}
	}
	return left
}

// undoneBefore says why a project is not mended when its last transaction began from the same policies, files and variables, and did
// not hold. Containers are not compared: an undo may have made them again. What failed by no fault of the change is no verdict.
func undoneBefore(records []state.Record, now plan.Basis) (reason Reason, message string) {
	for _, record := range slices.Backward(records) {
		switch {
		case record.Ended == nil || record.Undoes != "" || failed(record) && record.Inconclusive:
			continue
		case !failed(record) || !begunFrom(record, now):
			return "", ""
		}
		at := record.Ended.Format(time.RFC3339)
		if record.Outcome == state.OutcomeRollbackFailed {
			return ReasonStuck, "a rollback failed at " + at + ", a person is needed: see composure history"
		}
		return ReasonQuarantined, "the same was done and undone at " + at + "; change a policy or a file, or run composure apply"
	}
	return "", ""
}

// begunFrom takes a record that does not tell for one that begun from the same.
func begunFrom(record state.Record, now plan.Basis) bool {
	var was plan.Plan
	if err := json.Unmarshal(record.Plan, &was); err != nil {
		return true
	}
	return slices.Equal(was.Basis.Policies, now.Policies) && slices.Equal(was.Basis.Files, now.Files) && was.Basis.Environment == now.Environment
}

// attempts counts recoveries that failed, by project, so that they are tried less and less often. It may be used by several
// goroutines at once.
type attempts struct {
	mu     sync.Mutex
	failed map[string]attempt
}

type attempt struct {
	times int
	last  time.Time
}

// note tells how a recovery ended.
func (a *attempts) note(project string, succeeded bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if succeeded {
		delete(a.failed, project)
		return
	}
	a.failed[project] = attempt{a.failed[project].times + 1, time.Now()}
}

// pause is how long the next one has to wait.
func (a *attempts) pause(project string) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	failed, known := a.failed[project]
	if !known {
		return 0
	}
	return doubling(failed.times) - time.Since(failed.last)
}

// spent is how long it takes until the project may have another transaction. Those that a person has begun count, too.
func spent(records []state.Record, budget int) time.Duration {
	recent := slices.DeleteFunc(slices.Clone(records), func(r state.Record) bool { return time.Since(r.Began) >= budgetSpan })
	if len(recent) < budget {
		return 0
	}
	return budgetSpan - time.Since(recent[len(recent)-budget].Began)
}

// jitter spreads the pauses of a rate limiter, so that what failed at one moment is not tried again at one moment.
type jitter struct {
	workqueue.TypedRateLimiter[string]
}

// When implements workqueue.TypedRateLimiter.
func (j jitter) When(name string) time.Duration {
	return time.Duration(float64(j.TypedRateLimiter.When(name)) * (1 + 0.2*rand.Float64())) //nolint:gosec // nothing is to be kept secret
}
