package conformance

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/composure-dev/composure/internal/engine"
)

// requireVariable makes a missing Docker Engine fail a test instead of skipping it.
const requireVariable = "COMPOSURE_REQUIRE_ENGINE"

// RealEngine is a client of the Docker Engine that the environment means. Without one the test is skipped, or fails when
// COMPOSURE_REQUIRE_ENGINE=1.
func RealEngine(t *testing.T) *engine.Client {
	t.Helper()
	return openReal(t, engine.ClientOptions{})
}

func openReal(t *testing.T, options engine.ClientOptions) *engine.Client {
	t.Helper()
	options.Host = os.Getenv("DOCKER_HOST")
	options.Context = os.Getenv("DOCKER_CONTEXT")
	options.ConfigDir = os.Getenv("DOCKER_CONFIG")
	opened, err := engine.Open(options)
	if err == nil {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err = opened.Info(ctx)
	}
	if err == nil {
		t.Cleanup(func() { _ = opened.Close() })
		return opened
	}
	if os.Getenv(requireVariable) == "1" {
		t.Fatalf("no Docker Engine: %v", err)
	}
	t.Skipf("no Docker Engine (%v); %s=1 makes this fail", err, requireVariable)
	return nil
}

// RealFixture is a fixture on the real engine. What it makes there is named with a random prefix and removed after the test.
// observe, when not nil, is told every request.
func RealFixture(t *testing.T, observe func(method, path string)) Fixture {
	t.Helper()
	binary := buildScript(t)
	real := openReal(t, engine.ClientOptions{ProbeBinary: binary, Observe: observe})
	info, err := real.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	api, err := client.New(client.FromEnv)
	if err != nil {
		t.Fatal(err)
	}
	prefix := "composuretest" + strings.ToLower(rand.Text()[:8])
	fixture := Fixture{
		Reader: real, Writer: real, Prober: real, Watcher: real,
		APIVersion: info.APIVersion,
		Prefix:     prefix,
		Image:      prefix + ":1",
		Networks:   [2]string{prefix + "-a", prefix + "-b"},
		Volume:     prefix + "-data",
		RemoveVolume: func(ctx context.Context, name string) {
			// A clone's volume is still in use when the clone goes: it is removed with its original.
			_, _ = api.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
		},
		Connect: func(ctx context.Context, id, name string) error {
			_, err := api.NetworkConnect(ctx, name, client.NetworkConnectOptions{Container: id})
			return err
		},
		Limit: func(ctx context.Context, id string, cpuShares int64) error {
			_, err := api.ContainerUpdate(ctx, id, client.ContainerUpdateOptions{Resources: &container.Resources{CPUShares: cpuShares}})
			return err
		},
		Pause: func(ctx context.Context, id string) error {
			_, err := api.ContainerPause(ctx, id, client.ContainerPauseOptions{})
			return err
		},
	}
	importScript(t, api, binary, fixture.Image)
	createVolume(t, api, fixture.Volume)
	createNetwork(t, api, fixture.Networks[0])
	fixture.Address, fixture.Address6 = createAddressed(t, api, fixture.Networks[1])
	removeProbeImage(t, api, real)
	return fixture
}

// buildScript compiles the conformance program into a static binary.
func buildScript(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	source, binary := filepath.Join(dir, "script.go"), filepath.Join(dir, "script")
	if err := os.WriteFile(source, []byte(scriptSource), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, source)
	build.Dir = dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build conformance program: %v\n%s", err, output)
	}
	return binary
}

func importScript(t *testing.T, api *client.Client, binary, name string) {
	t.Helper()
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	err = errors.Join(
		writer.WriteHeader(&tar.Header{Name: "script", Mode: 0o755, Size: int64(len(content))}),
		writeAll(writer, content),
		writer.Close(),
	)
	if err != nil {
		t.Fatal(err)
	}
	progress, err := api.ImageImport(t.Context(), client.ImageImportSource{Source: &archive, SourceName: "-"}, name, client.ImageImportOptions{
		Changes: []string{`ENTRYPOINT ["/script"]`, "ENV FROM_IMAGE=1 HIDDEN=1", "VOLUME /image-volume"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer progress.Close()
	if _, err := io.Copy(io.Discard, progress); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeImage(t, api, name) })
}

func writeAll(writer io.Writer, content []byte) error {
	_, err := writer.Write(content)
	return err
}

func removeImage(t *testing.T, api *client.Client, name string) {
	if _, err := api.ImageRemove(context.WithoutCancel(t.Context()), name, client.ImageRemoveOptions{PruneChildren: true}); err != nil {
		t.Logf("remove image %q: %v", name, err)
	}
}

// removeProbeImage removes the image that EnsureImage makes of the conformance program.
func removeProbeImage(t *testing.T, api *client.Client, real *engine.Client) {
	t.Cleanup(func() {
		if ref, err := real.EnsureImage(context.WithoutCancel(t.Context())); err == nil {
			removeImage(t, api, ref)
		}
	})
}

func createVolume(t *testing.T, api *client.Client, name string) {
	t.Helper()
	if _, err := api.VolumeCreate(t.Context(), client.VolumeCreateOptions{Name: name}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := api.VolumeRemove(context.WithoutCancel(t.Context()), name, client.VolumeRemoveOptions{}); err != nil {
			t.Logf("remove volume %q: %v", name, err)
		}
	})
}

func createNetwork(t *testing.T, api *client.Client, name string) {
	t.Helper()
	if _, err := api.NetworkCreate(t.Context(), name, client.NetworkCreateOptions{}); err != nil {
		t.Fatal(err)
	}
	removeNetwork(t, api, name)
}

// createAddressed makes a network with the first subnets that are free, and returns an address in each: two runs of the suite may
// share an engine. A host without IPv6 has no second one.
func createAddressed(t *testing.T, api *client.Client, name string) (address, address6 netip.Addr) {
	t.Helper()
	var problems []error
	for third := range byte(64) {
		subnet := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 231, third, 0}), 24)
		subnet6 := netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 1: 0xc0, 7: third}), 64)
		enable := hasIPv6()
		ipam := &network.IPAM{Config: []network.IPAMConfig{{Subnet: subnet}}}
		if enable {
			ipam.Config = append(ipam.Config, network.IPAMConfig{Subnet: subnet6})
			address6 = netip.AddrFrom16([16]byte{0: 0xfd, 1: 0xc0, 7: third, 15: 0x77})
		}
		_, err := api.NetworkCreate(t.Context(), name, client.NetworkCreateOptions{IPAM: ipam, EnableIPv6: &enable})
		if err == nil {
			removeNetwork(t, api, name)
			return netip.AddrFrom4([4]byte{10, 231, third, 77}), address6
		}
		problems = append(problems, err)
	}
	t.Fatal(errors.Join(problems...))
	return netip.Addr{}, netip.Addr{}
}

// hasIPv6 asks this host: the suite runs where its engine does.
func hasIPv6() bool {
	content, err := os.ReadFile("/proc/net/if_inet6")
	return err == nil && len(content) > 0
}

func removeNetwork(t *testing.T, api *client.Client, name string) {
	t.Helper()
	t.Cleanup(func() {
		if _, err := api.NetworkRemove(context.WithoutCancel(t.Context()), name, client.NetworkRemoveOptions{}); err != nil {
			t.Logf("remove network %q: %v", name, err)
		}
	})
}
