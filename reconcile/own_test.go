package reconcile

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

// node is a container of the tables below, called c unless something else is said.
func node(name string, changes ...func(*engine.Container)) engine.Container {
	c := engine.Container{InspectResponse: container.InspectResponse{
		ID: "id-" + name, Name: "/" + name, Config: &container.Config{Labels: map[string]string{}},
		HostConfig: &container.HostConfig{}, NetworkSettings: &container.NetworkSettings{Networks: map[string]*network.EndpointSettings{}},
	}}
	for _, change := range changes {
		change(&c)
	}
	return c
}

// on puts it into a network whose gateway is the first address, with an address and further names.
func on(name, address string, aliases ...string) func(*engine.Container) {
	return func(c *engine.Container) {
		ip := netip.MustParseAddr(address)
		settings := &network.EndpointSettings{Aliases: aliases}
		if ip.Is4() {
			settings.IPAddress = ip
			settings.Gateway = netip.PrefixFrom(ip, 24).Masked().Addr().Next()
		} else {
			settings.GlobalIPv6Address = ip
		}
		c.NetworkSettings.Networks[name] = settings
	}
}

func in(mode string) func(*engine.Container) {
	return func(c *engine.Container) { c.HostConfig.NetworkMode = container.NetworkMode(mode) }
}

func labeled(key, value string) func(*engine.Container) {
	return func(c *engine.Container) { c.Config.Labels[key] = value }
}

// published has a port of the host lead to it, on one address or, where that is empty, on all.
func published(address string, hostPort, port string) func(*engine.Container) {
	return func(c *engine.Container) {
		binding := network.PortBinding{HostPort: hostPort}
		if address != "" {
			binding.HostIP = netip.MustParseAddr(address)
		}
		c.HostConfig.PortBindings = network.PortMap{network.MustParsePort(port): {binding}}
	}
}

func exposed(port string) func(*engine.Container) {
	return func(c *engine.Container) { c.Config.ExposedPorts = network.PortSet{network.MustParsePort(port): {}} }
}

func commanded(words ...string) func(*engine.Container) {
	return func(c *engine.Container) { c.Config.Cmd = words }
}

func given(variables ...string) func(*engine.Container) {
	return func(c *engine.Container) { c.Config.Env = variables }
}

func reached(role Role, host string, port uint16, addresses ...string) Endpoint {
	e := Endpoint{Role: role, Host: host, Port: port}
	for _, text := range addresses {
		e.Addresses = append(e.Addresses, netip.MustParseAddr(text))
	}
	return e
}

func local(e Endpoint) Endpoint {
	e.Local = true
	return e
}

