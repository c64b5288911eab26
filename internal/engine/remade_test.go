package engine_test

import (
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
)

func TestRemade(t *testing.T) {
	tests := map[string]struct {
		reason string
		change func(*enginetest.Service)
		want   string
	}{
		"Equal":      {"it is the same service", func(*enginetest.Service) {}, ""},
		"Version":    {"another docker compose made it", func(s *enginetest.Service) { s.Version, s.ConfigHash = "5.6.0", "other" }, ""},
		"Dependency": {"with --no-deps none is noted", func(s *enginetest.Service) { delete(s.Labels, engine.LabelDependsOn) }, ""},
		"Label":      {"one of the user's", func(s *enginetest.Service) { s.Labels["own"] = "2" }, "Config.Labels.own: "},
		"Env":        {"the value is not told", func(s *enginetest.Service) { s.Env["TOKEN"] = "new-secret" }, "Config.Env.TOKEN: ******** -> ********"},
		"Command": {"what else the files say", func(s *enginetest.Service) {
			s.Edit = func(spec *engine.Spec) { spec.Config.Cmd = []string{"other"} }
		}, "Config.Cmd: "},
		"Restart": {"how it is restarted", func(s *enginetest.Service) {
			s.Edit = func(spec *engine.Spec) { spec.Host.RestartPolicy.Name = container.RestartPolicyAlways }
		}, "HostConfig.RestartPolicy.Name: "},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := enginetest.New(enginetest.Options{})
			e.AddImage(enginetest.Image{Name: "shop:1"})
			started := func(change func(*enginetest.Service)) engine.Container {
				s := enginetest.Service{
					Project: "shop", Name: "app", Image: "shop:1", Env: map[string]string{"TOKEN": "old-secret"},
					Labels: map[string]string{"own": "1", engine.LabelDependsOn: "redis:service_started:false"},
				}
				change(&s)
				c, err := e.AddService(t.Context(), s)
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			old := started(func(*enginetest.Service) {})
			if err := e.Remove(t.Context(), old.ID, true); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range engine.Remade(old, started(tc.change), nil) {
				got = append(got, d.String())
			}
			told := strings.Join(got, "; ")
			if !strings.HasPrefix(told, tc.want) || (told == "") != (tc.want == "") || strings.Contains(told, "secret") {
				t.Errorf("%s: %q, want %q", tc.reason, told, tc.want)
			}
		})
	}
}

// What lives in another's network refers to what is in that one's place, and has its host name.
func TestRemadeWithItsParent(t *testing.T) {
	e := enginetest.New(enginetest.Options{})
	e.AddImage(enginetest.Image{Name: "shop:1"})
	up := func() (parent, sidecar engine.Container) {
		parent, err := e.AddService(t.Context(), enginetest.Service{Project: "shop", Name: "app", Image: "shop:1"})
		if err != nil {
			t.Fatal(err)
		}
		sidecar, err = e.AddService(t.Context(), enginetest.Service{Project: "shop", Name: "agent", Image: "shop:1", Edit: func(spec *engine.Spec) {
			spec.Host.NetworkMode, spec.Network = container.NetworkMode("container:"+parent.ID), nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		return parent, sidecar
	}
	oldParent, oldSidecar := up()
	for _, c := range []engine.Container{oldSidecar, oldParent} {
		if err := e.Remove(t.Context(), c.ID, true); err != nil {
			t.Fatal(err)
		}
	}
	parent, sidecar := up()
	if differences := engine.Remade(oldSidecar, sidecar, map[string]string{oldParent.ID: parent.ID}); len(differences) > 0 {
		t.Errorf("it differs in %v", differences)
	}
	if differences := engine.Remade(oldSidecar, sidecar, nil); len(differences) == 0 {
		t.Error("it lives in the network of nobody knows whom, and equals the old one")
	}
}
