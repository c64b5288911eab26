package view

import (
	"net/netip"
	"slices"

	"github.com/composure-dev/composure/internal/engine"
)

// addresses are the ids of the containers that have an address in a network. Networks that do not see each other may give the same one
// twice.
type addresses map[netip.Addr][]string

func (a addresses) add(c engine.Container) {
	for _, address := range addressesOf(c) {
		if !slices.Contains(a[address], c.ID) {
			a[address] = append(a[address], c.ID)
		}
	}
}

func (a addresses) remove(c engine.Container) {
	for _, address := range addressesOf(c) {
		left := slices.DeleteFunc(a[address], func(id string) bool { return id == c.ID })
		if a[address] = left; len(left) == 0 {
			delete(a, address)
		}
	}
}

func addressesOf(c engine.Container) []netip.Addr {
	if c.NetworkSettings == nil {
		return nil
	}
	var own []netip.Addr
	for _, settings := range c.NetworkSettings.Networks {
		for _, address := range []netip.Addr{settings.IPAddress, settings.GlobalIPv6Address} {
			if address.IsValid() {
				own = append(own, address)
			}
		}
	}
	return own
}
