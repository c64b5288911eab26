package reconcile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/composure-dev/composure/reconcile/plan"
)

// A file that only a policy names says nothing of the project that runs: what is missing there keeps nobody from looking after that.
func TestExtraFileThatCannotBeLoaded(t *testing.T) {
	const reaching = "services:\n  app:\n    env_file: missing.env\n"
	tests := map[string]struct {
		reason  string
		extra   string // what extra.yaml holds; empty: it is not there
		own     string // appended to the project's own file
		warning string
		gone    bool
		fails   string
	}{
		"Missing":    {reason: "it is left out", warning: "policy sync: patch.files names"},
		"Reaching":   {reason: "what it needs is missing, so that it is left out as well", extra: reaching, warning: "missing.env"},
		"OwnMissing": {reason: "without its own the project is not known", extra: "services: {}\n", own: "    env_file: missing.env\n", gone: true},
		"Wrong":      {reason: "a file that is there and wrong is a person's mistake", extra: "services: [\n", fails: "patch.files"},
	}
	for name, tc := range tests {
		for _, unattended := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, syncPolicy)
					w.enforce()
					w.source.Policies[0].Spec.Patch.Files = []string{"extra.yaml", "fine.yaml"}
					if err := os.WriteFile(filepath.Join(w.dir, "fine.yaml"), []byte("services: {}\n"), 0o600); err != nil {
						t.Fatal(err)
					}
					w.source.Unattended, w.source.Name = unattended, "shop"
					if tc.extra != "" {
						if err := os.WriteFile(filepath.Join(w.dir, "extra.yaml"), []byte(tc.extra), 0o600); err != nil {
							t.Fatal(err)
						}
					}
					w.write(composeFile + tc.own)
					p, err := Propose(t.Context(), w.source)
					if fails := tc.fails != "" || tc.gone && !unattended; (err != nil) != fails || err != nil && !strings.Contains(err.Error(), tc.fails) {
						t.Fatalf("%s: %v", tc.reason, err)
					}
					if err != nil {
						return
					}
					if gone := p.Snapshot.Unreachable != ""; gone != tc.gone {
						t.Errorf("%s: unreachable: %q", tc.reason, p.Snapshot.Unreachable)
					}
					if extended := p.Snapshot.Extended; extended != nil && filepath.Base(extended.Files[len(extended.Files)-1].Path) != "fine.yaml" {
						t.Errorf("%s: the other one is left out, too", tc.reason)
					}
					if warned := strings.Join(p.Snapshot.Warnings, "\n"); tc.warning != "" && !strings.Contains(warned, tc.warning) {
						t.Errorf("%s: warned of %q", tc.reason, warned)
					}
					if mends := len(p.Plan.Of(plan.VerbSwap)) > 0; mends == tc.gone {
						t.Errorf("%s: planned %+v, held %+v", tc.reason, p.Plan.Steps, p.Plan.Held)
					}
				})
			})
		}
	}
}
