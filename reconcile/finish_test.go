package reconcile

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/state"
)

// committing is a world whose process has died when all was verified, before the first old container was removed.
func committing(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, syncPolicy)
	dead := false
	w.executor.Writer = &faultyWriter{Writer: w.engine, fail: func(_ int, verb, _ string) (bool, bool) {
		dead = dead || verb == "remove"
		return dead, false
	}}
	w.source.Journal = mortalJournal{w.source.Journal, &dead}
	_, _ = w.executor.Apply(t.Context(), w.source, w.propose().Plan)
	w.reborn()
	if w.recorded().Phase != state.PhaseCommitting {
		t.Fatalf("phase = %q", w.recorded().Phase)
	}
	return w
}

func TestWhatIsToldOfAFinishIsTrue(t *testing.T) {
	tests := map[string]struct {
		reason string
		do     func(w *world, recorded state.Container) error // with the first container
		told   string                                         // of it
		want   state.Outcome
	}{
		"Removed": {"the usual end", func(*world, state.Container) error { return nil }, "the old container OLD is removed", state.OutcomeRecoveredFinished},
		"OldGone": {"somebody else has removed it", func(w *world, c state.Container) error { return w.engine.Remove(w.t.Context(), c.ID, true) },
			"the old container OLD was gone already", state.OutcomeRecoveredFinished},
		"NewGone": {"there is no new one to be finished", func(w *world, c state.Container) error { return w.engine.Remove(w.t.Context(), c.Replacement, true) },
			"somebody removed the new container NEW, so that the old one OLD runs again", state.OutcomeLeftover},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := committing(t)
				c := w.recorded().Containers[0]
				if err := tc.do(w, c); err != nil {
					t.Fatal(err)
				}
				ids := strings.NewReplacer("OLD", engine.ShortID(c.ID), "NEW", engine.ShortID(c.Replacement))
				w.settled(c.Name + ": " + ids.Replace(tc.told))
				if got := w.recorded().Outcome; got != tc.want {
					t.Errorf("%s: outcome = %q, want %q", tc.reason, got, tc.want)
				}
				w.wantOneRunningEach()
			})
		})
	}
}

const oneShotFile = `name: shop
services:
  app:
    image: shop:1
    environment:
      APP_TOKEN: tok-0123456789
  beat:
    image: shop:1
    depends_on:
      app: {condition: service_completed_successfully}
`

// A one-shot that is put back starts anew, and may be done before anybody looks.
func TestOneShotThatIsPutBackMayEnd(t *testing.T) {
	for _, dies := range []bool{false, true} {
		t.Run(fmt.Sprintf("process dies %v", dies), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, strings.Replace(strings.ReplaceAll(withoutChecks(), ":-updates", ":-crash"), "[app, beat]", "[app]", 1))
				begun := time.Now()
				w.restart(oneShotFile, func(env map[string]string) enginetest.Behavior {
					b := program(env)
					if b.Exit == nil && env["APP_TOKEN"] != "" && time.Since(begun) > 0 {
						b.Exit = &enginetest.Exit{After: time.Second}
					}
					return b
				}, "")
				later(time.Minute)
				want := ResultRolledBack
				if dies {
					w.die(swapping-1, true)
					_, _ = w.executor.Apply(t.Context(), w.source, w.propose().Plan)
					w.reborn()
					want = ResultRecovered
				}
				applied := w.apply()
				if told := w.told(applied); applied.Result != want || !strings.Contains(told, "ran again, and has ended with exit code 0") {
					t.Errorf("result = %q, want %q: %s", applied.Result, want, told)
				}
			})
		})
	}
}
