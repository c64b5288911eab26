package controller

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/report"
	"github.com/composure-dev/composure/reconcile"
)

func TestParseEndpoint(t *testing.T) {
	tests := map[string]struct {
		reason, address string
		want            reconcile.Endpoint
		is              bool
	}{
		"Proxy":       {"a socket proxy", "tcp://proxy:2375", reconcile.Endpoint{Role: reconcile.RoleEngine, Host: "proxy", Port: 2375}, true},
		"NoPort":      {"the docker command has a default", "tcp://proxy", reconcile.Endpoint{Role: reconcile.RoleEngine, Host: "proxy", Port: 2375}, true},
		"HTTPS":       {"with TLS it is another one", "https://proxy", reconcile.Endpoint{Role: reconcile.RoleEngine, Host: "proxy", Port: 2376}, true},
		"IPv6":        {"brackets are not part of an address", "tcp://[fd00::1]:2376", reconcile.Endpoint{Role: reconcile.RoleEngine, Host: "fd00::1", Port: 2376}, true},
		"SSH":         {"sshd is in no container", "ssh://me@prod:22", reconcile.Endpoint{Role: reconcile.RoleEngine, Host: "prod"}, true},
		"Redis":       {"the password goes no further", "redis://:hunter2@cache:6380/1", reconcile.Endpoint{Role: reconcile.RoleLease, Host: "cache", Port: 6380}, true},
		"RedisTLS":    {"Redis has a default", "rediss://cache", reconcile.Endpoint{Role: reconcile.RoleLease, Host: "cache", Port: 6379}, true},
		"Socket":      {"no container is known by a socket", "unix:///var/run/docker.sock", reconcile.Endpoint{}, false},
		"RedisSocket": {"no container is known by a socket", "unix:///run/redis.sock?db=1", reconcile.Endpoint{}, false},
		"Empty":       {"DOCKER_HOST is not set", "", reconcile.Endpoint{}, false},
		"NoHost":      {"whoever connects to none comes to this one", "redis://:6380", reconcile.Endpoint{Role: reconcile.RoleLease, Host: "localhost", Port: 6380}, true},
		"NoHostPort":  {"go-redis takes localhost for it", "redis:///1", reconcile.Endpoint{Role: reconcile.RoleLease, Host: "localhost", Port: 6379}, true},
		"NoHostTCP":   {"so does the docker command", "tcp://:2375", reconcile.Endpoint{Role: reconcile.RoleEngine, Host: "localhost", Port: 2375}, true},
		"Any":         {"a connection to it ends on this host", "tcp://0.0.0.0:2375", reconcile.Endpoint{Role: reconcile.RoleEngine, Host: "localhost", Port: 2375}, true},
		"Any6":        {"a connection to it ends on this host", "redis://[::]:6379", reconcile.Endpoint{Role: reconcile.RoleLease, Host: "localhost", Port: 6379}, true},
		"HighPort":    {"there is no such port", "tcp://proxy:99999", reconcile.Endpoint{}, false},
		"Garbage":     {"whoever connects says what is wrong with it", "tcp://%zz", reconcile.Endpoint{}, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, is := parseEndpoint(tc.address)
			if is != tc.is || is && cmp.Diff(tc.want, got, cmpopts.EquateEmpty()) != "" {
				t.Errorf("%s: %+v, %v", tc.reason, got, is)
			}
		})
	}
}

// nameServer is what a host looks names up in.
type nameServer struct {
	addresses map[string]string
	asked     int
	hang      bool
}

func (n *nameServer) lookup(ctx context.Context, _, host string) ([]netip.Addr, error) {
	n.asked++
	if n.hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	address, known := n.addresses[host]
	if !known {
		return nil, errors.New("no such host")
	}
	return []netip.Addr{netip.MustParseAddr(address)}, nil
}

func endpointsOf(n *nameServer, own string, addresses ...string) *Endpoints {
	e := NewEndpoints(addresses...)
	e.lookup = n.lookup
	e.interfaces = func() ([]net.Addr, error) {
		if own == "" {
			return nil, errors.New("not allowed")
		}
		ip, prefix, err := net.ParseCIDR(own)
		return []net.Addr{&net.IPNet{IP: ip, Mask: prefix.Mask}}, err
	}
	return e
}

func TestEndpointsAreLookedUpNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &nameServer{addresses: map[string]string{"proxy": "::ffff:10.1.0.9", "cache": "192.0.2.1"}}
		e := endpointsOf(n, "192.0.2.1/24", "redis://cache", "redis://127.0.0.1:7000")
		at := "tcp://proxy:2375"
		want := func(reason string, asked int, addresses ...string) {
			t.Helper()
			var got []string
			for _, endpoint := range e.current(t.Context(), at) {
				got = append(got, fmt.Sprint(endpoint.Addresses, endpoint.Local))
			}
			if diff := cmp.Diff(addresses, got); diff != "" || n.asked != asked {
				t.Errorf("%s: asked %d times, want %d:\n%s", reason, n.asked, asked, diff)
			}
		}
		want("at first", 2, "[10.1.0.9] false", "[192.0.2.1] true", "[127.0.0.1] true")
		n.addresses = map[string]string{"proxy": "10.1.0.7"}
		<-time.After(30 * time.Second)
		want("soon after", 2, "[10.1.0.9] false", "[192.0.2.1] true", "[127.0.0.1] true")
		<-time.After(time.Minute)
		want("a minute later", 4, "[10.1.0.7] false", "[192.0.2.1] true", "[127.0.0.1] true")
		n.hang = true
		<-time.After(2 * time.Minute)
		begun := time.Now()
		want("with a name server that does not answer", 6, "[10.1.0.7] false", "[192.0.2.1] true", "[127.0.0.1] true")
		if waited := time.Since(begun); waited > resolveWithin {
			t.Errorf("it was waited for %s", waited)
		}
		n.hang, at = false, "unix:///var/run/docker.sock"
		want("with another engine", 7, "[] false", "[127.0.0.1] true") // nothing of the one before is left
	})
}

func TestNoEndpoints(t *testing.T) {
	var none *Endpoints
	if got := none.current(t.Context(), "tcp://proxy:2375"); got != nil {
		t.Errorf("nothing is %+v", got)
	}
	n := &nameServer{}
	e := endpointsOf(n, "", "redis://localhost")
	n.addresses = map[string]string{"localhost": "127.0.0.1"}
	if got := e.current(t.Context(), ""); len(got) != 1 || !got[0].Local {
		t.Errorf("without interfaces localhost is %+v", got)
	}
}

// located is an engine at an address, as DOCKER_HOST or a docker context have it.
type located struct {
	LiveEngine
	host string
}

func (l located) Info(ctx context.Context) (engine.Info, error) {
	info, err := l.LiveEngine.Info(ctx)
	info.Host = l.host
	return info, err
}

// reach has the engine, or else the lease, be where the project's container answers.
func (d *daemon) reach(format string) {
	d.t.Helper()
	settings := d.app().NetworkSettings.Networks["shop_default"]
	if settings == nil {
		d.t.Fatal("it has no network")
	}
	address := fmt.Sprintf(format, settings.IPAddress)
	if strings.HasPrefix(address, "redis:") {
		d.config.Endpoints = endpointsOf(&nameServer{}, "", address)
		return
	}
	at := located{d.engine, address}
	d.live, d.config.Endpoints = at, endpointsOf(&nameServer{}, "")
	d.config.Open = func(context.Context) (Engine, error) { return at, nil }
}

// A daemon does not stop what it needs, whatever the policies say.
func TestRunLeavesWhatItNeedsAlone(t *testing.T) {
	tests := map[string]struct{ reason, format, say string }{
		"Proxy": {"it would lose the engine in the middle of a swap", "tcp://%s:2375", "reaches the engine through it"},
		"Lease": {"it would lose its lease", "redis://:hunter2@%s:6379/0", "the lease"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := prepareDaemon(t, enforced, nil)
				d.reach(tc.format)
				before := d.containers()
				d.start()
				d.after(time.Hour)
				status := d.status()
				told := fmt.Sprint(status.Held)
				if status.Reason != ReasonHeld || !strings.Contains(told, tc.say) || strings.Contains(told, "hunter2") {
					t.Errorf("%s: %s, held:\n%s", tc.reason, status.Reason, told)
				}
				d.wantContainers(tc.reason, before)
				d.stop()
			})
		})
	}
}

// A person's apply could not finish without the engine either; a lease it does not need.
func TestApplyLeavesTheWayToTheEngineAlone(t *testing.T) {
	for format, want := range map[string]report.Result{"tcp://%s:2375": report.ResultDifferences, "redis://%s:6379": report.ResultApplied} {
		synctest.Test(t, func(t *testing.T) {
			d := prepareDaemon(t, enforced, nil)
			d.reach(format)
			r, err := apply(t, d.config, ApplyOptions{})
			if err != nil || r.Projects[0].Result != want {
				t.Errorf("%s: %v, %s, want %s", format, err, r.Projects[0].Result, want)
			}
		})
	}
}
