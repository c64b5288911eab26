package reconcile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

func TestApplyMendsFilesAndContainers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		before := w.containers()
		applied := w.apply()
		if applied.Result != ResultCommitted {
			t.Fatalf("result = %q, want committed: %s", applied.Result, w.told(applied))
		}
		if diff := cmp.Diff(patchedFile, w.file()); diff != "" {
			t.Errorf("only the declared lines may differ (-want +got):\n%s", diff)
		}
		after := w.containers()
		if len(after) != len(before) {
			t.Errorf("containers = %v, want one for each service and no lock", after)
		}
		for name := range before {
			if after[name] == before[name] {
				t.Errorf("container %s was not swapped: %s", name, after[name])
			}
			if got := w.env(name)["SYNC_ENABLED"]; got == nil || *got != "true" {
				t.Errorf("%s has SYNC_ENABLED = %v, want true", name, got)
			}
		}
		w.wantNoSecrets(applied)
	})
}

func TestSecondApplyDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		w.apply()
		before := w.containers()
		proposal := w.propose()
		if !proposal.Plan.Empty() {
			t.Errorf("plan after apply = %+v, want nothing", proposal.Plan.Steps)
		}
		if applied := w.apply(); applied.Result != ResultNothing {
			t.Errorf("result = %q, want nothing", applied.Result)
		}
		if diff := cmp.Diff(before, w.containers()); diff != "" {
			t.Errorf("containers changed (-before +after):\n%s", diff)
		}
	})
}

func TestFilesEditedByHandAndRestarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		w.write(patchedFile)
		p := w.propose().Plan
		if got := verbs(p); got != "swap swap check check check" {
			t.Fatalf("steps = %s, want no patch", got)
		}
		if applied := w.apply(); applied.Result != ResultCommitted {
			t.Fatalf("result = %q: %s", applied.Result, w.told(applied))
		}
		if w.file() != patchedFile {
			t.Error("the file was written although it was right")
		}
		if rest := w.propose().Plan; !rest.Empty() {
			t.Errorf("plan after apply = %+v, want nothing", rest)
		}
	})
}

func TestFilesOnlyThenApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		before := w.containers()
		withEngine := w.source
		w.source.Reader = nil
		if applied := w.apply(); applied.Result != ResultCommitted {
			t.Fatalf("result = %q: %s", applied.Result, w.told(applied))
		}
		if w.file() != patchedFile {
			t.Errorf("file = %s", w.file())
		}
		if diff := cmp.Diff(before, w.containers()); diff != "" {
			t.Errorf("--files-only touched containers (-before +after):\n%s", diff)
		}
		w.source = withEngine
		if applied := w.apply(); applied.Result != ResultCommitted {
			t.Fatalf("result = %q: %s", applied.Result, w.told(applied))
		}
		if w.file() != patchedFile {
			t.Error("the file was written twice")
		}
	})
}

func TestFailuresAreRolledBack(t *testing.T) {
	tests := map[string]struct {
		reason string
		policy string
		say    string
	}{
		"ReplacementCrashes": {
			"a value that the program cannot live with",
			strings.ReplaceAll(syncPolicy, ":-updates", ":-crash"), "exit",
		},
		"NobodySubscribes": {
			"the container is up, the application is not",
			strings.ReplaceAll(syncPolicy, ":-updates", ":-nobody"), "0 subscribers on nobody, want at least 1",
		},
		"LogNeverComes": {
			"the pattern has a deadline",
			strings.ReplaceAll(syncPolicy, "^Subscribed to", "^Never said"), `no line matches "^Never said"`,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, tc.policy)
				before := w.containers()
				applied := w.apply()
				if applied.Result != ResultRolledBack {
					t.Fatalf("%s: result = %q, want rolled back: %s", tc.reason, applied.Result, w.told(applied))
				}
				if !strings.Contains(applied.Failure, tc.say) {
					t.Errorf("%s: failure = %q, want it to say %q", tc.reason, applied.Failure, tc.say)
				}
				w.wantAsBefore(before)
				w.wantNoSecrets(applied)
			})
		})
	}
}

func (w *world) wantAsBefore(before map[string]string) {
	w.t.Helper()
	if diff := cmp.Diff(before, w.containers()); diff != "" {
		w.t.Errorf("the same containers must run as before (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(composeFile, w.file()); diff != "" {
		w.t.Errorf("the file must be as before (-before +after):\n%s", diff)
	}
}

func TestKeepLeavesTheChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.ReplaceAll(syncPolicy, ":-updates", ":-nobody")+"  onFailure: Keep\n")
		applied := w.apply()
		if applied.Result != ResultKept {
			t.Fatalf("result = %q, want kept", applied.Result)
		}
		if applied.Failure == "" {
			t.Error("a failed check that changes nothing must still be told")
		}
		if got := w.env("shop-beat-1")["SYNC_CHANNEL"]; got == nil || *got != "nobody" {
			t.Errorf("SYNC_CHANNEL = %v, want what was applied", got)
		}
		if n := len(w.containers()); n != 2 {
			t.Errorf("%d containers, want 2: the old ones must go", n)
		}
	})
}

func TestCtrlCRollsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		before := w.containers()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		tell := w.executor.Progress
		w.executor.Progress = func(line string) {
			tell(line)
			if strings.HasPrefix(line, "swapped app") {
				cancel()
			}
		}
		applied, err := w.executor.Apply(ctx, w.source, w.propose().Plan)
		if err != nil {
			t.Fatal(err)
		}
		if applied.Result != ResultRolledBack {
			t.Fatalf("result = %q, want rolled back", applied.Result)
		}
		w.wantAsBefore(before)
	})
}

