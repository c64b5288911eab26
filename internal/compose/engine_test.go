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
	"github.com/moby/moby/client/pkg/versions"
)

const (
	engineProject = "cmpc-test"
	engineImage   = "cmpc-test:1"

	labelService = "com.docker.compose.service"
	labelHash    = "com.docker.compose.config-hash"
	labelVersion = "com.docker.compose.version"
)

// TestEngine starts a project with a real compose and holds labels and environments against what this package says; then edits the
// files by hand and holds the stamp against the label that the next real up writes.
func TestEngine(t *testing.T) {
	e := newEngine(t, engineProject, engineImage, "engine.txtar")
	e.run(t, []string{"FROM_SHELL=at up"}, "up", "-d")
	now := e.load(t)
	first := e.containers(t)
	declared := 0
	for _, s := range now.Services {
		declared += s.Replicas
	}
	if len(first) != declared {
		t.Fatalf("compose made %d containers of %d", len(first), declared)
	}
	flavor, known := FlavorOf(first["none-1"].Config.Labels[labelVersion])
	if !known || flavor&(FlavorNull|FlavorDeploy) != 0 {
		t.Skip("this compose resolves environments otherwise: 2.35 or later is needed")
	}
	e.checkInjected(t, now, first)
	e.checkMAC(t, first["injected-1"])
	for name, c := range first {
		// The shell that put it up is not the one that asks, which is what the proof has to see through.
		if name == "shell-1" || name == "list-1" {
			continue
		}
		if diff := cmp.Diff(present(c), e.replace(t, now, c, nil)); diff != "" {
			t.Errorf("%s: unchanged files (-compose +here):\n%s", name, diff)
		}
	}

	e.edit(t)
	edited := e.load(t)
	e.run(t, nil, "up", "-d", "--timeout", "1")
	made, foreseen := map[string]Replacement{}, map[string]Replacement{}
	for name, c := range e.containers(t) {
		made[name] = present(c)
		after := sharedBy(c)
		foreseen[name] = e.replace(t, edited, first[name], &after)
	}
	if diff := cmp.Diff(made, foreseen); diff != "" {
		t.Errorf("replacements (-of the next up +here):\n%s", diff)
	}
}

// checkInjected looks into containers for the files that compose is said to have copied there.
func (e *engine) checkInjected(t *testing.T, p *Project, containers map[string]container.InspectResponse) {
	t.Helper()
	want := []string{"/etc/variable", "/inline", "/run/secrets/other", "/run/secrets/variable"}
	if diff := cmp.Diff(want, p.Services["injected"].Injected); diff != "" {
		t.Errorf("copied files (-want +got):\n%s", diff)
	}
	for _, path := range want {
		if _, err := e.client.ContainerStatPath(t.Context(), containers["injected-1"].ID, client.ContainerStatPathOptions{Path: path}); err != nil {
			t.Errorf("compose has not copied %s: %v", path, err)
		}
	}
	empty := []string{"/empty", "/run/secrets/blank"}
	if diff := cmp.Diff(empty, p.Services["injected"].MayInject); diff != "" {
		t.Errorf("empty files (-want +got):\n%s", diff)
	}
	for _, path := range empty {
		found, err := e.client.ContainerStatPath(t.Context(), containers["injected-1"].ID, client.ContainerStatPathOptions{Path: path})
		if err == nil && !found.Stat.Mode.IsDir() { // for a content that is empty it mounts the project's folder
			t.Errorf("compose has copied %s, which is empty", path)
		}
	}
}

// checkMAC looks for the address that a service has asked for on its second network: below API 1.44 compose itself leaves it out.
func (e *engine) checkMAC(t *testing.T, c container.InspectResponse) {
	t.Helper()
	want := versions.GreaterThanOrEqualTo(e.client.ClientVersion(), "1.44")
	for name, endpoint := range c.NetworkSettings.Networks {
		given := endpoint.MacAddress.String() == "02:00:00:00:00:01"
		if given != (want && strings.HasSuffix(name, "_front")) {
			t.Errorf("network %s at API %s: MAC address %s", name, e.client.ClientVersion(), endpoint.MacAddress)
		}
	}
}

