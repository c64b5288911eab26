package reconcile

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/composure-dev/composure/internal/engine"
)

// dieAfterStart has the process die when the first new container runs.
func (w *world) dieAfterStart() {
	w.t.Helper()
	dead := false
	w.executor.Writer = &faultyWriter{Writer: w.engine, fail: func(_ int, verb, _ string) (bool, bool) {
		before := dead
		dead = dead || verb == "start"
		return before, dead
	}}
	w.source.Journal = mortalJournal{w.source.Journal, &dead}
	_, _ = w.executor.Apply(w.t.Context(), w.source, w.propose().Plan)
	w.reborn()
}

// dieHanding has the process die when docker compose has recreated what it was handed.
func (w *world) dieHanding(c *composer) {
	w.t.Helper()
	dead := false
	w.executor.Composer = mortalComposer{c, &dead, true}
	w.executor.Writer = &faultyWriter{Writer: w.engine, fail: func(int, string, string) (bool, bool) { return dead, false }}
	w.executor.Files, w.source.Journal = mortalFiles{&dead}, mortalJournal{w.source.Journal, &dead}
	_, _ = w.executor.Apply(w.t.Context(), w.source, w.propose().Plan)
	w.reborn()
	w.executor.Composer = c
}

// replacement is the id of the one container that a swap has made.
func (w *world) replacement() string {
	w.t.Helper()
	made, err := w.engine.List(w.t.Context(), engine.LabelReplaces)
	if err != nil || len(made) != 1 || !made[0].Running() {
		w.t.Fatalf("%v, %d replacements run", err, len(made))
	}
	return made[0].ID
}

// A transaction that was cut off is put in order by somebody else when that stops what Composure needs.
func TestWhatComposureNeedsIsNotStoppedToPutThingsInOrder(t *testing.T) {
	swapping := func(die func(*world)) func(t *testing.T) *world {
		return func(t *testing.T) *world {
			w := newWorld(t, withoutChecks())
			die(w)
			return w
		}
	}
	app := func(w *world) string { return w.inspect("shop-app-1").ID }
	tests := map[string]struct {
		reason string
		cut    func(t *testing.T) *world
		need   func(w *world) string // the id of the container
		held   bool
	}{
		"UndoReplacement":   {reason: "the undo stops it", cut: swapping((*world).dieAfterStart), need: (*world).replacement, held: true},
		"FinishReplacement": {reason: "it stays: the old container goes", cut: swapping((*world).dieCommitting), need: app},
		"HandedOver": {
			reason: "docker compose makes it again", need: app, held: true,
			cut: func(t *testing.T) *world {
				w, c := newHandWorld(t, handPolicy)
				w.dieHanding(c)
				return w
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := tc.cut(t)
				w.source.Self = tc.need(w)
				p := w.propose().Plan
				if held := len(p.Steps) == 0; held != tc.held {
					t.Errorf("%s: steps: %+v, held: %+v", tc.reason, p.Steps, p.Held)
				}
				for _, h := range p.Held {
					if !strings.Contains(h.Reason, "Composure itself runs in it") || h.Next == "" {
						t.Errorf("%s: held: %+v", tc.reason, h)
					}
				}
			})
		})
	}
}

// What would only be restarted is told of: the rest is put in order.
func TestWhatComposureNeedsIsNotRestartedToPutThingsInOrder(t *testing.T) {
	tests := map[string]struct {
		reason  string
		selects string
		prepare func(w *world)
	}{
		"Restart": {"it is restarted with app, by depends_on", "[app]", func(w *world) {
			w.write(composeFile + "    depends_on: {app: {condition: service_started, restart: true}}\n")
		}},
		"Network": {"it lives in the network of app, which was stopped", "[app, beat]", (*world).share},
	}
	for name, tc := range tests {
		for _, runs := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, runs %t", name, runs), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, strings.Replace(withoutChecks(), "[app, beat]", tc.selects, 1))
					tc.prepare(w)
					<-time.After(time.Second) // a start that comes later is known by its time
					w.dieAfterStart()
					before := w.inspect("shop-beat-1")
					w.source.Self = before.ID
					if !runs {
						if err := w.engine.Stop(t.Context(), before.ID); err != nil {
							t.Fatal(err)
						}
					}
					applied := w.apply()
					after := w.inspect("shop-beat-1")
					if applied.Result != ResultRecovered || after.ID != before.ID || runs && after.State.StartedAt != before.State.StartedAt {
						t.Errorf("%s: %q; it was started at %s, and before at %s", tc.reason, applied.Result, after.State.StartedAt, before.State.StartedAt)
					}
					if told := w.told(applied); strings.Contains(told, "shop-beat-1: is to be restarted, and was left running: Composure itself runs in it") != runs {
						t.Errorf("%s: told:\n%s", tc.reason, told)
					}
					w.wantClosed()
				})
			})
		}
	}
}
