package reconcile

import (
	"bytes"
	"context"
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

// created is a world in which the policy's declarations go to a file of their own, compose.override.yaml.
func created(t *testing.T, policyText string) (w *world, path string) {
	t.Helper()
	w = newWorld(t, strings.Replace(policyText, "  rollout:", "  patch: {target: Override}\n  rollout:", 1))
	w.source.Compose.Files = nil
	return w, filepath.Join(w.dir, "compose.override.yaml")
}

// Wherever the process dies, the next run makes files and containers go together.
func TestRevertThatIsCutOffIsPutInOrder(t *testing.T) {
	for _, after := range []bool{false, true} {
		for k := 0; ; k++ {
			made := 0
			t.Run(fmt.Sprintf("call %d, after %v", k, after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { made = cutOffAndRecover(t, k, after) })
			})
			if k >= made {
				break
			}
		}
	}
}

func cutOffAndRecover(t *testing.T, k int, after bool) (calls int) {
	w, path := created(t, syncPolicy)
	before := w.setup()
	w.apply()
	left, record := w.setup(), w.last()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	made := w.die(k, after)
	proposal, err := ProposeRevert(t.Context(), w.source, record)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.executor.Revert(t.Context(), w.source, record, proposal.Plan)
	w.reborn()
	if p := w.propose().Plan; Recovers(p) {
		if applied, err := w.executor.Apply(t.Context(), w.source, p); err != nil || applied.Result != ResultRecovered {
			t.Fatalf("%v, %q: %s", err, applied.Result, w.told(applied))
		}
	}
	want := left
	if now, err := os.ReadFile(path); os.IsNotExist(err) {
		want = before
	} else if err != nil || !bytes.Equal(now, content) {
		t.Errorf("the file came back as\n%s, %v", now, err)
	}
	if diff := cmp.Diff(want, w.setup()); diff != "" {
		t.Errorf("containers and file do not go together (-want +got):\n%s", diff)
	}
	w.wantClosed()
	return *made
}

func TestRevertThatFailsBringsBackWhatItRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, path := created(t, withoutChecks())
		w.apply()
		if err := os.Chmod(path, 0o604); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		left, record := w.setup(), w.last()
		w.executor.Writer = &faultyWriter{Writer: w.engine, fail: func(_ int, verb, id string) (bool, bool) {
			return verb == "create" && strings.HasPrefix(id, "shop-beat"), false
		}}
		if applied := w.revert(record); applied.Result != ResultRolledBack {
			t.Fatalf("result = %q: %s", applied.Result, w.told(applied))
		}
		now, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(now, content) {
			t.Errorf("the file is %v\n%s", err, now)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o604 {
			t.Errorf("its mode is not as before: %v, %v", info, err)
		}
		if diff := cmp.Diff(left, w.setup()); diff != "" {
			t.Errorf("containers (-before +after):\n%s", diff)
		}
	})
}

func TestRevertRemovesWhatWasCreated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, path := created(t, syncPolicy)
		before := w.setup()
		if applied := w.apply(); applied.Result != ResultCommitted {
			t.Fatalf("apply: %q: %s", applied.Result, w.told(applied))
		}
		if _, err := os.Stat(path); err != nil {
			t.Fatal(err)
		}
		if applied := w.revert(w.last()); applied.Result != ResultCommitted {
			t.Fatalf("result = %q: %s", applied.Result, w.told(applied))
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
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
		"Exact":      {"a name is a name, whatever else begins with it", []state.Record{record("t1-abc", state.OutcomeRolledBack, ""), record("t1", state.OutcomeCommitted, "")}, "t1", "t1"},
		"Ambiguous":  {"nobody knows which one is meant", []state.Record{record("t1", state.OutcomeCommitted, ""), record("t2", state.OutcomeCommitted, "")}, "t", ""},
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
