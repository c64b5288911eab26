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
)

// Endpoints are the addresses by which this process reaches what it needs: its engine, and its lease Redis. The containers that answer
// there are left alone. It may be used by several goroutines at once; nil has none.
type Endpoints struct {
	given []reconcile.Endpoint
	// lookup and interfaces are those of package net.
	lookup     func(ctx context.Context, network, host string) ([]netip.Addr, error)
	interfaces func() ([]net.Addr, error)

	mu       sync.Mutex
	resolved []reconcile.Endpoint // replaced, never changed
	at       time.Time
}

// NewEndpoints takes addresses as DOCKER_HOST and --redis have them. Sockets of the file system, and what is no address, are left out:
// no container is known by them.
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

// parseEndpoint keeps neither user nor password.
func parseEndpoint(address string) (reconcile.Endpoint, bool) {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Hostname() == "" {
		return reconcile.Endpoint{}, false
	}
	endpoint, port := reconcile.Endpoint{Role: reconcile.RoleEngine, Host: parsed.Hostname()}, parsed.Port()
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

// current are the endpoints with what their names stand for. A name is looked up once a minute at most; one that cannot be looked up
// stands for what it stood for last.
func (e *Endpoints) current(ctx context.Context) []reconcile.Endpoint {
	if e == nil || len(e.given) == 0 {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.at.IsZero() && time.Since(e.at) < resolveAfter {
		return e.resolved
	}
	limited, cancel := context.WithTimeout(ctx, resolveWithin)
	defer cancel()
	own := e.ownAddresses()
	next := slices.Clone(e.given)
	for i := range next {
		next[i].Addresses = e.resolve(limited, next[i].Host)
		if len(next[i].Addresses) == 0 {
			next[i].Addresses = e.resolved[i].Addresses
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
