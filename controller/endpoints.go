package controller

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/composure-dev/composure/reconcile"
)

const (
	// resolveWithin bounds how long names are looked up, and resolveAfter is how long the answers are used.
	resolveWithin = 2 * time.Second
	resolveAfter  = time.Minute

	localhost = "localhost"
)

// Endpoints are the addresses by which this process reaches what it needs: its engine, and its lease Redis. The containers that answer
// there are left alone. It may be used by several goroutines at once; nil has none.
type Endpoints struct {
	given []reconcile.Endpoint // beside the engine's
	// lookup and interfaces are those of package net.
	lookup     func(ctx context.Context, network, host string) ([]netip.Addr, error)
	interfaces func() ([]net.Addr, error)

	mu       sync.Mutex
	engine   string               // the address of the engine that is among the resolved
	resolved []reconcile.Endpoint // replaced, never changed
	at       time.Time
}

// NewEndpoints takes addresses as --redis has them. That of the engine is added when the engine is known: where it is DOCKER_HOST alone
// does not tell. Sockets of the file system, and what is no address, are left out: no container is known by them.
func NewEndpoints(addresses ...string) *Endpoints {
	e := &Endpoints{lookup: net.DefaultResolver.LookupNetIP, interfaces: net.InterfaceAddrs}
	for _, address := range addresses {
		if endpoint, is := parseEndpoint(address); is {
			e.given = append(e.given, endpoint)
		}
	}
	e.resolved = e.given
	return e
}

// parseEndpoint keeps neither user nor password. Whoever connects to no host, or to the unspecified address, comes to this one.
func parseEndpoint(address string) (reconcile.Endpoint, bool) {
	parsed, err := url.Parse(address)
	if err != nil {
		return reconcile.Endpoint{}, false
	}
	endpoint, port := reconcile.Endpoint{Role: reconcile.RoleEngine, Host: cmp.Or(parsed.Hostname(), localhost)}, parsed.Port()
	if ip, err := netip.ParseAddr(endpoint.Host); err == nil && ip.IsUnspecified() {
		endpoint.Host = localhost
	}
	switch parsed.Scheme {
	case "tcp", "http":
		port = cmp.Or(port, "2375") // as the docker command has it
	case "https":
		port = cmp.Or(port, "2376")
	case "ssh":
		port = "0" // sshd is in no container; where the engine is matters all the same
	case "redis", "rediss":
		endpoint.Role, port = reconcile.RoleLease, cmp.Or(port, "6379")
	default:
		return reconcile.Endpoint{}, false
	}
	number, err := strconv.ParseUint(port, 10, 16)
	endpoint.Port = uint16(number)
	return endpoint, err == nil
}

// current are the endpoints, that of the engine at an address included, with what their names stand for. A name is looked up once a
// minute at most; one that cannot be looked up stands for what it stood for last.
func (e *Endpoints) current(ctx context.Context, engine string) []reconcile.Endpoint {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if engine != e.engine {
		e.engine, e.resolved, e.at = engine, e.given, time.Time{}
		if endpoint, is := parseEndpoint(engine); is {
			e.resolved = append([]reconcile.Endpoint{endpoint}, e.given...)
		}
	}
	if len(e.resolved) == 0 || !e.at.IsZero() && time.Since(e.at) < resolveAfter {
		return e.resolved
	}
	limited, cancel := context.WithTimeout(ctx, resolveWithin)
	defer cancel()
	own := e.ownAddresses()
	next := slices.Clone(e.resolved)
	for i := range next {
		if addresses := e.resolve(limited, next[i].Host); len(addresses) > 0 {
			next[i].Addresses = addresses
		}
		next[i].Local = slices.ContainsFunc(next[i].Addresses, func(a netip.Addr) bool { return a.IsLoopback() || slices.Contains(own, a) })
	}
	e.resolved, e.at = next, time.Now()
	return next
}

func (e *Endpoints) resolve(ctx context.Context, host string) []netip.Addr {
	if address, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{address.Unmap()}
	}
	addresses, err := e.lookup(ctx, "ip", host)
	if err != nil {
		return nil
	}
	for i := range addresses {
		addresses[i] = addresses[i].Unmap()
	}
	return addresses
}

// ownAddresses are those of this machine's interfaces, or of this container's. Without them only loopback addresses count as local.
func (e *Endpoints) ownAddresses() []netip.Addr {
	interfaces, err := e.interfaces()
	if err != nil {
		return nil
	}
	var own []netip.Addr
	for _, address := range interfaces {
		if prefix, err := netip.ParsePrefix(address.String()); err == nil {
			own = append(own, prefix.Addr().Unmap())
		}
	}
	return own
}
