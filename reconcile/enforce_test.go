package reconcile

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

func TestEnforcement(t *testing.T) {
	cases := map[string]struct {
		reason     string
		files      policy.Mode
		containers policy.Mode
		attended   bool
		patched    bool // the files are right, and the containers of before
		want       []plan.Verb
		held       string
	}{
		"Asked":          {reason: "apply is a person's word", attended: true, want: []plan.Verb{plan.VerbPatch, plan.VerbSwap, plan.VerbCheck}},
		"Audit":          {reason: "the default only reports", held: "only audits files"},
		"AuditStale":     {reason: "the default only reports", patched: true, held: "only audits containers"},
		"FilesOnly":      {reason: "a recreate is left pending", files: policy.ModeEnforce, want: []plan.Verb{plan.VerbPatch}, held: "only audits containers"},
		"ContainersOnly": {reason: "with the file wrong the policy could not hold", containers: policy.ModeEnforce, held: "only audits files"},
		"ContainersOnlyStale": {
			reason: "the file is right, so that a swap is all", containers: policy.ModeEnforce, patched: true,
			want: []plan.Verb{plan.VerbSwap, plan.VerbCheck},
		},
		"Both": {
			reason: "all is allowed", files: policy.ModeEnforce, containers: policy.ModeEnforce,
			want: []plan.Verb{plan.VerbPatch, plan.VerbSwap, plan.VerbCheck},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, syncPolicy)
				for i := range w.source.Policies {
					w.source.Policies[i].Spec.Enforcement = policy.Enforcement{Files: tc.files, Containers: tc.containers}
				}
				if tc.patched {
					w.write(patchedFile)
				}
				w.source.Unattended = !tc.attended
				p := w.propose().Plan
				var got []plan.Verb
				for _, step := range p.Steps {
					got = append(got, step.Verb)
				}
				if got = slices.Compact(got); !slices.Equal(got, tc.want) {
					t.Errorf("%s: steps = %q, want %q", tc.reason, got, tc.want)
				}
				var reasons []string
				for _, h := range p.Held {
					reasons = append(reasons, h.Object+": "+h.Reason)
					if h.Next == "" {
						t.Errorf("%s: held without what to do", h.Object)
					}
				}
				if all := strings.Join(reasons, "\n"); (tc.held == "") != (all == "") || !strings.Contains(all, tc.held) {
					t.Errorf("%s: held:\n%s\nwant %q", tc.reason, all, tc.held)
				}
			})
		})
	}
}

// A process that stops its own container does not live to start the next one.
func TestOwnContainerIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		w.source.Self = w.inspect("shop-beat-1").ID
		p := w.propose().Plan
		if swaps := p.Of(plan.VerbSwap); len(swaps) > 0 {
			t.Errorf("%d swaps, one of them may be its own", len(swaps))
		}
		if !slices.ContainsFunc(p.Held, func(h plan.Hold) bool { return h.Object == "beat" && strings.Contains(h.Reason, "Composure itself") }) {
			t.Errorf("held: %+v", p.Held)
		}
	})
}
