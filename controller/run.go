package controller

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"

	"github.com/composure-dev/composure/internal/api"
	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/internal/metrics"
	"github.com/composure-dev/composure/internal/view"
	"github.com/composure-dev/composure/internal/watch"
)

// LiveEngine is an engine that tells what happens to it.
type LiveEngine interface {
	Engine
	engine.Watcher
}

// RunOptions are what run is told beyond Config. The zero value of a field means its default.
type RunOptions struct {
	// Once looks at everything once, mends what may be mended, and ends.
	Once bool
	// Workers is how many projects are looked at side by side. Default: 4.
	Workers int
	// Resync is how often the engine's containers are listed without an event. Default: one minute.
	Resync time.Duration
	// Deadline bounds one look at a project and what comes of it. Default: half an hour.
	Deadline time.Duration
	// Budget is how many transactions a project may have within an hour. Default: 6.
	Budget int
	// MaxServices is how many services may be recreated within an hour, over all projects. Default: 20.
	MaxServices int
	// Elect makes this one of several operators, of which one leads: it gives the part in the election for the engine with the id, and is
	// called once. Nil: it is alone.
	Elect func(engine string) Election
	// Open is called once, in the place of Config.Open. It need not answer yet.
	Open func(context.Context) (LiveEngine, error)
	// Listener is where status and health are served; nil: nowhere. Run closes it.
	Listener net.Listener
	// Guard says who may ask there, and Profile has /debug/pprof/ served as well.
	Guard   api.Guard
	Profile bool
	// Notify is told what has changed for good, once for each change, with an id of its own. Nil: nobody is. It must not block.
	Notify func(id string, event api.Event)
	// Publish is given what each look at a project came to. Nil: nobody is. It must not block.
	Publish func(api.Result)
	// Started is called once, when it has begun to look: alive reports whether it goes on doing so. Nil: nobody is told.
	Started func(alive func() bool)
	// Summary is told in one line how the projects are, whenever something new is known of one. Nil: nobody is.
	Summary func(string)
	// Metrics are counted, and served beside the status. Nil: none are.
	Metrics *metrics.Metrics
	// Watcher tells of changed files. Nil: the one of package watch.
	Watcher FileWatcher
	// Now, when set, makes it look at everything at once for each signal.
	Now <-chan os.Signal
}

// FileWatcher tells when files may have changed, as package watch does.
type FileWatcher interface {
	Set(name string, paths []string)
	Forget(name string)
	Run(ctx context.Context, changed func(name string)) error
}

func (o RunOptions) withDefaults() RunOptions {
	if o.Workers <= 0 {
		o.Workers = 4
	}
	if o.Resync <= 0 {
		o.Resync = time.Minute
	}
	if o.Deadline <= 0 {
		o.Deadline = 30 * time.Minute
	}
	if o.Budget <= 0 {
		o.Budget = 6
	}
	if o.MaxServices <= 0 {
		o.MaxServices = 20
	}
	return o
}

// Run keeps projects true to their policies until ctx ends: what drifts is found when it drifts, and mended where a policy enforces it.
// A transaction that is under way when ctx ends is finished or undone first. An error means that it could not begin, or, with Once,
// that a project could not be looked at. The answer is how the projects are in the end.
func Run(ctx context.Context, c Config, o RunOptions) ([]Status, error) {
	o = o.withDefaults()
	l, err := newLoop(ctx, c, o)
	if err != nil {
		return nil, err
	}
	defer l.queue.ShutDown()
	l.log.Info("composure runs", l.effective()...)
	l.logPolicies()
	if o.Once {
		err = l.once(ctx)
	} else {
		err = l.forever(ctx)
	}
	return l.statuses.list(), err
}

func newLoop(ctx context.Context, c Config, o RunOptions) (*loop, error) {
	l := &loop{
		config: c, options: o, statuses: newStatuses(), log: c.Log,
		self: ownContainer("/proc"), touched: map[string]time.Time{}, working: map[string]string{},
		stuck: &attempts{failed: map[string]attempt{}}, now: make(chan struct{}, 1),
		events: api.NewLog(), settled: &settled{last: map[string]Reason{}}, recreated: &recreations{},
	}
	paths := c.Policies
	if !c.All {
		project, err := compose.Load(ctx, c.Project)
		if err != nil {
			return nil, err
		}
		l.only, l.directory = project.Name, project.Directory
		if len(paths) == 0 {
			paths = []string{filepath.Join(project.Directory, DefaultPolicies)}
		}
	}
	if len(paths) == 0 {
		return nil, errNoPolicies
	}
	if err := l.store().Usable(); err != nil {
		return nil, hint.Wrap(err, "say where records may be kept with --state-dir")
	}
	l.policies = newPolicySet(paths, l.store(), func(err error) { l.log.Error(err, "good policies are not kept for a restart") })
	_, news := l.policies.load()
	if len(l.policies.inForce()) == 0 {
		return nil, nothingInForce(news)
	}
	l.tellPolicies(news)
	l.queue = workqueue.NewTypedRateLimitingQueueWithConfig[string](
		jitter{workqueue.NewTypedItemExponentialFailureRateLimiter[string](time.Second, 5*time.Minute)},
		workqueue.TypedRateLimitingQueueConfig[string]{Name: "projects", MetricsProvider: o.Metrics.Queue()})
	o.Metrics.PolicyProblems(l.policies.problems())
	o.Metrics.Projects(l.figures)
	return l, nil
}

