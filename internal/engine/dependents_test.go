package engine_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
)

func TestDependents(t *testing.T) {
	cases := map[string]struct {
		reason string
		host   *container.HostConfig
		want   bool
	}{
		"NetworkByID":      {"docker stores the id", &container.HostConfig{NetworkMode: "container:" + oldID}, true},
		"NetworkByName":    {"a name is resolved at each start", &container.HostConfig{NetworkMode: "container:web"}, true},
		"NetworkByPrefix":  {"a short id means the same container", &container.HostConfig{NetworkMode: container.NetworkMode("container:" + oldID[:12])}, true},
		"Pid":              {"the process namespace ends with its process 1", &container.HostConfig{PidMode: container.PidMode("container:" + oldID)}, true},
		"Ipc":              {"so does that of shared memory", &container.HostConfig{IpcMode: "container:web"}, true},
		"Volumes":          {"volumes are taken from it by name", &container.HostConfig{VolumesFrom: []string{"other", "web"}}, true},
		"VolumesReadOnly":  {"the mode is not part of the name", &container.HostConfig{VolumesFrom: []string{oldID + ":ro"}}, true},
		"Link":             {"a link is to the container and not to its name", &container.HostConfig{Links: []string{"/db:/candidate/db", "/web:/candidate/www"}}, true},
		"OtherLink":        {"the alias may be what it is", &container.HostConfig{Links: []string{"/db:/candidate/web"}}, false},
		"OtherContainer":   {"another container's namespace", &container.HostConfig{NetworkMode: "container:db"}, false},
		"LongerName":       {"a name is no prefix", &container.HostConfig{NetworkMode: "container:web2", VolumesFrom: []string{"web2:ro"}}, false},
		"NameLikeItsID":    {"a name goes before the beginning of an id", &container.HostConfig{NetworkMode: "container:aaaa"}, false},
		"NetworkOfTheName": {"a network may be called like a container", &container.HostConfig{NetworkMode: "web", IpcMode: "shareable"}, false},
		"NoReference":      {"nothing is named", &container.HostConfig{NetworkMode: "container:", VolumesFrom: []string{""}}, false},
		"NoHostConfig":     {"the engine told too little", nil, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			of := named(oldID, "web", "always", "")
			of.HostConfig.NetworkMode = "container:web" // even so it is no dependent of its own
			candidate := named(newID, "candidate", "no", "")
			candidate.HostConfig = tc.host
			all := []engine.Container{of, candidate, named(strings.Repeat("d", 64), "aaaa", "no", "")}
			var want []string
			if tc.want {
				want = []string{newID}
			}
			var got []string
			for _, c := range engine.Dependents(of, all) {
				got = append(got, c.ID)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s\n(-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
