package bench

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/engine/enginetest/wire"
)

const (
	perProject = 10
	imageName  = "registry.example.com/team/app:1.4.2"
	// switched is the variable that a shell has set when a container has drifted.
	switched = "CELERY_BEAT_REDIS_SYNC_ENABLED"
)

// policyFile is the one policy for all: an editor's and a person's word for everything else.
func policyFile(enforcement string) string {
	return `apiVersion: composure/v1alpha1
kind: EnvironmentPolicy
metadata: {name: redis-sync}
spec:
  description: Beat and the API must both sync over Redis.
  enforcement: {files: ` + enforcement + `, containers: ` + enforcement + `}
  selector: {services: ["app*"], matchLabels: {com.example.team: platform}}
  variables:
    - {name: ` + switched + `, value: "true"}
    - {name: CELERY_BEAT_MIN_SYNC_INTERVAL, minimum: 1, maximum: 30}
    - {name: REDIS_URL, present: true}
  rollout: {stableFor: 1s, timeout: 30s}
`
}

// composeFile has ten services such as people write them.
func composeFile(image string) string {
	var text strings.Builder
	text.WriteString("x-environment: &environment\n  REDIS_URL: redis://redis:6379/0\n  LOG_LEVEL: info\n  TZ: Europe/Berlin\n\nservices:\n")
	for i := range perProject {
		fmt.Fprintf(&text, `  app%d:
    image: %s
    command: ["serve", "--port", "80%02d"]
    restart: unless-stopped
    labels:
      com.example.team: platform
      com.example.tier: "%d"
    environment:
      <<: *environment
      APP_NAME: app%d
      DATABASE_URL: postgres://app%d:secret@db:5432/app
      %s: ${%s:-true}
      CELERY_BEAT_MIN_SYNC_INTERVAL: "5"
      WORKERS: "4"
    healthcheck:
      test: ["CMD", "/app", "healthcheck"]
      interval: 10s
`, i, image, i, i%3, i, i, switched, switched)
	}
	return text.String()
}

// world is an engine in memory behind a socket, with projects of ten containers each whose files lie on the disk.
type world struct {
	t        *testing.T
	size     int // containers
	folder   string
	socket   string
	memory   *enginetest.Engine
	services map[bool]map[string]enginetest.Service // as the files have it, and as a shell has overridden them

	mu       sync.Mutex
	requests map[string]int
}

func newWorld(t *testing.T, size int) *world {
	t.Helper()
	folder := t.TempDir()
	w := &world{
		t: t, size: size, folder: folder, socket: filepath.Join(folder, "engine.sock"), memory: enginetest.New(enginetest.Options{}),
		services: map[bool]map[string]enginetest.Service{}, requests: map[string]int{},
	}
	w.memory.AddImage(enginetest.Image{Name: imageName, Config: container.Config{
		Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "APP_HOME=/srv/app"}, Entrypoint: []string{"/app"}, WorkingDir: "/srv/app",
	}})
	for i := range size / perProject {
		w.write(w.directory(i), "compose.yaml", composeFile(imageName))
	}
	w.services[true], w.services[false] = w.load(), w.load(switched+"=false")
	for i := range size / perProject {
		w.memory.AddNetwork(project(i)+"_default", netip.PrefixFrom(address(i, -2), 24).String())
		for service := range perProject {
			w.add(i, service, true)
		}
	}
	stop, err := wire.Listen(context.WithoutCancel(t.Context()), w.socket, wire.Handler(w.memory, w.asked))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return w
}

func project(i int) string { return fmt.Sprintf("shop%04d", i) }

// address is one of the project's network, of which -2 is the first.
func address(i, service int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i / 200), byte(i % 200), byte(service + 2)})
}

func (w *world) directory(i int) string { return filepath.Join(w.folder, "srv", project(i)) }

func (w *world) write(folder, name, content string) {
	w.t.Helper()
	err := os.MkdirAll(folder, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// load is what docker compose would make of a project's services, with such a shell. Nothing of it depends on which project it is.
func (w *world) load(environ ...string) map[string]enginetest.Service {
	w.t.Helper()
	loaded, err := compose.Load(w.t.Context(), compose.Options{Directory: w.directory(0), Environ: environ})
	if err != nil {
		w.t.Fatal(err)
	}
	flavor, _ := compose.FlavorOf("2.40.3")
	services := map[string]enginetest.Service{}
	for name, service := range loaded.Services {
		hash, err := loaded.Hash(name, flavor)
		if err != nil {
			w.t.Fatal(err)
		}
		env := map[string]string{}
		for key, variable := range service.Environment {
			env[key] = *variable.Value
		}
		services[name] = enginetest.Service{Name: name, Image: service.Image, ConfigHash: hash, Env: env, Labels: service.Labels}
	}
	return services
}

// add starts a container as docker compose does, as the files have it or as a shell has overridden them.
func (w *world) add(i, service int, asFiles bool) {
	w.t.Helper()
	added := w.services[asFiles][fmt.Sprintf("app%d", service)]
	added.Project = project(i)
	added.Labels = maps.Clone(added.Labels)
	added.Labels[engine.LabelWorkingDir] = w.directory(i)
	added.Labels[engine.LabelConfigFiles] = filepath.Join(w.directory(i), "compose.yaml")
	added.Edit = func(spec *engine.Spec) {
		spec.Host.RestartPolicy = container.RestartPolicy{Name: container.RestartPolicyUnlessStopped}
		// An address that is asked for need not be looked for among those of all containers.
		spec.Network.EndpointsConfig[string(spec.Host.NetworkMode)].IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: address(i, service)}
	}
	_, err := w.memory.AddService(w.t.Context(), added)
	w.must(err)
}

// recreate puts another container in the place of one, as somebody's docker compose up does, and about as fast as a real engine can: events
// that come all at once would be looked at all at once.
func (w *world) recreate(i, service int, asFiles bool) {
	w.t.Helper()
	name := fmt.Sprintf("app%d", service)
	c, err := w.memory.Inspect(w.t.Context(), fmt.Sprintf("/%s-%s-1", project(i), name))
	if err != nil {
		w.t.Fatal(err)
	}
	w.must(w.memory.Remove(w.t.Context(), c.ID, true))
	w.pause()
	wanted := w.services[asFiles][name]
	c.Config.Hostname, c.Config.Env = "", nil
	for key, value := range wanted.Env {
		c.Config.Env = append(c.Config.Env, key+"="+value)
	}
	c.Config.Labels[engine.LabelConfigHash] = wanted.ConfigHash
	id, err := w.memory.Create(w.t.Context(), engine.Spec{
		Name: c.CleanName(), Config: c.Config, Host: c.HostConfig,
		Network: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			string(c.HostConfig.NetworkMode): {
				Aliases: []string{c.CleanName(), name}, IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: address(i, service)},
			},
		}},
	})
	w.must(err)
	w.pause()
	w.must(w.memory.Start(w.t.Context(), id))
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// pause is about what an engine takes for one step.
func (w *world) pause() {
	timer := time.NewTimer(50 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.t.Context().Done():
	}
}

// asked counts a request by its kind.
func (w *world) asked(method, path string) {
	kind := method + " " + path
	switch {
	case path == "/containers/json":
		kind = "list"
	case method == "GET" && strings.HasPrefix(path, "/containers/") && strings.HasSuffix(path, "/json"):
		kind = "inspect"
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests[kind]++
}

// counts are the requests until now.
func (w *world) counts() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.requests)
}
