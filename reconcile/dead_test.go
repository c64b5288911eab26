package reconcile

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/files"
	"github.com/composure-dev/composure/internal/state"
	"github.com/composure-dev/composure/reconcile/plan"
)

// patching is the record of a run with --files-only that died after it had patched the file.
func (w *world) patching(id string) state.Record {
	w.t.Helper()
	w.write(patchedFile)
	record := state.Record{
		Transaction: id, Project: "shop", Host: "here", PID: 4711, Process: "boot/1", Began: time.Now().UTC().Add(-time.Hour), Phase: state.PhasePrepared,
		Plan: []byte("{}"),
		Files: []state.FileImage{{
			Path: w.source.Compose.Files[0], Before: []byte(composeFile), DigestBefore: files.Digest([]byte(composeFile)),
			After: []byte(patchedFile), DigestAfter: files.Digest([]byte(patchedFile)),
		}},
	}
	w.save(record)
	return record
}

func (w *world) save(record state.Record) {
	w.t.Helper()
	if err := w.source.Journal.Save(record); err != nil {
		w.t.Fatal(err)
	}
}

// A process id says little: the next boot, or the same one later, gives it to another process.
func TestAnotherProcessWithThePIDIsNotTheDeadOne(t *testing.T) {
	tests := map[string]struct {
		reason        string
		recorded, now string
		wantDead      bool
	}{
		"Same":     {"it still runs", "boot/1", "boot/1", false},
		"Reused":   {"another one has its id", "boot/1", "boot/2", true},
		"OldWorld": {"an older release did not note it", "", "boot/2", false},
		"Unknown":  {"this system does not tell", "boot/1", "", false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, syncPolicy)
				record := w.patching("t0")
				record.Process = tc.recorded
				w.save(record)
				w.source.Born = func(int) string { return tc.now }
				if dead := Recovers(w.propose().Plan); dead != tc.wantDead {
					t.Errorf("%s: dead = %v", tc.reason, dead)
				}
			})
		})
	}
}

// Who is at work on containers holds the project's lock. When nobody does, a process that has the id is another one.
func TestWithoutItsLockATransactionIsDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		before := w.containers()
		w.die(1, true)
		_, _ = w.executor.Apply(t.Context(), w.source, w.propose().Plan)
		w.reborn()
		for _, name := range []string{"composure-lock-shop", "shop-app-1.composure-new"} {
			if err := w.engine.Remove(t.Context(), w.inspect(name).ID, true); err != nil {
				t.Fatal(err)
			}
		}
		record := w.recorded()
		record.PID = 4711 // not this test's
		w.save(record)
		w.source.Alive = func(int) bool { return true }
		w.settled("as before, byte for byte")
		w.wantContainers(before, "nothing was done to them")
	})
}

// The usual crash: the power fails in the middle of a swap, and after that another process has the id that the lock and the record name;
// in a container it is always the same id. Nobody is to wait for that one.
func TestNobodyWaitsForAnotherProcessWithThePIDOfTheLock(t *testing.T) {
	for name, pid := range map[string]int{"Another": 4711, "OwnPredecessor": os.Getpid()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, syncPolicy)
				before := w.containers()
				w.source.Born = func(int) string { return "boot/1" }
				w.die(4, true)
				_, _ = w.executor.Apply(t.Context(), w.source, w.propose().Plan)
				w.reborn()
				w.madeBy(pid)
				w.source.Alive = func(int) bool { return true }
				if p := w.propose().Plan; Recovers(p) || len(p.Held) != 1 {
					t.Errorf("it is at work, and yet: %+v", p)
				}
				w.source.Born = func(int) string { return "later/1" }
				w.settled("as before")
				w.wantContainers(before, "it was undone")
			})
		})
	}
}

