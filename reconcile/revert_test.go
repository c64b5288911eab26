package reconcile

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/state"
)

// last is the transaction that can be taken back.
func (w *world) last() state.Record {
	w.t.Helper()
	records, err := state.Store{Dir: w.stateDir}.List("shop")
	if err != nil {
		w.t.Fatal(err)
	}
	record, err := Revertible(records, "")
	if err != nil {
		w.t.Fatal(err)
	}
	return record
}

func (w *world) revert(record state.Record) Applied {
	w.t.Helper()
	proposal, err := ProposeRevert(w.t.Context(), w.source, record)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(proposal.Plan.Held) > 0 {
		w.t.Fatalf("held: %+v", proposal.Plan.Held)
	}
	applied, err := w.executor.Revert(w.t.Context(), w.source, record, proposal.Plan)
	if err != nil {
		w.t.Fatal(err)
	}
	return applied
}

// setup is what compose would compare: the environment and the hash of each container.
func (w *world) setup() map[string][]string {
	w.t.Helper()
	seen := map[string][]string{}
	for _, name := range w.names() {
		c := w.inspect(name)
		seen[name] = append([]string{c.Label(engine.LabelConfigHash), string(c.State.Status)}, c.Config.Env...)
	}
	return seen
}

func TestRevertPutsEverythingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		before := w.setup()
		if applied := w.apply(); applied.Result != ResultCommitted {
			t.Fatalf("apply: %q", applied.Result)
		}
		applied := w.revert(w.last())
		if applied.Result != ResultCommitted {
			t.Fatalf("result = %q: %s", applied.Result, w.told(applied))
		}
		if w.file() != composeFile {
			t.Errorf("the file is\n%s", w.file())
		}
		if diff := cmp.Diff(before, w.setup()); diff != "" {
			t.Errorf("containers (-before +after):\n%s", diff)
		}
		w.wantNoSecrets(applied)
		w.wantClosed()
		records, _ := state.Store{Dir: w.stateDir}.List("shop")
		if _, err := Revertible(records, ""); err == nil || !strings.Contains(err.Error(), "no committed transaction") {
			t.Errorf("it can be taken back twice: %v", err)
		}
	})
}

func TestRevertRefusesWhatIsNotAsItWasLeft(t *testing.T) {
	tests := map[string]struct {
		reason  string
		meddle  func(w *world)
		refused string // part of the error; empty: held
	}{
		"Edited": {"a person's edit would be lost", func(w *world) { w.write(strings.Replace(patchedFile, "# the shop", "# my shop", 1)) }, "was edited after transaction"},
		"Gone": {"there is no file to restore", func(w *world) {
			_ = os.Rename(filepath.Join(w.dir, "compose.yaml"), filepath.Join(w.dir, "docker-compose.yml"))
		}, "compose.yaml"},
		"Recreated": {"it is another container now", func(w *world) {
			if err := w.engine.Recreate(w.t.Context(), "shop-app-1"); err != nil {
				w.t.Fatal(err)
			}
		}, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, syncPolicy)
				w.apply()
				tc.meddle(w)
				left := w.setup()
				proposal, err := ProposeRevert(t.Context(), w.source, w.last())
				if tc.refused != "" && (err == nil || !strings.Contains(err.Error(), tc.refused)) {
					t.Errorf("%s: error %v", tc.reason, err)
				}
				if tc.refused == "" && (err != nil || len(proposal.Plan.Steps) > 0 || len(proposal.Plan.Held) == 0) {
					t.Errorf("%s: %v, %+v", tc.reason, err, proposal.Plan)
				}
				if diff := cmp.Diff(left, w.setup()); diff != "" {
					t.Errorf("something was done (-before +after):\n%s", diff)
				}
			})
		})
	}
}

// What did not come up before does not come up now: then the transaction stays.
func TestRevertThatFailsIsUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withoutChecks())
		broken := false
		w.restart(composeFile, func(env map[string]string) enginetest.Behavior {
			if broken && env["SYNC_ENABLED"] != "true" {
				return enginetest.Behavior{Exit: &enginetest.Exit{After: 50 * time.Millisecond, Code: 2}}
			}
			return enginetest.Behavior{}
		}, "")
		w.apply()
		left, content := w.setup(), w.file()
		broken = true
		applied := w.revert(w.last())
		if applied.Result != ResultRolledBack {
			t.Fatalf("result = %q: %s", applied.Result, w.told(applied))
		}
		if w.file() != content {
			t.Errorf("the file is\n%s", w.file())
		}
		if diff := cmp.Diff(left, w.setup()); diff != "" {
			t.Errorf("containers (-before +after):\n%s", diff)
		}
	})
}

