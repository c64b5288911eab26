package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/files"
	"github.com/composure-dev/composure/internal/probe"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

const noChecks = "  verify:"

func withoutChecks() string { return strings.Split(syncPolicy, noChecks)[0] }

// restart brings the project up anew, from what the file says now and with another program.
func (w *world) restart(content string, program enginetest.Program, policy container.RestartPolicyMode) {
	w.t.Helper()
	w.engine.AddImage(enginetest.Image{Name: "shop:2", Program: program})
	w.write(strings.ReplaceAll(content, "shop:1", "shop:2"))
	for name := range w.containers() {
		if err := w.engine.Remove(w.t.Context(), w.inspect(name).ID, true); err != nil {
			w.t.Fatal(err)
		}
	}
	w.up()
	for name := range w.containers() {
		if err := w.engine.SetRestartPolicy(w.t.Context(), w.inspect(name).ID, container.RestartPolicy{Name: policy}); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) inspect(name string) engine.Container {
	w.t.Helper()
	c, err := w.engine.Inspect(w.t.Context(), "/"+name)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// meddle does something behind the executor's back just before it first stops the container.
func (w *world) meddle(before engine.Container, do func(ctx context.Context) error) {
	done := false
	w.executor.Writer = &faultyWriter{Writer: w.engine, fail: func(_ int, verb, id string) (bool, bool) {
		if verb == "stop" && id == before.ID && !done {
			done = true
			if err := do(w.t.Context()); err != nil {
				w.t.Error(err)
			}
		}
		return false, false
	}}
}

func TestFileEditedUnderTheLockIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.ReplaceAll(syncPolicy, "$(SYNC_CHANNEL)", "updates"))
		const edited = composeFile + "# edited by a person\n"
		w.engine.HandleProbe(func(target engine.Container, raw []byte) ([]byte, error) {
			w.write(edited) // while the baseline is taken
			return answerProbe(target, raw)
		})
		var changed *files.ChangedError
		if _, err := w.executor.Apply(t.Context(), w.source, w.propose().Plan); !errors.As(err, &changed) {
			t.Errorf("error = %v, want that the file changed and nothing was done", err)
		}
		if w.file() != edited {
			t.Error("the person's edit is gone")
		}
	})
}

func TestOldContainerThatDoesNotBecomeHealthyAgainIsNotRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withoutChecks())
		runs := 0
		w.restart(composeFile, func(env map[string]string) enginetest.Behavior {
			runs++
			status := container.Healthy
			if runs > 2 {
				status = container.Unhealthy
			}
			if env["SYNC_ENABLED"] == "true" {
				return enginetest.Behavior{Exit: &enginetest.Exit{After: 50 * time.Millisecond, Code: 2}}
			}
			return enginetest.Behavior{Health: []enginetest.Health{{Status: status}}}
		}, "")
		if applied := w.apply(); applied.Result != ResultRollbackFailed {
			t.Errorf("result = %q, but the old container was healthy before and is not now: %s", applied.Result, w.told(applied))
		}
	})
}

func TestVanishedOriginalDoesNotCostItsReplacement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.ReplaceAll(syncPolicy, ":-updates", ":-nobody"))
		app, beat := w.inspect("shop-app-1"), w.inspect("shop-beat-1")
		w.meddle(beat, func(ctx context.Context) error { return w.engine.Remove(ctx, app.ID, true) })
		applied := w.apply()
		if applied.Result != ResultRolledBack {
			t.Fatalf("result = %q, want rolled back: %s", applied.Result, w.told(applied))
		}
		if told := strings.Join(applied.Restored, "\n"); !strings.Contains(told, "somebody removed container "+engine.ShortID(app.ID)) {
			t.Errorf("it is another container now, which is not said:\n%s", told)
		}
		if diff := cmp.Diff(app.Config.Env, w.inspect("shop-app-1").Config.Env); diff != "" {
			t.Errorf("it was made again from the record (-want +got):\n%s", diff)
		}
		w.wantOneRunningEach()
	})
}

