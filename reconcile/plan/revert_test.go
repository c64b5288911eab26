package plan

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wayBack is an input in which app was replaced by the transaction t1, beside the given containers.
func wayBack(change func(*Input), others ...Container) Input {
	return input(func(in *Input) {
		in.Policies, in.Findings, in.Patches, in.Reverts = nil, nil, nil, "t1"
		in.Containers = append(others, container("app", func(c *Container) { c.Due, c.Touched = true, false }))
		if change != nil {
			change(in)
		}
	})
}

func TestRevert(t *testing.T) {
	file := func(in *Input) {
		in.Patches = []Patch{{File: in.Directory + "/compose.yaml", Digest: "sha256:1", Before: []byte("b"), After: []byte("a")}}
	}
	tests := map[string]struct {
		reason string
		in     Input
		want   []string // verb, object and cause of each step, or what is held
	}{
		"FilesOnly": {
			"nothing is verified where nothing is swapped",
			wayBack(func(in *Input) { file(in); in.Containers = nil }),
			[]string{"patch compose.yaml: as it was before transaction t1"},
		},
		"Swapped": {
			"files first, and one check of all that was replaced, last",
			wayBack(file),
			[]string{
				"patch compose.yaml: as it was before transaction t1",
				"swap app (shop-app-1): as it was before transaction t1",
				"check healthy: of what is put back",
			},
		},
		"Sidecar": {
			"what hangs on a container goes along, after it, and so do restarts",
			wayBack(nil, bystander("a-tap", sharing("id-app")), bystander("a-worker", restartingWith("app"))),
			[]string{
				"swap app (shop-app-1): as it was before transaction t1",
				"swap a-tap (shop-a-tap-1): it shares namespaces or volumes with shop-app-1",
				"restart a-worker (shop-a-worker-1): it depends on shop-app-1",
				"check healthy: of what is put back",
			},
		},
		"NotDue": {
			"a container that the transaction has not replaced is left alone, whatever it differs in",
			wayBack(func(in *Input) { in.Containers[0].Due = false }),
			nil,
		},
		"Held": {
			"half a way back is none: the files stay too",
			wayBack(func(in *Input) { file(in); in.Containers[0].Held, in.Containers[0].Next = "it is paused", "unpause it" }),
			[]string{"held app: it is paused"},
		},
		"HeldSidecar": {
			"what has to go along and cannot keeps all from being done",
			wayBack(file, bystander("a-tap", func(c *Container) { c.Shares, c.Held = []string{"id-app"}, "it is odd" })),
			[]string{"held app: shop-a-tap-1, which shares namespaces or volumes with it, cannot be replaced: it is odd"},
		},
		"Blocked": {
			"somebody else is at work",
			wayBack(func(in *Input) { file(in); in.Blocked = []Hold{{Object: "project shop", Reason: "it is locked"}} }),
			[]string{"held project shop: it is locked"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			made := Revert(tc.in)
			var got []string
			for _, step := range made.Steps {
				got = append(got, string(step.Verb)+" "+step.Object+": "+step.Cause)
			}
			for _, hold := range made.Held {
				got = append(got, "held "+hold.Object+": "+hold.Reason)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// The check waits for everything that was moved: one that runs in the middle verifies nothing.
func TestRevertChecksLast(t *testing.T) {
	steps := Revert(wayBack(nil, bystander("a-tap", sharing("id-app")))).Steps
	last := steps[len(steps)-1]
	for _, step := range steps[:len(steps)-1] {
		if !slices.Contains(last.Requires, step.ID) {
			t.Errorf("%s requires %s, want %s among it", last.ID, strings.Join(last.Requires, ", "), step.ID)
		}
	}
}