func TestWhatComposureNeeds(t *testing.T) {
	self := node("self", on("ops", "10.1.0.2"))
	proxy, lease := reached(RoleEngine, "proxy", 2375), reached(RoleLease, "redis", 6379)
	hostLease := []Endpoint{local(reached(RoleLease, "localhost", 6379, "127.0.0.1"))}
	const (
		viaEngine = "reaches the engine through it"
		viaLease  = "the lease"
	)
	tests := map[string]struct {
		reason    string
		self      engine.Container // the zero value: this process is in no container
		missing   bool             // self is a container of another engine
		others    []engine.Container
		endpoints []Endpoint
		c         engine.Container
		asked     bool
		want      string // empty: it does not need the container
	}{
		"Itself":          {reason: "it would end itself", self: self, c: self, want: "Composure itself runs in it, and"},
		"ItselfWhenAsked": {reason: "a person's word does not change that", self: self, c: self, asked: true, want: "Composure itself runs in it, and"},
		"NetworkOfItself": {
			reason: "the id is that of the network's container, and it runs in one that has joined it", self: node("vpn", on("ops", "10.1.0.5")),
			others: []engine.Container{node("composure", in("container:id-vpn"))}, c: node("composure", in("container:id-vpn")), want: "or in another one of the same network",
		},
		"NetworkOfOthers": {
			reason: "without that one it has no network", self: node("vpn", on("ops", "10.1.0.5")),
			others: []engine.Container{node("composure", in("container:id-vpn"))}, c: node("vpn", on("ops", "10.1.0.5")), want: "or in another one of the same network",
		},
		"NoneOfItsOwn":    {reason: "outside of a container no id is its own", c: node("c"), want: ""},
		"Label":           {reason: "a person knows of a need that cannot be seen", c: node("c", labeled(LabelKeep, "true")), want: LabelKeep},
		"LabelFalse":      {reason: "the label says no", c: node("c", labeled(LabelKeep, "false"))},
		"LabelWhenAsked":  {reason: "a person has the last word", c: node("c", labeled(LabelKeep, "true")), asked: true},
		"Stranger":        {reason: "it is neither", self: self, endpoints: []Endpoint{proxy, lease}, c: node("c", on("ops", "10.1.0.9", "shop"))},
		"NoEndpoints":     {reason: "a socket of the file system is no container's", self: self, c: node("redis", on("ops", "10.1.0.9"))},
		"NoNetworks":      {reason: "the engine told too little", self: self, endpoints: []Endpoint{proxy}, c: engine.Container{}},
		"NoPort":          {reason: "sshd is in no container", self: self, endpoints: []Endpoint{reached(RoleEngine, "c", 0, "10.1.0.9")}, c: node("c", on("ops", "10.1.0.9"))},
		"LeaseWhenAsked":  {reason: "a person's apply needs no lease", self: self, endpoints: []Endpoint{lease}, c: node("redis", on("ops", "10.1.0.9")), asked: true},
		"EngineWhenAsked": {reason: "no apply could finish without it", self: self, endpoints: []Endpoint{proxy}, c: node("proxy", on("ops", "10.1.0.9")), asked: true, want: viaEngine},
		"ContainerName":   {reason: "the engine's DNS has it", self: self, endpoints: []Endpoint{proxy}, c: node("proxy", on("ops", "10.1.0.9")), want: viaEngine},
		"Alias":           {reason: "the engine's DNS has it", self: self, endpoints: []Endpoint{lease}, c: node("shop-redis-1", on("ops", "10.1.0.9", "redis")), want: viaLease},
		"Capitals":        {reason: "names in the DNS have no case", self: self, endpoints: []Endpoint{lease}, c: node("shop-redis-1", on("ops", "10.1.0.9", "Redis")), want: viaLease},
		"Service":         {reason: "compose makes it an alias", self: self, endpoints: []Endpoint{lease}, c: node("shop-redis-1", on("ops", "10.1.0.9"), labeled(engine.LabelService, "redis")), want: viaLease},
		"OneOff":          {reason: "docker compose run gives it no alias", self: self, endpoints: []Endpoint{lease}, c: node("shop-redis-run-1", on("ops", "10.1.0.9"), labeled(engine.LabelService, "redis"), labeled(engine.LabelOneoff, "True"))},
		"SameName": {
			reason: "the name stands for another one", self: node("self", on("ops", "10.1.0.2"), on("shop", "10.2.0.2")), others: []engine.Container{node("ops-redis-1", on("ops", "10.1.0.9", "redis"))},
			endpoints: []Endpoint{reached(RoleLease, "redis", 6379, "10.1.0.9")}, c: node("shop-redis-1", on("shop", "10.2.0.9", "redis")),
		},
		"SameNameGone": {
			reason: "what the name stood for is gone", self: self, endpoints: []Endpoint{reached(RoleLease, "redis", 6379, "10.1.0.8")}, c: node("redis", on("ops", "10.1.0.9")), want: viaLease,
		},
		"WithNetwork":      {reason: "the engine's DNS has NAME.NETWORK, too", self: self, endpoints: []Endpoint{reached(RoleLease, "redis.ops", 6379)}, c: node("redis", on("ops", "10.1.0.9")), want: viaLease},
		"OtherNetwork":     {reason: "a name counts on a network that both have", self: self, endpoints: []Endpoint{lease}, c: node("redis", on("shop", "10.2.0.9"))},
		"DefaultBridge":    {reason: "it has no names", self: node("self", on("bridge", "172.17.0.2")), endpoints: []Endpoint{lease}, c: node("redis", on("bridge", "172.17.0.3"))},
		"NameOutside":      {reason: "a host does not ask the engine for names", endpoints: []Endpoint{lease}, c: node("redis", on("ops", "10.1.0.9"))},
		"Address":          {reason: "the name stands for it", endpoints: []Endpoint{reached(RoleLease, "cache.internal", 6379, "10.2.0.9")}, c: node("c", on("shop", "10.2.0.9")), want: viaLease},
		"Address6":         {reason: "the name stands for it", endpoints: []Endpoint{reached(RoleLease, "cache.internal", 6379, "fd00::9")}, c: node("c", on("shop", "fd00::9")), want: viaLease},
		"OtherAddress":     {reason: "it is another one", endpoints: []Endpoint{reached(RoleLease, "cache.internal", 6379, "10.2.0.8")}, c: node("c", on("shop", "10.2.0.9"))},
		"LocalInContainer": {reason: "it stays in that container's network", self: self, endpoints: []Endpoint{local(reached(RoleLease, "localhost", 6379, "127.0.0.1"))}, c: node("c", published("", "6379", "6379/tcp"))},
		"JoinedByIt": {
			reason: "it has the network of the one that answers at localhost", self: node("self", in("container:vpn")), others: []engine.Container{node("vpn", on("ops", "10.1.0.5"))},
			endpoints: []Endpoint{local(reached(RoleEngine, "localhost", 2375, "127.0.0.1"))}, c: node("vpn", on("ops", "10.1.0.5")), want: "or in another one",
		},
		"JoinedSibling": {
			reason: "who answers at localhost may have joined the same network", self: node("self", in("container:vpn")), others: []engine.Container{node("vpn", on("ops", "10.1.0.5"))},
			endpoints: []Endpoint{local(reached(RoleEngine, "localhost", 2375, "127.0.0.1"))}, c: node("proxy", in("container:id-vpn")), want: "or in another one",
		},
		"JoinsNamed": {
			reason: "it answers in the network of the one that is called so", self: self, others: []engine.Container{node("vpn", on("ops", "10.1.0.5", "redis"))},
			endpoints: []Endpoint{lease}, c: node("c", in("container:vpn")), want: viaLease,
		},
		"JoinsUnknown":    {reason: "what it has joined is gone", self: self, endpoints: []Endpoint{lease}, c: node("c", in("container:gone"))},
		"NameThroughVPN":  {reason: "names are those of the network that it has joined", self: node("self", in("container:vpn")), others: []engine.Container{node("vpn", on("ops", "10.1.0.5"))}, endpoints: []Endpoint{lease}, c: node("redis", on("ops", "10.1.0.9")), want: viaLease},
		"PublishedEngine": {reason: "who answers there has this engine's socket, wherever this runs", endpoints: []Endpoint{reached(RoleEngine, "prod", 2375, "192.0.2.7")}, c: node("c", published("", "2375", "2375/tcp")), want: viaEngine},
		"PublishedOnIt":   {reason: "on that very address", endpoints: []Endpoint{reached(RoleEngine, "prod", 2375, "192.0.2.7")}, c: node("c", published("192.0.2.7", "2375", "2375/tcp")), want: viaEngine},
		"PublishedElse":   {reason: "on another address", endpoints: []Endpoint{reached(RoleEngine, "prod", 2375, "192.0.2.7")}, c: node("c", published("192.0.2.8", "2375", "2375/tcp"))},
		"PublishedPort":   {reason: "the port inside does not matter", endpoints: []Endpoint{reached(RoleEngine, "prod", 2375, "192.0.2.7")}, c: node("c", published("", "12375", "2375/tcp"))},
		"PublishedUDP":    {reason: "nothing of this is UDP", endpoints: []Endpoint{reached(RoleEngine, "prod", 2375, "192.0.2.7")}, c: node("c", published("", "2375", "2375/udp"))},
		"PublishedNoName": {reason: "a name that nobody can look up may be this host's", endpoints: []Endpoint{reached(RoleEngine, "prod", 2375)}, c: node("c", published("192.0.2.8", "2375", "2375/tcp")), want: viaEngine},
		"HostLease":       {reason: "the engine is on this host", endpoints: []Endpoint{local(reached(RoleLease, "localhost", 6379, "127.0.0.1", "::1"))}, c: node("c", published("127.0.0.1", "6379", "6379/tcp")), want: viaLease},
		"HostLeaseOther":  {reason: "another port of this host", endpoints: []Endpoint{local(reached(RoleLease, "localhost", 6379, "127.0.0.1"))}, c: node("c", published("", "6380", "6379/tcp"))},
		"RemoteEngine":    {reason: "this host's Redis is not among the containers of that engine", endpoints: []Endpoint{local(reached(RoleLease, "localhost", 6379, "127.0.0.1")), reached(RoleEngine, "prod", 2376, "192.0.2.7")}, c: node("c", published("", "6379", "6379/tcp"))},
		"ProxyHere": {
			reason: "who reaches the proxy's own address is on its host", others: []engine.Container{node("proxy", on("ops", "10.1.0.9"))},
			endpoints: []Endpoint{local(reached(RoleLease, "localhost", 6379, "127.0.0.1")), reached(RoleEngine, "10.1.0.9", 2375, "10.1.0.9")},
			c:         node("c", published("", "6379", "6379/tcp")), want: viaLease,
		},
		"AddressOfAnother": {
			reason: "Composure and its Redis are containers of another machine, where the address is Redis's", missing: true, self: node("self", on("ops", "172.18.0.3")),
			endpoints: []Endpoint{reached(RoleLease, "redis", 6379, "172.18.0.2"), reached(RoleEngine, "prod", 2376, "192.0.2.7")}, c: node("c", on("shop", "172.18.0.2")),
		},
		"AddressOfHost": {
			reason: "this machine is not the engine's", endpoints: []Endpoint{reached(RoleLease, "redis", 6379, "172.18.0.2"), reached(RoleEngine, "prod", 2376, "192.0.2.7")},
			c: node("c", on("shop", "172.18.0.2")),
		},
		"GatewayOfAnother": {
			reason: "every engine has such a gateway", missing: true, self: node("self", on("ops", "172.18.0.3")),
			endpoints: []Endpoint{reached(RoleLease, "172.18.0.1", 6379, "172.18.0.1"), reached(RoleEngine, "prod", 2376, "192.0.2.7")},
			c:         node("c", on("shop", "172.18.0.2"), published("", "6379", "6379/tcp")),
		},
		"DesktopOfAnother": {
			reason: "it is the host of Composure's container", missing: true, self: node("self", on("ops", "172.18.0.3")),
			endpoints: []Endpoint{reached(RoleLease, "host.docker.internal", 6379, "172.17.0.1"), reached(RoleEngine, "prod", 2376, "192.0.2.7")},
			c:         node("c", published("", "6379", "6379/tcp")),
		},
		"AddressThere": {
			reason: "Composure's container is on that engine", self: self,
			endpoints: []Endpoint{reached(RoleLease, "cache", 6379, "10.2.0.9"), reached(RoleEngine, "prod", 2376, "192.0.2.7")}, c: node("c", on("shop", "10.2.0.9")), want: viaLease,
		},
		"BesideEngine":     {reason: "Redis is on the engine's host", endpoints: []Endpoint{reached(RoleLease, "prod", 6379, "192.0.2.7"), reached(RoleEngine, "prod", 2376, "192.0.2.7")}, c: node("c", published("", "6379", "6379/tcp")), want: viaLease},
		"SSHEngine":        {reason: "the same, with ssh", endpoints: []Endpoint{reached(RoleLease, "prod", 6379, "192.0.2.7"), reached(RoleEngine, "prod", 0, "192.0.2.7")}, c: node("c", published("", "6379", "6379/tcp")), want: viaLease},
		"Elsewhere":        {reason: "a Redis on another machine", endpoints: []Endpoint{reached(RoleLease, "cache", 6379, "192.0.2.9")}, c: node("c", published("", "6379", "6379/tcp"))},
		"Gateway":          {reason: "seen from a container the gateway is the host", self: self, endpoints: []Endpoint{reached(RoleLease, "10.1.0.1", 6379, "10.1.0.1")}, c: node("c", published("", "6379", "6379/tcp")), want: viaLease},
		"DesktopName":      {reason: "so is this name", self: self, endpoints: []Endpoint{reached(RoleLease, "host.docker.internal", 6379, "172.17.0.1")}, c: node("c", published("", "6379", "6379/tcp")), want: viaLease},
		"HostNetworkSelf":  {reason: "in the host's network localhost is the host", self: node("self", in("host")), endpoints: []Endpoint{local(reached(RoleLease, "localhost", 6379, "127.0.0.1"))}, c: node("c", published("", "6379", "6379/tcp")), want: viaLease},
		"HostNetworkRedis": {reason: "in the host's network its image tells its port", endpoints: hostLease, c: node("c", in("host"), exposed("6379/tcp"), commanded("redis-server", "--save", "60", "1")), want: viaLease},
		"HostNetworkNamed": {reason: "its command names it, too", endpoints: hostLease, c: node("c", in("host"), exposed("6379/tcp"), commanded("redis-server", "/redis.conf", "--port", "6379")), want: viaLease},
		"HostNetworkElse":  {reason: "its command names another one", endpoints: hostLease, c: node("c", in("host"), exposed("6379/tcp"), commanded("sh", "-c", "redis-server --port 6380"))},
		"HostNetworkFile":  {reason: "a file may name another one", endpoints: hostLease, c: node("c", in("host"), exposed("6379/tcp"), commanded("redis-server", "/redis.conf"))},
		"HostNetworkEnv":   {reason: "a variable names another one", endpoints: hostLease, c: node("c", in("host"), exposed("6379/tcp"), commanded("run.sh"), given("REDIS_PORT_NUMBER=6380"))},
		"HostNetworkBare":  {reason: "what is exposed tells nothing by itself", endpoints: hostLease, c: node("c", in("host"), exposed("6379/tcp"))},
		"HostNetworkOther": {reason: "its image tells another one", endpoints: hostLease, c: node("c", in("host"), exposed("80/tcp"), commanded("serve"))},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			src := Source{Self: tc.self.ID, Unattended: !tc.asked}
			all := append([]engine.Container{tc.c}, tc.others...)
			if !tc.missing {
				all = append(all, tc.self)
			}
			reason, next := newOwn(src, tc.endpoints, all).need("svc", tc.c)
			if (tc.want == "") != (reason == "") || !strings.Contains(reason, tc.want) {
				t.Errorf("%s: %q, want %q", tc.reason, reason, tc.want)
			}
			if reason != "" && next == "" {
				t.Errorf("%s: nobody is told what helps", tc.reason)
			}
		})
	}
}

