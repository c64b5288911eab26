// Package view remembers the containers and images of one engine, so that a daemon can look at them without asking: events say what
// to ask about again, and a list now and then finds what no event told of.
//
// What it remembers serves to find what has drifted. Before anything is changed, [View.Project] asks again.
package view

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/moby/moby/api/types/events"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/owner"
)

// Engine is what a view is made from.
type Engine interface {
	engine.Reader
	// Summaries lists the containers with one call.
	Summaries(ctx context.Context, labels ...string) ([]engine.Summary, error)
}

// ErrIncomplete is returned while it is not known what the engine has: nothing may be concluded from what is missing.
var ErrIncomplete = errors.New("the view of the engine is not complete")

// View remembers one engine. It may be used by several goroutines at once.
type View struct {
	engine Engine

	mu         sync.Mutex
	info       engine.Info // empty when it is to be asked for
	containers *index[*remembered]
	stale      *index[mark] // what is to be inspected again
	shared     shared
	crossing   map[string]bool // the ids of the containers that may concern any project
	addresses  addresses
	images     map[string]engine.Image // by the reference that was asked for; an empty ID for one that is not there
	complete   bool
	// now counts what happens: what was read before something else was noted must not take its place.
	now        uint64
	imagesFrom uint64 // when the images were last forgotten
}

// remembered is a container without its raw answer, and when it was asked for. It does not change.
type remembered struct {
	engine.Container
	at uint64
}

func (r *remembered) of() string { return r.Label(engine.LabelProject) }

// mark says that a container may have changed since, and whose it is if that is known.
type mark struct {
	at      uint64
	project string
}

func (m mark) of() string { return m.project }

// New returns a view that knows nothing yet: it is to be synced first.
func New(e Engine) *View {
	return &View{
		engine: e, containers: newIndex[*remembered](), stale: newIndex[mark](), shared: newShared(), crossing: map[string]bool{}, addresses: addresses{}, images: map[string]engine.Image{},
	}
}

// tick is called with the lock held.
func (v *View) tick() uint64 {
	v.now++
	return v.now
}

// Forget is for an engine that went away, or events that may have been missed: nothing is answered before the next Sync, which
// believes nothing that was read before.
func (v *View) Forget() {
	v.Doubt()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.complete = false
}

// Doubt makes the next Sync ask about everything: there is more to a container than a list shows.
func (v *View) Doubt() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id, known := range v.containers.all {
		v.stale.set(id, mark{v.tick(), known.of()})
	}
	v.info, v.shared = engine.Info{}, newShared() // what nobody says any more is let go
	v.forgetImages()
}

func (v *View) forgetImages() {
	clear(v.images)
	v.imagesFrom = v.tick()
}

// Sync lists the engine's containers with one call, inspects those that are new, look otherwise than remembered, or were told of, and
// names the projects that they belong to, or belonged to. After an error the view is as incomplete as it was, and nothing that it had is
// missing: containers that were read before the error are as they were read.
func (v *View) Sync(ctx context.Context) (changed []string, err error) {
	v.mu.Lock()
	info, begun := v.info, v.tick()
	before, stale := maps.Clone(v.containers.all), maps.Clone(v.stale.all)
	v.mu.Unlock()
	if info.APIVersion == "" {
		if info, err = v.engine.Info(ctx); err != nil {
			return nil, err
		}
	}
	summaries, err := v.engine.Summaries(ctx)
	if err != nil {
		return nil, err
	}
	listed, projects := make(map[string]bool, len(summaries)), map[string]bool{}
	for _, summary := range summaries {
		known, is := before[summary.ID]
		was, told := stale[summary.ID]
		if is && !told && known.Summary().Equal(summary) {
			listed[summary.ID] = true
			continue
		}
		asked := v.instant()
		c, err := v.engine.Inspect(ctx, summary.ID)
		if errors.Is(err, engine.ErrNotFound) {
			continue // it is gone since the list
		}
		if err != nil {
			return nil, err
		}
		listed[c.ID], projects[c.Label(engine.LabelProject)] = true, true
		v.learn(c, asked, was)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.info, v.complete = info, true
	v.drop(begun, listed, projects)
	delete(projects, "")
	return slices.Sorted(maps.Keys(projects)), nil
}

// instant is a tick of its own: what is asked for after it is as it was then, or later.
func (v *View) instant() uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.tick()
}

