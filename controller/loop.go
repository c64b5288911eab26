package controller

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/util/workqueue"

	"github.com/composure-dev/composure/internal/api"
	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/composecli"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/metrics"
	"github.com/composure-dev/composure/internal/view"
	"github.com/composure-dev/composure/policy"
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

	// only and directory are the one project's, when it is not all.
	only, directory string

	self  string // the container that this process runs in, "" outside of one
	stuck *attempts
	now   chan struct{}

	recreated *recreations
	events    *api.Log
	settled   *settled // what those who are notified know

	mu       sync.Mutex
	touched  map[string]time.Time // when an event last told of a project
	working  map[string]string    // the project of each transaction under way
	met      bool                 // it is known whether the engine answers
	answers  bool
	election Election  // nil before it is known whose engine this is
	cause    string    // why the engine does not answer
	beaten   time.Time // when the engine was last listened to, or tried again
	// nextResync and nextFull are when the containers are listed next, and when nothing that was read before is believed.
	nextResync, nextFull time.Time
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
		if ctx.Err() != nil { // what still waits in the queue is not begun
			l.queue.Done(name)
			continue
		}
		began := time.Now()
		again, err := l.safely(ctx, name)
		if ctx.Err() == nil {
			l.later(name, again, err)
		}
		l.publish(name, began)
		l.queue.Done(name)
	}
}

// later has a project looked at again when that is due.
func (l *loop) later(name string, again time.Duration, err error) {
	if err != nil {
		l.failed(name, err)
		l.queue.AddRateLimited(name)
		return
	}
	l.queue.Forget(name)
	if again > 0 {
		l.statuses.next(name, time.Now().Add(again))
		l.queue.AddAfter(name, again)
	}
}

// safely keeps a panic over one project from ending the daemon.
func (l *loop) safely(ctx context.Context, name string) (again time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.options.Deadline)
	defer cancel()
	defer func() {
		if cause := recover(); cause != nil {
			l.options.Metrics.Panicked()
			l.log.Error(fmt.Errorf("panic: %T", cause), "reconcile panicked", "project", name, "stack", string(debug.Stack()))
			err = errors.New("composure has a bug that shows in this project: see the log")
		}
	}()
	return l.reconcile(ctx, name)
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
	suspended := l.suspended(name)
	status.Suspended = suspended != nil // a mark that cannot be read counts as well
	if l.vanishes(status) {
		return l.wait(status, &notNow{ReasonChanging, vanishing + status.Message, settleFor}), nil
	}
	if left := l.settles(name, proposal.Snapshot); left > 0 && !status.Ready && !reconcile.Recovers(proposal.Plan) {
		return l.wait(status, &notNow{ReasonChanging, changing, left}), nil
	}
	if len(proposal.Plan.Steps) == 0 {
		l.tell(status)
		return waitAgain(status, policy.NextChange(proposal.Policies, src.Now)), nil
	}
	if why := l.gate(name, proposal, suspended); why != nil {
		return l.wait(status, why), nil
	}
	return l.repair(ctx, src, proposal, status)
}

// source is what there is of a project now.
func (l *loop) source(ctx context.Context, name string) (src reconcile.Source, exists bool, err error) {
	src = reconcile.Source{Compose: l.config.Project, AllowRoots: l.config.AllowRoots, Name: l.only, Directory: l.directory}
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
	src.UnderWay, src.Now = l.underWay, time.Now()
	src.ComposeReady = composecli.Project{Options: src.Compose}.Ready
	src.Load = func(ctx context.Context, options compose.Options) (*compose.Project, error) {
		return l.loads.load(ctx, name, options)
	}
	return src, true, nil
}

func (l *loop) forget(name string) {
	_, known := l.statuses.get(name)
	l.loads.forget(name)
	l.statuses.forget(name)
	l.settled.forget(name)
	if known {
		l.record(api.Event{Type: api.Normal, Project: name, Reason: metrics.Gone, Message: "no container of it is left"})
		l.summarize()
	}
	l.stuck.note(name, true)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.touched, name)
}