// madeBy makes the record and the lock those of another process.
func (w *world) madeBy(pid int) {
	w.t.Helper()
	record := w.recorded()
	record.PID = pid
	w.save(record)
	lock := w.inspect("composure-lock-shop")
	lock.Config.Labels[engine.LabelPID] = strconv.Itoa(pid)
	if err := w.engine.Remove(w.t.Context(), lock.ID, true); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.engine.Create(w.t.Context(), engine.Spec{Name: lock.CleanName(), Config: lock.Config, Host: lock.HostConfig}); err != nil {
		w.t.Fatal(err)
	}
}

// lateReader has something happen right after it has listed the containers.
type lateReader struct {
	engine.Reader
	then func()
}

func (r lateReader) List(ctx context.Context, filters ...string) ([]engine.Container, error) {
	list, err := r.Reader.List(ctx, filters...)
	r.then()
	return list, err
}

// A process that takes the lock after the containers were listed, and writes its record before the records are, is at work all the same.
func TestTransactionThatBeginsDuringTheLookIsNotCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		w.source.Born = func(int) string { return "boot/1" }
		info, err := w.engine.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.source.Reader = lateReader{w.engine, func() {
			record := w.patching("t0")
			record.Engine = info.Host
			w.save(record)
		}}
		if p := w.propose().Plan; Recovers(p) {
			t.Errorf("its process lives, and yet: %+v", p.Steps)
		}
	})
}

// A process that lives on may have had to leave a transaction: it has let go of the lock then.
func TestOwnTransactionIsUnderWayWhileItHasTheLock(t *testing.T) {
	for name, locked := range map[string]bool{"Locked": true, "LetGo": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, syncPolicy)
				w.source.Born = func(int) string { return "boot/1" }
				record := w.patching("t0")
				record.PID = os.Getpid()
				w.save(record)
				if locked {
					if _, err := w.executor.lockProject(t.Context(), w.source, "shop", "t0"); err != nil {
						t.Fatal(err)
					}
				}
				proposal := w.propose()
				if p := proposal.Plan; Recovers(p) == locked || len(p.Held) > 0 != locked {
					t.Errorf("plan = %+v", p)
				}
				if cuts := proposal.Snapshot.cuts; len(cuts) > 0 == locked {
					t.Errorf("cut off: %+v", cuts)
				}
			})
		})
	}
}

// What a later transaction has verified is not undone for an earlier one that nobody had known to be dead.
func TestOvertakenTransactionIsClosedAndNotUndone(t *testing.T) {
	tests := map[string]struct {
		reason string
		later  state.Record
		want   state.Outcome
	}{
		"SameFile":      {"its file was changed since", state.Record{Outcome: state.OutcomeCommitted, Files: []state.FileImage{{Path: "FILE"}}}, state.OutcomeOvertaken},
		"SameContainer": {"its container was replaced since", state.Record{Outcome: state.OutcomeLeftover, Containers: []state.Container{{Name: "shop-app-1", Inspect: []byte("{}")}}}, state.OutcomeOvertaken},
		"Others":        {"something else was changed since", state.Record{Outcome: state.OutcomeCommitted, Files: []state.FileImage{{Path: "/other"}}}, state.OutcomeRecoveredUndone},
		"RolledBack":    {"what came after is undone itself", state.Record{Outcome: state.OutcomeRolledBack, Files: []state.FileImage{{Path: "FILE"}}}, state.OutcomeRecoveredUndone},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, syncPolicy)
				record := w.patching("t1")
				record.Containers = []state.Container{{ID: "gone", Name: "shop-app-1", Inspect: []byte("{}")}}
				w.save(record)
				later, ended := tc.later, time.Now().UTC()
				later.Transaction, later.Project, later.Began, later.Ended, later.Plan = "t2", "shop", ended, &ended, []byte("{}")
				for i := range later.Files {
					if later.Files[i].Path == "FILE" {
						later.Files[i].Path = w.source.Compose.Files[0]
					}
				}
				w.save(later)
				w.reborn()
				want, line := composeFile, "as before, byte for byte"
				if tc.want == state.OutcomeOvertaken {
					want, line = patchedFile, "transaction t2 has changed the same since; nothing of it is undone"
				}
				w.settled(line)
				if w.file() != want {
					t.Errorf("%s: the file is\n%s", tc.reason, w.file())
				}
				if got := w.recorded().Outcome; got != tc.want {
					t.Errorf("%s: outcome = %q", tc.reason, got)
				}
			})
		})
	}
}

