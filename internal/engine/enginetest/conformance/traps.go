package conformance

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"path"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"

	"github.com/composure-dev/composure/internal/engine"
)

// quickly is a pace for what is known to work.
func quickly() engine.Pace { return engine.Pace{StableFor: 50 * time.Millisecond, Timeout: patience} }

// testTraps swaps a container for each trap and looks at what came of it.
func testTraps(t *testing.T, f Fixture) {
	specs := richSpecs(f)
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := f.spec("trap-" + name)
			specs[name](&spec)
			f.swapTrap(t, f.replacement(t, f.run(t, spec), "ADDED=1"))
		})
	}
}

// swapTrap swaps and checks that the replacement has the variable, and all that the old container had. That one is kept.
func (f Fixture) swapTrap(t *testing.T, r engine.Replacement) engine.Container {
	t.Helper()
	if reason := engine.Supported(r.Old, engine.Info{APIVersion: f.APIVersion}); reason != "" {
		t.Fatalf("not supported: %s", reason)
	}
	f.fillVolumes(t, r.Old)
	swapped, err := f.swapper().Swap(t.Context(), r, quickly())
	f.must(t, err)
	replaced := f.inspect(t, r.Old.Name)
	if replaced.ID != swapped.NewID || !replaced.Running() {
		t.Fatalf("the name means %q (%s), want the running %q", replaced.ID, replaced.State.Status, swapped.NewID)
	}
	byText := func(entries []string) []string { return slices.Sorted(slices.Values(entries)) }
	if diff := cmp.Diff(byText(r.Env), byText(replaced.Config.Env)); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(endStateOf(t, r.Old), endStateOf(t, replaced)); diff != "" {
		t.Errorf("after the swap (-old +new):\n%s", diff)
	}
	f.wantFilled(t, replaced)
	return replaced
}

// endState is what the world has of a container.
type endState struct {
	Volumes  map[string]string // by destination
	Static   map[string]string // actual addresses by network, where they were asked for
	MAC      string            // that was asked for
	Actual   string            // the MAC address that it has, when one was asked for
	Ports    map[string][]string
	Restart  container.RestartPolicy
	Hostname string // "" for the short id
}

func endStateOf(t *testing.T, c engine.Container) endState {
	t.Helper()
	state := endState{
		Volumes: volumes(c), Static: map[string]string{}, MAC: wantedMAC(t, c), Ports: map[string][]string{},
		Restart: c.HostConfig.RestartPolicy,
	}
	for name, settings := range c.NetworkSettings.Networks {
		if ipam := settings.IPAMConfig; ipam != nil && (ipam.IPv4Address.IsValid() || ipam.IPv6Address.IsValid()) {
			state.Static[name] = settings.IPAddress.String() + " " + settings.GlobalIPv6Address.String()
		}
		if state.MAC != "" && name == c.HostConfig.NetworkMode.NetworkName() {
			state.Actual = settings.MacAddress.String()
		}
	}
	for port, bindings := range c.NetworkSettings.Ports {
		for _, binding := range bindings {
			fixed := slices.ContainsFunc(c.HostConfig.PortBindings[port], func(wanted network.PortBinding) bool { return wanted.HostPort != "" })
			if !fixed {
				binding.HostPort = "some"
			}
			state.Ports[port.String()] = append(state.Ports[port.String()], binding.HostPort)
		}
	}
	if c.Config.Hostname != engine.ShortID(c.ID) {
		state.Hostname = c.Config.Hostname
	}
	return state
}

// wantedMAC is the MAC address that was asked for, or "".
func wantedMAC(t *testing.T, c engine.Container) string {
	t.Helper()
	var raw struct {
		Config struct{ MacAddress string }
	}
	if err := json.Unmarshal(c.Raw, &raw); err != nil {
		t.Fatal(err)
	}
	return raw.Config.MacAddress
}

// writableVolumes are the volumes where a container can leave something behind, by destination.
func writableVolumes(c engine.Container) map[string]string {
	found := map[string]string{}
	for _, point := range c.Mounts {
		if point.Type == mount.TypeVolume && point.RW {
			found[point.Destination] = point.Name
		}
	}
	return found
}

