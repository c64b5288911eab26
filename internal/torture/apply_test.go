package torture

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
)

const (
	variable = "TORTURED"
	follower = "follower-1" // restarted, not replaced
)

// servedAt is where each instance's program answers, seen from inside of its container.
func servedAt(instance string) string {
	if strings.HasPrefix(instance, "sidecar") {
		return "127.0.0.1:9090"
	}
	return "127.0.0.1:8080"
}

// Whatever a container has, its replacement has, and docker compose takes the replacement for its own.
func TestTorture(t *testing.T) {
	for i, version := range sampled([]string{"v2.40.3", "v5.6.0"}, 1) {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			p := newTortured(t, version, i)
			stranger := newStranger(t, p)
			before := p.survey()
			data := p.fill(before)
			told := p.wantApply(0)
			after := p.survey()
			p.wantReplaced(before, after)
			p.wantSameBut(before, after)
			p.wantVariable(after)
			p.wantData(after, data)
			p.wantSharedNetwork(after)
			p.wantInstances(slices.Collect(maps.Keys(before))...)
			p.wantFiles("bind", "compose.yaml", "compose.ipv6.yaml", "policy.yaml")
			p.wantUpToDate()
			stranger.wantUntouched()
			t.Logf("docker compose %s: %d containers replaced in one apply, 1 restarted, docker compose up -d did nothing", version, len(before)-1)
			if t.Failed() {
				t.Log(told)
			}
		})
	}
}