func TestRevertThatIsCutOffIsPutInOrder(t *testing.T) {
	for k := range 14 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, syncPolicy)
			before := w.setup()
			w.apply()
			left, record := w.setup(), w.last()
			w.die(k, true)
			proposal, err := ProposeRevert(t.Context(), w.source, record)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = w.executor.Revert(t.Context(), w.source, record, proposal.Plan)
			w.reborn()
			if p := w.propose().Plan; Recovers(p) {
				if applied, err := w.executor.Apply(t.Context(), w.source, p); err != nil || applied.Result != ResultRecovered {
					t.Fatalf("after call %d: %v, %q: %s", k, err, applied.Result, w.told(applied))
				}
			}
			want := left
			if w.file() == composeFile {
				want = before
			}
			if diff := cmp.Diff(want, w.setup()); diff != "" {
				t.Errorf("after call %d, containers and file do not go together (-want +got):\n%s", k, diff)
			}
			w.wantClosed()
		})
	}
}

func TestRevertRemovesWhatWasCreated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.Replace(syncPolicy, "  rollout:", "  patch: {target: Override}\n  rollout:", 1))
		w.source.Compose.Files = nil
		before := w.setup()
		if applied := w.apply(); applied.Result != ResultCommitted {
			t.Fatalf("apply: %q: %s", applied.Result, w.told(applied))
		}
		created := filepath.Join(w.dir, "compose.override.yaml")
		if _, err := os.Stat(created); err != nil {
			t.Fatal(err)
		}
		if applied := w.revert(w.last()); applied.Result != ResultCommitted {
			t.Fatalf("result = %q: %s", applied.Result, w.told(applied))
		}
		if _, err := os.Stat(created); !os.IsNotExist(err) {
			t.Errorf("it is still there: %v", err)
		}
		if diff := cmp.Diff(before, w.setup()); diff != "" {
			t.Errorf("containers (-before +after):\n%s", diff)
		}
	})
}

func TestRevertible(t *testing.T) {
	now := time.Now()
	record := func(id string, outcome state.Outcome, undoes string) state.Record {
		r := state.Record{Transaction: id, Outcome: outcome, Undoes: undoes, Ended: &now}
		if outcome == "" {
			r.Ended = nil
		}
		return r
	}
	tests := map[string]struct {
		reason  string
		records []state.Record
		id      string
		want    string // the transaction; empty: refused
	}{
		"None":       {"nothing was done", nil, "", ""},
		"Last":       {"the last that is in force", []state.Record{record("t1", state.OutcomeCommitted, ""), record("t2", state.OutcomeCommitted, ""), record("t3", state.OutcomeRolledBack, "")}, "", "t2"},
		"Named":      {"by its beginning", []state.Record{record("t1-abc", state.OutcomeRecoveredFinished, "")}, "t1", "t1-abc"},
		"NotLast":    {"a later one builds on it", []state.Record{record("t1", state.OutcomeCommitted, ""), record("t2", state.OutcomeCommitted, "")}, "t1", ""},
		"Undone":     {"the one before is in force again", []state.Record{record("t1", state.OutcomeCommitted, ""), record("t2", state.OutcomeCommitted, ""), record("t3", state.OutcomeCommitted, "t2")}, "", "t1"},
		"Unfinished": {"it has to be put in order first", []state.Record{record("t1", state.OutcomeCommitted, ""), record("t2", "", "")}, "", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Revertible(tc.records, tc.id)
			if got.Transaction != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("%s: %q, %v; want %q", tc.reason, got.Transaction, err, tc.want)
			}
		})
	}
}

func TestRevertInterruptedByAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		w.apply()
		left, record := w.setup(), w.last()
		proposal, err := ProposeRevert(t.Context(), w.source, record)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		w.executor.Progress = func(line string) {
			if strings.HasPrefix(line, "swapping") {
				cancel()
			}
		}
		applied, err := w.executor.Revert(ctx, w.source, record, proposal.Plan)
		if err != nil || applied.Result != ResultRolledBack {
			t.Fatalf("%v, %q", err, applied.Result)
		}
		if diff := cmp.Diff(left, w.setup()); diff != "" {
			t.Errorf("containers (-before +after):\n%s", diff)
		}
	})
}
