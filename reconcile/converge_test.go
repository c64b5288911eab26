package reconcile

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/reconcile/plan"
)

// randomShop is a compose file in which each service declares each variable rightly, wrongly, through the environment, or not.
func randomShop(r *rand.Rand) string {
	declare := func(line string, values ...string) string {
		if i := r.IntN(len(values) + 1); i < len(values) {
			return fmt.Sprintf(line, values[i])
		}
		return ""
	}
	enabled := []string{"true", "false", "${SYNC_ENABLED:-true}", "${OTHER:-}"}
	channel := []string{"updates", "elsewhere", "${SYNC_CHANNEL:-updates}"}
	return "name: shop\nservices:\n  app:\n    image: shop:1\n    environment:\n      - REDIS_URL=redis://redis/0\n" +
		declare("      - EXTRA=%s\n", "1", "2") +
		declare("      - SYNC_ENABLED=%s\n", enabled...) +
		declare("      - SYNC_CHANNEL=%s\n", channel...) +
		"  beat:\n    image: shop:1\n    environment:\n      REDIS_URL: redis://redis/0\n" +
		declare("      SYNC_ENABLED: %q\n", enabled...) +
		declare("      SYNC_CHANNEL: %q\n", channel...)
}

// From wherever files and containers start, and though one call to the engine fails, a few runs lead to a world with nothing left
// to do, or only what is held; and a run that nothing was changed before changes nothing.
func TestApplyConverges(t *testing.T) {
	for seed := range uint64(120) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 0))
				w := randomWorld(t, r)
				w.source.Compose.Environ = []string{"SYNC_ENABLED=" + []string{"true", "false"}[r.IntN(2)]}
				failAt := r.IntN(40) // beyond the calls of one run: no failure
				w.executor.Writer = &faultyWriter{Writer: w.engine, fail: func(call int, _, _ string) (bool, bool) { return call == failAt, false }}
				for range 3 {
					if _, err := w.executor.Apply(t.Context(), w.source, w.propose().Plan); err != nil {
						t.Log(err)
					}
					w.executor.Writer = w.engine
					w.wantOneRunningEach()
				}
				w.wantSettled()
			})
		})
	}
}

// randomWorld is up from one random file, and has another one now.
func randomWorld(t *testing.T, r *rand.Rand) *world {
	policy := withoutChecks()
	if r.IntN(3) == 0 {
		policy += "  patch: {files: [compose.yaml, compose.dev.yaml]}\n"
	}
	w := newWorld(t, policy)
	w.restart(randomShop(r), program, "")
	if r.IntN(2) == 0 {
		w.write(strings.ReplaceAll(randomShop(r), "shop:1", "shop:2"))
	}
	dev := strings.ReplaceAll(randomShop(r), "name: shop\n", "")
	if err := os.WriteFile(filepath.Join(w.dir, "compose.dev.yaml"), []byte(strings.ReplaceAll(dev, "shop:1", "shop:2")), 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) wantSettled() {
	w.t.Helper()
	settled := w.propose()
	if n := len(settled.Plan.Of(plan.VerbPatch)) + len(settled.Plan.Of(plan.VerbSwap)); n != 0 {
		w.t.Errorf("three runs, and still to do: %s\nheld: %+v\n%s", verbs(settled.Plan), settled.Plan.Held, w.file())
	}
	file, containers := w.file(), w.containers()
	w.apply()
	if diff := cmp.Diff(containers, w.containers()); diff != "" {
		w.t.Errorf("a run with nothing to do changed containers (-before +after):\n%s", diff)
	}
	if w.file() != file {
		w.t.Error("a run with nothing to do changed the file")
	}
}
