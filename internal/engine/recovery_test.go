package engine_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
)

const newID = "cccccccccccc0000000000000000000000000000000000000000000000000000"

func named(id, name, policy, replaces string) engine.Container {
	labels := map[string]string{}
	if replaces != "" {
		labels[engine.LabelReplaces], labels[engine.LabelTransaction] = replaces, "tx"
	}
	return engine.Container{InspectResponse: container.InspectResponse{
		ID:         id,
		Name:       "/" + name,
		Config:     &container.Config{Labels: labels},
		HostConfig: &container.HostConfig{RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyMode(policy)}},
	}}
}

func TestUnfinished(t *testing.T) {
	undo := []string{
		"docker rm -f $(docker ps -aq --filter label=composure.replaces=" + oldID + ")",
		"docker rename aaaaaaaaaaaa web",
		"docker update --restart=always aaaaaaaaaaaa",
		"docker start aaaaaaaaaaaa",
	}
	cases := map[string]struct {
		reason     string
		containers []engine.Container
		want       []engine.Leftover
	}{
		"Nothing": {
			reason:     "A committed replacement points at a container that is gone.",
			containers: []engine.Container{named(newID, "web", "always", oldID)},
		},
		"BeforeRename": {
			reason:     "The old one still has its name; only the new one is too many.",
			containers: []engine.Container{named(oldID, "web", "no", ""), named(newID, "web.composure-new", "always", oldID)},
			want: []engine.Leftover{
				{Container: "web.composure-new", ID: newID, Kind: engine.LeftoverReplacement, Transaction: "tx", Commands: undo},
			},
		},
		"AfterRename": {
			reason:     "Both can be told; the restart policy is the one that only the new one still has.",
			containers: []engine.Container{named(oldID, "web.composure-old", "no", ""), named(newID, "web", "always", oldID)},
			want: []engine.Leftover{
				{Container: "web.composure-old", ID: oldID, Kind: engine.LeftoverKept, Commands: undo},
				{Container: "web", ID: newID, Kind: engine.LeftoverReplacement, Transaction: "tx", Commands: undo},
			},
		},
		"KeptAlone": {
			reason:     "An old container whose replacement is gone takes its name back.",
			containers: []engine.Container{named(oldID, "web.composure-old", "no", "")},
			want: []engine.Leftover{
				{Container: "web.composure-old", ID: oldID, Kind: engine.LeftoverKept, Commands: []string{"docker rename aaaaaaaaaaaa web", "docker start aaaaaaaaaaaa"}},
			},
		},
		"Rebuilding": {
			reason: "The new one, stopped for what is made again, is all that has the name.",
			containers: []engine.Container{
				named(newID, "web", "always", oldID), rebuilt(strings.Repeat("d", 64), "web.composure-back"),
			},
			want: []engine.Leftover{
				{Container: "web", ID: newID, Kind: engine.LeftoverReplacement, Transaction: "tx", Commands: []string{"docker start cccccccccccc"}},
				{Container: "web.composure-back", ID: strings.Repeat("d", 64), Kind: engine.LeftoverReplacement, Transaction: "tx", Commands: []string{"docker rm -f dddddddddddd"}},
			},
		},
		"Rebuilt": {
			reason:     "What was made again has the name, and equals the original.",
			containers: []engine.Container{rebuilt(newID, "web")},
		},
		"NewAlone": {
			reason:     "A concurrent up removed the old one and made its own: the half-made one is too many.",
			containers: []engine.Container{named(strings.Repeat("d", 64), "web", "always", ""), named(newID, "web.composure-new", "always", oldID)},
			want: []engine.Leftover{
				{Container: "web.composure-new", ID: newID, Kind: engine.LeftoverReplacement, Transaction: "tx", Commands: []string{"docker rm -f cccccccccccc"}},
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, engine.Unfinished(tc.containers), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s\n(-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// rebuilt is what an undo has made in the place of an original that was gone.
func rebuilt(id, name string) engine.Container {
	c := named(id, name, "always", oldID)
	c.Config.Labels[engine.LabelTransaction] = "tx/undo"
	return c
}

func TestUnfinishedCompose(t *testing.T) {
	const temporary = "aaaaaaaaaaaa_shop-web-1"
	other := strings.Repeat("d", 64)
	remove := []string{"docker rm -f cccccccccccc"}
	rename := []string{"docker rename cccccccccccc shop-web-1", "docker start cccccccccccc"}
	cases := map[string]struct {
		reason     string
		containers []engine.Container
		want       []string // commands; nil: no leftover
	}{
		"OriginalThere": {
			reason:     "The name holds the short id of a container that is there.",
			containers: []engine.Container{named(newID, temporary, "always", ""), named(oldID, "shop-web-1", "always", "")},
			want:       remove,
		},
		"NameTaken": {
			reason:     "Another container of the same place in the service has the final name.",
			containers: []engine.Container{instance(newID, temporary, "1"), instance(other, "shop-web-1", "1")},
			want:       remove,
		},
		"ReplacesName": {
			reason:     "docker compose was cut off before the rename, and notes the name without the project.",
			containers: []engine.Container{replacing(temporary, "web-1")},
			want:       rename,
		},
		"ReplacesContainerName": {
			reason:     "It notes a container_name whole.",
			containers: []engine.Container{replacing(temporary, "shop-web-1")},
			want:       rename,
		},
		"ReplacesID": {
			reason:     "Its older versions note the id.",
			containers: []engine.Container{replacing(temporary, oldID)},
			want:       rename,
		},
		"ContainerName": {
			reason:     "A container_name that looks like a temporary name.",
			containers: []engine.Container{named(newID, "deadbeef1234_x", "always", ""), named(oldID, "x", "always", "")},
		},
		"ContainerNameRecreated": {
			reason:     "The label of a recreation long done stays, with that very name.",
			containers: []engine.Container{replacing("deadbeef1234_x", "deadbeef1234_x")},
		},
		"ContainerNameRecreatedOnce": {
			reason:     "The same by an older docker compose, with an id.",
			containers: []engine.Container{replacing("deadbeef1234_x", oldID)},
		},
		"AnotherInstance": {
			reason:     "The final name belongs to another place in the service.",
			containers: []engine.Container{instance(newID, temporary, "2"), instance(other, "shop-web-1", "1")},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var want []engine.Leftover
			if tc.want != nil {
				want = []engine.Leftover{{Container: temporary, ID: newID, Kind: engine.LeftoverCompose, Commands: tc.want}}
			}
			if diff := cmp.Diff(want, engine.Unfinished(tc.containers)); diff != "" {
				t.Errorf("%s\n(-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// instance is a container of service web.
func instance(id, name, number string) engine.Container {
	c := named(id, name, "always", "")
	c.Config.Labels = map[string]string{engine.LabelProject: "shop", engine.LabelService: "web", engine.LabelContainerNumber: number}
	return c
}

// replacing is a container that docker compose has made in place of another.
func replacing(name, replaced string) engine.Container {
	c := instance(newID, name, "1")
	c.Config.Labels[engine.LabelReplace] = replaced
	return c
}

func TestRecoveryCommands(t *testing.T) {
	old := named(oldID, "web", "on-failure", "")
	old.HostConfig.RestartPolicy.MaximumRetryCount = 3
	want := []string{
		"docker rm -f $(docker ps -aq --filter label=composure.replaces=" + oldID + ")",
		"docker rename aaaaaaaaaaaa web",
		"docker update --restart=on-failure:3 aaaaaaaaaaaa",
		"docker start aaaaaaaaaaaa",
	}
	if diff := cmp.Diff(want, engine.RecoveryCommands(old)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