// learn takes over a container that was asked for at an instant. What was told of it before is then done with.
func (v *View) learn(c engine.Container, asked uint64, was mark) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.remember(c, asked)
	if v.stale.all[c.ID] == was {
		v.stale.remove(c.ID)
	}
}

// drop forgets what a Sync that begun at that moment has not listed, but for what was read, or told of, since, and notes whose that was.
// It is called with the lock held.
func (v *View) drop(begun uint64, listed, projects map[string]bool) {
	for id, known := range v.containers.all {
		if listed[id] || known.at >= begun || v.stale.all[id].at >= begun {
			continue
		}
		projects[known.of()] = true
		v.forget(id)
		v.stale.remove(id)
	}
}

// remember and forget are called with the lock held. A container is as old as the question: what has happened before its answer came
// may not be in it. One that was asked for later stays.
func (v *View) remember(c engine.Container, asked uint64) {
	if known, is := v.containers.all[c.ID]; is && known.at >= asked {
		return
	}
	v.forget(c.ID)
	v.containers.set(c.ID, &remembered{v.shared.slim(c), asked})
	v.addresses.add(c)
	if crosses(c) {
		v.crossing[c.ID] = true
	}
}

// crosses reports whether a container may concern other projects than its own: it shares something with another container, which may
// be of any project, its name could be taken for the beginning of another one's id, or it tells whose a folder is.
func crosses(c engine.Container) bool {
	host := c.HostConfig
	return c.Config != nil && owner.Tells(c.Config.Image) || strings.Trim(c.CleanName(), "0123456789abcdef") == "" ||
		host != nil && (host.NetworkMode.IsContainer() || host.PidMode.IsContainer() || host.IpcMode.IsContainer() || len(host.VolumesFrom) > 0 || len(host.Links) > 0)
}

func (v *View) forget(id string) {
	if known, is := v.containers.all[id]; is {
		v.addresses.remove(known.Container)
	}
	v.containers.remove(id)
	delete(v.crossing, id)
}

// Note takes an event for what it is: a reason to ask again. It names the project to look at, or nothing; all says that every
// project may be concerned.
func (v *View) Note(event engine.Event) (project string, all bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if event.Type == events.ImageEventType {
		v.forgetImages()
		return "", true
	}
	project = event.Project
	if known, is := v.containers.all[event.ID]; is && project == "" {
		project = known.of()
	}
	v.stale.set(event.ID, mark{v.tick(), project})
	return project, false
}

// catchUp inspects what events have told of, of one project and of none. A mark goes only when what it is about was read, and
// nothing new was told of it meanwhile: whoever looks at the same time asks as well.
func (v *View) catchUp(ctx context.Context, project string) error {
	for id, was := range v.toldOf(project) {
		asked := v.instant()
		c, err := v.engine.Inspect(ctx, id)
		if err != nil && !errors.Is(err, engine.ErrNotFound) {
			return err
		}
		if err == nil {
			v.learn(c, asked, was)
			continue
		}
		v.mu.Lock()
		v.forget(id)
		if v.stale.all[id] == was {
			v.stale.remove(id)
		}
		v.mu.Unlock()
	}
	return nil
}

func (v *View) toldOf(project string) map[string]mark {
	v.mu.Lock()
	defer v.mu.Unlock()
	told := map[string]mark{}
	for _, owner := range []string{project, ""} {
		for id := range v.stale.by[owner] {
			told[id] = v.stale.all[id]
		}
	}
	return told
}

// Projects are the projects of the containers that are remembered, sorted.
func (v *View) Projects() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	projects := slices.Sorted(maps.Keys(v.containers.by))
	return slices.DeleteFunc(projects, func(name string) bool { return name == "" })
}
