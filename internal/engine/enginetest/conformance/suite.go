// Package conformance is the suite that holds the engine in memory and a real Docker Engine to the same behavior: the behavior
// that Composure relies on. It is apart from the engine in memory so that programs can use that one without linking tests.
package conformance

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
)

// Fixture is an engine with what the conformance suite needs in it.
type Fixture struct {
	Reader     engine.Reader
	Writer     engine.Writer
	Prober     engine.Prober
	Watcher    engine.Watcher
	APIVersion string
	Prefix     string     // of all names
	Image      string     // runs [Script]; its ENV has FROM_IMAGE=1 and HIDDEN=1, its VOLUME is /image-volume
	Networks   [2]string  // user networks
	Address    netip.Addr // free, in the subnet of the second network
	Address6   netip.Addr // the same in its IPv6 subnet, if it has one
	Volume     string     // name of a volume
	// RemoveVolume, when set, removes a volume that a test's container got.
	RemoveVolume func(ctx context.Context, name string)
	// Connect and Limit are what somebody else does with docker network connect, and docker update --cpu-shares.
	Connect func(ctx context.Context, id, network string) error
	Limit   func(ctx context.Context, id string, cpuShares int64) error
	// Pause, when set, freezes a container.
	Pause func(ctx context.Context, id string) error
}

// MemoryFixture is a fixture on an engine in memory that speaks the API version.
func MemoryFixture(api string) Fixture {
	e := enginetest.New(enginetest.Options{APIVersion: api})
	e.AddImage(enginetest.Image{
		Name: "conformance:1",
		Config: container.Config{
			Env:        []string{"FROM_IMAGE=1", "HIDDEN=1"},
			Entrypoint: []string{"/script"},
			Volumes:    map[string]struct{}{"/image-volume": {}},
		},
		Program: Script,
	})
	e.AddNetwork("net-a", "10.1.0.0/16")
	e.AddDualNetwork("net-b", "10.2.0.0/16", "fd00:2::/64")
	e.HandleProbe(func(_ engine.Container, job []byte) ([]byte, error) { return job, nil })
	return Fixture{
		Reader: e, Writer: e, Prober: e, Watcher: e,
		APIVersion: api,
		Prefix:     "conformance",
		Image:      "conformance:1",
		Networks:   [2]string{"net-a", "net-b"},
		Address:    netip.MustParseAddr("10.2.0.77"),
		Address6:   netip.MustParseAddr("fd00:2::77"),
		Volume:     "conformance-data",
		Connect:    e.Connect,
		Limit: func(ctx context.Context, id string, cpuShares int64) error {
			return e.Update(ctx, id, func(host *container.HostConfig) { host.CPUShares = cpuShares })
		},
	}
}

// patience is how long the suite gives an engine for what it does by itself.
const patience = 10 * time.Second

// pace is what the suite swaps with.
func (f Fixture) pace() engine.Pace {
	return engine.Pace{StableFor: 300 * time.Millisecond, Timeout: patience}
}

func (f Fixture) swapper() *engine.Swapper {
	return &engine.Swapper{Reader: f.Reader, Writer: f.Writer, APIVersion: f.APIVersion}
}

// Run holds an engine to the behavior that Composure relies on.
func Run(t *testing.T, open func(t *testing.T) Fixture) {
	f := open(t)
	tests := []struct {
		name string
		run  func(*testing.T, Fixture)
	}{
		{"list by labels", testList},
		{"inspect whole ids and exact names", testInspect},
		{"names are unique", testNames},
		{"start and stop repeat", testStartStop},
		{"stop goes on without its caller", testStopGoesOn},
		{"remove", testRemove},
		{"restart policy", testRestartPolicy},
		{"environment of the image", testEnvironment},
		{"empty entrypoint", testEntrypoint},
		{"networks", testNetworks},
		{"addresses and ports collide at start", testCollisions},
		{"logs", testLogs},
		{"swap and commit", testSwap},
		{"swap of a changed container", testSwapChanged},
		{"swap of a crashing container", testSwapCrash},
		{"swap to an unhealthy container", testSwapUnhealthy},
		{"swap interrupted in its stop", testSwapInterrupted},
		{"undo", testUndo},
		{"copy files", testCopy},
		{"what shares a network conflicts", testConflicts},
		{"traps of a swap", testTraps},
		{"swap of what is shared", testShared},
		{"swap of linked containers", testLinks},
		{"swap with injected files", testInjected},
		{"swap of a crash loop", testSwapRestarting},
		{"lock", testLock},
		{"probe", testProbe},
		{"summaries", testSummaries},
		{"events", testEvents},
		{"events of what happens by itself", testOwnEvents},
		{"events have no gap", testNoGap},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, f) })
	}
}

