package reconcile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/files"
	"github.com/composure-dev/composure/internal/state"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

var errDead = errors.New("the process is dead")

// die makes the executor's process end at the k-th write to the engine, before or after its effect. What the dead process calls
// afterwards has no effect: nothing that it would tidy up is tidied up.
func (w *world) die(k int, after bool) (calls *int) {
	dead := false
	faulty := &faultyWriter{Writer: w.engine}
	faulty.fail = func(call int, _, _ string) (bool, bool) {
		before := dead || call == k && !after
		dead = dead || call == k
		return before, dead && after
	}
	w.executor.Writer = faulty
	w.executor.Files = mortalFiles{&dead}
	w.source.Journal = mortalJournal{w.source.Journal, &dead}
	return &faulty.calls
}

type mortalFiles struct{ dead *bool }

func (m mortalFiles) WriteAll(writes []files.Write, roots []string) ([]files.Before, error) {
	if *m.dead {
		return nil, errDead
	}
	return files.WriteAll(writes, roots)
}

func (m mortalFiles) Restore(before []files.Before) error {
	if *m.dead {
		return errDead
	}
	return files.Restore(before)
}

type mortalJournal struct {
	Journal
	dead *bool
}

func (m mortalJournal) Save(record state.Record) error {
	if *m.dead {
		return errDead
	}
	return m.Journal.Save(record)
}

// reborn is the next process: nothing fails any more, and the one before is known to be gone.
func (w *world) reborn() {
	w.executor.Writer, w.executor.Files = w.engine, nil
	w.source.Journal = state.Store{Dir: w.stateDir}
	w.source.Alive = func(int) bool { return false }
	w.executor.NewID = func() string { return "t9" }
}

// Wherever the process dies, the next run first puts everything in order, and then does what is to be done.
func TestCrashIsPutInOrderByTheNextRun(t *testing.T) {
	for _, after := range []bool{false, true} {
		for k := 0; ; k++ {
			made := 0
			t.Run(fmt.Sprintf("call %d, after %v", k, after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { made = crashAndRecover(t, k, after) })
			})
			if k >= made {
				break
			}
		}
	}
}

func crashAndRecover(t *testing.T, k int, after bool) (calls int) {
	w := newWorld(t, syncPolicy)
	before := w.containers()
	made := w.die(k, after)
	_, _ = w.executor.Apply(t.Context(), w.source, w.propose().Plan) // whatever a dead process would say
	w.reborn()
	proposal := w.propose()
	if Recovers(proposal.Plan) {
		applied, err := w.executor.Apply(t.Context(), w.source, proposal.Plan)
		if err != nil || applied.Result != ResultRecovered {
			t.Fatalf("recovery: %v, %q, %s", err, applied.Result, w.told(applied))
		}
		w.wantNoSecrets(applied)
		w.wantOldOrNew(before)
		proposal = w.propose()
	}
	if len(proposal.Plan.Held) > 0 || Recovers(proposal.Plan) {
		t.Fatalf("after the recovery: %+v", proposal.Plan)
	}
	applied, err := w.executor.Apply(t.Context(), w.source, proposal.Plan)
	if err != nil || applied.Result != ResultCommitted && applied.Result != ResultNothing {
		t.Fatalf("afterwards: %v, %q, %s", err, applied.Result, w.told(applied))
	}
	if w.file() != patchedFile {
		t.Errorf("afterwards the file is\n%s", w.file())
	}
	if diff := cmp.Diff([]string{"shop-app-1", "shop-beat-1"}, w.names()); diff != "" {
		t.Errorf("afterwards (-want +got):\n%s", diff)
	}
	w.wantClosed()
	return *made
}

// wantOldOrNew wants files and containers all as they were, or all as they were to be.
func (w *world) wantOldOrNew(before map[string]string) {
	w.t.Helper()
	if w.file() == composeFile {
		w.wantServicesAsBefore(before)
	} else if w.file() != patchedFile {
		w.t.Errorf("the file is neither old nor new:\n%s", w.file())
	}
	if diff := cmp.Diff([]string{"shop-app-1", "shop-beat-1"}, w.names()); diff != "" {
		w.t.Errorf("recovered, but (-want +got):\n%s", diff)
	}
	w.wantOneRunningEach()
}