func TestReplacementThatDiesBeforeTheCommitIsRolledBack(t *testing.T) {
	tests := map[string]struct {
		reason string
		kill   func(w *world)
	}{
		"Exits": {"the program ends while the next container is swapped", func(w *world) {
			w.restart(composeFile, func(env map[string]string) enginetest.Behavior {
				if env["SYNC_ENABLED"] == "true" && env["APP_TOKEN"] != "" {
					return enginetest.Behavior{Exit: &enginetest.Exit{After: 3 * time.Second, Code: 2}}
				}
				return enginetest.Behavior{}
			}, "")
		}},
		"Removed": {"somebody removes it", func(w *world) {
			w.meddle(w.inspect("shop-beat-1"), func(ctx context.Context) error {
				replacement, err := w.engine.Inspect(ctx, "/shop-app-1")
				if err != nil {
					return err
				}
				return w.engine.Remove(ctx, replacement.ID, true)
			})
		}},
		"CrashLoops": {"the engine restarts it again and again, and it runs now and then", func(w *world) {
			w.restart(composeFile, func(env map[string]string) enginetest.Behavior {
				if env["SYNC_ENABLED"] == "true" && env["APP_TOKEN"] != "" {
					return enginetest.Behavior{Exit: &enginetest.Exit{After: 2500 * time.Millisecond, Code: 2}}
				}
				return enginetest.Behavior{}
			}, container.RestartPolicyAlways)
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, withoutChecks())
				tc.kill(w)
				before := w.containers()
				applied := w.apply()
				if applied.Result != ResultRolledBack {
					t.Fatalf("%s: result = %q, want rolled back: %s", tc.reason, applied.Result, w.told(applied))
				}
				w.wantContainers(before, tc.reason)
			})
		})
	}
}

func TestContainerStoppedByAPersonStaysStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		app, beat := w.inspect("shop-app-1"), w.inspect("shop-beat-1")
		w.meddle(app, func(ctx context.Context) error { return w.engine.Stop(ctx, beat.ID) })
		w.apply()
		if w.inspect("shop-beat-1").Running() {
			t.Error("a person stopped beat, and the rollback started it")
		}
		if !w.inspect("shop-app-1").Running() {
			t.Error("app does not run again")
		}
	})
}

func TestChannelThatIsEmptyVerifiesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.ReplaceAll(syncPolicy, "channel: $(SYNC_CHANNEL)", "channel: $(POLL)"))
		w.restart(strings.ReplaceAll(composeFile, `POLL: "60"`, `POLL: ""`), program, "")
		w.engine.HandleProbe(func(engine.Container, []byte) ([]byte, error) { return json.Marshal(probe.Result{Ping: true}) })
		applied := w.apply()
		if applied.Result != ResultRolledBack || !strings.Contains(applied.Failure, "empty") {
			t.Errorf("result = %q (%s), want rolled back: nobody was asked for subscribers", applied.Result, applied.Failure)
		}
	})
}

func TestRestartingContainerIsStaleAndHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withoutChecks())
		crash := func(map[string]string) enginetest.Behavior {
			return enginetest.Behavior{Exit: &enginetest.Exit{After: 100 * time.Millisecond, Code: 2}}
		}
		w.restart(composeFile, crash, container.RestartPolicyAlways)
		w.write(strings.ReplaceAll(patchedFile, "shop:1", "shop:2"))
		for range 4 {
			// The answer must be the same whether it is caught running or waiting. The bubble's clock is virtual.
			<-time.After(777 * time.Millisecond)
			p := w.propose()
			stale := 0
			for _, f := range p.Findings {
				if f.Verdict == policy.ContainerStale {
					stale++
				}
			}
			if stale == 0 {
				t.Errorf("a container that crashes for want of a variable is %s, and nothing is said", w.containers()["shop-app-1"])
			}
		}
	})
}

func TestSecretsOfContainersThatAreNotSwappedAreNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withoutChecks()+"  verify:\n  - log: {service: db, pattern: connected, within: 5s}\n")
		w.restart(composeFile+"  db:\n    image: shop:1\n    environment:\n      DB_PASSWORD: s3cr3t-of-db\n", func(env map[string]string) enginetest.Behavior {
			return enginetest.Behavior{Logs: []enginetest.Log{{Text: "connected with " + env["DB_PASSWORD"]}}}
		}, "")
		applied := w.apply()
		if applied.Result != ResultCommitted {
			t.Fatalf("result = %q: %s", applied.Result, w.told(applied))
		}
		if told := w.told(applied); strings.Contains(told, "s3cr3t-of-db") || !strings.Contains(told, "its container was not swapped") {
			t.Errorf("told:\n%s", told)
		}
	})
}

func TestSensitiveVariableThatDoesNotChangeIsASecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withoutChecks())
		sensitive := true
		w.source.Policies[0].Spec.Variables = append(w.source.Policies[0].Spec.Variables, policy.Rule{Name: "POLL", Present: true, Sensitive: &sensitive})
		w.restart(strings.ReplaceAll(composeFile, `POLL: "60"`, "POLL: a-long-secret"), program, "")
		found := false
		for _, secret := range w.propose().Secrets() {
			found = found || secret == "a-long-secret"
		}
		if !found {
			t.Error("a policy calls POLL sensitive; its value would be told in a log line")
		}
	})
}

