package engine_test

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"

	"github.com/composure-dev/composure/internal/engine"
)

func TestOverlapHeld(t *testing.T) {
	const (
		ports    = "it publishes port 80, which the engine gives only once"
		address  = `it has a fixed address on network "front", which the engine gives only once`
		writable = "it can write to /data, which two at once may spoil"
	)
	bindings := func(hostPorts ...string) network.PortMap {
		bound := network.PortMap{}
		for _, hostPort := range hostPorts {
			port := network.MustParsePort("8080/tcp")
			bound[port] = append(bound[port], network.PortBinding{HostPort: hostPort})
		}
		return bound
	}
	mounted := func(points ...container.MountPoint) func(*engine.Container) {
		return func(c *engine.Container) { c.Mounts = points }
	}
	fixed := func(config network.EndpointIPAMConfig) func(*engine.Container) {
		return func(c *engine.Container) { c.NetworkSettings.Networks["front"].IPAMConfig = &config }
	}
	tests := map[string]struct {
		reason string
		edit   func(*engine.Container)
		want   string
		forced string
	}{
		"Plain":         {reason: "Nothing of it is there only once.", edit: func(*engine.Container) {}},
		"Port":          {"Two cannot have it.", func(c *engine.Container) { c.HostConfig.PortBindings = bindings("90", "80") }, ports, ports},
		"EphemeralPort": {reason: "The engine gives another.", edit: func(c *engine.Container) { c.HostConfig.PortBindings = bindings("", "0") }},
		"IPv4":          {"Two cannot have it.", fixed(network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr("10.0.0.9")}), address, address},
		"IPv6":          {"Two cannot have it.", fixed(network.EndpointIPAMConfig{IPv6Address: netip.MustParseAddr("fd00::9")}), address, address},
		"LinkLocal": {
			"Two cannot have it.", fixed(network.EndpointIPAMConfig{LinkLocalIPs: []netip.Addr{netip.MustParseAddr("169.254.1.2")}}), address, address,
		},
		"NoAddress": {reason: "The engine may show an empty one.", edit: fixed(network.EndpointIPAMConfig{})},
		"MAC": {
			"A switch knows one place for it.",
			func(c *engine.Container) { c.Raw = json.RawMessage(`{"Config": {"MacAddress": "02:00:00:00:00:01"}}`) },
			"it has the fixed MAC address 02:00:00:00:00:01", "it has the fixed MAC address 02:00:00:00:00:01",
		},
		"NamedVolume": {"A database would be run twice.", mounted(container.MountPoint{Type: mount.TypeVolume, Name: "v", Destination: "/data", RW: true}), writable, ""},
		"WritableBind": {
			"It is the same data under another name.",
			mounted(container.MountPoint{Type: mount.TypeBind, Destination: "/z", RW: true}, container.MountPoint{Type: mount.TypeBind, Destination: "/data", RW: true}),
			writable, "",
		},
		"ReadOnly": {reason: "Any number may read.", edit: mounted(container.MountPoint{Type: mount.TypeBind, Destination: "/data"})},
		"Tmpfs":    {reason: "Each has its own.", edit: mounted(container.MountPoint{Type: mount.TypeTmpfs, Destination: "/data", RW: true})},
		"HostNetwork": {
			"Whether it listens is not known.", func(c *engine.Container) { c.HostConfig.NetworkMode = "host" },
			"it uses the host's network, where two cannot listen on one port", "",
		},
		"ContainerNetwork": {
			"Its ports are that container's.", func(c *engine.Container) { c.HostConfig.NetworkMode = "container:other" },
			"it lives in another container's network, where two cannot listen on one port",
			"it lives in another container's network, where two cannot listen on one port",
		},
		"ContainerPid": {
			"It would see itself.", func(c *engine.Container) { c.HostConfig.PidMode = "container:other" },
			"it shares another container's processes", "it shares another container's processes",
		},
		"ContainerIpc": {
			"Its semaphores are there once.", func(c *engine.Container) { c.HostConfig.IpcMode = "container:other" },
			"it shares another container's IPC", "it shares another container's IPC",
		},
		"Unknown": {
			"What is not known may be anything.", func(c *engine.Container) { c.HostConfig = nil },
			"the engine told too little about it", "the engine told too little about it",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := original(tc.edit).Old
			if got := engine.OverlapHeld(c, false); got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
			if got := engine.OverlapHeld(c, true); got != tc.forced {
				t.Errorf("%s: forced: got %q, want %q", tc.reason, got, tc.forced)
			}
		})
	}
}
