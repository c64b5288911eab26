package conformance

import (
	"archive/tar"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"

	"github.com/composure-dev/composure/internal/engine"
)

// withParent makes a container share all that it can with another one.
func withParent(parent string) func(*engine.Spec) {
	return func(spec *engine.Spec) {
		spec.Host.NetworkMode = container.NetworkMode("container:" + parent)
		spec.Host.PidMode = container.PidMode("container:" + parent)
		spec.Host.IpcMode = container.IpcMode("container:" + parent)
		spec.Host.VolumesFrom = []string{parent}
		spec.Host.Mounts = []mount.Mount{{Type: mount.TypeVolume, Target: "/own"}}
		spec.Network = nil
	}
}

// parent runs a container that others can share everything with.
func (f Fixture) parent(t *testing.T, name string) engine.Container {
	t.Helper()
	spec := f.spec(name)
	spec.Config.Hostname, spec.Config.Domainname = "parent", "example.com"
	spec.Config.ExposedPorts = network.PortSet{network.MustParsePort("9/tcp"): {}}
	spec.Config.Volumes = map[string]struct{}{"/of-parent": {}}
	spec.Host.IpcMode = container.IPCModeShareable
	return f.run(t, spec)
}

// testShared swaps a container and then the one that lives in its namespaces and with its volumes.
func testShared(t *testing.T, f Fixture) {
	parent := f.parent(t, "shared-parent")
	spec := f.spec("shared-child")
	withParent(parent.ID)(&spec)
	child := f.run(t, spec)
	if child.Config.Hostname != "parent" || child.Config.Domainname != "example.com" {
		t.Errorf("inspect shows %q %q, not the names of the parent", child.Config.Hostname, child.Config.Domainname)
	}
	first := child.ID
	child = f.swapTrap(t, f.replacement(t, child, "FIRST=1"))
	f.must(t, f.Writer.Remove(t.Context(), first, false))

	replaced := f.swapTrap(t, f.replacement(t, parent, "ADDED=1"))
	eventually(t, "the end of what shares the processes of the stopped parent", func() bool {
		return f.inspect(t, child.ID).State.Status == container.StateExited
	})
	r := f.replacement(t, child, "SECOND=1")
	r.References = map[string]string{parent.ID: replaced.ID}
	child = f.swapTrap(t, r)
	reference := "container:" + replaced.ID
	host := child.HostConfig
	got := append([]string{string(host.NetworkMode), string(host.PidMode), string(host.IpcMode)}, host.VolumesFrom...)
	if diff := cmp.Diff([]string{reference, reference, reference, replaced.ID}, got); diff != "" {
		t.Errorf("what it shares (-want +got):\n%s", diff)
	}
	for _, each := range host.Mounts {
		if each.Target != "/own" {
			t.Errorf("the volume at %s is the parent's and was made its own", each.Target)
		}
	}
}

// testConflicts is what the engine refuses together with another container's network, and when it misses the other container.
func testConflicts(t *testing.T, f Fixture) {
	parent := f.parent(t, "conflicts-parent")
	port := network.MustParsePort("80/tcp")
	cases := map[string]struct {
		edit func(*engine.Spec)
		want string
	}{
		"hostname":  {func(s *engine.Spec) { s.Config.Hostname = "own" }, "hostname and the network mode"},
		"exposed":   {func(s *engine.Spec) { s.Config.ExposedPorts = network.PortSet{port: {}} }, "port exposing and the container type network mode"},
		"published": {func(s *engine.Spec) { s.Host.PortBindings = network.PortMap{port: nil} }, "port publishing and the container type network mode"},
		"mac":       {func(s *engine.Spec) { s.MACAddress = "02:00:00:00:00:01" }, "mac-address and the network mode"},
		"ipc":       {func(s *engine.Spec) { s.Host.IpcMode = "container:" + container.IpcMode(f.Prefix) }, "o such container"},
		"pid":       {func(s *engine.Spec) { s.Host.PidMode = "container:" + container.PidMode(f.Prefix) }, "o such container"},
		"volumes":   {func(s *engine.Spec) { s.Host.VolumesFrom = []string{f.Prefix} }, "o such container"},
	}
	for name, tc := range cases {
		spec := f.spec("conflicts-" + name)
		withParent(parent.ID)(&spec)
		tc.edit(&spec)
		_, err := f.Writer.Create(t.Context(), spec)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
	f.must(t, f.Writer.Stop(t.Context(), parent.ID))
	stopped := map[string]struct {
		edit func(*engine.Spec)
		want string
	}{
		"network": {
			func(s *engine.Spec) {
				s.Host.NetworkMode, s.Network = container.NetworkMode("container:"+parent.ID), nil
			},
			"cannot join network of a non running container",
		},
		"pid": {func(s *engine.Spec) { s.Host.PidMode = container.PidMode("container:" + parent.ID) }, "is not running"},
		"ipc": {func(s *engine.Spec) { s.Host.IpcMode = container.IpcMode("container:" + parent.ID) }, "can't join IPC"},
	}
	for name, tc := range stopped {
		spec := f.spec("conflicts-stopped-" + name)
		tc.edit(&spec)
		if err := f.Writer.Start(t.Context(), f.create(t, spec).ID); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("start with a stopped %s: got %v, want %q", name, err, tc.want)
		}
	}
}

