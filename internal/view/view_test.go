package view_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	stdsync "sync"
	"sync/atomic"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/view"
)

// counted is an engine whose calls are counted, and may be made to fail.
type counted struct {
	*enginetest.Engine
	lists, inspects, images atomic.Int64
	fail                    error
}

func (c *counted) Summaries(ctx context.Context, labels ...string) ([]engine.Summary, error) {
	c.lists.Add(1)
	if c.fail != nil {
		return nil, c.fail
	}
	return c.Engine.Summaries(ctx, labels...)
}

func (c *counted) Inspect(ctx context.Context, id string) (engine.Container, error) {
	c.inspects.Add(1)
	if c.fail != nil {
		return engine.Container{}, c.fail
	}
	return c.Engine.Inspect(ctx, id)
}

func (c *counted) Image(ctx context.Context, ref string) (engine.Image, error) {
	c.images.Add(1)
	return c.Engine.Image(ctx, ref)
}

func (c *counted) want(t *testing.T, what string, lists, inspects int64) {
	t.Helper()
	if c.lists.Load() != lists || c.inspects.Load() != inspects {
		t.Errorf("%s: %d lists and %d inspects, want %d and %d", what, c.lists.Load(), c.inspects.Load(), lists, inspects)
	}
	c.forget()
}

func (c *counted) forget() {
	c.lists.Store(0)
	c.inspects.Store(0)
	c.images.Store(0)
}

