package compose

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

const (
	engineProject = "cmpc-test"
	engineImage   = "cmpc-test:1"
)

// TestEngine puts a project up with a real compose and holds labels and environments against what this package says; then
// edits the files by hand and holds the stamp against the label that the next real up writes. Nothing is started.
func TestEngine(t *testing.T) {
	e := newEngine(t)
	e.up(t, "FROM_SHELL=at up")
	now := e.load(t)
	first := e.containers(t)
	if len(first) != len(now.Services) {
		t.Fatalf("compose made %d containers of %d services", len(first), len(now.Services))
	}
	version := first["none"].Config.Labels["com.docker.compose.version"]
	flavor, known := FlavorOf(version)
	if !known || flavor&(FlavorNull|FlavorDeploy) != 0 {
		t.Skipf("compose %s resolves environments otherwise: 2.35 or later is needed", version)
	}
	for name, c := range first {
		// The shell that put it up is not the one that asks, which is what the proof has to see through.
		if name == "shell" || name == "list" {
			continue
		}
		if diff := cmp.Diff(present(c), e.replace(t, now, name, c)); diff != "" {
			t.Errorf("%s: unchanged files (-compose +here):\n%s", name, diff)
		}
	}

	e.edit(t)
	edited := e.load(t)
	foreseen := map[string]Replacement{}
	for name, c := range first {
		foreseen[name] = e.replace(t, edited, name, c)
	}
	e.up(t)
	made := map[string]Replacement{}
	for name, c := range e.containers(t) {
		made[name] = present(c)
	}
	if diff := cmp.Diff(made, foreseen); diff != "" {
		t.Errorf("replacements (-of the next up +here):\n%s", diff)
	}
}

// engine is a project folder and the engine it is put up on.
type engine struct {
	client   *client.Client
	compose  string
	dir      string
	imageEnv map[string]string
	volumes  []string // an up that recreates leaves anonymous ones behind
}

func newEngine(t *testing.T) *engine {
	t.Helper()
	c, err := client.New(client.FromEnv)
	if err == nil {
		_, err = c.Ping(t.Context(), client.PingOptions{})
	}
	if err != nil {
		if os.Getenv("COMPOSURE_REQUIRE_ENGINE") == "1" {
			t.Fatalf("no engine: %v", err)
		}
		t.Skipf("no engine: %v", err)
	}
	binary := os.Getenv("COMPOSURE_COMPOSE")
	if binary == "" {
		t.Skip("COMPOSURE_COMPOSE names no docker-compose binary")
	}
	archive, err := os.ReadFile(filepath.Join("testdata", "engine.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{
		client: c, compose: binary, dir: write(t, string(archive)),
		imageEnv: map[string]string{"PATH": "/bin", "IMAGE": "image"},
	}
	e.importImage(t)
	return e
}

func (e *engine) importImage(t *testing.T) {
	t.Helper()
	var empty bytes.Buffer
	if err := tar.NewWriter(&empty).Close(); err != nil {
		t.Fatal(err)
	}
	change := "ENV"
	for _, key := range slices.Sorted(maps.Keys(e.imageEnv)) {
		change += " " + key + "=" + e.imageEnv[key]
	}
	result, err := e.client.ImageImport(t.Context(),
		client.ImageImportSource{Source: &empty, SourceName: "-"}, engineImage, client.ImageImportOptions{Changes: []string{change}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, result); err != nil {
		t.Fatal(err)
	}
	if err := result.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.run(t, nil, "down", "--volumes", "--timeout", "0", "--rmi", "all")
		for _, name := range e.volumes {
			_, _ = e.client.VolumeRemove(context.WithoutCancel(t.Context()), name, client.VolumeRemoveOptions{})
		}
	})
}

func (e *engine) up(t *testing.T, env ...string) {
	t.Helper()
	e.run(t, env, "up", "-d", "--no-start")
}

func (e *engine) run(t *testing.T, env []string, args ...string) {
	t.Helper()
	// The test's own context is over when the clean-up runs.
	cmd := exec.Command(e.compose, append([]string{"-p", engineProject}, args...)...)
	cmd.Dir = e.dir
	cmd.Env = append([]string{"HOME=/home/user", "PATH=" + os.Getenv("PATH"), "DOCKER_HOST=" + os.Getenv("DOCKER_HOST"), "DOCKER_CONFIG=" + filepath.Join(e.dir, "docker")}, env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("compose %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (e *engine) load(t *testing.T) *Project {
	t.Helper()
	return mustLoad(t, Options{Directory: e.dir, Name: engineProject, Environ: []string{"HOME=/home/user"}})
}

// edit puts the edited files in place.
func (e *engine) edit(t *testing.T) {
	t.Helper()
	for _, name := range []string{"compose.yaml", "two.env"} {
		if err := os.Rename(filepath.Join(e.dir, "edited", name), filepath.Join(e.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func (e *engine) containers(t *testing.T) map[string]container.InspectResponse {
	t.Helper()
	list, err := e.client.ContainerList(t.Context(), client.ContainerListOptions{
		All: true, Filters: client.Filters{}.Add("label", labelProject+"="+engineProject),
	})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]container.InspectResponse{}
	for _, item := range list.Items {
		c, err := e.client.ContainerInspect(t.Context(), item.ID, client.ContainerInspectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		out[item.Labels["com.docker.compose.service"]] = c.Container
		for _, mount := range c.Container.Mounts {
			if mount.Name != "" {
				e.volumes = append(e.volumes, mount.Name)
			}
		}
	}
	return out
}

// replace is what the successor of c, a container of the service called name, would be created with.
func (e *engine) replace(t *testing.T, p *Project, name string, c container.InspectResponse) Replacement {
	t.Helper()
	replacement, err := p.Replace(ReplaceQuestion{
		Service: name, Env: parseEnv(c.Config.Env), ImageEnv: e.imageEnv,
		Hash: c.Config.Labels["com.docker.compose.config-hash"], Version: c.Config.Labels["com.docker.compose.version"],
	})
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return replacement
}

// present is what the container was created with.
func present(c container.InspectResponse) Replacement {
	return Replacement{Env: slices.Sorted(slices.Values(c.Config.Env)), Hash: c.Config.Labels["com.docker.compose.config-hash"]}
}
