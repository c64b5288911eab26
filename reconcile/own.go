package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/composure-dev/composure/internal/engine"
)

// LabelKeep on a container, with the value "true", says that Composure needs it in a way that nobody can see: it is left alone.
const LabelKeep = "composure.keep"

// Role is what Composure uses an endpoint for.
type Role string

// The roles.
const (
	RoleEngine Role = "engine" // the Docker Engine, or a proxy of its socket
	RoleLease  Role = "lease"  // the Redis by which one of several operators leads
)

// Endpoint is a TCP address that this process connects to.
type Endpoint struct {
	Role Role
	Host string // name or address, as given
	Port uint16 // 0: none that a container could answer at, of an engine that is reached by ssh, say
	// Addresses are what Host stands for, as far as that is known.
	Addresses []netip.Addr
	// Local says that they are those of the host or container that this process runs in.
	Local bool
}

func (e Endpoint) String() string { return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port))) }

// own knows what Composure itself needs on the engine that it looks after.
type own struct {
	self string
	// inside is the container whose network this process has, nil when that is the host's.
	inside    *engine.Container
	endpoints []Endpoint
	// here says that this process is on the engine's host: its own container is among those of the engine, or it is in none and reaches the
	// engine by a socket, at this host, or at a container. From elsewhere an address may be that of another machine's container.
	here    bool
	unasked bool
	all     []engine.Container
}

// finder is a reader whose lists leave out what has nothing to do with one project. It finds the others by what is known of them.
type finder interface {
	Find(id string, addresses []netip.Addr) []engine.Container
}

// observeOwn completes the containers that were listed with what this process runs in, and reaches, elsewhere on the engine.
func (s *Snapshot) observeOwn(ctx context.Context, src Source) own {
	var endpoints []Endpoint
	if src.Endpoints != nil {
		endpoints = src.Endpoints(ctx, s.Engine.Host)
	}
	elsewhere, is := src.Reader.(finder)
	if !is {
		return newOwn(src, endpoints, s.All)
	}
	var addresses []netip.Addr
	for _, e := range endpoints {
		addresses = append(addresses, e.Addresses...)
	}
	all := slices.Clone(s.All)
	for _, found := range elsewhere.Find(src.Self, addresses) {
		if !slices.ContainsFunc(all, func(c engine.Container) bool { return c.ID == found.ID }) {
			all = append(all, found)
		}
	}
	return newOwn(src, endpoints, all)
}

func newOwn(src Source, endpoints []Endpoint, all []engine.Container) own {
	o := own{self: src.Self, endpoints: endpoints, unasked: src.Unattended, all: all}
	proxy, remote := o.proxy()
	if o.here = !remote; src.Self == "" {
		o.here = o.here || proxy.Local || o.answered(proxy)
		return o
	}
	if i := slices.IndexFunc(all, func(c engine.Container) bool { return c.ID == src.Self }); i >= 0 {
		o.here = true
		if inside := o.networkOf(all[i]); !onHostNetwork(inside) {
			o.inside = &inside
		}
	}
	return o
}

// proxy is the engine's endpoint; there is none where it is reached by a socket of the file system, which is on its host.
func (o own) proxy() (proxy Endpoint, is bool) {
	i := slices.IndexFunc(o.endpoints, func(e Endpoint) bool { return e.Role == RoleEngine })
	if i < 0 {
		return Endpoint{}, false
	}
	return o.endpoints[i], true
}

// answered reports whether a container of the engine has an address of the endpoint.
func (o own) answered(e Endpoint) bool {
	return slices.ContainsFunc(o.all, func(c engine.Container) bool { return hasAddress(c, e) })
}

// deepest bounds how far a container's network is followed through others: a circle is refused by the engine.
const deepest = 8

// networkOf is the container whose network a container has: its own, or that of the one that it has joined.
func (o own) networkOf(c engine.Container) engine.Container {
	for range deepest {
		if c.HostConfig == nil || !c.HostConfig.NetworkMode.IsContainer() {
			return c
		}
		joined := c.HostConfig.NetworkMode.ConnectedContainer()
		parent := slices.IndexFunc(o.all, func(other engine.Container) bool { return other.ID == joined || other.CleanName() == joined })
		if parent < 0 {
			return c
		}
		c = o.all[parent]
	}
	return c
}

func onHostNetwork(c engine.Container) bool {
	return c.HostConfig != nil && c.HostConfig.NetworkMode.IsHost()
}

// need says why Composure needs a container to go on as it is, and the command that replaces it all the same; reason is empty when it
// does not. What it needs for itself nobody can have it replace; the rest is only left alone while nobody has asked.
func (o own) need(service string, c engine.Container) (reason, next string) {
	answering := o.networkOf(c)
	if o.self != "" && c.ID == o.self || o.inside != nil && answering.ID == o.inside.ID {
		return o.runsIn(c) + ", and would stop itself before it is done", "docker compose up -d " + service
	}
	for _, e := range o.endpoints {
		if e.Port == 0 || !o.answers(answering, e) {
			continue
		}
		if e.Role == RoleEngine {
			return fmt.Sprintf("Composure reaches the engine through it, at %s, and would lose it before it is done", e), "docker compose up -d " + service
		}
		if o.unasked {
			return fmt.Sprintf("the lease by which one of several operators leads is kept in it, at %s", e), "composure apply"
		}
	}
	if o.unasked && c.Label(LabelKeep) == "true" {
		return "its label " + LabelKeep + " says that Composure needs it", "composure apply"
	}
	return "", ""
}

// runsIn is for the containers of the network that this process has: which of them it runs in nothing tells.
func (o own) runsIn(c engine.Container) string {
	shares := func(other engine.Container) bool { return other.ID != c.ID && o.networkOf(other).ID == o.inside.ID }
	if o.inside != nil && slices.ContainsFunc(o.all, shares) {
		return "Composure itself runs in it, or in another one of the same network namespace"
	}
	return "Composure itself runs in it"
}

// spared says that a container is not restarted although something that it hangs on was: Composure needs it as it is. Empty: it may be,
// as one that is down anyway.
func (o own) spared(c engine.Container) string {
	reason, _ := o.need("", c)
	if reason == "" || !up(c) {
		return ""
	}
	return fmt.Sprintf("%s: is to be restarted, and was left running: %s; from elsewhere: docker restart %s", c.CleanName(), reason, c.CleanName())
}

// endangered says why a transaction that was cut off cannot be put in order from here: it would stop what Composure needs.
func (s *Snapshot) endangered(c cut) string {
	for _, stopped := range s.stoppedBy(c) {
		if reason, _ := s.own.need("", stopped); reason != "" {
			return fmt.Sprintf("putting it in order stops container %s: %s", cmp.Or(stopped.CleanName(), stopped.ID), reason)
		}
	}
	return ""
}

// stoppedBy are the containers that putting a transaction in order stops for good, those included that docker compose may recreate. What
// is only restarted can be spared, see [own.spared].
func (s *Snapshot) stoppedBy(c cut) []engine.Container {
	var stopped []engine.Container
	for _, swapped := range c.unfinished() {
		stops := swapped.NewID
		if c.finish {
			stops = swapped.Old.ID
		}
		if i := slices.IndexFunc(s.All, func(known engine.Container) bool { return known.ID == stops }); i >= 0 {
			stopped = append(stopped, s.All[i])
		}
	}
	for _, h := range c.handed() {
		stopped = append(stopped, s.Containers[h.service]...)
	}
	return stopped
}
