package bench

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
)

const (
	crowd   = 100 // containers on the real engine
	samples = 60
	prompt  = 50 * time.Millisecond // the median that is promised
)

// TestLatency measures on the real engine how long it takes from a container's start, by the event's own time, to the line of the log
// that says what is wrong with it.
func TestLatency(t *testing.T) {
	if !full() {
		t.Skip("runs a hundred containers: COMPOSURE_BENCH=full")
	}
	r := newReal(t)
	d := start(t, r.host, r.folder, "Audit")
	d.until("a look at every project", func(states map[string]said) bool {
		for i := range crowd / perProject {
			if !states[r.project(i)].Ready {
				return false
			}
		}
		return true
	})
	started := r.starts(t)
	var took []time.Duration
	for n := range samples {
		i, service := n%(crowd/perProject), n/(crowd/perProject)%perProject
		id := r.recreate(i, service, false)
		event := <-started
		for event.Actor.ID != id {
			event = <-started
		}
		found := d.find(r.project(i), 1)
		took = append(took, found.Time.Sub(time.Unix(0, event.TimeNano)))
		r.recreate(i, service, true)
		d.find(r.project(i), 0)
	}
	slices.Sort(took)
	at := func(share float64) time.Duration { return took[min(int(share*float64(len(took))), len(took)-1)] }
	t.Logf("from the start event to the finding, %d containers running, n = %d: median %.1f ms, p90 %.1f ms, p99 %.1f ms, from %.1f to %.1f ms",
		crowd, len(took), milliseconds(at(0.5)), milliseconds(at(0.9)), milliseconds(at(0.99)), milliseconds(took[0]), milliseconds(at(1)))
	if at(0.5) > prompt {
		t.Errorf("the median is more than %s", prompt)
	}
}

// real is a hundred containers on the engine that the environment means, as docker compose labels them. They share no network, which
// would take long to make.
type real struct {
	t        *testing.T
	api      *client.Client
	host     string
	prefix   string // of all names
	folder   string
	image    string
	services map[bool]map[string]compose.Service // as the files have it, and as a shell has overridden them
	hashes   map[bool]map[string]string
}

func newReal(t *testing.T) *real {
	t.Helper()
	api, err := client.New(client.FromEnv)
	if err == nil {
		_, err = api.Ping(t.Context(), client.PingOptions{NegotiateAPIVersion: true})
	}
	if err != nil {
		if os.Getenv("COMPOSURE_REQUIRE_ENGINE") == "1" {
			t.Fatalf("no Docker Engine: %v", err)
		}
		t.Skipf("needs a Docker Engine: %v", err)
	}
	r := &real{
		t: t, api: api, host: cmp.Or(os.Getenv("DOCKER_HOST"), client.DefaultDockerHost), prefix: fmt.Sprintf("bench-%d-", os.Getpid()), folder: t.TempDir(),
		services: map[bool]map[string]compose.Service{}, hashes: map[bool]map[string]string{},
	}
	r.image = r.prefix + "app:1"
	r.importImage()
	for i := range crowd / perProject {
		r.must(os.MkdirAll(r.directory(i), 0o755))
		r.must(os.WriteFile(filepath.Join(r.directory(i), "compose.yaml"), []byte(composeFile(r.image)), 0o600))
	}
	r.load(true)
	r.load(false, switched+"=false")
	t.Cleanup(r.remove)
	for i := range crowd / perProject {
		for service := range perProject {
			r.add(i, service, true)
		}
	}
	return r
}

func (r *real) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *real) project(i int) string { return fmt.Sprintf("%sshop%d", r.prefix, i) }

func (r *real) directory(i int) string { return filepath.Join(r.folder, "srv", r.project(i)) }

func (r *real) name(i, service int) string { return fmt.Sprintf("%s-app%d-1", r.project(i), service) }

// importImage makes an image of one static program that waits to be told to end.
func (r *real) importImage() {
	r.t.Helper()
	program := filepath.Join(r.folder, "app")
	r.must(compile(program, "../compose/testdata/pause"))
	content, err := os.ReadFile(program)
	r.must(err)
	var layer bytes.Buffer
	archive := tar.NewWriter(&layer)
	r.must(archive.WriteHeader(&tar.Header{Name: "app", Mode: 0o755, Size: int64(len(content))}))
	_, err = archive.Write(content)
	r.must(err)
	r.must(archive.Close())
	progress, err := r.api.ImageImport(r.t.Context(), client.ImageImportSource{Source: &layer, SourceName: "-"}, r.image, client.ImageImportOptions{
		Changes: []string{`ENTRYPOINT ["/app"]`},
	})
	r.must(err)
	defer progress.Close()
	_, err = io.Copy(io.Discard, progress)
	r.must(err)
}

func (r *real) load(asFiles bool, environ ...string) {
	r.t.Helper()
	loaded, err := compose.Load(r.t.Context(), compose.Options{Directory: r.directory(0), Environ: environ})
	r.must(err)
	flavor, _ := compose.FlavorOf("2.40.3")
	r.services[asFiles], r.hashes[asFiles] = map[string]compose.Service{}, map[string]string{}
	for name, service := range loaded.Services {
		r.services[asFiles][name] = *service
		r.hashes[asFiles][name], err = loaded.Hash(name, flavor)
		r.must(err)
	}
}

// add starts a container as docker compose would, and returns its id.
func (r *real) add(i, number int, asFiles bool) string {
	r.t.Helper()
	name := fmt.Sprintf("app%d", number)
	service := r.services[asFiles][name]
	config := &container.Config{Image: r.image, Labels: map[string]string{
		engine.LabelProject: r.project(i), engine.LabelService: name, engine.LabelContainerNumber: "1", engine.LabelOneoff: "False",
		engine.LabelVersion: "2.40.3", engine.LabelConfigHash: r.hashes[asFiles][name], engine.LabelWorkingDir: r.directory(i),
		engine.LabelConfigFiles: filepath.Join(r.directory(i), "compose.yaml"),
	}}
	maps.Copy(config.Labels, service.Labels)
	for key, variable := range service.Environment {
		config.Env = append(config.Env, key+"="+*variable.Value)
	}
	created, err := r.api.ContainerCreate(r.t.Context(), client.ContainerCreateOptions{
		Name: r.name(i, number), Config: config, HostConfig: &container.HostConfig{NetworkMode: "none"},
	})
	r.must(err)
	_, err = r.api.ContainerStart(r.t.Context(), created.ID, client.ContainerStartOptions{})
	r.must(err)
	return created.ID
}

func (r *real) recreate(i, number int, asFiles bool) string {
	r.t.Helper()
	_, err := r.api.ContainerRemove(r.t.Context(), r.name(i, number), client.ContainerRemoveOptions{Force: true})
	r.must(err)
	return r.add(i, number, asFiles)
}

// starts are the engine's events of containers that start.
func (r *real) starts(t *testing.T) <-chan events.Message {
	t.Helper()
	stream := r.api.Events(t.Context(), client.EventsListOptions{Filters: client.Filters{}.Add("type", "container").Add("event", "start")})
	return stream.Messages
}

// remove goes by names, so that it leaves alone what is not ours.
func (r *real) remove() {
	ctx := context.WithoutCancel(r.t.Context())
	for i := range crowd / perProject {
		for service := range perProject {
			_, _ = r.api.ContainerRemove(ctx, r.name(i, service), client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		}
	}
	if _, err := r.api.ImageRemove(ctx, r.image, client.ImageRemoveOptions{}); err != nil {
		r.t.Errorf("remove image %s: %v", r.image, err)
	}
	_ = r.api.Close()
}
