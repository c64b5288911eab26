package reconcile

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

// Of several policies on one variable the most cautious one counts, whichever comes first by name.
func TestFilesAreLeftToTheMostCautiousPolicy(t *testing.T) {
	for _, cautious := range []string{"a-policy", "z-policy"} {
		t.Run(cautious, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, syncPolicy)
				second, err := policy.Parse("second.yaml", []byte(strings.Replace(syncPolicy, "name: sync", "name: "+cautious, 1)))
				if err != nil {
					t.Fatal(err)
				}
				w.source.Policies = append(w.source.Policies, second...)
				both := policy.Enforcement{Files: policy.ModeEnforce, Containers: policy.ModeEnforce}
				w.source.Policies[0].Spec.Enforcement = both
				w.source.Policies[1].Spec.Enforcement = policy.Enforcement{Files: policy.ModeAudit, Containers: policy.ModeEnforce}
				w.source.Unattended = true
				p := w.propose().Plan
				if patches := p.Of(plan.VerbPatch); len(patches) > 0 {
					t.Errorf("the file is patched:\n%s", patches[0].Diff)
				}
				for _, h := range p.Held {
					if strings.Contains(h.Object, "SYNC_ENABLED") && !strings.Contains(h.Reason, cautious+" only audits files") {
						t.Errorf("held: %+v", h)
					}
				}
				if len(p.Held) == 0 {
					t.Error("nothing is held")
				}
				w.source.Policies[1].Spec.Enforcement = both
				if p := w.propose().Plan; len(p.Of(plan.VerbPatch)) == 0 || len(p.Held) > 0 {
					t.Errorf("both enforce, and the plan is %+v", p)
				}
			})
		})
	}
}