func TestApplyRefusesWhatMoved(t *testing.T) {
	tests := map[string]struct {
		reason string
		move   func(w *world)
	}{
		"File":      {"somebody edited the file after the plan was shown", func(w *world) { w.write(composeFile + "# one more line\n") }},
		"Container": {"somebody recreated a container", func(w *world) { w.recreate("shop-app-1") }},
		"Policy":    {"the policy was edited", func(w *world) { w.source.Policies[0].Digest = "sha256:other" }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, syncPolicy)
				confirmed := w.propose().Plan
				tc.move(w)
				file, containers := w.file(), w.containers()
				if _, err := w.executor.Apply(t.Context(), w.source, confirmed); !errors.Is(err, ErrMoved) {
					t.Errorf("%s: error = %v, want ErrMoved", tc.reason, err)
				}
				if w.file() != file {
					t.Errorf("%s: the file was written", tc.reason)
				}
				if diff := cmp.Diff(containers, w.containers()); diff != "" {
					t.Errorf("%s: containers changed (-before +after):\n%s", tc.reason, diff)
				}
			})
		})
	}
}

func (w *world) recreate(name string) {
	w.t.Helper()
	if err := w.engine.Recreate(w.t.Context(), name); err != nil {
		w.t.Fatal(err)
	}
}

func TestApplyRefusesALockedProject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		planned := w.propose().Plan
		locker := w.source.locker()
		locker.Writer, locker.Prober, locker.Host = w.engine, w.engine, "elsewhere"
		unlock, err := locker.Lock(t.Context(), "shop", "other")
		if err != nil {
			t.Fatal(err)
		}
		before := w.containers()
		var locked *engine.LockedError
		if _, err := w.executor.Apply(t.Context(), w.source, planned); !errors.As(err, &locked) {
			t.Errorf("error = %v, want the lock's holder", err)
		}
		if p := w.propose().Plan; len(p.Steps) != 0 || len(p.Held) != 1 || !strings.Contains(p.Held[0].Reason, "elsewhere") {
			t.Errorf("plan = %+v %+v, want the project held by its lock", p.Steps, p.Held)
		}
		w.wantAsBefore(before)
		if err := unlock(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFilesOutsideTheRootsAreNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		before := w.containers()
		w.executor.Roots = []string{t.TempDir()}
		if _, err := w.executor.Apply(t.Context(), w.source, w.propose().Plan); err == nil {
			t.Error("a file outside the allowed roots was accepted")
		}
		w.wantAsBefore(before)
	})
}

func TestProposeWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		before := w.containers()
		stat, err := os.Stat(filepath.Join(w.dir, "compose.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		first, second := w.propose(), w.propose()
		if !Same(first.Plan, second.Plan) {
			t.Error("two looks at one world gave two plans")
		}
		w.wantAsBefore(before)
		again, err := os.Stat(filepath.Join(w.dir, "compose.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if !again.ModTime().Equal(stat.ModTime()) {
			t.Error("a look touched the file")
		}
		if _, err := os.Stat(w.stateDir); !os.IsNotExist(err) {
			t.Error("a look made the state folder")
		}
	})
}

func TestValueFromTheShellIsNotPatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		w.write(patchedFile)
		w.source.Compose.Environ = []string{"SYNC_ENABLED=false"}
		proposal := w.propose()
		for _, f := range proposal.Findings {
			if f.Variable == "SYNC_ENABLED" && f.Layer != policy.LayerContainer && f.Verdict != policy.OverriddenByEnvironment {
				t.Errorf("verdict = %s, want OverriddenByEnvironment: %s", f.Verdict, f.Message)
			}
		}
		if n := len(proposal.Plan.Of(plan.VerbPatch)); n != 0 {
			t.Errorf("%d patches, want none: no edit would help", n)
		}
	})
}

func TestUnfinishedTransactionComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		before := w.containers()
		c, err := w.engine.Inspect(t.Context(), "/shop-app-1")
		if err != nil {
			t.Fatal(err)
		}
		if err := w.engine.Rename(t.Context(), c.ID, engine.KeptName("shop-app-1")); err != nil {
			t.Fatal(err)
		}
		p := w.propose().Plan
		if len(p.Steps) != 1 || p.Steps[0].Verb != plan.VerbRecover || len(p.Held) > 0 {
			t.Fatalf("plan = %+v, want the recovery and nothing else", p)
		}
		if applied := w.apply(); applied.Result != ResultRecovered {
			t.Errorf("result = %q", applied.Result)
		}
		w.wantContainers(before, "what was put aside is put back")
	})
}

func TestUnknownServiceIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		w.source.Services = []string{"bat"}
		if _, err := Propose(t.Context(), w.source); err == nil || !strings.Contains(err.Error(), "bat") {
			t.Errorf("error = %v, want it to name the service", err)
		}
	})
}

func TestLaterFileThatWinsHoldsTheEdit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		override := filepath.Join(w.dir, "override.yaml")
		if err := os.WriteFile(override, []byte("services:\n  app:\n    environment:\n      SYNC_ENABLED: \"false\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		w.source.Compose.Files = append(w.source.Compose.Files, override)
		var files []string
		for _, step := range w.propose().Plan.Of(plan.VerbPatch) {
			files = append(files, step.Object)
			if step.Object == "override.yaml" && !strings.Contains(string(step.Patch.After), `SYNC_ENABLED: "${SYNC_ENABLED:-true}"`) {
				t.Errorf("override after = %s", step.Patch.After)
			}
		}
		if got := strings.Join(files, " "); got != "compose.yaml override.yaml" {
			t.Errorf("patched files = %s, want the one that wins to be corrected as well", got)
		}
	})
}

func verbs(p plan.Plan) string {
	var words []string
	for _, step := range p.Steps {
		words = append(words, string(step.Verb))
	}
	return strings.Join(words, " ")
}