func (w *world) names() []string {
	w.t.Helper()
	list, err := w.engine.List(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, c := range list {
		names = append(names, c.CleanName())
	}
	return names
}

// wantClosed wants no record to be open, and no lock or temporary file beside the compose file.
func (w *world) wantClosed() {
	w.t.Helper()
	records, err := state.Store{Dir: w.stateDir}.List("shop")
	if err != nil {
		w.t.Error(err)
	}
	for _, record := range records {
		if record.Ended == nil {
			w.t.Errorf("record %s is still open", record.Transaction)
		}
	}
	if hidden, _ := filepath.Glob(filepath.Join(w.dir, ".*")); len(hidden) > 0 {
		w.t.Errorf("left over: %v", hidden)
	}
}

func TestWhatSomebodyEditedAfterTheCrashIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		before := w.containers()
		w.die(3, true)
		_, _ = w.executor.Apply(t.Context(), w.source, w.propose().Plan)
		edited := strings.Replace(w.file(), "# the shop", "# my shop", 1)
		w.write(edited)
		w.reborn()
		applied := w.apply()
		if applied.Result != ResultRecovered || w.file() != edited {
			t.Errorf("%q; the file is\n%s", applied.Result, w.file())
		}
		if told := w.told(applied); !strings.Contains(told, "somebody has edited it since") {
			t.Errorf("nobody is told:\n%s", told)
		}
		w.wantContainers(before, "containers are put back all the same")
		w.wantClosed()
	})
}

func TestWithoutItsRecordContainersArePutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		before := w.containers()
		w.die(4, true)
		_, _ = w.executor.Apply(t.Context(), w.source, w.propose().Plan)
		if err := os.RemoveAll(w.stateDir); err != nil {
			t.Fatal(err)
		}
		w.reborn()
		applied := w.apply()
		if told := w.told(applied); applied.Result != ResultRecovered || !strings.Contains(told, "not kept in this state folder") {
			t.Errorf("%q:\n%s", applied.Result, told)
		}
		w.wantContainers(before, "the engine alone tells")
	})
}

func TestRecoveryWaitsForALiveProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		w.die(4, true)
		_, _ = w.executor.Apply(t.Context(), w.source, w.propose().Plan)
		w.reborn()
		w.source.Alive = func(int) bool { return true }
		p := w.propose().Plan
		if len(p.Steps) > 0 || len(p.Held) == 0 || !strings.Contains(p.Held[0].Reason, "is locked by transaction") {
			t.Errorf("somebody is at it, and yet: %+v", p)
		}
	})
}

func TestFilesOnlyLeavesContainersToApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		w.die(4, true)
		_, _ = w.executor.Apply(t.Context(), w.source, w.propose().Plan)
		w.reborn()
		w.source.Reader = nil
		p := w.propose().Plan
		if len(p.Of(plan.VerbPatch)) > 0 || len(p.Held) != 1 || p.Held[0].Next != "composure apply" {
			t.Errorf("it cannot put containers in order, and yet: %+v", p)
		}
	})
}

func TestInterruptedRecoveryGoesOnToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		before := w.containers()
		w.die(4, true)
		_, _ = w.executor.Apply(t.Context(), w.source, w.propose().Plan)
		w.reborn()
		ctx, cancel := context.WithCancel(t.Context())
		w.executor.Progress = func(string) { cancel() }
		applied, err := w.executor.Apply(ctx, w.source, w.propose().Plan)
		if err != nil || applied.Result != ResultRecovered {
			t.Errorf("%v, %q", err, applied.Result)
		}
		w.wantContainers(before, "half a recovery is the worst of all ends")
		w.wantClosed()
	})
}

// otherEngine is one with a project of the same name.
type otherEngine struct{ engine.Reader }

func (o otherEngine) Info(ctx context.Context) (engine.Info, error) {
	info, err := o.Reader.Info(ctx)
	info.Host = "tcp://elsewhere:2376"
	return info, err
}

func TestWhatWasCutOffOnAnotherEngineIsLeftToThat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		w.die(4, true)
		_, _ = w.executor.Apply(t.Context(), w.source, w.propose().Plan)
		elsewhere := newWorld(t, syncPolicy)
		elsewhere.source.Journal = state.Store{Dir: w.stateDir}
		elsewhere.source.Alive = func(int) bool { return false }
		elsewhere.source.Reader = otherEngine{elsewhere.engine}
		if p := elsewhere.propose().Plan; Recovers(p) || len(p.Of(plan.VerbSwap)) != 2 {
			t.Errorf("containers of another engine would be made here: %+v", p)
		}
	})
}

