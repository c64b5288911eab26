package reconcile

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/network"

	"github.com/composure-dev/composure/internal/engine"
)

// answers reports whether it is a container, or one that has joined its network, that is reached at an endpoint.
func (o own) answers(c engine.Container, e Endpoint) bool {
	if o.inside != nil && !o.answered(e) && called(c, *o.inside, e.Host) {
		return true // what the name stands for is not known, or not any more
	}
	return o.here && hasAddress(c, e) || publishes(c, e) && o.throughHost(c, e)
}

// called reports whether a container is found by a name on a network that both have.
func called(c, by engine.Container, name string) bool {
	for key, settings := range networks(c) {
		if key == network.NetworkBridge || networks(by)[key] == nil {
			continue // the default bridge has no names
		}
		names := append(slices.Concat(settings.Aliases, settings.DNSNames), c.CleanName())
		if !strings.EqualFold(c.Label(engine.LabelOneoff), "true") {
			names = append(names, c.Label(engine.LabelService)) // compose makes it an alias
		}
		if slices.ContainsFunc(names, func(own string) bool {
			return own != "" && (strings.EqualFold(own, name) || strings.EqualFold(own+"."+key, name))
		}) {
			return true
		}
	}
	return false
}

func hasAddress(c engine.Container, e Endpoint) bool {
	for _, settings := range networks(c) {
		for _, address := range []netip.Addr{settings.IPAddress, settings.GlobalIPv6Address} {
			if address.IsValid() && slices.Contains(e.Addresses, address) {
				return true
			}
		}
	}
	return false
}

// throughHost reports whether an endpoint may be a port of the engine's host. That of the engine itself always may: who answers there
// has this engine's socket.
func (o own) throughHost(c engine.Container, e Endpoint) bool {
	if e.Local && o.inside != nil {
		return false // it stays in this network namespace, of which every container is left alone
	}
	if e.Role == RoleEngine || o.here && slices.Contains([]string{"host.docker.internal", "gateway.docker.internal", "host.containers.internal"}, e.Host) {
		return true
	}
	isGateway := func(of engine.Container) bool {
		for _, settings := range networks(of) {
			if slices.Contains(e.Addresses, settings.Gateway) || slices.Contains(e.Addresses, settings.IPv6Gateway) {
				return true
			}
		}
		return false
	}
	if o.here && (e.Local || o.inside != nil && isGateway(*o.inside) || isGateway(c)) {
		return true
	}
	proxy, _ := o.proxy()
	return slices.ContainsFunc(proxy.Addresses, func(a netip.Addr) bool { return slices.Contains(e.Addresses, a) })
}

// publishes reports whether a port of the host leads to the container, or is its own on the host's network.
func publishes(c engine.Container, e Endpoint) bool {
	if c.HostConfig == nil || c.Config == nil {
		return false
	}
	if onHostNetwork(c) {
		return listens(c, e.Port)
	}
	ports := c.HostConfig.PortBindings
	if c.NetworkSettings != nil && len(c.NetworkSettings.Ports) > 0 {
		ports = c.NetworkSettings.Ports // with those that the engine has chosen
	}
	for port, bindings := range ports {
		for _, b := range bindings {
			if port.Proto() == network.TCP && b.HostPort == strconv.Itoa(int(e.Port)) && boundTo(b.HostIP, e) {
				return true
			}
		}
	}
	return false
}

// listens reports whether a container of the host's network has a port. That its image exposes it is not enough: what the container is
// told must name it, too, or at least speak of no port and of no file that may. [LabelKeep] is for what this does not find.
func listens(c engine.Container, port uint16) bool {
	exposed := func(p network.Port) bool { return p.Proto() == network.TCP && p.Num() == port }
	if !slices.ContainsFunc(slices.Collect(maps.Keys(c.Config.ExposedPorts)), exposed) {
		return false
	}
	told := slices.Concat(c.Config.Entrypoint, c.Config.Cmd)
	for _, variable := range c.Config.Env {
		if key, _, _ := strings.Cut(variable, "="); strings.Contains(strings.ToLower(key), "port") {
			told = append(told, variable)
		}
	}
	words := strings.ToLower(strings.Join(told, " "))
	numbers := strings.FieldsFunc(words, func(r rune) bool { return r < '0' || r > '9' })
	return slices.Contains(numbers, strconv.Itoa(int(port))) || words != "" && !strings.Contains(words, "port") && !strings.Contains(words, ".conf")
}

// boundTo holds for a port on every address, on one of the endpoint's, and on a loopback address when that is what the endpoint has.
func boundTo(address netip.Addr, e Endpoint) bool {
	if !address.IsValid() || address.IsUnspecified() || len(e.Addresses) == 0 {
		return true
	}
	return slices.ContainsFunc(e.Addresses, func(a netip.Addr) bool { return a == address || a.IsLoopback() && address.IsLoopback() })
}

func networks(c engine.Container) map[string]*network.EndpointSettings {
	if c.NetworkSettings == nil {
		return nil
	}
	return c.NetworkSettings.Networks
}
