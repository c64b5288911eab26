package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/probe"
	"github.com/composure-dev/composure/reconcile/plan"
)

const nobody = ":-nobody"

// later lets the bubble's clock go on.
func later(d time.Duration) { <-time.After(d) }

// slow gives the shop a healthcheck that takes its time.
func slow(health time.Duration) enginetest.Program {
	return func(env map[string]string) enginetest.Behavior {
		b := program(env)
		b.Health = []enginetest.Health{{After: health, Status: container.Healthy}}
		return b
	}
}

func TestRollbackHasTimeForEveryContainer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.ReplaceAll(syncPolicy, ":-updates", nobody))
		w.engine.AddImage(enginetest.Image{Name: "shop:2", Program: func(env map[string]string) enginetest.Behavior {
			b := program(env)
			b.StopAfter = 310 * time.Second
			return b
		}})
		for name := range w.containers() {
			if err := w.engine.Remove(t.Context(), w.inspect(name).ID, true); err != nil {
				t.Fatal(err)
			}
		}
		w.write(strings.ReplaceAll(composeFile, "shop:1", "shop:2"))
		project := w.propose().Snapshot.Project
		_, err := w.engine.Up(t.Context(), project, func(_ string, s *engine.Spec) { s.Config.StopTimeout = new(600) })
		if err != nil {
			t.Fatal(err)
		}
		before := w.containers()
		if applied := w.apply(); applied.Result != ResultRolledBack {
			t.Errorf("result = %q, want rolled back: %s", applied.Result, w.told(applied))
		}
		w.wantContainers(before, "310 s for each of four stops")
	})
}

// hangingWriter never answers a stop of a replacement.
type hangingWriter struct {
	engine.Writer
	originals map[string]bool
}

func (h hangingWriter) Stop(ctx context.Context, id string) error {
	if h.originals[id] {
		return h.Writer.Stop(ctx, id)
	}
	<-ctx.Done()
	return ctx.Err()
}

func TestReplacementThatDoesNotStopIsKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.ReplaceAll(syncPolicy, ":-updates", nobody))
		before := w.containers()
		w.executor.Writer = hangingWriter{w.engine, map[string]bool{w.inspect("shop-app-1").ID: true, w.inspect("shop-beat-1").ID: true}}
		if applied := w.apply(); applied.Result != ResultRolledBack {
			t.Errorf("result = %q, want rolled back: %s", applied.Result, w.told(applied))
		}
		w.wantAsBefore(before)
	})
}

func TestSlowHealthIsNoFailedRollback(t *testing.T) {
	tests := map[string]struct {
		reason string
		policy string
		health time.Duration
		age    time.Duration // of the containers when apply begins
	}{
		"SlowerThanTheTimeout": {"a second undo waits on, it does not start the old one anew", withoutChecks(), 40 * time.Second, time.Minute},
		"StillStarting":        {"what was starting is given the time to start again", strings.ReplaceAll(syncPolicy, ":-updates", nobody), 25 * time.Second, 20 * time.Second},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, tc.policy)
				w.restart(composeFile, slow(tc.health), "")
				later(tc.age)
				before := w.containers()
				applied := w.apply()
				if applied.Result != ResultRolledBack {
					t.Errorf("%s: result = %q, want rolled back: %s", tc.reason, applied.Result, w.told(applied))
				}
				w.wantContainers(before, tc.reason)
			})
		})
	}
}

func TestOriginalThatKeptCrashingIsAsBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.ReplaceAll(withoutChecks(), ":-updates", ":-crash"))
		w.restart(composeFile, func(env map[string]string) enginetest.Behavior {
			b := program(env)
			if b.Exit == nil && env["APP_TOKEN"] != "" {
				b.Exit = &enginetest.Exit{After: 1500 * time.Millisecond, Code: 3}
			}
			return b
		}, container.RestartPolicyAlways)
		later(2 * time.Second)
		if applied := w.apply(); applied.Result == ResultRollbackFailed {
			t.Errorf("it crashed before and crashes now, which is as before: %s", w.told(applied))
		}
	})
}

func TestKeepDoesNotKeepADeadReplacement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withoutChecks()+"  onFailure: Keep\n  verify:\n  - log: {service: beat, pattern: never, within: 10s}\n")
		w.restart(composeFile, func(env map[string]string) enginetest.Behavior {
			if env["SYNC_ENABLED"] == "true" && env["APP_TOKEN"] != "" {
				return enginetest.Behavior{Exit: &enginetest.Exit{After: 6 * time.Second, Code: 2}}
			}
			return enginetest.Behavior{}
		}, "")
		if applied := w.apply(); applied.Result != ResultRolledBack {
			t.Errorf("result = %q: Keep is about checks, and app is dead: %s", applied.Result, w.told(applied))
		}
		w.wantOneRunningEach()
	})
}

