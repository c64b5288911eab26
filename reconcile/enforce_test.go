package reconcile

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

// nightly is a policy that is enforced from 2:00 to 5:00 of Berlin.
const nightly = syncPolicy + `  enforcement:
    files: Enforce
    containers: Enforce
    windows:
    - {schedule: 0 2 * * *, duration: 3h, timeZone: Europe/Berlin}
`

// Outside of its windows a policy is audited, and says when it will be more than that.
func TestMaintenanceWindows(t *testing.T) {
	day, night := time.Date(2026, 6, 2, 12, 0, 0, 0, time.UTC), time.Date(2026, 6, 2, 2, 59, 0, 0, time.UTC)
	const closed = "outside of the maintenance windows of policy sync, the next one opens at 2026-06-03T02:00:00+02:00"
	all := []plan.Verb{plan.VerbPatch, plan.VerbSwap, plan.VerbCheck}
	cases := map[string]struct {
		reason   string
		now      time.Time
		attended bool
		patched  bool
		want     []plan.Verb
		held     []string
	}{
		"Night":      {reason: "a window is open", now: night, want: all},
		"Day":        {reason: "neither file nor container", now: day, held: []string{"app.SYNC_CHANNEL", "app.SYNC_ENABLED", "beat.SYNC_CHANNEL", "beat.SYNC_ENABLED"}},
		"DayStale":   {reason: "nor the container alone", now: day, patched: true, held: []string{"app", "beat"}},
		"NightStale": {reason: "the containers alone", now: night, patched: true, want: all[1:]},
		"Asked":      {reason: "apply is a person's word at any time", now: day, attended: true, want: all},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nightly)
				if tc.patched {
					w.write(patchedFile)
				}
				w.source.Unattended, w.source.Now = !tc.attended, tc.now
				p := w.propose().Plan
				var got []plan.Verb
				for _, step := range p.Steps {
					got = append(got, step.Verb)
				}
				if got = slices.Compact(got); !slices.Equal(got, tc.want) {
					t.Errorf("%s: steps = %q, want %q", tc.reason, got, tc.want)
				}
				var held []string
				for _, h := range p.Held {
					object, _, _ := strings.Cut(h.Object, " ")
					held = append(held, object)
					if h.Reason != closed {
						t.Errorf("%s: %s is held: %s\nwant: %s", tc.reason, h.Object, h.Reason, closed)
					}
				}
				if !slices.Equal(held, tc.held) {
					t.Errorf("%s: held = %q, want %q", tc.reason, held, tc.held)
				}
			})
		})
	}
}

// What a crash has left is no matter of windows: it is put in order at once, and nothing else is done then.
func TestCutOffTransactionIsPutInOrderOutsideOfWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nightly)
		before := w.containers()
		w.source.Unattended, w.source.Now = true, time.Date(2026, 6, 2, 2, 59, 0, 0, time.UTC)
		w.die(4, true)
		_, _ = w.executor.Apply(t.Context(), w.source, w.propose().Plan)
		w.reborn()
		w.source.Now = time.Date(2026, 6, 2, 3, 0, 0, 0, time.UTC)
		p := w.propose().Plan
		if !Recovers(p) {
			t.Fatalf("the transaction was cut off and the window is closed: %+v", p)
		}
		applied, err := w.executor.Apply(t.Context(), w.source, p)
		if err != nil || applied.Result != ResultRecovered {
			t.Errorf("result = %q, %v", applied.Result, err)
		}
		w.wantContainers(before, "it was undone")
		if p := w.propose().Plan; len(p.Steps) > 0 || len(p.Held) == 0 {
			t.Errorf("the window is closed, and yet: %+v", p)
		}
	})
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
