package reconcile

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/view"
)

// What Composure runs in, and reaches, is of another project as a rule, of which a daemon's view lists nothing to judge this one.
func TestWhatComposureNeedsIsKnownFromOtherProjects(t *testing.T) {
	tests := map[string]struct {
		reason    string
		outside   bool // of any container
		endpoints func(ops engine.Container) []Endpoint
		c         func(ops engine.Container) engine.Container
		want      string
	}{
		"Localhost": {
			reason: "it stays in Composure's own network namespace",
			endpoints: func(engine.Container) []Endpoint {
				return []Endpoint{local(reached(RoleLease, "localhost", 6379, "127.0.0.1"))}
			},
			c: func(engine.Container) engine.Container { return node("c", published("", "6379", "6379/tcp")) },
		},
		"Name": {
			reason:    "they have a network in common",
			endpoints: func(engine.Container) []Endpoint { return []Endpoint{reached(RoleLease, "redis", 6379)} },
			c:         func(engine.Container) engine.Container { return node("redis", on("ops_default", "10.1.0.9")) }, want: "the lease",
		},
		"Gateway": {
			reason: "seen from Composure's container its gateway is the host",
			endpoints: func(ops engine.Container) []Endpoint {
				return []Endpoint{reached(RoleLease, "host", 6379, ops.NetworkSettings.Networks["ops_default"].Gateway.String())}
			},
			c: func(engine.Container) engine.Container { return node("c", published("", "6379", "6379/tcp")) }, want: "the lease",
		},
		"Network": {
			reason:    "it has joined Composure's network",
			endpoints: func(engine.Container) []Endpoint { return nil },
			c:         func(ops engine.Container) engine.Container { return node("c", in("container:"+ops.ID)) }, want: "Composure itself runs in it, or",
		},
		"ProxyHere": {
			reason: "the proxy's own address is reached, so that Composure is on its host", outside: true,
			endpoints: func(ops engine.Container) []Endpoint {
				address := ops.NetworkSettings.Networks["ops_default"].IPAddress.String()
				return []Endpoint{local(reached(RoleLease, "localhost", 6379, "127.0.0.1")), reached(RoleEngine, address, 2375, address)}
			},
			c: func(engine.Container) engine.Container { return node("c", published("", "6379", "6379/tcp")) }, want: "the lease",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, syncPolicy)
				ops, err := w.engine.AddService(t.Context(), enginetest.Service{Project: "ops", Name: "ops", Image: "shop:1"})
				if err != nil {
					t.Fatal(err)
				}
				w.source.Unattended = true
				if !tc.outside {
					w.source.Self = ops.ID
				}
				w.source.Endpoints = func(context.Context, string) []Endpoint { return tc.endpoints(ops) }
				v := view.New(w.engine)
				if _, err := v.Sync(t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, reader := range []engine.Reader{w.engine, v.Reader("shop"), v.Project("shop")} {
					w.source.Reader = reader
					snap, err := Observe(t.Context(), w.source)
					if err != nil {
						t.Fatal(err)
					}
					if reason, _ := snap.own.need("svc", tc.c(ops)); (tc.want == "") != (reason == "") || !strings.Contains(reason, tc.want) {
						t.Errorf("%s: with %T it is %q, want %q", tc.reason, reader, reason, tc.want)
					}
				}
			})
		})
	}
}