// engine is a project folder and the engine it is put up on.
type engine struct {
	client         *client.Client
	project, image string
	compose        string
	dir            string
	files          []string // -f and a file, each
	imageEnv       map[string]string
	volumes        []string // an up that recreates leaves anonymous ones behind
}

// newEngine writes the archive of testdata into a folder, for a project of that name whose services have the image.
func newEngine(t *testing.T, project, image, archive string) *engine {
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
	content, err := os.ReadFile(filepath.Join("testdata", archive))
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{
		client: c, project: project, image: image, compose: binary, dir: write(t, string(content)),
		imageEnv: map[string]string{"PATH": "/bin", "IMAGE": "image"},
	}
	e.importImage(t)
	return e
}

// importImage makes an image of a program that waits.
func (e *engine) importImage(t *testing.T) {
	t.Helper()
	changes := []string{`ENTRYPOINT ["/pause"]`}
	for _, key := range slices.Sorted(maps.Keys(e.imageEnv)) {
		changes = append(changes, "ENV "+key+"="+e.imageEnv[key])
	}
	result, err := e.client.ImageImport(t.Context(),
		client.ImageImportSource{Source: pause(t), SourceName: "-"}, e.image, client.ImageImportOptions{Changes: changes})
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
		e.run(t, []string{"FROM_SHELL=shell"}, "--profile", "*", "down", "--volumes", "--timeout", "0", "--rmi", "all")
		for _, name := range e.volumes {
			_, _ = e.client.VolumeRemove(context.WithoutCancel(t.Context()), name, client.VolumeRemoveOptions{})
		}
	})
}

// pause is the file system of an image: testdata/pause, compiled.
func pause(t *testing.T) io.Reader {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "pause")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "./testdata/pause")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: "pause", Mode: 0o755, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &archive
}

// run returns what compose prints.
func (e *engine) run(t *testing.T, env []string, args ...string) string {
	t.Helper()
	// The test's own context is over when the clean-up runs.
	cmd := exec.Command(e.compose, slices.Concat([]string{"-p", e.project}, e.files, args)...)
	cmd.Dir = e.dir
	cmd.Env = append([]string{"HOME=/home/user", "PATH=" + os.Getenv("PATH"), "DOCKER_HOST=" + os.Getenv("DOCKER_HOST"), "DOCKER_CONFIG=" + filepath.Join(e.dir, "docker")}, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("compose %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (e *engine) load(t *testing.T) *Project {
	t.Helper()
	return mustLoad(t, Options{Directory: e.dir, Name: e.project, Environ: []string{"HOME=/home/user"}})
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

// containers are those of the project by service and number, as in web-1.
func (e *engine) containers(t *testing.T) map[string]container.InspectResponse {
	t.Helper()
	list, err := e.client.ContainerList(t.Context(), client.ContainerListOptions{
		All: true, Filters: client.Filters{}.Add("label", labelProject+"="+e.project),
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
		out[strings.TrimPrefix(c.Container.Name, "/"+e.project+"-")] = c.Container
		for _, mount := range c.Container.Mounts {
			if mount.Name != "" {
				e.volumes = append(e.volumes, mount.Name)
			}
		}
	}
	return out
}

// replace is what the successor of c would be created with that refers to other containers as in after; nil: as c does.
func (e *engine) replace(t *testing.T, p *Project, c container.InspectResponse, after *Shared) Replacement {
	t.Helper()
	name := c.Config.Labels[labelService]
	replacement, err := p.Replace(ReplaceQuestion{
		Service: name, Env: parseEnv(c.Config.Env), ImageEnv: e.imageEnv, Hash: c.Config.Labels[labelHash], Version: c.Config.Labels[labelVersion],
		Shared: sharedBy(c), AfterShared: after,
	})
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return replacement
}

// present is what the container was created with.
func present(c container.InspectResponse) Replacement {
	return Replacement{Env: slices.Sorted(slices.Values(c.Config.Env)), Hash: c.Config.Labels[labelHash]}
}

// sharedBy is how the container refers to others.
func sharedBy(c container.InspectResponse) Shared {
	return Shared{Network: string(c.HostConfig.NetworkMode), Pid: string(c.HostConfig.PidMode), Ipc: string(c.HostConfig.IpcMode), VolumesFrom: c.HostConfig.VolumesFrom}
}