func TestContainersThatCannotBeReplacedAreHeld(t *testing.T) {
	tests := map[string]struct {
		reason string
		make   func(w *world)
		say    string
	}{
		"NamespaceSharer": {"a container outside the project uses app's network", func(w *world) {
			w.addStranger("container:" + w.inspect("shop-app-1").ID)
		}, "sidecar"},
		"TagMoved": {"the next up would recreate it with the other image", func(w *world) {
			w.engine.AddImage(enginetest.Image{Name: "shop:1", Program: program})
		}, "shop:1 is another one now"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, withoutChecks())
				tc.make(w)
				p := w.propose().Plan
				if n := len(p.Of(plan.VerbSwap)); n != 0 {
					t.Errorf("%s: %d swaps are planned", tc.reason, n)
				}
				held := ""
				for _, h := range p.Held {
					held += h.Reason + "\n"
				}
				if !strings.Contains(held, tc.say) {
					t.Errorf("%s: held = %q, want %q said", tc.reason, held, tc.say)
				}
			})
		})
	}
}

// addStranger creates a container of no project.
func (w *world) addStranger(networkMode string) {
	w.t.Helper()
	_, err := w.engine.Create(w.t.Context(), engine.Spec{
		Name: "sidecar", Config: &container.Config{Image: "shop:1"},
		Host: &container.HostConfig{NetworkMode: container.NetworkMode(networkMode)},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestServiceThatOnlyAPatchFileDefines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.Replace(withoutChecks(), "[app, beat]", "['*']", 1)+"  patch: {files: [compose.yaml, compose.dev.yaml]}\n")
		w.restart(patchedFile, program, "")
		dev := filepath.Join(w.dir, "compose.dev.yaml")
		write := func(service string) {
			if err := os.WriteFile(dev, []byte("services:\n"+service), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("  worker:\n    image: shop:1\n    environment:\n      A: \"1\"\n")
		if got := verbs(w.propose().Plan); got != "patch" {
			t.Errorf("steps = %q, want the dev file patched and nothing swapped: %+v", got, w.propose().Plan.Held)
		}
		if applied := w.apply(); applied.Result != ResultCommitted {
			t.Errorf("result = %q: %s", applied.Result, w.told(applied))
		}
		if rest := w.propose(); !rest.Plan.Empty() {
			t.Errorf("after the patch: %+v %+v, want nothing", rest.Plan.Steps, rest.Plan.Held)
		}
		write("  worker:\n    image: shop:1\n    labels: {composure.ignore: \"true\"}\n")
		if rest := w.propose(); !rest.Plan.Empty() {
			t.Errorf("an ignored service: %+v %+v, want nothing", rest.Plan.Steps, rest.Plan.Held)
		}
	})
}

func TestAdviceNamesTheProject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.Replace(withoutChecks(), "rollout: {", "rollout: {strategy: Never, ", 1))
		w.source.Compose.Name = "shop"
		held := w.propose().Plan.Held
		if len(held) == 0 || !strings.Contains(held[0].Next, "docker compose -p shop -f "+w.source.Compose.Files[0]+" up -d app") {
			t.Errorf("held = %+v, want a command that finds this project", held)
		}
	})
}

// TestFilesThatReadBackOtherwiseAreRestored: compose-go reads included files from the disk, so the whole is known only after the write.
func TestFilesThatReadBackOtherwiseAreRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withoutChecks())
		other := filepath.Join(w.dir, "other.yaml")
		include := "include: [other.yaml]\n" + composeFile
		rewrite := func(value string) {
			if err := os.WriteFile(other, []byte("services:\n  other:\n    image: shop:1\n    environment: {A: "+value+"}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		rewrite("1")
		w.write(include)
		confirmed, before := w.propose().Plan, w.containers()
		progress := w.executor.Progress
		w.executor.Progress = func(line string) {
			if strings.HasPrefix(line, "patched ") {
				rewrite("2") // an editor, just then
			}
			progress(line)
		}
		applied, err := w.executor.Apply(t.Context(), w.source, confirmed)
		if err != nil {
			t.Fatal(err)
		}
		if applied.Result != ResultRolledBack || !strings.Contains(applied.Failure, "somebody else") {
			t.Errorf("result %q: %s", applied.Result, applied.Failure)
		}
		if w.file() != include {
			t.Errorf("the file is not as before:\n%s", w.file())
		}
		w.wantContainers(before, "no container was touched")
	})
}
