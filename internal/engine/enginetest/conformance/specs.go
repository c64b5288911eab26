package conformance

import (
	"net/netip"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client/pkg/versions"

	"github.com/composure-dev/composure/internal/engine"
)

// richSpecs are containers whose clone has a trap, by the trap.
func richSpecs(f Fixture) map[string]func(*engine.Spec) {
	return map[string]func(*engine.Spec){
		"plain":      func(spec *engine.Spec) { spec.Config.Env = []string{"HIDDEN", "EMPTY="} },
		"networks":   f.withNetworks,
		"volumes":    f.withVolumes,
		"entrypoint": withEmptyEntrypoint,
		"ports":      withPorts,
		"ephemeral":  withEphemeralPort,
		"mac":        f.withMAC,
		"limits":     withLimits,
		"security":   withSecurity,
		"shell":      withShellHealthcheck,
		"never-healthy": func(spec *engine.Spec) {
			spec.Config.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}}
		},
		"tmpfs-over-volume": func(spec *engine.Spec) {
			spec.Host.Tmpfs = map[string]string{"/image-volume": ""}
		},
		"named-over-volume": func(spec *engine.Spec) {
			spec.Host.Binds = []string{f.Volume + ":/image-volume"}
		},
		"hostname": func(spec *engine.Spec) {
			spec.Config.Hostname, spec.Config.Domainname = "own", "example.com"
			spec.Host.RestartPolicy = container.RestartPolicy{Name: container.RestartPolicyDisabled}
		},
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
		f.Networks[1]: {
			Aliases:    []string{"other", "other"},
			IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: f.Address, IPv6Address: f.Address6},
		},
	}
}

func (f Fixture) withMAC(spec *engine.Spec) {
	if versions.LessThan(f.APIVersion, "1.44") {
		spec.MACAddress = "02:42:c0:ff:ee:01"
		return
	}
	for _, settings := range spec.Network.EndpointsConfig {
		settings.MacAddress = network.HardwareAddr{0x02, 0x42, 0xc0, 0xff, 0xee, 0x01}
	}
}

func (f Fixture) withVolumes(spec *engine.Spec) {
	spec.Config.Volumes = map[string]struct{}{"/anonymous": {}}
	spec.Host.Binds = []string{f.Volume + ":/named", "/etc/hostname:/host/hostname:ro"}
	spec.Host.Mounts = []mount.Mount{
		{Type: mount.TypeVolume, Target: "/compose-anonymous"},
		{Type: mount.TypeVolume, Target: "/bare", VolumeOptions: &mount.VolumeOptions{NoCopy: true}},
		{Type: mount.TypeTmpfs, Target: "/scratch", TmpfsOptions: &mount.TmpfsOptions{SizeBytes: 1 << 20}},
	}
	spec.Host.Tmpfs = map[string]string{"/tmp": "size=1m"}
}

func withEmptyEntrypoint(spec *engine.Spec) {
	spec.Config.Entrypoint, spec.Config.Cmd = []string{}, []string{"/script", "idle"}
	spec.Host.RestartPolicy = container.RestartPolicy{Name: container.RestartPolicyAlways}
}

func withPorts(spec *engine.Spec) {
	port := network.MustParsePort("8080/tcp")
	spec.Config.ExposedPorts = network.PortSet{port: {}}
	spec.Host.PortBindings = network.PortMap{port: {{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: "38417"}}}
}

func withEphemeralPort(spec *engine.Spec) {
	port := network.MustParsePort("8081/tcp")
	spec.Config.ExposedPorts = network.PortSet{port: {}}
	spec.Host.PortBindings = network.PortMap{port: {{HostIP: netip.MustParseAddr("127.0.0.1")}}}
}

func withSecurity(spec *engine.Spec) {
	spec.Host.SecurityOpt = []string{"no-new-privileges:true", "seccomp=unconfined"}
	spec.Host.Sysctls = map[string]string{"net.core.somaxconn": "64"}
	spec.Host.Devices = []container.DeviceMapping{{PathOnHost: "/dev/null", PathInContainer: "/dev/nothing", CgroupPermissions: "rwm"}}
	spec.Host.ShmSize, spec.Host.OomScoreAdj, spec.Host.GroupAdd = 1<<20, 10, []string{"7"}
	spec.Host.PidMode, spec.Host.IpcMode = "host", "host"
	spec.Host.DNS, spec.Host.DNSOptions = []netip.Addr{netip.MustParseAddr("127.0.0.1")}, []string{"ndots:1"}
}

// withShellHealthcheck has a check for the shell, which the image must not have: the program takes the shell's place.
func withShellHealthcheck(spec *engine.Spec) {
	spec.Config.Shell = []string{"/script"}
	spec.Config.Env = append(spec.Config.Env, ScriptHealth+"=ok")
	spec.Config.Healthcheck = healthcheck()
	spec.Config.Healthcheck.Test = []string{"CMD-SHELL", "health"}
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
	spec.Config.Env = append(spec.Config.Env, ScriptHealth+"=ok")
	spec.Host.RestartPolicy = container.RestartPolicy{Name: container.RestartPolicyOnFailure, MaximumRetryCount: 3}
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
