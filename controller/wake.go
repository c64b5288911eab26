package controller

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/moby/moby/api/types/events"

	"github.com/composure-dev/composure/internal/api"
	"github.com/composure-dev/composure/internal/engine"
)

// policiesChanged is what the watcher calls the policies; projects have a prefix, so that none can be taken for them.
const (
	policiesChanged = "policies"
	projectPrefix   = "project/"
)

// fullEvery is how many resyncs there are from one that looks at everything anew to the next.
const fullEvery = 10

// blip is how long an engine may be away before projects are said not to be known any more.
const blip = 30 * time.Second

// follow keeps the view true to the engine until ctx ends: it subscribes, and then lists, so that there is no gap between the two.
// When the events break off nothing is concluded from the view before it is complete again.
func (l *loop) follow(ctx context.Context) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 200*time.Millisecond, 30*time.Second
	var away time.Time // since when nobody answers, until that is told of each project
	for ctx.Err() == nil {
		l.beat()
		err := l.followOnce(ctx, func() {
			pause.Reset()
			away = time.Time{}
		})
		if ctx.Err() != nil {
			return
		}
		l.view.Forget()
		l.connected(false, err)
		if away.IsZero() {
			away = time.Now()
		}
		if time.Since(away) >= blip {
			l.wakeAll() // they say then that they cannot be looked at
		}
		sleep(ctx, pause.NextBackOff())
	}
}