func newTortured(t *testing.T, version string, number int) *project {
	t.Helper()
	a, b := subnet(number)
	p := newProject(t, fmt.Sprintf("all%d", number), composeOf(t, version), "torture",
		fmt.Sprintf("TORTURE_SUBNET=10.%d.%d", a, b), fmt.Sprintf("TORTURE_SUBNET6=fd0c:5e:%x:%x", a, b),
		"TORTURE_TOKEN=a token", "TORTURE_PORT="+freePort(t, number), "COMPOSE_FILE=compose.yaml:compose.ipv6.yaml")
	if err := os.Mkdir(filepath.Join(p.dir, "bind"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.up()
	return p
}

// subnet is one that other runs on this engine do not have.
func subnet(number int) (second, third int) {
	pid := os.Getpid()*4 + number
	return 128 + pid/256%64, pid % 256
}

// freePort is free now, and outside of the range from which systems hand out ports.
func freePort(t *testing.T, number int) string {
	t.Helper()
	// Tests beside each other do not try the same ones.
	for port := 20000 + 5000*number + os.Getpid()%4000; port < 25000+5000*number; port++ {
		address := fmt.Sprintf("127.0.0.1:%d", port)
		if listener, err := net.Listen("tcp", address); err == nil {
			_ = listener.Close()
			return fmt.Sprint(port)
		}
	}
	t.Fatal("no port is free")
	return ""
}

// survey is every running container of the project by instance.
func (p *project) survey() map[string]container.InspectResponse {
	p.t.Helper()
	found := map[string]container.InspectResponse{}
	for instance, id := range p.ids() {
		found[instance] = p.inspect(id)
	}
	return found
}

// kept are the files that outlive a container, by instance: those in volumes, and those that compose itself writes into it.
func kept() map[string][]string {
	return map[string][]string{
		"parent-1":  {"/data/named/file", "/data/anonymous/file", "/data/bind/file", "/data/image/file", "/etc/inline.conf", "/run/secrets/token"},
		"static-1":  {"/data/image/file"},
		"replica-1": {"/data/image/file"},
		"replica-2": {"/data/image/file"},
		"replica-3": {"/data/image/file"},
		"heir-1":    {"/data/named/file", "/data/anonymous/file", "/data/bind/file", "/data/image/file"},
	}
}

// fill writes into every volume, and returns what all that is kept holds: mode and content by instance and path.
func (p *project) fill(all map[string]container.InspectResponse) map[string]string {
	p.t.Helper()
	for _, instance := range []string{"parent-1", "static-1", "replica-1", "replica-2", "replica-3"} {
		for _, path := range kept()[instance] {
			if !strings.HasPrefix(path, "/data/") {
				continue
			}
			if got := p.run("docker", "exec", all[instance].ID, "/target", "write", path, instance+" wrote "+path); got.code != 0 {
				p.t.Fatalf("write %s: %s", path, got)
			}
		}
	}
	held := p.held(all)
	for _, want := range []string{"written by compose", "a token", "parent-1 wrote /data/anonymous/file"} {
		if !strings.Contains(fmt.Sprint(held), want) {
			p.t.Fatalf("before anything was done, no file holds %q: %v", want, held)
		}
	}
	return held
}

func (p *project) held(all map[string]container.InspectResponse) map[string]string {
	p.t.Helper()
	held := map[string]string{}
	for instance, paths := range kept() {
		for _, path := range paths {
			held[instance+":"+path] = p.ask(all[instance].ID, "http://"+servedAt(instance)+"/file?path="+path)
		}
	}
	return held
}

func (p *project) wantData(all map[string]container.InspectResponse, want map[string]string) {
	p.t.Helper()
	if diff := cmp.Diff(want, p.held(all)); diff != "" {
		p.t.Errorf("files differ (-before +after):\n%s", diff)
	}
}

func (p *project) wantReplaced(before, after map[string]container.InspectResponse) {
	p.t.Helper()
	for instance, old := range before {
		now, found := after[instance]
		switch {
		case !found:
			p.t.Errorf("%s does not run any more", instance)
		case instance != follower && now.ID == old.ID:
			p.t.Errorf("%s was not replaced", instance)
		case instance == follower && now.ID != old.ID:
			p.t.Errorf("%s was replaced; it was to be restarted", instance)
		case instance == follower && now.State.StartedAt == old.State.StartedAt:
			p.t.Errorf("%s was not restarted", instance)
		}
	}
}

// wantVariable looks at what the engine says and at what the process says.
func (p *project) wantVariable(all map[string]container.InspectResponse) {
	p.t.Helper()
	for instance, c := range all {
		want := instance != follower
		if got := slices.Contains(c.Config.Env, variable+"=yes"); got != want {
			p.t.Errorf("%s has the variable by docker inspect: %v, want %v", instance, got, want)
		}
		env := p.processEnv(c.ID, servedAt(instance))
		if got := slices.Contains(env, variable+"=yes"); got != want {
			p.t.Errorf("%s has the variable in its process: %v, want %v", instance, got, want)
		}
		if !slices.Contains(env, "FROM_IMAGE=image") {
			p.t.Errorf("%s lost what its image sets: %v", instance, env)
		}
	}
}

// wantSharedNetwork asks from inside of each who answers at the other's port, and by the names that the networks know.
func (p *project) wantSharedNetwork(all map[string]container.InspectResponse) {
	p.t.Helper()
	parent, sidecar := all["parent-1"].ID, all["sidecar-1"].ID
	for _, asked := range []struct{ from, address, identity string }{
		{sidecar, "127.0.0.1:8080", "parent"},
		{parent, "127.0.0.1:9090", "sidecar"},
		{parent, "database:8080", "static"},
		{all["replica-1"].ID, "entrance:8080", "parent"},
		{all[follower].ID, "static:8080", "static"},
		{all[follower].ID, all["static-1"].NetworkSettings.Networks[p.name+"_back"].IPAMConfig.IPv4Address.String() + ":8080", "static"},
	} {
		env := p.processEnv(asked.from, asked.address)
		if !slices.Contains(env, "IDENTITY="+asked.identity) || !slices.Contains(env, variable+"=yes") {
			p.t.Errorf("%.12s reaches %v at %s, want the new %s", asked.from, env, asked.address, asked.identity)
		}
	}
}

// wantSameBut compares all that the engine tells of each container. What may differ is left out by likeness.
func (p *project) wantSameBut(before, after map[string]container.InspectResponse) {
	p.t.Helper()
	for instance := range before {
		if diff := cmp.Diff(p.likeness(before, instance), p.likeness(after, instance)); diff != "" {
			p.t.Errorf("%s differs (-before +after):\n%s", instance, diff)
		}
	}
}

// likeness is what a container and its replacement have in common.
func (p *project) likeness(all map[string]container.InspectResponse, instance string) any {
	p.t.Helper()
	c := all[instance]
	mounts := slices.Clone(c.Mounts)
	slices.SortFunc(mounts, func(a, b container.MountPoint) int { return strings.Compare(a.Destination, b.Destination) })
	config, host := *c.Config, *c.HostConfig
	config.Env = slices.DeleteFunc(slices.Clone(config.Env), func(entry string) bool { return entry == variable+"=yes" })
	slices.Sort(config.Env)
	config.Labels = maps.Clone(config.Labels)
	maps.DeleteFunc(config.Labels, func(key, _ string) bool {
		return strings.HasPrefix(key, "composure.") || key == "com.docker.compose.config-hash" || key == "com.docker.compose.replace"
	})
	// An anonymous volume stands here by name only in a replacement, and one of the image only there; which it is is in mounts.
	host.Mounts = slices.DeleteFunc(slices.Clone(host.Mounts), func(m mount.Mount) bool { return m.Type == mount.TypeVolume })
	for i := range mounts {
		mounts[i].Mode = "" // how the volume was asked for
	}
	if len(host.PortBindings) == 0 {
		host.PortBindings = nil // none either way
	}
	networks := map[string]any{}
	for name, endpoint := range c.NetworkSettings.Networks {
		aliases := slices.DeleteFunc(slices.Clone(endpoint.Aliases), func(alias string) bool { return alias == c.ID[:12] })
		slices.Sort(aliases)
		networks[name] = []any{endpoint.IPAMConfig, endpoint.Links, slices.Compact(aliases), endpoint.DriverOpts, endpoint.NetworkID}
	}
	text, err := json.Marshal(map[string]any{
		"name": c.Name, "image": c.Image, "path": c.Path, "args": c.Args, "restarts": c.RestartCount, "running": c.State.Running,
		"config": config, "host": host, "mounts": mounts, "networks": networks,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	// Those that share with others name them by their ids.
	for name, other := range all {
		text = []byte(strings.NewReplacer(other.ID, name, other.ID[:12], name).Replace(string(text)))
	}
	var like any
	if err := json.Unmarshal(text, &like); err != nil {
		p.t.Fatal(err)
	}
	return like
}

// stranger is a container that looks as much like one of the project as a stranger's can.
type stranger struct {
	p      *project
	id     string
	before container.InspectResponse
}

func newStranger(t *testing.T, p *project) *stranger {
	t.Helper()
	name := strings.Replace(p.name, "-all", "-stranger-all", 1)
	t.Cleanup(func() { run(t, p.command("docker", "rm", "-f", "-v", name)) })
	got := p.run("docker", "run", "-d", "--name", name, "--label", labelService+"=parent", "--restart", "unless-stopped", imageName(), "serve", ":8080")
	if got.code != 0 {
		t.Fatalf("start a stranger: %s", got)
	}
	id := strings.TrimSpace(got.stdout)
	return &stranger{p: p, id: id, before: p.inspect(id)}
}

func (s *stranger) wantUntouched() {
	s.p.t.Helper()
	now := s.p.inspect(s.id)
	before, err := json.Marshal(s.before)
	if err != nil {
		s.p.t.Fatal(err)
	}
	after, err := json.Marshal(now)
	if err != nil {
		s.p.t.Fatal(err)
	}
	if diff := cmp.Diff(string(before), string(after)); diff != "" {
		s.p.t.Errorf("a stranger's container was touched:\n%s", diff)
	}
}