// spec is a container as docker compose would create it. The name is the test's own.
func (f Fixture) spec(name string, env ...string) engine.Spec {
	return engine.Spec{
		Name: f.Prefix + "-" + name,
		Config: &container.Config{
			Image: f.Image,
			Env:   env,
			Labels: map[string]string{
				engine.LabelProject:    f.Prefix,
				engine.LabelService:    name,
				engine.LabelConfigHash: "before",
				engine.LabelVersion:    "2.40.3",
				engine.LabelOneoff:     "False",
			},
		},
		Host: &container.HostConfig{
			NetworkMode:   container.NetworkMode(f.Networks[0]),
			RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyUnlessStopped},
		},
		Network: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			f.Networks[0]: {Aliases: []string{name}},
		}},
	}
}

// create makes a container and removes it after the test, with what has replaced it by then and its anonymous volumes.
func (f Fixture) create(t *testing.T, spec engine.Spec) engine.Container {
	t.Helper()
	id, err := f.Writer.Create(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	created := f.inspect(t, id)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		for _, lookup := range []string{id, "/" + spec.Name, "/" + engine.TempName(spec.Name), "/" + engine.KeptName(spec.Name)} {
			if left, err := f.Reader.Inspect(ctx, lookup); err == nil {
				if err := f.Writer.Remove(ctx, left.ID, true); err != nil {
					t.Errorf("remove container: %v", err)
				}
			}
		}
		f.removeVolumes(ctx, created)
	})
	return created
}

func (f Fixture) removeVolumes(ctx context.Context, c engine.Container) {
	for _, point := range c.Mounts {
		if f.RemoveVolume != nil && point.Type == mount.TypeVolume && point.Name != f.Volume {
			f.RemoveVolume(ctx, point.Name)
		}
	}
}

func (f Fixture) run(t *testing.T, spec engine.Spec) engine.Container {
	t.Helper()
	created := f.create(t, spec)
	f.must(t, f.Writer.Start(t.Context(), created.ID))
	return f.inspect(t, created.ID)
}

func (f Fixture) inspect(t *testing.T, id string) engine.Container {
	t.Helper()
	found, err := f.Reader.Inspect(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (f Fixture) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually looks until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s did not come true within %s", what, patience)
		case <-ticker.C:
		}
	}
}

// throughout looks all the while whether the condition holds.
func throughout(t *testing.T, d time.Duration, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for begin := time.Now(); time.Since(begin) < d; <-ticker.C {
		if !condition() {
			t.Fatalf("%s ceased to be true after %s", what, time.Since(begin))
		}
	}
}

func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

func testList(t *testing.T, f Fixture) {
	first := f.create(t, f.spec("list-b"))
	second := f.run(t, f.spec("list-a"))
	listed, err := f.Reader.List(t.Context(), engine.LabelProject+"="+f.Prefix, engine.LabelConfigHash)
	f.must(t, err)
	var ids []string
	for _, c := range listed {
		ids = append(ids, c.ID)
	}
	if diff := cmp.Diff([]string{second.ID, first.ID}, ids); diff != "" {
		t.Errorf("in every state, sorted by name (-want +got):\n%s", diff)
	}
	none, err := f.Reader.List(t.Context(), engine.LabelProject+"="+f.Prefix, engine.LabelProject+"=other")
	f.must(t, err)
	if len(none) > 0 {
		t.Errorf("a container that lacks one of the labels was listed")
	}
	bare := f.spec("list-bare")
	bare.Config.Labels = nil
	unlabeled := f.create(t, bare)
	all, err := f.Reader.List(t.Context())
	f.must(t, err)
	for _, want := range []engine.Container{first, second, unlabeled} {
		if !slices.ContainsFunc(all, func(c engine.Container) bool { return c.ID == want.ID }) {
			t.Errorf("%s is missing in the list of all", want.CleanName())
		}
	}
}

func testInspect(t *testing.T, f Fixture) {
	c := f.create(t, f.spec("inspect"))
	if byName := f.inspect(t, c.Name); byName.ID != c.ID {
		t.Errorf("by name: got %q, want %q", byName.ID, c.ID)
	}
	if len(c.Raw) == 0 {
		t.Error("the answer as it was sent is missing")
	}
	for _, lookup := range []string{c.ID[:12], c.ID[:63], c.CleanName(), "/" + c.ID[:12], c.Name + "x", strings.Repeat("0", 64)} {
		_, err := f.Reader.Inspect(t.Context(), lookup)
		wantError(t, "inspect "+lookup, err, engine.ErrNotFound)
	}
	wantError(t, "stop by prefix", f.Writer.Stop(t.Context(), c.ID[:12]), engine.ErrNotFound)
}

