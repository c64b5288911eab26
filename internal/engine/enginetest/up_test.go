package enginetest_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
)

const sharing = `
services:
  sidecar: {image: "web:1"}
  web: {image: "web:1", deploy: {replicas: 2}}
  idle: {image: "web:1", scale: 0}
`

func TestUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "compose.yaml")
	if err := os.WriteFile(path, []byte(sharing), 0o600); err != nil {
		t.Fatal(err)
	}
	project, err := compose.Load(t.Context(), compose.Options{Files: []string{path}, Directory: filepath.Dir(path), Name: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	e := enginetest.New(enginetest.Options{})
	e.AddImage(enginetest.Image{Name: "web:1"})
	decisions, err := e.Up(t.Context(), project, func(service string, spec *engine.Spec) {
		if service == "sidecar" {
			spec.Host.NetworkMode, spec.Host.PidMode = "service:web", "service:web"
			spec.Host.VolumesFrom = []string{"web:ro"}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]enginetest.Decision{"sidecar": enginetest.Started, "web": enginetest.Started, "idle": enginetest.Running}, decisions); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	containers := map[string]engine.Container{}
	listed, err := e.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range listed {
		if !c.Running() {
			t.Errorf("%s is %s", c.CleanName(), c.State.Status)
		}
		containers[c.CleanName()] = c
	}
	web, sidecar := containers["shop-web-1"], containers["shop-sidecar-1"]
	if _, second := containers["shop-web-2"]; len(containers) != 3 || !second || sidecar.HostConfig == nil {
		t.Fatalf("started are %q", slices.Sorted(maps.Keys(containers)))
	}
	if host := sidecar.HostConfig; host.NetworkMode != container.NetworkMode("container:"+web.ID) ||
		host.PidMode != container.PidMode("container:"+web.ID) || host.VolumesFrom[0] != web.ID+":ro" {
		t.Errorf("the sidecar shares %q %q %q, want those of %s", host.NetworkMode, host.PidMode, host.VolumesFrom, web.ID)
	}
	again, err := e.Up(t.Context(), project, nil)
	if err != nil || again["sidecar"] != enginetest.Running || again["web"] != enginetest.Running {
		t.Errorf("a second up: %v, %v", again, err)
	}
}

func TestUpWithUnknownService(t *testing.T) {
	path := filepath.Join(t.TempDir(), "compose.yaml")
	if err := os.WriteFile(path, []byte(`services: {web: {image: "web:1"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	project, err := compose.Load(t.Context(), compose.Options{Files: []string{path}, Directory: filepath.Dir(path), Name: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	e := enginetest.New(enginetest.Options{})
	e.AddImage(enginetest.Image{Name: "web:1"})
	for _, other := range []container.NetworkMode{"service:db", "service:web"} {
		_, err = e.Up(t.Context(), project, func(_ string, spec *engine.Spec) { spec.Host.NetworkMode = other })
		if left, _ := e.List(t.Context()); err == nil || len(left) > 0 {
			t.Errorf("%s: got %v and %d containers, want an error and none", other, err, len(left))
		}
	}
}
