package enginetest

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/composure-dev/composure/internal/engine"
)

type subnet struct {
	id     string
	prefix netip.Prefix
}

// AddNetwork adds a user network with an IPv4 subnet, such as "10.1.0.0/16". It panics on one that cannot be parsed.
func (e *Engine) AddNetwork(name, prefix string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.networks[name] = &subnet{id: e.nextID(), prefix: netip.MustParsePrefix(prefix)}
}

// attach notes the networks of a new container. Whether they exist, and which addresses they give, turns out at the start.
func (e *Engine) attach(b *box, spec engine.Spec) error {
	b.NetworkSettings = &container.NetworkSettings{Networks: map[string]*network.EndpointSettings{}}
	mode := b.HostConfig.NetworkMode
	if mode.IsHost() || mode.IsNone() || mode.IsContainer() {
		return nil
	}
	given := map[string]*network.EndpointSettings{}
	if spec.Network != nil {
		maps.Copy(given, spec.Network.EndpointsConfig)
	}
	if len(given) > 1 && !e.atLeast("1.44") {
		return fmt.Errorf("container cannot be connected to network endpoints: %s", strings.Join(slices.Sorted(maps.Keys(given)), ", "))
	}
	if len(given) == 0 || e.atLeast("1.44") && given[modeNetwork(mode)] == nil {
		given[modeNetwork(mode)] = &network.EndpointSettings{}
	}
	for name, settings := range spec.Connect {
		given[name] = settings
		if !e.atLeast("1.45") {
			settings.Aliases = append(settings.Aliases, engine.ShortID(b.ID))
		}
	}
	b.NetworkSettings.Networks = given
	return nil
}

func modeNetwork(mode container.NetworkMode) string {
	if mode.IsDefault() {
		return network.NetworkBridge
	}
	return mode.NetworkName()
}

// acquire gives a starting container its addresses and ports, or says which of them another running container has.
func (e *Engine) acquire(b *box) error {
	if err := e.checkPorts(b); err != nil {
		return err
	}
	for name, settings := range b.NetworkSettings.Networks {
		if e.networks[name] == nil {
			return fmt.Errorf("%w: network %s", engine.ErrNotFound, name)
		}
		if settings.IPAMConfig != nil && settings.IPAMConfig.IPv4Address.IsValid() && e.addressTaken(name, settings.IPAMConfig.IPv4Address) {
			return fmt.Errorf("address already in use: %s on network %s", settings.IPAMConfig.IPv4Address, name)
		}
	}
	e.assignAll(b)
	return nil
}

func (e *Engine) assignAll(b *box) {
	for name, settings := range b.NetworkSettings.Networks {
		e.assign(b, name, settings)
	}
	b.NetworkSettings.SandboxID = e.nextID()
	b.NetworkSettings.Ports = b.HostConfig.PortBindings
}

func (e *Engine) assign(b *box, name string, settings *network.EndpointSettings) {
	prefix := e.networks[name].prefix
	settings.NetworkID = e.networks[name].id
	settings.EndpointID = e.nextID()
	settings.Gateway = prefix.Addr().Next()
	settings.IPPrefixLen = prefix.Bits()
	settings.IPAddress = e.freeAddress(name, settings)
	if settings.MacAddress == nil {
		v4 := settings.IPAddress.As4()
		settings.MacAddress = network.HardwareAddr{0x02, 0x42, v4[0], v4[1], v4[2], v4[3]}
	}
	short := engine.ShortID(b.ID)
	if e.atLeast("1.45") {
		settings.DNSNames = slices.Concat([]string{strings.TrimPrefix(b.Name, "/")}, settings.Aliases, []string{short})
		return
	}
	if name != network.NetworkBridge && !slices.Contains(settings.Aliases, short) {
		settings.Aliases = append(settings.Aliases, short)
	}
}

func (e *Engine) freeAddress(name string, settings *network.EndpointSettings) netip.Addr {
	if settings.IPAMConfig != nil && settings.IPAMConfig.IPv4Address.IsValid() {
		return settings.IPAMConfig.IPv4Address
	}
	address := e.networks[name].prefix.Addr().Next().Next()
	for e.addressTaken(name, address) {
		address = address.Next()
	}
	return address
}

func (e *Engine) addressTaken(name string, address netip.Addr) bool {
	for _, other := range e.containers {
		settings := other.NetworkSettings.Networks[name]
		if other.running && settings != nil && settings.IPAddress == address {
			return true
		}
	}
	return false
}

// checkPorts refuses a fixed host port that a running container has on the same or on every address.
func (e *Engine) checkPorts(b *box) error {
	for _, other := range e.containers {
		if other == b || !other.running {
			continue
		}
		for _, taken := range hostPorts(other) {
			for _, wanted := range hostPorts(b) {
				if taken.HostPort == wanted.HostPort && sameAddress(taken.HostIP, wanted.HostIP) {
					return fmt.Errorf("bind for port %s failed: port is already allocated", wanted.HostPort)
				}
			}
		}
	}
	return nil
}

func hostPorts(b *box) []network.PortBinding {
	var fixed []network.PortBinding
	for _, bindings := range b.HostConfig.PortBindings {
		for _, binding := range bindings {
			if binding.HostPort != "" {
				fixed = append(fixed, binding)
			}
		}
	}
	return fixed
}

func sameAddress(a, b netip.Addr) bool {
	everywhere := func(address netip.Addr) bool { return !address.IsValid() || address.IsUnspecified() }
	return a == b || everywhere(a) || everywhere(b)
}

// release takes back what a container has only while it runs.
func (e *Engine) release(b *box) {
	b.NetworkSettings.SandboxID, b.NetworkSettings.Ports = "", nil
	for _, settings := range b.NetworkSettings.Networks {
		settings.EndpointID, settings.IPPrefixLen, settings.MacAddress = "", 0, nil
		settings.Gateway, settings.IPAddress = netip.Addr{}, netip.Addr{}
	}
}
