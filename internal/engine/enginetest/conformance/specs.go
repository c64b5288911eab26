package conformance

import (
	"net/netip"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"

	"github.com/composure-dev/composure/internal/engine"
)

// richSpecs are containers whose clone has a trap, by the trap.
func richSpecs(f Fixture) map[string]func(*engine.Spec) {
	return map[string]func(*engine.Spec){
		"plain":      func(*engine.Spec) {},
		"networks":   f.withNetworks,
		"volumes":    f.withVolumes,
		"entrypoint": withEmptyEntrypoint,
		"ports":      withPorts,
		"limits":     withLimits,
		"hostname":   func(spec *engine.Spec) { spec.Config.Hostname, spec.Config.Domainname = "own", "example.com" },
		"unconfined": func(spec *engine.Spec) { spec.Host.MaskedPaths, spec.Host.ReadonlyPaths = []string{}, []string{} },
		"host-network": func(spec *engine.Spec) {
			spec.Host.NetworkMode, spec.Network = "host", nil
		},
		"host-names": func(spec *engine.Spec) { spec.Host.UTSMode = "host" },
		"default-bridge": func(spec *engine.Spec) {
			spec.Host.NetworkMode, spec.Network = "", nil
		},
		"no-network": func(spec *engine.Spec) {
			spec.Host.NetworkMode, spec.Network = "none", nil
		},
	}
}

func (f Fixture) withNetworks(spec *engine.Spec) {
	spec.Connect = map[string]*network.EndpointSettings{
		f.Networks[1]: {Aliases: []string{"other", "other"}, IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: f.Address}},
	}
}

func (f Fixture) withVolumes(spec *engine.Spec) {
	spec.Config.Volumes = map[string]struct{}{"/anonymous": {}}
	spec.Host.Binds = []string{f.Volume + ":/named", "/etc/hostname:/host/hostname:ro"}
	spec.Host.Mounts = []mount.Mount{
		{Type: mount.TypeVolume, Target: "/compose-anonymous"},
		{Type: mount.TypeTmpfs, Target: "/scratch", TmpfsOptions: &mount.TmpfsOptions{SizeBytes: 1 << 20}},
	}
	spec.Host.Tmpfs = map[string]string{"/tmp": "size=1m"}
}

func withEmptyEntrypoint(spec *engine.Spec) {
	spec.Config.Entrypoint, spec.Config.Cmd = []string{}, []string{"/script", "idle"}
}

func withPorts(spec *engine.Spec) {
	port := network.MustParsePort("8080/tcp")
	spec.Config.ExposedPorts = network.PortSet{port: {}}
	spec.Host.PortBindings = network.PortMap{port: {{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: "38417"}}}
}

func withLimits(spec *engine.Spec) {
	initProcess, grace := true, 5
	spec.Host.Init = &initProcess
	spec.Host.Ulimits = []*container.Ulimit{{Name: "nofile", Soft: 1024, Hard: 2048}}
	spec.Host.LogConfig = container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "1m"}}
	spec.Host.CapAdd, spec.Host.CapDrop = []string{"NET_ADMIN"}, []string{"ALL"}
	spec.Host.ReadonlyRootfs = true
	spec.Host.ExtraHosts = []string{"db:10.0.0.1"}
	spec.Host.Memory = 64 << 20
	spec.Config.StopSignal, spec.Config.StopTimeout = "SIGTERM", &grace
	spec.Config.Healthcheck = healthcheck()
	spec.Config.User, spec.Config.WorkingDir = "1000:1000", "/"
}

// testCollisions is why a swap stops before it starts: two may be created, one may run.
func testCollisions(t *testing.T, f Fixture) {
	for name, edit := range map[string]func(*engine.Spec){"ports": withPorts, "address": f.withNetworks} {
		t.Run(name, func(t *testing.T) {
			spec, second := f.spec("collide-"+name), f.spec("collide-second-"+name)
			edit(&spec)
			edit(&second)
			running, waiting := f.run(t, spec), f.create(t, second)
			if err := f.Writer.Start(t.Context(), waiting.ID); err == nil {
				t.Error("both run")
			}
			f.must(t, f.Writer.Stop(t.Context(), running.ID))
			f.must(t, f.Writer.Start(t.Context(), waiting.ID))
		})
	}
}