// A rollback that could not put a container back may not have come to the files either.
func TestFilesOfAFailedRollbackAreRestoredWithItsContainers(t *testing.T) {
	tests := map[string]struct {
		reason string
		since  string // what somebody has made of the file
		want   string
		told   string
	}{
		"AsWritten": {"it is as the transaction wrote it", patchedFile, composeFile, "compose.yaml: as before, byte for byte"},
		"Edited":    {"it is somebody's by now", patchedFile + "# mine\n", patchedFile + "# mine\n", "somebody has edited it since"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, strings.ReplaceAll(syncPolicy, ":-updates", nobody))
				before := w.containers()
				beat := w.inspect("shop-beat-1")
				w.executor.Writer = &faultyWriter{Writer: w.engine, fail: func(_ int, verb, id string) (bool, bool) {
					return verb == "start" && id == beat.ID, false
				}}
				w.executor.Files = stuckFiles{}
				if applied := w.apply(); applied.Result != ResultRollbackFailed {
					t.Fatalf("result = %q: %s", applied.Result, w.told(applied))
				}
				since := strings.ReplaceAll(tc.since, ":-updates", nobody)
				w.write(since)
				w.reborn()
				if locked := w.propose().Plan.Of(plan.VerbRecover)[0].Recover; len(locked.Files) != 1 || len(locked.Locked) != 1 {
					t.Errorf("files %v, locked %v", locked.Files, locked.Locked)
				}
				w.settled(tc.told)
				if want := strings.ReplaceAll(tc.want, ":-updates", nobody); w.file() != want {
					t.Errorf("%s: the file is\n%s", tc.reason, w.file())
				}
				w.wantContainers(before, "the container is put back as well")
			})
		})
	}
}

// stuckFiles cannot restore what they have written.
type stuckFiles struct{ disk }

func (stuckFiles) Restore([]files.Before) error { return errInjected }

func TestApplyTidiesTheRecordsUnderTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		w.executor.TidyRecords = func(project string) error {
			if _, err := w.engine.Inspect(t.Context(), "/composure-lock-"+project); err != nil {
				t.Errorf("the records are tidied without the lock: %v", err)
			}
			return errInjected
		}
		if applied := w.apply(); applied.Result != ResultCommitted || !strings.Contains(w.told(applied), "old records could not be removed") {
			t.Errorf("result = %q, %s", applied.Result, w.told(applied))
		}
	})
}

// Two operators of one engine may keep their records apart. What one has put in order and done anew is not undone by the other one, which
// finds its record open when it comes back.
func TestTransactionOvertakenByOneWithRecordsElsewhere(t *testing.T) {
	for call := 2; call < 11; call++ { // from then on it is finished, by whoever comes
		t.Run(strconv.Itoa(call), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, syncPolicy)
				w.die(call, true)
				_, _ = w.executor.Apply(t.Context(), w.source, w.propose().Plan)
				w.reborn()
				mine := w.source.Journal
				w.source.Journal = state.Store{Dir: t.TempDir()}
				for Recovers(w.propose().Plan) {
					w.apply()
				}
				if applied := w.apply(); applied.Result != ResultCommitted {
					t.Fatalf("result = %q: %s", applied.Result, w.told(applied))
				}
				done, file := w.containers(), w.file()
				w.source.Journal = mine
				w.executor.NewID = func() string { return "t10" }
				w.settled("transaction t9 has changed the same since; nothing of it is undone")
				if w.file() != file {
					t.Errorf("the file was put back:\n%s", w.file())
				}
				w.wantContainers(done, "they are as the policy says")
				if got := w.recorded().Outcome; got != state.OutcomeOvertaken {
					t.Errorf("outcome = %q", got)
				}
			})
		})
	}
}
