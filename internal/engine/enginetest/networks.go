package enginetest

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/composure-dev/composure/internal/engine"
)

type subnet struct {
	id      string
	prefix  netip.Prefix
	prefix6 netip.Prefix // the zero value without IPv6
}

// AddNetwork adds a user network with an IPv4 subnet, such as "10.1.0.0/16". It panics on one that cannot be parsed.
func (e *Engine) AddNetwork(name, prefix string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.networks[name] = &subnet{id: e.nextID(), prefix: netip.MustParsePrefix(prefix)}
}

// AddDualNetwork adds a user network with an IPv4 and an IPv6 subnet.
func (e *Engine) AddDualNetwork(name, prefix, prefix6 string) {
	e.AddNetwork(name, prefix)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.networks[name].prefix6 = netip.MustParsePrefix(prefix6)
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
	return e.wantMACs(b, spec.MACAddress)
}

// Connect attaches a running container to a further network, as somebody else's docker network connect would.
func (e *Engine) Connect(ctx context.Context, id, name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	b, err := e.find("connect container", id)
	if err != nil {
		return err
	}
	if e.networks[name] == nil {
		return fmt.Errorf("%w: network %s", engine.ErrNotFound, name)
	}
	settings := &network.EndpointSettings{}
	e.assign(b, name, settings)
	b.NetworkSettings.Networks[name] = settings
	return nil
}

// wantMACs notes the MAC addresses that were asked for: below API 1.44 only the container's own counts, for its first network.
func (e *Engine) wantMACs(b *box, own string) error {
	b.macs = make(map[string]network.HardwareAddr)
	for name, settings := range b.NetworkSettings.Networks {
		if e.atLeast("1.44") && settings.MacAddress != nil {
			b.macs[name] = settings.MacAddress
		}
		settings.MacAddress = nil
	}
	if own == "" {
		return nil
	}
	address, err := net.ParseMAC(own)
	if err != nil {
		return fmt.Errorf("invalid MAC address: %w", err)
	}
	b.macs[modeNetwork(b.HostConfig.NetworkMode)] = network.HardwareAddr(address)
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
		for _, address := range wantedAddresses(settings) {
			if e.addressTaken(name, address) {
				return fmt.Errorf("address already in use: %s on network %s", address, name)
			}
		}
	}
	e.assignAll(b)
	return nil
}

// wantedAddresses are those that were asked for.
func wantedAddresses(settings *network.EndpointSettings) []netip.Addr {
	if settings.IPAMConfig == nil {
		return nil
	}
	wanted := []netip.Addr{settings.IPAMConfig.IPv4Address, settings.IPAMConfig.IPv6Address}
	return slices.DeleteFunc(wanted, func(address netip.Addr) bool { return !address.IsValid() })
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
	settings.IPAddress = e.freeAddress(name, prefix, settings)
	if prefix6 := e.networks[name].prefix6; prefix6.IsValid() {
		settings.IPv6Gateway, settings.GlobalIPv6PrefixLen = prefix6.Addr().Next(), prefix6.Bits()
		settings.GlobalIPv6Address = e.freeAddress(name, prefix6, settings)
	}
	settings.MacAddress = b.macs[name]
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

// freeAddress is the one of the subnet that was asked for, or the first that is free.
func (e *Engine) freeAddress(name string, subnet netip.Prefix, settings *network.EndpointSettings) netip.Addr {
	for _, wanted := range wantedAddresses(settings) {
		if subnet.Contains(wanted) {
			return wanted
		}
	}
	address := subnet.Addr().Next().Next()
	for e.addressTaken(name, address) {
		address = address.Next()
	}
	return address
}

func (e *Engine) addressTaken(name string, address netip.Addr) bool {
	for _, other := range e.containers {
		settings := other.NetworkSettings.Networks[name]
		if other.running && settings != nil && (settings.IPAddress == address || settings.GlobalIPv6Address == address) {
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
		settings.IPv6Gateway, settings.GlobalIPv6Address, settings.GlobalIPv6PrefixLen = netip.Addr{}, netip.Addr{}, 0
	}
}