func open(t *testing.T) (*counted, *view.View) {
	t.Helper()
	e := &counted{Engine: enginetest.New(enginetest.Options{})}
	e.AddImage(enginetest.Image{Name: "app:1"})
	for _, project := range []string{"one", "two"} {
		for _, service := range []string{"app", "beat"} {
			if _, err := e.AddService(t.Context(), enginetest.Service{Project: project, Name: service, Image: "app:1"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	e.forget()
	return e, view.New(e)
}

func ids(t *testing.T, r engine.Reader, labels ...string) []string {
	t.Helper()
	list, err := r.List(t.Context(), labels...)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, c := range list {
		names = append(names, c.CleanName()+" "+c.ID)
	}
	return names
}

func sync(t *testing.T, v *view.View) []string {
	t.Helper()
	changed, err := v.Sync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

func TestSyncAsksAboutWhatHasChanged(t *testing.T) {
	e, v := open(t)
	if got := sync(t, v); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("first: %q", got)
	}
	e.want(t, "the first time", 1, 4)
	if got := sync(t, v); len(got) != 0 {
		t.Errorf("nothing has changed, and yet %q", got)
	}
	e.want(t, "nothing has changed", 1, 0)
	v.Doubt()
	sync(t, v)
	e.want(t, "nothing is believed", 1, 4)
	stopped := ids(t, v.Reader("two"), engine.LabelProject+"=two")[0]
	if err := e.Stop(t.Context(), stopped[len("two-app-1 "):]); err != nil {
		t.Fatal(err)
	}
	if got := sync(t, v); !slices.Equal(got, []string{"two"}) {
		t.Errorf("one was stopped: %q", got)
	}
	e.want(t, "one was stopped", 1, 1)
	if err := e.Remove(t.Context(), stopped[len("two-app-1 "):], true); err != nil {
		t.Fatal(err)
	}
	if got := sync(t, v); !slices.Equal(got, []string{"two"}) {
		t.Errorf("one is gone: %q", got)
	}
	if got := ids(t, v.Reader("two")); len(got) != 1 {
		t.Errorf("left are %q", got)
	}
}

func TestReaderAnswersFromMemory(t *testing.T) {
	e, v := open(t)
	if _, err := v.Reader("one").List(t.Context()); !errors.Is(err, view.ErrIncomplete) {
		t.Errorf("before anything is known: %v", err)
	}
	sync(t, v)
	e.want(t, "the first time", 1, 4)
	want := ids(t, e.Engine, engine.LabelProject+"=one")
	if got := ids(t, v.Reader("one")); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for range 3 {
		if _, err := v.Reader("one").Image(t.Context(), "app:1"); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Reader("one").Image(t.Context(), "gone:1"); !errors.Is(err, engine.ErrNotFound) {
			t.Fatal(err)
		}
	}
	if e.images.Load() != 2 {
		t.Errorf("images were asked for %d times, want once each", e.images.Load())
	}
	e.want(t, "from memory", 0, 0)
	if _, all := v.Note(engine.Event{Type: events.ImageEventType, Action: events.ActionTag}); !all {
		t.Error("another image may concern every project")
	}
	if _, err := v.Reader("one").Image(t.Context(), "app:1"); err != nil || e.images.Load() != 1 {
		t.Errorf("%v, asked %d times after a tag", err, e.images.Load())
	}
}

// What this process runs in, or reaches, is found whatever its project is.
func TestFind(t *testing.T) {
	e, v := open(t)
	sync(t, v)
	two, err := e.Engine.Inspect(t.Context(), "/two-app-1")
	if err != nil {
		t.Fatal(err)
	}
	address := two.NetworkSettings.Networks["two_default"].IPAddress
	find := func(reason, id string, want ...string) {
		t.Helper()
		for _, reader := range []engine.Reader{v.Reader("one"), v.Project("one")} {
			finder, is := reader.(interface {
				Find(id string, addresses []netip.Addr) []engine.Container
			})
			if !is {
				t.Fatalf("%T finds nothing", reader)
			}
			var got []string
			for _, c := range finder.Find(id, []netip.Addr{address, netip.MustParseAddr("192.0.2.1")}) {
				got = append(got, c.CleanName())
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("%s: found %q, want %q", reason, got, want)
			}
		}
	}
	find("by its address", "", "two-app-1")
	find("by both, once", two.ID, "two-app-1")
	beat, err := e.Engine.Inspect(t.Context(), "/two-beat-1")
	if err != nil {
		t.Fatal(err)
	}
	find("by its id", beat.ID, "two-app-1", "two-beat-1")
	if err := e.Stop(t.Context(), two.ID); err != nil {
		t.Fatal(err)
	}
	sync(t, v)
	find("a stopped one has no address", "")
	if _, err := e.AddService(t.Context(), enginetest.Service{Project: "two", Name: "new", Image: "app:1"}); err != nil {
		t.Fatal(err)
	}
	sync(t, v)
	find("another one has its address now", "", "two-new-1")
}

// A project's lists do not grow with the engine, and yet nothing is missing that another project's container could mean for it.
func TestReaderListsWhatConcernsItsProject(t *testing.T) {
	e, v := open(t)
	app, err := e.Engine.Inspect(t.Context(), "/one-app-1")
	if err != nil {
		t.Fatal(err)
	}
	shares := func(change func(*container.HostConfig)) func(*engine.Spec) {
		return func(spec *engine.Spec) { spec.Network = nil; change(spec.Host) }
	}
	tests := map[string]struct {
		reason   string
		name     string
		labels   map[string]string
		edit     func(*engine.Spec)
		concerns bool
	}{
		"Other": {"it is another project's own", "two-plain", map[string]string{engine.LabelProject: "two"}, nil, false},
		"Network": {"it lives in the network of a container of this project", "two-network", map[string]string{engine.LabelProject: "two"},
			shares(func(host *container.HostConfig) { host.NetworkMode = container.NetworkMode("container:" + app.ID) }), true},
		"Joined": {"a container of this project lives in its network", "two-joined", map[string]string{engine.LabelProject: "two"}, nil, true},
		"PID": {"or with its processes", "two-pid", map[string]string{engine.LabelProject: "two"},
			shares(func(host *container.HostConfig) { host.PidMode = container.PidMode("container:" + app.ID) }), true},
		"IPC": {"or with its memory", "two-ipc", map[string]string{engine.LabelProject: "two"},
			shares(func(host *container.HostConfig) { host.IpcMode = container.IpcMode("container:" + app.ID) }), true},
		"Volumes": {"or with its volumes", "two-volumes", map[string]string{engine.LabelProject: "two"},
			shares(func(host *container.HostConfig) { host.VolumesFrom = []string{app.ID} }), true},
		"Link": {"or is linked to it", "two-link", map[string]string{engine.LabelProject: "two"},
			shares(func(host *container.HostConfig) { host.Links = []string{app.ID + ":app"} }), true},
		"Name": {"what refers to db means it, and not one whose id begins so", "db", map[string]string{engine.LabelProject: "two"}, nil, true},
		"Tool": {"a folder is its own only where it runs", "dockge-ui", map[string]string{engine.LabelProject: "dockge"},
			func(spec *engine.Spec) { spec.Config.Image = "louislam/dockge:1" }, true},
		"Lock": {"it belongs to no project", "composure-lock-one", map[string]string{engine.LabelRole: engine.RoleLock}, nil, true},
	}
	e.AddImage(enginetest.Image{Name: "louislam/dockge:1"})
	for _, tc := range tests {
		spec := engine.Spec{Name: tc.name, Config: &container.Config{Image: "app:1", Labels: tc.labels}, Host: &container.HostConfig{}}
		if tc.edit != nil {
			tc.edit(&spec)
		}
		if _, err := e.Engine.Create(t.Context(), spec); err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
	}
	joined, err := e.Engine.Inspect(t.Context(), "/two-joined")
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Engine.Create(t.Context(), engine.Spec{
		Name: "one-joins", Config: &container.Config{Image: "app:1", Labels: map[string]string{engine.LabelProject: "one"}},
		Host: &container.HostConfig{NetworkMode: container.NetworkMode("container:" + joined.ID)},
	})
	if err != nil {
		t.Fatal(err)
	}
	sync(t, v)
	list, err := v.Reader("one").List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range tests {
		if got := slices.ContainsFunc(list, func(c engine.Container) bool { return c.CleanName() == tc.name }); got != tc.concerns {
			t.Errorf("%s: listed = %t: %s", name, got, tc.reason)
		}
	}
	if own := ids(t, v.Reader("one"), engine.LabelProject+"=one"); len(own) != 3 {
		t.Errorf("its own: %q", own)
	}
}

func TestEventMakesItAskAgain(t *testing.T) {
	e, v := open(t)
	sync(t, v)
	id := ids(t, v.Reader("one"))[0][len("one-app-1 "):]
	if err := e.Stop(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	e.want(t, "the first time", 1, 4)
	if project, all := v.Note(engine.Event{Type: events.ContainerEventType, Action: events.ActionDie, ID: id}); project != "one" || all {
		t.Errorf("project = %q, all = %t", project, all)
	}
	list, err := v.Reader("one").List(t.Context())
	if err != nil || list[0].Running() {
		t.Errorf("%v, running %t", err, list[0].Running())
	}
	e.want(t, "after an event", 0, 1)
	e.fail = errors.New("away")
	v.Note(engine.Event{Type: events.ContainerEventType, Action: events.ActionStart, ID: id})
	if _, err := v.Reader("one").List(t.Context()); !errors.Is(err, e.fail) {
		t.Errorf("error = %v: what cannot be read is not what it was", err)
	}
	e.fail = nil
	if _, err := v.Reader("one").List(t.Context()); err != nil {
		t.Error(err)
	}
	if err := e.Remove(t.Context(), id, true); err != nil {
		t.Fatal(err)
	}
	v.Note(engine.Event{Type: events.ContainerEventType, Action: events.ActionDestroy, ID: id, Project: "one"})
	if got := ids(t, v.Reader("one")); len(got) != 1 {
		t.Errorf("left are %q", got)
	}
}

// A list that fails is no empty engine.
func TestSyncThatFailsForgetsNothing(t *testing.T) {
	e, v := open(t)
	sync(t, v)
	want := ids(t, v.Reader("one"))
	e.fail = errors.New("away")
	if _, err := v.Sync(t.Context()); !errors.Is(err, e.fail) {
		t.Errorf("error = %v", err)
	}
	if got := ids(t, v.Reader("one")); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	v.Forget()
	if _, err := v.Sync(t.Context()); err == nil {
		t.Error("it is synced with an engine that is away")
	}
	if _, err := v.Reader("one").List(t.Context()); !errors.Is(err, view.ErrIncomplete) {
		t.Errorf("error = %v, want that it is not complete", err)
	}
	e.fail = nil
	sync(t, v)
	if got := ids(t, v.Reader("one")); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A worker of one project takes nothing from that of another, whatever comes first.
func TestEventsAreLeftToTheirProject(t *testing.T) {
	e, v := open(t)
	sync(t, v)
	added, err := e.AddService(t.Context(), enginetest.Service{Project: "two", Name: "new", Image: "app:1"})
	if err != nil {
		t.Fatal(err)
	}
	e.want(t, "the first time", 1, 4)
	v.Note(engine.Event{Type: events.ContainerEventType, Action: events.ActionStart, ID: added.ID, Project: "two"})
	if got := ids(t, v.Reader("one")); len(got) != 2 {
		t.Errorf("one sees %q", got)
	}
	e.want(t, "an event of another project", 0, 0)
	if got := ids(t, v.Reader("two"), engine.LabelProject+"=two"); len(got) != 3 {
		t.Errorf("two sees %q", got)
	}
	e.want(t, "an event of its own", 0, 1)
}

// Syncs, events and workers come at once, and in the end nothing is missed.
func TestConcurrentUse(t *testing.T) {
	e, v := open(t)
	sync(t, v)
	var all stdsync.WaitGroup
	for _, name := range []string{"one", "two"} {
		for _, reader := range []engine.Reader{v.Reader(name), v.Project(name)} {
			all.Go(func() {
				for range 50 {
					if _, err := reader.List(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Go(func() {
			for range 50 {
				if _, err := v.Sync(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			for i := range 50 {
				c, err := e.Engine.AddService(t.Context(), enginetest.Service{Project: name, Name: "x", Number: i + 1, Image: "app:1"})
				if err != nil {
					t.Error(err)
					continue
				}
				v.Note(engine.Event{Type: events.ContainerEventType, Action: events.ActionStart, ID: c.ID, Project: name})
				if i%2 > 0 {
					continue
				}
				if err := e.Engine.Remove(t.Context(), c.ID, true); err != nil {
					t.Error(err)
				}
				v.Note(engine.Event{Type: events.ContainerEventType, Action: events.ActionDestroy, ID: c.ID, Project: name})
			}
		})
	}
	all.Wait()
	for _, name := range []string{"one", "two"} {
		label := engine.LabelProject + "=" + name
		if got, want := ids(t, v.Reader(name), label), ids(t, e.Engine, label); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// Before a project is changed, it is asked about anew, and no other is.
func TestProjectIsReadAnew(t *testing.T) {
	e, v := open(t)
	sync(t, v)
	id := ids(t, v.Reader("one"), engine.LabelProject+"=one")[0][len("one-app-1 "):]
	if err := e.Remove(t.Context(), id, true); err != nil {
		t.Fatal(err)
	}
	if _, err := e.AddService(t.Context(), enginetest.Service{Project: "one", Name: "new", Image: "app:1"}); err != nil {
		t.Fatal(err)
	}
	want := ids(t, e.Engine, engine.LabelProject+"=one")
	if got := ids(t, v.Project("one")); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := ids(t, v.Reader("one")); !slices.Equal(got, want) {
		t.Errorf("afterwards: got %q, want %q", got, want)
	}
	list, err := v.Project("one").List(t.Context(), engine.LabelProject+"=one")
	if err != nil || len(list) != 2 || list[0].Raw == nil {
		t.Errorf("%v, %d containers; a proof needs what the engine said", err, len(list))
	}
}
