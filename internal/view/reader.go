package view

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/composure-dev/composure/internal/engine"
)

// Reader answers one project's questions from what is remembered. What is asked for the first time, or changes without an event,
// such as a log, is asked of the engine.
//
// Its lists have what may concern the project: its own containers, those of no project, and of the others those that share something
// with any container, whose network another one has, that are called like an id, or are of a tool that package owner wants to know of.
// So an answer costs the same however many projects the engine has.
func (v *View) Reader(project string) engine.Reader { return reader{v, project} }

type reader struct {
	*View
	name string
}

// Engine is who has answered last.
func (v *View) Engine() engine.Info {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.info
}

// Info implements engine.Reader.
func (r reader) Info(context.Context) (engine.Info, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.complete {
		return engine.Info{}, ErrIncomplete
	}
	return r.info, nil
}

// List implements engine.Reader. Containers of the project, and of none, that events have told of are inspected before.
func (r reader) List(ctx context.Context, labels ...string) ([]engine.Container, error) {
	if _, err := r.Info(ctx); err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	if err := r.catchUp(ctx, r.name); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []engine.Container
	for id := range r.concerning() {
		if c := r.containers.all[id]; engine.HasLabels(c.Config.Labels, labels) {
			list = append(list, c.Container)
		}
	}
	slices.SortFunc(list, func(a, b engine.Container) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// Find returns, of whatever project they are, the container that has an id, and those that have one of the addresses in a network: what
// this process runs in, say, concerns every project.
func (r reader) Find(id string, at []netip.Addr) []engine.Container {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := []string{id}
	for _, address := range at {
		ids = append(ids, r.addresses[address]...)
	}
	slices.Sort(ids)
	var found []engine.Container
	for _, id := range slices.Compact(ids) {
		if c, is := r.containers.all[id]; is {
			found = append(found, c.Container)
		}
	}
	return found
}

// concerning are ids, those included of the containers whose network another one has. It is called with the lock held.
func (r reader) concerning() map[string]bool {
	ids := maps.Clone(r.crossing)
	maps.Copy(ids, r.containers.by[r.name])
	maps.Copy(ids, r.containers.by[""])
	for id := range r.crossing {
		// The engine tells the id, whatever it was called by. One that has a network itself from another is among the crossing.
		host := r.containers.all[id].HostConfig
		if host == nil || !host.NetworkMode.IsContainer() {
			continue
		}
		if joined := host.NetworkMode.ConnectedContainer(); r.containers.all[joined] != nil {
			ids[joined] = true
		}
	}
	return ids
}

// Image implements engine.Reader.
func (r reader) Image(ctx context.Context, ref string) (engine.Image, error) {
	r.mu.Lock()
	image, known := r.images[ref]
	from := r.imagesFrom
	r.mu.Unlock()
	if known && image.ID == "" {
		return image, fmt.Errorf("inspect image %q: %w", ref, engine.ErrNotFound)
	}
	if known {
		return image, nil
	}
	image, err := r.engine.Image(ctx, ref)
	if err != nil && !errors.Is(err, engine.ErrNotFound) {
		return image, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.imagesFrom == from { // else the answer may be of before
		r.images[ref] = image
	}
	return image, err
}

// Inspect implements engine.Reader.
func (r reader) Inspect(ctx context.Context, id string) (engine.Container, error) {
	return r.engine.Inspect(ctx, id)
}

// Logs implements engine.Reader.
func (r reader) Logs(ctx context.Context, id string, since time.Time, tail int) (io.ReadCloser, error) {
	return r.engine.Logs(ctx, id, since, tail)
}

// CopyFrom implements engine.Reader.
func (r reader) CopyFrom(ctx context.Context, id, path string) (io.ReadCloser, error) {
	return r.engine.CopyFrom(ctx, id, path)
}

// Project is for a change of one project: what belongs to it is asked of the engine again, the rest is remembered.
func (v *View) Project(name string) engine.Reader { return project{reader{v, name}} }

type project struct{ reader }

// Info implements engine.Reader.
func (p project) Info(ctx context.Context) (engine.Info, error) { return p.engine.Info(ctx) }

// Image implements engine.Reader.
func (p project) Image(ctx context.Context, ref string) (engine.Image, error) {
	return p.engine.Image(ctx, ref)
}

// List implements engine.Reader, and keeps what it learns. What Composure has made for its own needs, locks say, has no project, and
// is asked about as well.
func (p project) List(ctx context.Context, labels ...string) ([]engine.Container, error) {
	begun := p.doubtOwn()
	own, err := p.engine.List(ctx, engine.LabelProject+"="+p.name)
	if err != nil {
		return nil, err
	}
	p.replace(begun, own)
	all, err := p.reader.List(ctx, labels...)
	if err != nil {
		return nil, err
	}
	for i, c := range all {
		if at := slices.IndexFunc(own, func(o engine.Container) bool { return o.ID == c.ID }); at >= 0 {
			all[i] = own[at] // with what the engine said byte for byte
		}
	}
	return all, nil
}

func (p project) doubtOwn() (begun uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.containers.by[""] {
		if p.containers.all[id].Label(engine.LabelRole) != "" {
			p.stale.set(id, mark{at: p.tick()})
		}
	}
	return p.tick()
}

// replace takes over what was read since begun, but for what was told of since.
func (p project) replace(begun uint64, own []engine.Container) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range maps.Clone(p.containers.by[p.name]) {
		if p.containers.all[id].at < begun && p.stale.all[id].at < begun {
			p.forget(id)
		}
	}
	for _, c := range own {
		p.remember(c, begun)
		if p.stale.all[c.ID].at < begun {
			p.stale.remove(c.ID)
		}
	}
}