// testLinks swaps both ends of a link of the default bridge.
func testLinks(t *testing.T, f Fixture) {
	onBridge := func(name string, links ...string) engine.Container {
		spec := f.spec(name)
		spec.Host.NetworkMode, spec.Network, spec.Host.Links = "", nil, links
		return f.run(t, spec)
	}
	linked := onBridge("linked")
	linking := onBridge("linking", linked.CleanName()+":alias")
	want := []string{linked.Name + ":" + linking.Name + "/alias"}
	if diff := cmp.Diff(want, linking.HostConfig.Links); diff != "" {
		t.Fatalf("links (-want +got):\n%s", diff)
	}
	f.swapTrap(t, f.replacement(t, linked, "ADDED=1"))
	linking = f.swapTrap(t, f.replacement(t, f.inspect(t, linking.ID), "ADDED=1"))
	if diff := cmp.Diff(want, linking.HostConfig.Links); diff != "" {
		t.Errorf("links after the swaps (-want +got):\n%s", diff)
	}
}

// testInjected swaps a container with files that docker compose has copied into it.
func testInjected(t *testing.T, f Fixture) {
	spec := f.spec("injected")
	spec.Config.User = "1000:1000"
	spec.Host.Binds = []string{f.Volume + ":/shared"}
	old := f.run(t, spec)
	files := map[string]tar.Header{
		"/run/secrets/token": {Name: "run/secrets/token", Mode: 0o400, Uid: 1000, Gid: 1000},
		"/config":            {Name: "config", Mode: 0o444},
		"/shared/config":     {Name: "shared/config", Mode: 0o644},
	}
	r := f.replacement(t, old, "ADDED=1")
	r.MayInject = []string{"/emptied", "/run/secrets/empty"}
	f.put(t, old.ID, "/", tar.Header{Name: "emptied", Mode: 0o444}, "it was not empty")
	for file, header := range files {
		f.put(t, old.ID, "/", header, "content of "+file)
		r.Injected = append(r.Injected, file)
	}
	slices.Sort(r.Injected)
	replaced := f.swapTrap(t, r)
	for file, want := range files {
		header, content := f.get(t, replaced.ID, file)
		if content != "content of "+file || header.Mode != want.Mode || header.Uid != want.Uid || header.Gid != want.Gid {
			t.Errorf("%s: got %+v with %q", file, header, content)
		}
	}

	if _, content := f.get(t, replaced.ID, "/emptied"); content != "it was not empty" {
		t.Errorf("a file that compose would not copy any more holds %q", content)
	}
	_, err := f.Reader.CopyFrom(t.Context(), replaced.ID, "/run/secrets/empty")
	wantError(t, "a file that was never there", err, engine.ErrNotFound)

	again := f.replacement(t, replaced, "MORE=1")
	again.Injected = []string{"/config", "/run/secrets/other"}
	_, err = f.swapper().Swap(t.Context(), again, quickly())
	var failure *engine.SwapError
	if !errors.As(err, &failure) || failure.Stage != "inject" || failure.UndoErr != nil || !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("a file that is missing: %v", err)
	}
	if now := f.inspect(t, old.Name); now.ID != replaced.ID || now.State.StartedAt != replaced.State.StartedAt {
		t.Errorf("the container was touched: %+v", now.State)
	}
}

// testSwapRestarting swaps a container that crashes in a loop.
func testSwapRestarting(t *testing.T, f Fixture) {
	old := f.run(t, f.spec("restarting", ScriptExit+"=3"))
	restarting := func() bool {
		old = f.inspect(t, old.ID)
		return old.State.Restarting
	}
	eventually(t, "the crash loop", restarting)
	r := f.replacement(t, old, "ADDED=1")
	_, err := f.swapper().Swap(t.Context(), r, f.pace())
	var failure *engine.SwapError
	if !errors.As(err, &failure) || failure.Stage != "wait" || failure.UndoErr != nil {
		t.Fatalf("a swap that does not end the crashes: %v", err)
	}
	eventually(t, "the crash loop after the undo", restarting)

	r = f.replacement(t, old, "ADDED=1")
	r.Env = slices.DeleteFunc(r.Env, func(entry string) bool { return strings.HasPrefix(entry, ScriptExit+"=") })
	f.swapTrap(t, r)
}