const marker = "conformance-marker"

func (f Fixture) fillVolumes(t *testing.T, c engine.Container) {
	t.Helper()
	for destination, volume := range writableVolumes(c) {
		f.put(t, c.ID, destination, tar.Header{Name: marker, Mode: 0o600}, volume)
	}
}

func (f Fixture) wantFilled(t *testing.T, c engine.Container) {
	t.Helper()
	for destination, volume := range writableVolumes(c) {
		if _, content := f.get(t, c.ID, path.Join(destination, marker)); content != volume {
			t.Errorf("the volume at %s now holds %q, not %q", destination, content, volume)
		}
	}
}

// put writes one file.
func (f Fixture) put(t *testing.T, id, folder string, header tar.Header, content string) {
	t.Helper()
	f.must(t, f.Writer.CopyTo(t.Context(), id, folder, bytes.NewReader(tarOf(t, header, content))))
}

func tarOf(t *testing.T, header tar.Header, content string) []byte {
	t.Helper()
	header.Typeflag, header.Size = tar.TypeReg, int64(len(content))
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	if err := errors.Join(writer.WriteHeader(&header), writeAll(writer, []byte(content)), writer.Close()); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

// get reads one file.
func (f Fixture) get(t *testing.T, id, file string) (*tar.Header, string) {
	t.Helper()
	stream, err := f.Reader.CopyFrom(t.Context(), id, file)
	if err != nil {
		t.Error(err)
		return &tar.Header{}, ""
	}
	defer stream.Close()
	archive := tar.NewReader(stream)
	header, err := archive.Next()
	f.must(t, err)
	header.Mode &= 0o7777 // the engine adds what kind of file it is
	content, err := io.ReadAll(archive)
	f.must(t, err)
	return header, string(content)
}

// testCopy is what injected files need.
func testCopy(t *testing.T, f Fixture) {
	c := f.create(t, f.spec("copy"))
	f.put(t, c.ID, "/", tar.Header{Name: "run/deep/secret", Mode: 0o440, Uid: 5, Gid: 7}, "first")
	f.put(t, c.ID, "/run", tar.Header{Name: "deep/secret", Mode: 0o400, Uid: 6, Gid: 8}, "second")
	header, content := f.get(t, c.ID, "/run/deep/secret")
	if header.Name != "secret" || header.Mode != 0o400 || header.Uid != 6 || header.Gid != 8 || content != "second" {
		t.Errorf("got %+v with %q", header, content)
	}
	if header, _ := f.get(t, c.ID, "/run/deep"); header.Typeflag != tar.TypeDir {
		t.Errorf("a folder is %q", header.Typeflag)
	}
	_, err := f.Reader.CopyFrom(t.Context(), c.ID, "/run/missing")
	wantError(t, "copy what is missing", err, engine.ErrNotFound)
	_, err = f.Reader.CopyFrom(t.Context(), c.CleanName(), "/run/deep/secret")
	wantError(t, "copy by name", err, engine.ErrNotFound)
	archive := tarOf(t, tar.Header{Name: "file", Mode: 0o600}, "")
	wantError(t, "copy to a missing folder", f.Writer.CopyTo(t.Context(), c.ID, "/missing", bytes.NewReader(archive)), engine.ErrNotFound)
	wantError(t, "copy by name", f.Writer.CopyTo(t.Context(), c.CleanName(), "/", bytes.NewReader(archive)), engine.ErrNotFound)

	spec := f.spec("copy-read-only")
	spec.Host.ReadonlyRootfs = true
	sealed := f.create(t, spec)
	if err := f.Writer.CopyTo(t.Context(), sealed.ID, "/", bytes.NewReader(archive)); err == nil {
		t.Error("copied to a read-only root")
	}
	f.put(t, sealed.ID, "/image-volume", tar.Header{Name: marker, Mode: 0o600}, "on a volume")
}
