package reconcile

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/state"
)

// committing is a world whose process has died when all was verified, before the first old container was removed.
func committing(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, syncPolicy)
	w.dieCommitting()
	return w
}

func (w *world) dieCommitting() {
	w.t.Helper()
	dead := false
	w.executor.Writer = &faultyWriter{Writer: w.engine, fail: func(_ int, verb, _ string) (bool, bool) {
		dead = dead || verb == "remove"
		return dead, false
	}}
	w.source.Journal = mortalJournal{w.source.Journal, &dead}
	_, _ = w.executor.Apply(w.t.Context(), w.source, w.propose().Plan)
	w.reborn()
	if w.recorded().Phase != state.PhaseCommitting {
		w.t.Fatalf("phase = %q", w.recorded().Phase)
	}
}

// What was verified before the crash may have crashed once since: that is no reason to keep the old container for ever.
func TestFinishTakesWhatHasRestartedSince(t *testing.T) {
	for _, oldGone := range []bool{false, true} {
		t.Run(fmt.Sprintf("old gone %v", oldGone), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, syncPolicy)
				crashes := map[string]bool{}
				w.restart(composeFile, func(env map[string]string) enginetest.Behavior {
					b := program(env)
					if name := env["POLL"]; env["SYNC_ENABLED"] != "" && !crashes[name] {
						crashes[name], b.Exit = true, &enginetest.Exit{After: time.Hour, Code: 1}
					}
					return b
				}, container.RestartPolicyAlways)
				w.dieCommitting()
				later(2 * time.Hour)
				for _, c := range w.recorded().Containers {
					if now, err := w.engine.Inspect(t.Context(), c.Replacement); err != nil || now.RestartCount != 1 {
						t.Fatalf("%v, %d restarts", err, now.RestartCount)
					}
					if !oldGone {
						continue
					}
					if err := w.engine.Remove(t.Context(), c.ID, true); err != nil {
						t.Fatal(err)
					}
				}
				w.settled("")
				if got := w.recorded().Outcome; got != state.OutcomeRecoveredFinished {
					t.Errorf("outcome = %q", got)
				}
				w.wantOneRunningEach()
			})
		})
	}
}

// What shares the network of a new container that is gone goes back with it.
func TestFinishKeepsWhatBelongsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withoutChecks())
		w.share()
		w.dieCommitting()
		for _, c := range w.recorded().Containers {
			if c.Service != "app" {
				continue
			}
			if err := w.engine.Remove(t.Context(), c.Replacement, true); err != nil {
				t.Fatal(err)
			}
		}
		w.settled("so that the old one")
		w.wantOneRunningEach()
		if app, beat := w.inspect("shop-app-1"), w.inspect("shop-beat-1"); string(beat.HostConfig.NetworkMode) != "container:"+app.ID {
			t.Errorf("beat is in the network %s, and app is %s", beat.HostConfig.NetworkMode, app.ID)
		}
		if got := w.recorded().Outcome; got != state.OutcomeLeftover {
			t.Errorf("outcome = %q", got)
		}
	})
}

// share makes beat anew, in the network of app.
func (w *world) share() {
	w.t.Helper()
	w.write(strings.Replace(composeFile, "  beat:\n    image: shop:1\n", "  beat:\n    image: shop:1\n    network_mode: service:app\n", 1))
	project := w.propose().Snapshot.Project
	flavor, _ := compose.FlavorOf("2.40.3")
	network := "container:" + w.inspect("shop-app-1").ID
	hash, err := project.HashShared("beat", flavor, compose.Shared{Network: network})
	if err == nil {
		err = w.engine.Remove(w.t.Context(), w.inspect("shop-beat-1").ID, true)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	env := map[string]string{}
	for key, v := range project.Services["beat"].Environment {
		env[key] = *v.Value
	}
	_, err = w.engine.AddService(w.t.Context(), enginetest.Service{
		Project: "shop", Name: "beat", Image: "shop:1", ConfigHash: hash, Env: env,
		Edit: func(spec *engine.Spec) { spec.Host.NetworkMode, spec.Network = container.NetworkMode(network), nil },
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// Where the new container is the only one, nothing that a person is told may remove it.
func TestWhatIsToldOfABrokenFinishRemovesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withoutChecks())
		broken := false
		w.restart(composeFile, func(env map[string]string) enginetest.Behavior {
			b := program(env)
			if broken {
				b.Exit = &enginetest.Exit{Code: 1}
			}
			return b
		}, "")
		w.dieCommitting()
		broken = true
		for _, c := range w.recorded().Containers {
			if err := w.engine.Remove(t.Context(), c.ID, true); err != nil {
				t.Fatal(err)
			}
			if err := w.engine.Stop(t.Context(), c.Replacement); err != nil {
				t.Fatal(err)
			}
		}
		applied := w.apply()
		told := strings.Join(applied.Restored, "\n")
		if applied.Result != ResultRollbackFailed || strings.Contains(told, "docker rm") || !strings.Contains(told, "docker restart ") {
			t.Errorf("result = %q:\n%s", applied.Result, told)
		}
	})
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