// nothingInForce is why it cannot begin.
func nothingInForce(news []policyNews) error {
	var problems []error
	for _, n := range news {
		problems = append(problems, errors.New(n.problem))
	}
	return errors.Join(problems...)
}

// open finds the engine. It is connected to later, and again and again.
func (l *loop) open(ctx context.Context) error {
	opened, err := l.options.Open(ctx)
	if err != nil {
		return err
	}
	l.engine = l.options.Metrics.Engine(opened)
	l.view = view.New(l.engine)
	return nil
}

// once looks at every project, and again while something is to be done for it by itself.
func (l *loop) once(ctx context.Context) error {
	if err := l.open(ctx); err != nil {
		return err
	}
	l.loads = newLoads(func(string, []string) {})
	if _, err := l.view.Sync(ctx); err != nil {
		return err
	}
	names := l.view.Projects()
	if l.only != "" {
		names = []string{l.only}
	}
	var failures []error
	for _, name := range names {
		began := time.Now()
		if err := l.onceFor(ctx, name); err != nil {
			l.failed(name, err)
			failures = append(failures, fmt.Errorf("project %s: %w", name, err))
		}
		l.publish(name, began)
	}
	judged := func(s Status) bool { return s.Reason != ReasonNotSelected }
	if len(failures) == 0 && ctx.Err() == nil && !slices.ContainsFunc(l.statuses.list(), judged) {
		failures = append(failures, hint.Wrap(errors.New("no policy selects a service of a running project: nothing was judged"), "see the projects with: docker compose ls"))
	}
	return errors.Join(append(failures, ctx.Err())...)
}

// passes bounds how often a single run looks at a project: once, once more after putting in order what a crash has left, and once
// more after mending it. What somebody else is at is waited for as long as it takes to leave it alone.
const passes = 5

func (l *loop) onceFor(ctx context.Context, name string) error {
	for range passes {
		again, err := l.safely(ctx, name)
		if err != nil || again == 0 || again > settleFor || ctx.Err() != nil {
			return err
		}
		sleep(ctx, again)
		l.view.Doubt() // nothing tells it of events
		l.loads.changed(name)
		if _, err := l.view.Sync(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (l *loop) forever(ctx context.Context) error {
	if err := l.open(ctx); err != nil {
		return err
	}
	watcher := l.options.Watcher
	if watcher == nil {
		watcher = watch.New(watch.Options{Log: l.log})
	}
	l.loads = newLoads(func(name string, paths []string) {
		if paths == nil {
			watcher.Forget(projectPrefix + name)
			return
		}
		watcher.Set(projectPrefix+name, paths)
	})
	watcher.Set(policiesChanged, l.policies.paths)
	var workers, sources sync.WaitGroup
	for range l.options.Workers {
		workers.Go(func() { l.work(ctx) })
	}
	sources.Go(func() { l.follow(ctx) })
	leads, resign := context.WithCancel(context.WithoutCancel(ctx)) // what is under way when ctx ends is still the leader's
	defer resign()
	sources.Go(func() { l.lead(leads) })
	if l.options.Started != nil {
		l.beat()
		l.options.Started(l.alive)
	}
	var watchErr error
	sources.Go(func() { watchErr = watcher.Run(ctx, l.changed) })
	var serveErr error
	sources.Go(func() { serveErr = l.serve(ctx) })
	l.untilDone(ctx)
	l.queue.ShutDown()
	workers.Wait()
	resign()
	sources.Wait()
	l.log.Info("composure ends")
	return errors.Join(watchErr, serveErr)
}

// untilDone passes on what makes it look at everything at once: a signal, say.
func (l *loop) untilDone(ctx context.Context) {
	for {
		select {
		case <-l.options.Now:
			l.resyncNow()
		case <-ctx.Done():
			return
		}
	}
}

// resyncNow does not wait: one that is asked for already is as good.
func (l *loop) resyncNow() {
	select {
	case l.now <- struct{}{}:
	default:
	}
}

// effective is the configuration in force, for the log.
func (l *loop) effective() []any {
	project := l.only
	if project == "" {
		project = "all"
	}
	listens := ""
	if l.options.Listener != nil {
		listens = l.options.Listener.Addr().String()
	}
	return []any{
		"version", l.config.Version, "project", project, "policies", names(l.policies.inForce()), "workers", l.options.Workers,
		"resync", l.options.Resync.String(), "budget", l.options.Budget, "maxServices", l.options.MaxServices, "listen", listens,
		"stateDir", l.config.StateDir, "allowRoots", l.config.AllowRoots, "container", l.self,
	}
}

// logPolicies says what each policy wants. Which services it selects is said when they are looked at.
func (l *loop) logPolicies() {
	for _, known := range l.policies.known() {
		if known.policy == nil {
			continue
		}
		p := known.policy
		l.log.Info("policy in force", "policy", p.Metadata.Name, "file", known.file, "digest", p.Digest, "files", p.Spec.Enforcement.Files,
			"containers", p.Spec.Enforcement.Containers, "windows", len(p.Spec.Enforcement.Windows), "variables", required(*p))
	}
}
