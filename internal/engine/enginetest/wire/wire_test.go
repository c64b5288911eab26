package wire_test

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/engine/enginetest/conformance"
	"github.com/composure-dev/composure/internal/engine/enginetest/wire"
)

// serve opens our client on the engine, by a socket of the test's own.
func serve(t *testing.T, e *enginetest.Engine) (*engine.Client, string) {
	t.Helper()
	folder := t.TempDir()
	socket := filepath.Join(folder, "engine.sock")
	stop, err := wire.Listen(context.WithoutCancel(t.Context()), socket, wire.Handler(e, nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	opened, err := engine.Open(engine.ClientOptions{Host: "unix://" + socket, ConfigDir: folder, ProbeBinary: staticBinary(t, folder)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	return opened, socket
}

// staticBinary is an ELF file that asks for no interpreter: no probe runs it here, and the client only looks for that.
func staticBinary(t *testing.T, folder string) string {
	t.Helper()
	header := make([]byte, 64)
	copy(header, "\x7fELF\x02\x01\x01") // 64 bits, little endian
	for offset, value := range map[int]uint16{16: 2, 18: 62, 20: 1, 52: 64, 54: 56, 58: 64} {
		binary.LittleEndian.PutUint16(header[offset:], value)
	}
	path := filepath.Join(folder, "probe")
	if err := os.WriteFile(path, header, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// connected goes around the wire for what the wire does not serve: the engine in memory has no call for a network that is connected
// with settings, or before the first start, and takes all networks at create instead. Below API 1.44 that is in these subtests of the
// suite: "networks", "addresses and ports collide at start/address" and "traps of a swap/networks". From 1.44 on the client has a swap
// create its replacement with all of them, and the three subtests' own containers alone are made this way.
type connected struct {
	*engine.Client
	memory *enginetest.Engine
}

func (c connected) Create(ctx context.Context, spec engine.Spec) (string, error) {
	if len(spec.Connect) > 0 {
		return c.memory.Create(ctx, spec)
	}
	return c.Client.Create(ctx, spec)
}

// TestConformance holds the wire to what a real engine does: the same suite, the same client.
func TestConformance(t *testing.T) {
	for _, api := range []string{"1.41", "1.51"} {
		t.Run(api, func(t *testing.T) {
			t.Parallel()
			conformance.Run(t, func(t *testing.T) conformance.Fixture {
				f := conformance.MemoryFixture(api)
				memory := f.Reader.(*enginetest.Engine)
				opened, socket := serve(t, memory)
				info, err := opened.Info(t.Context())
				if err != nil || info.APIVersion != api {
					t.Fatalf("negotiated %+v, %v", info, err)
				}
				other, err := client.New(client.WithHost("unix://" + socket))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = other.Close() })
				f.Reader, f.Prober, f.Watcher, f.Writer = opened, opened, opened, connected{opened, memory}
				f.Connect = func(ctx context.Context, id, name string) error {
					_, err := other.NetworkConnect(ctx, name, client.NetworkConnectOptions{Container: id})
					return err
				}
				f.Limit = func(ctx context.Context, id string, cpuShares int64) error {
					_, err := other.ContainerUpdate(ctx, id, client.ContainerUpdateOptions{Resources: &container.Resources{CPUShares: cpuShares}})
					return err
				}
				return f
			})
		})
	}
}
