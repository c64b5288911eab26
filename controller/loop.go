package controller

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/util/workqueue"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/composecli"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/view"
	"github.com/composure-dev/composure/reconcile"
)

// loop brings projects to what the policies want, again and again. The queue has names only: what is done is decided from what is
// read then.
type loop struct {
	config   Config
	options  RunOptions
	engine   LiveEngine
	view     *view.View
	loads    *loads
	policies *policySet
	statuses *statuses
	queue    workqueue.TypedRateLimitingInterface[string]
	log      logr.Logger

	only  string // the one project, when it is not all
	self  string // the container that this process runs in, "" outside of one
	stuck *attempts
	now   chan struct{}

	mu      sync.Mutex
	touched map[string]time.Time // when an event last told of a project
	working map[string]string    // the project of each transaction under way
	met     bool                 // it is known whether the engine answers
	answers bool
}

// lookWithin bounds a look at a project, or at the engine.
const lookWithin = 2 * time.Minute

// work takes projects from the queue until that is shut down. Several workers may run; no two have the same project.
func (l *loop) work(ctx context.Context) {
	for {
		name, shutdown := l.queue.Get()
		if shutdown {
			return
		}
		again, err := l.safely(ctx, name)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			l.failed(name, err)
			l.queue.AddRateLimited(name)
		default:
			l.queue.Forget(name)
			if again > 0 {
				l.queue.AddAfter(name, again)
			}
		}
		l.queue.Done(name)
	}
}

// safely keeps a panic over one project from ending the daemon.
func (l *loop) safely(ctx context.Context, name string) (again time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.options.Deadline)
	defer cancel()
	defer func() {
		if cause := recover(); cause != nil {
			l.log.Error(fmt.Errorf("panic: %T", cause), "reconcile panicked", "project", name, "stack", string(debug.Stack()))
			err = errors.New("composure has a bug that shows in this project: see the log")
		}
	}()
	return l.reconcile(ctx, name)
}

// failed notes what will be tried again.
func (l *loop) failed(name string, err error) {
	reason := ReasonFailed
	if errors.Is(err, engine.ErrUnreachable) || errors.Is(err, view.ErrIncomplete) {
		reason = ReasonNoEngine
	}
	l.tell(Status{Project: name, Reconciling: true, Reason: reason, Message: err.Error()})
}

// reconcile looks at one project and mends what may be mended. again, if not zero, is when to look once more without being told.
func (l *loop) reconcile(ctx context.Context, name string) (again time.Duration, err error) {
	src, exists, err := l.source(ctx, name)
	if err != nil {
		return 0, err
	}
	if !exists {
		l.forget(name)
		return 0, nil
	}
	look, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	proposal, err := reconcile.Propose(look, src)
	if err != nil {
		return 0, err
	}
	if l.loads.watch(name, proposal) {
		l.queue.Add(name) // what has changed between the look and the watch is told by nobody
	}
	status := judgeStatus(name, src, proposal)
	if len(proposal.Plan.Steps) == 0 {
		l.tell(status)
		return waitAgain(status), nil
	}
	if reason, message, wait := l.gate(name, proposal); reason != "" {
		status.Reason, status.Message, status.Reconciling = reason, message, wait > 0
		status.Stalled = wait == 0 && reason != ReasonSuspended
		l.tell(status)
		return wait, nil
	}
	return l.repair(ctx, src, proposal, status)
}

// source is what there is of a project now.
func (l *loop) source(ctx context.Context, name string) (src reconcile.Source, exists bool, err error) {
	src = reconcile.Source{Compose: l.config.Project, AllowRoots: l.config.AllowRoots}
	if l.config.All {
		containers, err := l.view.Reader(name).List(ctx, engine.LabelProject+"="+name)
		if err != nil {
			return src, false, err
		}
		projects, _ := byProject(containers)
		labels, exists := projects[name]
		if !exists {
			return src, false, nil
		}
		if src, err = l.config.labeled(name, labels); err != nil {
			return src, true, err
		}
	}
	if src, err = l.config.here(src); err != nil {
		return src, true, err
	}
	src.Policies, src.Reader, src.Unattended, src.Self = l.policies.inForce(), l.view.Reader(name), true, l.self
	src.UnderWay = l.underWay
	src.ComposeReady = composecli.Project{Options: src.Compose}.Ready
	src.Load = func(ctx context.Context, options compose.Options) (*compose.Project, error) {
		return l.loads.load(ctx, name, options)
	}
	return src, true, nil
}

func (l *loop) forget(name string) {
	l.loads.forget(name)
	l.statuses.forget(name)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.touched, name)
}

// tell notes a status, and logs it when it says something new.
func (l *loop) tell(status Status) {
	status.LookedAt = time.Now().UTC()
	if !l.statuses.set(status) {
		return
	}
	l.log.Info("project looked at", "project", status.Project, "ready", status.Ready, "reason", status.Reason,
		"message", status.Message, "differences", status.Differences, "held", status.Held)
}

// waitAgain is when to look again at a project that nothing can be done for now: what holds it may end without an event.
func waitAgain(status Status) time.Duration {
	if status.Reason == ReasonLocked {
		return lockedPause
	}
	return 0
}

// judgeStatus tells how a project is, before anything is done.
func judgeStatus(name string, src reconcile.Source, p reconcile.Proposal) Status {
	status := Status{Project: name, Ready: true, Reason: ReasonCompliant}
	if len(p.Policies) == 0 && len(p.Plan.Steps) == 0 {
		status.Reason = ReasonNotSelected
		return status
	}
	for _, f := range p.Findings {
		if f.Difference() {
			status.Differences++
		}
	}
	for _, h := range p.Plan.Held {
		status.Held = append(status.Held, h.Object+": "+h.Reason)
	}
	slices.Sort(status.Held)
	switch {
	case src.Unreachable != "":
		status.Ready, status.Stalled, status.Reason, status.Message = false, true, ReasonUnreachable, src.Unreachable
	case p.Locked:
		status.Ready, status.Reconciling, status.Reason = false, true, ReasonLocked
	case len(p.Plan.Steps) > 0:
		status.Ready, status.Reconciling, status.Reason = false, true, ReasonRepairing
	case status.Differences > 0 || len(p.Plan.Held) > 0:
		status.Ready, status.Stalled, status.Reason = false, true, ReasonHeld
	}
	return status
}
