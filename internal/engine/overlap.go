package engine

import (
	"fmt"
	"maps"
	"slices"

	"github.com/moby/moby/api/types/mount"
)

// OverlapHeld says why a container cannot run beside its replacement, or "" when it can. force overrules what may go well if the
// program is made for it; nothing overrules what the engine gives only once.
func OverlapHeld(c Container, force bool) string {
	if c.Config == nil || c.HostConfig == nil {
		return "the engine told too little about it"
	}
	for _, judge := range []func(Container) string{overlapNamespaces, overlapPorts, overlapAddresses} {
		if reason := judge(c); reason != "" {
			return reason
		}
	}
	if force {
		return ""
	}
	if c.HostConfig.NetworkMode.IsHost() {
		return "it uses the host's network, where two cannot listen on one port"
	}
	return overlapVolumes(c)
}

func overlapNamespaces(c Container) string {
	switch {
	case c.HostConfig.NetworkMode.IsContainer():
		return "it lives in another container's network, where two cannot listen on one port"
	case c.HostConfig.PidMode.IsContainer():
		return "it shares another container's processes"
	case c.HostConfig.IpcMode.IsContainer():
		return "it shares another container's IPC"
	}
	return ""
}

func overlapPorts(c Container) string {
	var taken []string
	for _, bindings := range c.HostConfig.PortBindings {
		for _, binding := range bindings {
			if binding.HostPort != "" && binding.HostPort != "0" {
				taken = append(taken, binding.HostPort)
			}
		}
	}
	if len(taken) == 0 {
		return ""
	}
	return fmt.Sprintf("it publishes port %s, which the engine gives only once", slices.Min(taken))
}

func overlapAddresses(c Container) string {
	if mac := desiredMAC(c); mac != "" {
		return "it has the fixed MAC address " + mac
	}
	if c.NetworkSettings == nil {
		return ""
	}
	networks := c.NetworkSettings.Networks
	for _, name := range slices.Sorted(maps.Keys(networks)) {
		if networks[name] == nil || networks[name].IPAMConfig == nil {
			continue
		}
		fixed := networks[name].IPAMConfig
		if fixed.IPv4Address.IsValid() || fixed.IPv6Address.IsValid() || len(fixed.LinkLocalIPs) > 0 {
			return fmt.Sprintf("it has a fixed address on network %q, which the engine gives only once", name)
		}
	}
	return ""
}

// overlapVolumes takes every mount that can be written to for data that only one program at a time may write.
func overlapVolumes(c Container) string {
	var writable []string
	for _, point := range c.Mounts {
		if point.RW && point.Type != mount.TypeTmpfs {
			writable = append(writable, point.Destination)
		}
	}
	if len(writable) == 0 {
		return ""
	}
	return fmt.Sprintf("it can write to %s, which two at once may spoil", slices.Min(writable))
}