func TestKeepIsTheBusinessOfTheSwappedServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keep := strings.Replace(strings.ReplaceAll(syncPolicy, ":-updates", nobody), "  verify:", "  onFailure: Keep\n  verify:", 1)
		w := newWorld(t, keep+"---\napiVersion: composure/v1alpha1\nkind: EnvironmentPolicy\nmetadata: {name: unrelated}\n"+
			"spec:\n  selector: {services: [db]}\n  variables:\n  - {name: X, present: true}\n")
		w.restart(composeFile+"  db:\n    image: shop:1\n    environment:\n      X: \"1\"\n", program, "")
		if applied := w.apply(); applied.Result != ResultKept {
			t.Errorf("result = %q, want kept: the policy of db has no say in app and beat", applied.Result)
		}
	})
}

func TestLeftProbeHoldsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withoutChecks())
		_, err := w.engine.Create(t.Context(), engine.Spec{
			Name:   "composure-probe-left",
			Config: &container.Config{Image: "shop:1", Labels: map[string]string{engine.LabelRole: engine.RoleProbe}},
			Host:   &container.HostConfig{NetworkMode: container.NetworkMode("container:" + w.inspect("shop-beat-1").ID)},
		})
		if err != nil {
			t.Fatal(err)
		}
		if p := w.propose().Plan; len(p.Held) != 0 || len(p.Of(plan.VerbSwap)) != 2 {
			t.Errorf("a probe of a run that was killed holds its target for good: %+v", p.Held)
		}
	})
}

func TestChecksAreJudgedByTheContainersToBe(t *testing.T) {
	policies := strings.Split(strings.ReplaceAll(strings.Replace(syncPolicy, "[app, beat]", "[app]", 1), "$(SYNC_CHANNEL)", "$(EXTRA)"), "  - log:")[0] +
		"---\napiVersion: composure/v1alpha1\nkind: EnvironmentPolicy\nmetadata: {name: other}\n" +
		"spec:\n  selector: {services: [beat]}\n  variables:\n  - {name: POLL, present: true}\n"
	withExtra := strings.Replace(composeFile, `POLL: "60"`, "POLL: \"60\"\n      EXTRA: x", 1)
	tests := map[string]struct {
		reason      string
		was, is     string
		wantSwapped bool
	}{
		"FileDroppedIt": {"beat is not swapped, so it still has EXTRA", withExtra, composeFile, true},
		"FileHasIt":     {"beat is not swapped, so it will not have EXTRA", composeFile, withExtra, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, policies)
				w.engine.HandleProbe(func(engine.Container, []byte) ([]byte, error) {
					return json.Marshal(probe.Result{Ping: true, Subscribers: 1})
				})
				w.restart(tc.was, program, "")
				w.write(strings.ReplaceAll(tc.is, "shop:1", "shop:2"))
				p := w.propose().Plan
				if swapped := len(p.Of(plan.VerbSwap)) > 0; swapped != tc.wantSwapped {
					t.Errorf("%s: swapped = %v, held = %+v", tc.reason, swapped, p.Held)
				}
			})
		})
	}
}

func TestRefusedEditOfOneFileLeavesTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withoutChecks()+"  patch: {files: [compose.yaml, compose.dev.yaml]}\n")
		dev := "services:\n  app:\n    environment:\n      SYNC_ENABLED: >-\n        no\n      SYNC_CHANNEL: updates\n"
		if err := os.WriteFile(filepath.Join(w.dir, "compose.dev.yaml"), []byte(dev), 0o600); err != nil {
			t.Fatal(err)
		}
		patched := ""
		for _, step := range w.propose().Plan.Of(plan.VerbPatch) {
			patched += fmt.Sprint(step.Object, step.Patch.Keys)
		}
		if !strings.Contains(patched, "compose.yaml[app.SYNC_CHANNEL app.SYNC_ENABLED beat.SYNC_CHANNEL beat.SYNC_ENABLED]") {
			t.Errorf("patched = %s, want compose.yaml mended in full", patched)
		}
	})
}

// faultyReader loses the answer of one inspect.
type faultyReader struct {
	engine.Reader
	inspects, at int
}

func (f *faultyReader) Inspect(ctx context.Context, id string) (engine.Container, error) {
	f.inspects++
	if f.inspects == f.at {
		return engine.Container{}, errInjected
	}
	return f.Reader.Inspect(ctx, id)
}

func TestOneLostAnswerIsNoFailedRollback(t *testing.T) {
	for at, done := 1, false; !done; at++ {
		t.Run(fmt.Sprintf("inspect %d", at), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, strings.ReplaceAll(syncPolicy, ":-updates", nobody))
				before := w.containers()
				faulty := &faultyReader{Reader: w.engine, at: at}
				confirmed := w.propose().Plan
				w.source.Reader = faulty
				applied, err := w.executor.Apply(t.Context(), w.source, confirmed)
				done = faulty.inspects < at
				if err == nil && applied.Result != ResultRolledBack {
					t.Errorf("result = %q, want rolled back: %s", applied.Result, w.told(applied))
				}
				w.wantServicesAsBefore(before)
				w.wantOneRunningEach()
			})
		})
	}
}
