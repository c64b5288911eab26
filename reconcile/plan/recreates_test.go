package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRecreates(t *testing.T) {
	swap := func(service string) Step { return Step{Verb: VerbSwap, Swap: &Swap{Service: service}} }
	tests := map[string]struct {
		reason string
		steps  []Step
		want   []string
	}{
		"Nothing":  {"a plan without steps", nil, nil},
		"Replicas": {"a service counts once, whatever the number of its containers", []Step{swap("web"), swap("app"), swap("web")}, []string{"app", "web"}},
		"Compose": {
			"what docker compose recreates counts like a swap",
			[]Step{swap("web"), {Verb: VerbCompose, Compose: &Compose{Services: []string{"web", "db"}}}},
			[]string{"db", "web"},
		},
		"Others": {
			"a restart keeps the container, and so do patches, checks and what is put in order",
			[]Step{
				{Verb: VerbRestart, Restart: &Restart{Service: "beat"}}, {Verb: VerbPatch, Patch: &Patch{File: "compose.yaml"}},
				{Verb: VerbCheck, Check: &Check{}}, {Verb: VerbRecover, Recover: &Recover{Containers: []string{"shop-app-1"}}},
			},
			nil,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Plan{Steps: tc.steps}.Recreates()); diff != "" {
				t.Errorf("%s:\n%s", tc.reason, diff)
			}
		})
	}
}