// What would take along what Composure needs is held as well, and the rest goes on.
func TestWhatComposureNeedsIsNotTakenAlong(t *testing.T) {
	depends := composeFile + "    depends_on: {app: {condition: service_started, restart: true}}\n"
	tests := map[string]struct {
		reason  string
		prepare func(w *world)
		selects string
		need    string // the container
		held    string // the service
		say     string
	}{
		"Itself": {reason: "it would end itself", selects: "[beat]", need: "shop-beat-1", held: "beat", say: "Composure itself runs in it"},
		"Restart": {
			reason: "it is restarted with app, by depends_on", selects: "[app]", need: "shop-beat-1", held: "app", say: "shop-beat-1 would be stopped along with it",
			prepare: func(w *world) { w.write(depends) },
		},
		"Network": {
			reason: "it lives in the network of app, which nothing tells from it", selects: "[app]", need: "shop-beat-1", held: "app", say: "Composure itself runs in it, or in another one",
			prepare: (*world).share,
		},
		"Parent": {reason: "nothing hangs on it", selects: "[app]", need: "shop-beat-1"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, strings.Replace(withoutChecks(), "[app, beat]", tc.selects, 1))
				if tc.prepare != nil {
					tc.prepare(w)
				}
				w.source.Self, w.source.Unattended = w.inspect(tc.need).ID, true
				for i := range w.source.Policies {
					w.source.Policies[i].Spec.Enforcement = policy.Enforcement{Files: policy.ModeEnforce, Containers: policy.ModeEnforce}
				}
				before := w.inspect(tc.need)
				p := w.propose().Plan
				moved := len(p.Of(plan.VerbSwap)) + len(p.Of(plan.VerbRestart))
				if (tc.held == "") != (moved > 0) {
					t.Errorf("%s: %d containers are stopped", tc.reason, moved)
				}
				told := ""
				for _, h := range p.Held {
					told += h.Object + ": " + h.Reason + "\n"
				}
				if tc.held != "" && !strings.Contains(told, tc.held+": "+tc.say) {
					t.Errorf("%s: held:\n%s", tc.reason, told)
				}
				w.apply()
				if after := w.inspect(tc.need); after.ID != before.ID || after.State.StartedAt != before.State.StartedAt {
					t.Errorf("%s: it was stopped all the same", tc.reason)
				}
			})
		})
	}
}