// A process that dies after its record is closed leaves no more than a lock file, which nothing speaks of but the file itself.
func TestLockFileOfADeadProcessIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		w.apply()
		if err := os.WriteFile(filepath.Join(w.dir, files.LockName), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if applied := w.apply(); applied.Result != ResultNothing {
			t.Errorf("result = %q", applied.Result)
		}
		w.wantClosed()
	})
}

// One answer that does not come is no failed check.
func TestHangingAnswerIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		hung := false
		w.executor.Prober = hangingProber{w.engine, &hung}
		if applied := w.apply(); applied.Result != ResultCommitted || !hung {
			t.Errorf("result = %q, hung %v: %s", applied.Result, hung, w.told(applied))
		}
	})
}

// hangingProber does not answer the first probe of a replacement.
type hangingProber struct {
	engine.Prober
	hung *bool
}

func (h hangingProber) Probe(ctx context.Context, target string, job []byte) ([]byte, error) {
	answer, err := h.Prober.Probe(ctx, target, job)
	if *h.hung || err != nil || !strings.Contains(string(answer), `"subscribers":1`) {
		return answer, err
	}
	*h.hung = true
	<-ctx.Done()
	return nil, ctx.Err()
}

// enforce has the policies change files and containers.
func (w *world) enforce(windows ...policy.Window) {
	for i := range w.source.Policies {
		w.source.Policies[i].Spec.Enforcement = policy.Enforcement{Files: policy.ModeEnforce, Containers: policy.ModeEnforce, Windows: windows}
	}
}

// What a stranger's process has left is not a daemon's to put in order, when no policy of its own may change the project's containers. A
// record of it, or such a policy, makes it so.
func TestAStrangersTransactionIsLeftAlone(t *testing.T) {
	lost := func(w *world) { w.source.Journal = state.Store{Dir: w.t.TempDir()} }
	tests := map[string]struct {
		reason   string
		change   func(*world)
		attended bool
		want     bool
	}{
		"Stranger": {"nothing here knows of it", func(w *world) { w.source.Policies, w.source.Journal = nil, state.Store{Dir: w.t.TempDir()} }, false, false},
		"Policy":   {"a policy that selects its services enforces them: the state folder was lost", func(w *world) { lost(w); w.enforce() }, false, true},
		"Audit":    {"the one that selects its services changes no containers", lost, false, false},
		"FilesOnly": {"that it may write the files is not enough", func(w *world) {
			lost(w)
			w.source.Policies[0].Spec.Enforcement.Files = policy.ModeEnforce
		}, false, false},
		"Closed": {"such a window is never open", func(w *world) { lost(w); w.enforce(policy.Window{}) }, false, false},
		"Foreign": {"another tool mends the project", func(w *world) {
			lost(w)
			w.enforce()
			if _, err := w.engine.AddService(w.t.Context(), enginetest.Service{
				Project: "shop", Name: "more", Image: "shop:1", Labels: map[string]string{"coolify.managed": "true"},
			}); err != nil {
				w.t.Fatal(err)
			}
		}, false, false},
		"AuditRecord": {"it was begun here, and what it has left is this one's", func(*world) {}, false, true},
		"AuditPerson": {"a person wants it", lost, true, true},
		"Record":      {"it was begun here, and the policy was removed since", func(w *world) { w.source.Policies = nil }, false, true},
		"Person":      {"a person wants it", func(w *world) { w.source.Policies, w.source.Journal = nil, state.Store{Dir: w.t.TempDir()} }, true, true},
		"Elsewhere": {"its files are not here", func(w *world) {
			w.source.Journal, w.source.Unreachable = state.Store{Dir: w.t.TempDir()}, "below no allowed root"
			w.source.Compose.Name = "shop"
		}, false, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, syncPolicy)
				w.up()
				w.dieAfterStart()
				tc.change(w)
				w.source.Unattended, w.source.Now = !tc.attended, time.Now()
				p := w.propose().Plan
				if got := Recovers(p); got != tc.want {
					t.Errorf("%s: it is put in order: %t; held: %+v", tc.reason, got, p.Held)
				}
				if !tc.want && (len(p.Steps) > 0 || len(p.Held) == 0) {
					t.Errorf("%s: %d steps, held: %+v", tc.reason, len(p.Steps), p.Held)
				}
			})
		})
	}
}