func (l *loop) followOnce(ctx context.Context, reset func()) error {
	subscription, end, err := l.subscribe(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := l.resync(ctx, true); err != nil {
		return err
	}
	reset()
	l.connected(true, nil)
	return l.listen(ctx, subscription)
}

// listen notes events, and lists again and again beside it: a list of many containers takes its time, and a finding must not wait for it.
func (l *loop) listen(ctx context.Context, subscription *engine.Subscription) error {
	var listing sync.WaitGroup
	defer listing.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	listed := make(chan error, 1)
	resync := time.NewTimer(l.pause(1))
	defer resync.Stop()
	postponed := 0
	for round, busy := 1, false; ; {
		l.beat()
		due, now := resync.C, l.now
		if busy {
			due, now = nil, nil
		}
		select {
		case event, open := <-subscription.C():
			if !open {
				return errors.Join(errEventsEnded, subscription.Err())
			}
			l.note(event)
		case <-due:
			if postponed++; postponed < fullEvery && l.queue.Len() > l.options.Workers {
				resync.Reset(l.pause(round)) // what is listed now would only wait in the queue, and be kept until then
				continue
			}
			postponed = 0
			full := round%fullEvery == 0
			round, busy = round+1, true
			listing.Go(func() { listed <- l.resync(ctx, full) })
		case <-now:
			l.log.Info("everything is looked at anew, as asked")
			busy = true
			listing.Go(func() { listed <- l.resync(ctx, true) })
		case err := <-listed:
			if err != nil {
				return err
			}
			busy = false
			resync.Reset(l.pause(round))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// beat notes that following goes on.
func (l *loop) beat() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.beaten = time.Now()
}

// alive reports whether following goes on: to subscribe and to list may take as long as they may, and between two lists nothing need happen.
func (l *loop) alive() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.beaten) < 2*lookWithin+2*l.options.Resync+time.Minute
}

// subscribe gives up on an engine that accepts the question and does not answer it.
func (l *loop) subscribe(ctx context.Context) (s *engine.Subscription, end func(), err error) {
	limited, cancel := context.WithCancel(ctx)
	impatient := time.AfterFunc(lookWithin, cancel)
	subscription, err := l.engine.Subscribe(limited)
	if !impatient.Stop() && err == nil {
		subscription.Close()
		err = context.DeadlineExceeded
	}
	if err != nil {
		cancel()
		return nil, nil, err
	}
	return subscription, cancel, nil
}

var errEventsEnded = errors.New("the engine's events have ended")

// note wakes what an event is about.
func (l *loop) note(event engine.Event) {
	project, all := l.view.Note(event)
	if !event.Time.IsZero() {
		l.options.Metrics.EventLag(time.Since(event.Time))
	}
	switch {
	case all:
		l.wakeAll()
	case project == "" || !l.wanted(project):
	default:
		// Only what docker compose does, or a person by hand: a container that crashes again and again touches nothing.
		if slices.Contains([]events.Action{events.ActionCreate, events.ActionDestroy, events.ActionRename}, event.Action) &&
			!event.OneOff && !l.mending(project) {
			l.touch(project)
		}
		l.queue.Add(project)
	}
}

// touch notes that somebody is at a project.
func (l *loop) touch(project string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.touched[project] = time.Now()
}

// resync lists the engine's containers, and wakes the projects of which something has changed without an event, and those that are
// not as they should be. A full one wakes all, and believes nothing that was read before.
func (l *loop) resync(ctx context.Context, full bool) error {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	if full {
		l.view.Doubt()
		l.loads.expire()
		l.loadPolicies()
	}
	changed, err := l.view.Sync(ctx)
	if err != nil {
		return err
	}
	if full {
		l.wakeAll()
		return nil
	}
	for _, name := range changed {
		if l.wanted(name) {
			l.queue.Add(name)
		}
	}
	for _, status := range l.statuses.list() {
		if !status.Ready && l.wanted(status.Project) {
			l.queue.Add(status.Project)
		}
	}
	return nil
}

// pause is how long it is to the resync of that round.
func (l *loop) pause(round int) time.Duration {
	pause := l.jittered()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nextResync = time.Now().Add(pause)
	l.nextFull = l.nextResync.Add(time.Duration((fullEvery-round%fullEvery)%fullEvery) * l.options.Resync)
	return pause
}

// jittered keeps many daemons from listing at the same moments.
func (l *loop) jittered() time.Duration {
	return time.Duration(float64(l.options.Resync) * (0.9 + 0.2*rand.Float64())) //nolint:gosec // nothing is to be kept secret
}

// wakeAll puts every project into the queue that there is, and those that there were.
func (l *loop) wakeAll() {
	for _, status := range l.statuses.list() {
		l.queue.Add(status.Project)
	}
	for _, name := range l.view.Projects() {
		if l.wanted(name) {
			l.queue.Add(name)
		}
	}
	if l.only != "" {
		l.queue.Add(l.only)
	}
}

// wanted reports whether a project is one that this daemon looks after.
func (l *loop) wanted(project string) bool { return l.only == "" || l.only == project }

// changed is told of files: what depends on them is looked at again.
func (l *loop) changed(what string) {
	if what == policiesChanged {
		if l.loadPolicies() {
			l.wakeAll()
		}
		return
	}
	name := strings.TrimPrefix(what, projectPrefix)
	l.loads.changed(name)
	l.queue.Add(name)
}

func (l *loop) loadPolicies() (changed bool) {
	changed, news := l.policies.load()
	l.options.Metrics.PolicyProblems(l.policies.problems())
	l.tellPolicies(news)
	if changed {
		l.log.Info("policies changed", "policies", names(l.policies.inForce()))
		l.record(api.Event{Type: api.Normal, Reason: "PoliciesChanged", Message: strings.Join(names(l.policies.inForce()), ", ")})
		l.logPolicies()
	}
	return changed
}

// tellPolicies tells of each file once that it cannot be read as it is, and that it can be again.
func (l *loop) tellPolicies(news []policyNews) {
	for _, n := range news {
		if n.problem == "" {
			l.log.Info("policy file can be read again", "file", n.file)
			l.notify(l.record(api.Event{Type: api.Normal, Reason: "PolicyValid", Message: n.file}))
			continue
		}
		l.log.Error(errors.New(n.problem), "policy file cannot be read as it is; what was read before stays in force", "file", n.file)
		l.notify(l.record(api.Event{Type: api.Warning, Reason: policyInvalid, Message: n.problem}))
	}
}

// connected notes whether the engine answers, and says so once for each change.
func (l *loop) connected(is bool, err error) {
	l.mu.Lock()
	first, was := !l.met, l.answers
	l.met, l.answers, l.cause = true, is, ""
	if err != nil {
		l.cause = err.Error()
	}
	l.mu.Unlock()
	l.options.Metrics.EngineConnected(is)
	switch {
	case is && (first || !was):
		info := l.view.Engine()
		l.log.Info("engine answers", "version", info.ServerVersion, "api", info.APIVersion, "host", info.Host)
		event := l.record(api.Event{Type: api.Normal, Reason: "EngineAnswers", Message: "Docker Engine " + info.ServerVersion})
		if !first {
			l.notify(event)
		}
	case !is && (first || was):
		l.log.Error(err, "engine does not answer; it is tried again")
		l.notify(l.record(api.Event{Type: api.Warning, Reason: string(ReasonNoEngine), Message: err.Error()}))
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
