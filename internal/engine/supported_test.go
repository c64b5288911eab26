package engine_test

import (
	"encoding/json"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/composure-dev/composure/internal/engine"
)

func TestSupported(t *testing.T) {
	cases := map[string]struct {
		reason string
		edit   func(*engine.Container, *engine.Info)
		want   string
	}{
		"Plain": {
			reason: "A running container of docker compose is what a swap is for.",
			edit:   func(*engine.Container, *engine.Info) {},
		},
		"Exited": {
			reason: "A stopped container is left to the next up.",
			edit:   func(c *engine.Container, _ *engine.Info) { c.State = &container.State{} },
			want:   "it is not running",
		},
		"Paused": {
			reason: "Somebody paused it for a reason.",
			edit:   func(c *engine.Container, _ *engine.Info) { c.State.Paused = true },
			want:   "it is paused",
		},
		"Restarting": {
			reason: "A crash loop may be for want of the very variable.",
			edit:   func(c *engine.Container, _ *engine.Info) { c.State.Restarting = true },
		},
		"SharedNetwork": {
			reason: "Its clone joins the same network, or that of the replacement.",
			edit:   func(c *engine.Container, _ *engine.Info) { c.HostConfig.NetworkMode = "container:abc" },
		},
		"SharedProcesses": {
			reason: "So do its processes.",
			edit:   func(c *engine.Container, _ *engine.Info) { c.HostConfig.PidMode = "container:abc" },
		},
		"SharedIPC": {
			reason: "So does its IPC.",
			edit:   func(c *engine.Container, _ *engine.Info) { c.HostConfig.IpcMode = "container:abc" },
		},
		"VolumesFrom": {
			reason: "What it inherits, its clone inherits.",
			edit:   func(c *engine.Container, _ *engine.Info) { c.HostConfig.VolumesFrom = []string{"abc"} },
		},
		"OneOff": {
			reason: "docker compose run made it for one command.",
			edit:   func(c *engine.Container, _ *engine.Info) { c.Config.Labels[engine.LabelOneoff] = "True" },
			want:   "it is a one-off container of docker compose run",
		},
		"Swarm": {
			reason: "Swarm would replace it.",
			edit:   func(c *engine.Container, _ *engine.Info) { c.Config.Labels["com.docker.swarm.task.id"] = "t" },
			want:   "a Swarm task is not supported yet",
		},
		"ComposeV1": {
			reason: "Its hash is another one.",
			edit:   func(c *engine.Container, _ *engine.Info) { c.Config.Labels[engine.LabelVersion] = "1.29.2" },
			want:   "docker-compose 1 is not supported yet",
		},
		"NoVersion": {
			reason: "Early versions did not say which they were.",
			edit:   func(c *engine.Container, _ *engine.Info) { delete(c.Config.Labels, engine.LabelVersion) },
			want:   "docker-compose 1 is not supported yet",
		},
		"NotCompose": {
			reason: "Without the label docker compose does not know it.",
			edit:   func(c *engine.Container, _ *engine.Info) { delete(c.Config.Labels, engine.LabelConfigHash) },
			want:   "it was not started by docker compose",
		},
		"AutoRemove": {
			reason: "The stop would delete it.",
			edit:   func(c *engine.Container, _ *engine.Info) { c.HostConfig.AutoRemove = true },
			want:   "it is removed when it stops, so it could not be put back",
		},
		"Links": {
			reason: "Links of the default bridge are asked for anew.",
			edit:   func(c *engine.Container, _ *engine.Info) { c.HostConfig.Links = []string{"/db:/web/db"} },
		},
		"Podman": {
			reason: "Its inspect answer is another one.",
			edit:   func(_ *engine.Container, info *engine.Info) { info.Podman = true },
			want:   "Podman is not supported yet",
		},
		"Hook": {
			reason: "docker compose runs and removes it itself.",
			edit:   func(c *engine.Container, _ *engine.Info) { c.Config.Labels[engine.LabelHook] = "pre_start" },
			want:   "it is a helper that docker compose runs for another container",
		},
		"MACBefore144": {
			reason: "It is sent as older engines take it.",
			edit: func(c *engine.Container, _ *engine.Info) {
				c.Raw = json.RawMessage(`{"Config": {"MacAddress": "02:00:00:00:00:01"}}`)
			},
		},
		"MACSince144": {
			reason: "Since API 1.44 it is an endpoint's.",
			edit: func(c *engine.Container, info *engine.Info) {
				c.Raw = json.RawMessage(`{"Config": {"MacAddress": "02:00:00:00:00:01"}}`)
				info.APIVersion = "1.44"
			},
		},
		"OwnLock": {
			reason: "Composure does not operate on itself.",
			edit:   func(c *engine.Container, _ *engine.Info) { c.Config.Labels[engine.LabelRole] = engine.RoleLock },
			want:   "it belongs to Composure itself",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			info := engine.Info{APIVersion: engine.MinAPIVersion, OSType: "linux"}
			c := original(func(c *engine.Container) {
				c.State = &container.State{Running: true}
				c.Config.Labels[engine.LabelVersion] = "2.40.3"
			}).Old
			tc.edit(&c, &info)
			if got := engine.Supported(c, info); got != tc.want {
				t.Errorf("%s\ngot %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

func TestMACHeld(t *testing.T) {
	const first, second, has = "02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:00:00:00:00:0c"
	cases := map[string]struct {
		reason string
		api    string
		told   string
		wanted []string
		held   bool
	}{
		"None":      {"the engine gives one", "1.44", "", nil, false},
		"First":     {"inspect tells of it", "1.44", first, []string{first}, false},
		"Spelling":  {"it is the same", "1.44", first, []string{"02-00-00-00-00-0A"}, false},
		"Second":    {"the replacement would get another", "1.44", "", []string{second}, true},
		"Both":      {"the replacement would get one of them", "1.44", first, []string{first, second}, true},
		"Since152":  {"inspect tells of none", "1.52", "", []string{first}, true},
		"Before144": {"docker compose leaves it out, too", "1.41", "", []string{second}, false},
		"Own":       {"the container's own is kept", "1.41", first, []string{first}, false},
		"Older":     {"a newer engine is spoken to as if it were older, and the container has the address", "1.43", "", []string{has}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := engine.Container{Raw: json.RawMessage(`{"Config": {"MacAddress": "` + tc.told + `"}}`)}
			c.NetworkSettings = &container.NetworkSettings{Networks: map[string]*network.EndpointSettings{
				"front": {}, "back": {MacAddress: network.HardwareAddr{2, 0, 0, 0, 0, 0xc}},
			}}
			if got := engine.MACHeld(c, tc.wanted, engine.Info{APIVersion: tc.api}); (got != "") != tc.held {
				t.Errorf("%s: %q", tc.reason, got)
			}
		})
	}
}
