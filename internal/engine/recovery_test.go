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
		"NewAlone": {
			reason:     "A concurrent up removed the old one and made its own: the half-made one is too many.",
			containers: []engine.Container{named(strings.Repeat("d", 64), "web", "always", ""), named(newID, "web.composure-new", "always", oldID)},
			want: []engine.Leftover{
				{Container: "web.composure-new", ID: newID, Kind: engine.LeftoverReplacement, Transaction: "tx", Commands: []string{"docker rm -f cccccccccccc"}},
			},
		},
		"Compose": {
			reason:     "docker compose was cut off between create and rename.",
			containers: []engine.Container{named(newID, "aaaaaaaaaaaa_web", "always", "")},
			want: []engine.Leftover{
				{Container: "aaaaaaaaaaaa_web", ID: newID, Kind: engine.LeftoverCompose, Commands: []string{"docker rename cccccccccccc web", "docker start cccccccccccc"}},
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