func testNames(t *testing.T, f Fixture) {
	c := f.create(t, f.spec("names"))
	_, err := f.Writer.Create(t.Context(), f.spec("names"))
	wantError(t, "create with a taken name", err, engine.ErrConflict)
	other := f.create(t, f.spec("names-other"))
	wantError(t, "rename to a taken name", f.Writer.Rename(t.Context(), other.ID, c.CleanName()), engine.ErrConflict)
	f.must(t, f.Writer.Rename(t.Context(), c.ID, engine.KeptName(c.CleanName())))
	f.must(t, f.Writer.Rename(t.Context(), other.ID, c.CleanName()))
	if got := f.inspect(t, c.Name).ID; got != other.ID {
		t.Errorf("the name means %q, want %q", got, other.ID)
	}
	missing := f.spec("names-missing")
	missing.Config.Image = f.Prefix + ":missing"
	_, err = f.Writer.Create(t.Context(), missing)
	wantError(t, "create of a missing image", err, engine.ErrNotFound)
}

func testStartStop(t *testing.T, f Fixture) {
	c := f.run(t, f.spec("start"))
	f.must(t, f.Writer.Start(t.Context(), c.ID))
	again := f.inspect(t, c.ID)
	if again.State.StartedAt != c.State.StartedAt {
		t.Error("starting a running container restarted it")
	}
	for range 2 {
		f.must(t, f.Writer.Stop(t.Context(), c.ID))
		if stopped := f.inspect(t, c.ID); stopped.Running() || stopped.State.Status != container.StateExited {
			t.Errorf("stopped container is %s", stopped.State.Status)
		}
	}
	f.must(t, f.Writer.Start(t.Context(), c.ID))
	if !f.inspect(t, c.ID).Running() {
		t.Error("a stopped container cannot be started again")
	}
}

func testStopGoesOn(t *testing.T, f Fixture) {
	c := f.run(t, f.spec("stop", ScriptStop+"=1s"))
	f.ready(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	wantError(t, "a stop cut short", f.Writer.Stop(ctx, c.ID), context.DeadlineExceeded)
	if !f.inspect(t, c.ID).Running() {
		t.Error("it stopped at once")
	}
	f.must(t, f.Writer.Start(t.Context(), c.ID))
	eventually(t, "the end", func() bool { return f.inspect(t, c.ID).State.Status == container.StateExited })
	f.must(t, f.Writer.Start(t.Context(), c.ID))
	f.ready(t, c)
	cut, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	wantError(t, "a stop cut short", f.Writer.Stop(cut, c.ID), context.DeadlineExceeded)
	f.must(t, f.Writer.Stop(t.Context(), c.ID))
	if f.inspect(t, c.ID).Running() {
		t.Error("the second stop did not wait for the end")
	}
}

// ready waits until the program has begun to listen for signals: it prints its environment after that.
func (f Fixture) ready(t *testing.T, c engine.Container) {
	t.Helper()
	eventually(t, "the first line of this run", func() bool {
		logs, err := f.Reader.Logs(t.Context(), c.ID, f.inspect(t, c.ID).RunSince(), -1)
		f.must(t, err)
		defer logs.Close()
		content, err := io.ReadAll(logs)
		f.must(t, err)
		return len(content) > 0
	})
}

func testRemove(t *testing.T, f Fixture) {
	c := f.run(t, f.spec("remove"))
	wantError(t, "remove a running container", f.Writer.Remove(t.Context(), c.ID, false), engine.ErrConflict)
	f.must(t, f.Writer.Remove(t.Context(), c.ID, true))
	wantError(t, "remove it again", f.Writer.Remove(t.Context(), c.ID, true), engine.ErrNotFound)
	wantError(t, "start what is gone", f.Writer.Start(t.Context(), c.ID), engine.ErrNotFound)
}

func testRestartPolicy(t *testing.T, f Fixture) {
	c := f.run(t, f.spec("restart", ScriptExit+"=3"))
	eventually(t, "a restart", func() bool { return f.inspect(t, c.ID).RestartCount > 0 })
	never := container.RestartPolicy{Name: container.RestartPolicyDisabled}
	f.must(t, f.Writer.SetRestartPolicy(t.Context(), c.ID, never))
	f.must(t, f.Writer.Stop(t.Context(), c.ID))
	stopped := f.inspect(t, c.ID)
	if diff := cmp.Diff(never, stopped.HostConfig.RestartPolicy); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
	f.must(t, f.Writer.Start(t.Context(), c.ID))
	eventually(t, "an exit for good", func() bool { return f.inspect(t, c.ID).State.Status == container.StateExited })
	if exited := f.inspect(t, c.ID); exited.RestartCount != 0 || exited.State.ExitCode != 3 {
		t.Errorf("after a start by hand: %d restarts, exit code %d; want 0 and 3", exited.RestartCount, exited.State.ExitCode)
	}
}

func testEnvironment(t *testing.T, f Fixture) {
	c := f.run(t, f.spec("env", "OWN=a=b", "HIDDEN", "EMPTY="))
	if got := c.Env()["FROM_IMAGE"]; got == nil || *got != "1" {
		t.Error("a variable of the image is missing")
	}
	if hidden, listed := c.Env()["HIDDEN"]; !listed || hidden != nil {
		t.Error("a bare key is not kept")
	}
	eventually(t, "the printed environment", func() bool { return strings.Contains(f.logs(t, c.ID, -1), "OWN=a=b\n") })
	printed := f.logs(t, c.ID, -1)
	if !strings.Contains(printed, "EMPTY=\n") || !strings.Contains(printed, "FROM_IMAGE=1\n") || strings.Contains(printed, "HIDDEN") {
		t.Errorf("the process saw:\n%s", printed)
	}
	image, err := f.Reader.Image(t.Context(), c.Image)
	f.must(t, err)
	if !slices.Contains(image.Names, f.Image) || !slices.Contains(image.Env, "FROM_IMAGE=1") || image.ID != c.Image {
		t.Errorf("image: got %+v", image)
	}
}

func (f Fixture) logs(t *testing.T, id string, tail int) string {
	t.Helper()
	logs, err := f.Reader.Logs(t.Context(), id, time.Time{}, tail)
	f.must(t, err)
	defer logs.Close()
	content, err := io.ReadAll(logs)
	f.must(t, err)
	return string(content)
}

func testEntrypoint(t *testing.T, f Fixture) {
	spec := f.spec("entrypoint")
	spec.Config.Entrypoint = []string{}
	spec.Config.Cmd = []string{"/script", "idle"}
	c := f.create(t, spec)
	if c.Path != "/script" || !slices.Equal(c.Args, []string{"idle"}) || len(c.Config.Entrypoint) > 0 {
		t.Errorf("an empty entrypoint became %q, command %q %q", c.Config.Entrypoint, c.Path, c.Args)
	}
	inherited := f.create(t, f.spec("entrypoint-inherited"))
	if diff := cmp.Diff([]string{"/script"}, inherited.Config.Entrypoint, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("entrypoint of the image (-want +got):\n%s", diff)
	}
}

func testNetworks(t *testing.T, f Fixture) {
	spec := f.spec("networks")
	spec.Connect = map[string]*network.EndpointSettings{f.Networks[1]: {Aliases: []string{"second"}}}
	c := f.run(t, spec)
	for i, alias := range []string{"networks", "second"} {
		settings := c.NetworkSettings.Networks[f.Networks[i]]
		if settings == nil || !settings.IPAddress.IsValid() || !slices.Contains(settings.Aliases, alias) {
			t.Errorf("network %d: got %+v", i, settings)
		}
	}
	unknown := f.spec("networks-unknown")
	unknown.Host.NetworkMode, unknown.Network = container.NetworkMode(f.Prefix+"-missing"), nil
	wantError(t, "start on a missing network", f.Writer.Start(t.Context(), f.create(t, unknown).ID), engine.ErrNotFound)
}

func testLogs(t *testing.T, f Fixture) {
	c := f.run(t, f.spec("logs", "ZZ1=x", "ZZ2=y"))
	eventually(t, "the last line", func() bool { return strings.HasSuffix(f.logs(t, c.ID, -1), "ZZ2=y\n") })
	if got, want := f.logs(t, c.ID, 2), "ZZ1=x\nZZ2=y\n"; got != want {
		t.Errorf("last two lines: got %q, want %q", got, want)
	}
}

func healthcheck() *container.HealthConfig {
	return &container.HealthConfig{Test: []string{"CMD", "/script", "health"}, Interval: 100 * time.Millisecond, Retries: 1}
}
