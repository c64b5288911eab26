package controller

import (
	"testing"
	"time"

	"github.com/composure-dev/composure/internal/state"
)

// The mark goes by how a transaction ends, whichever process ends it.
func TestJournalMarks(t *testing.T) {
	tests := map[string]struct {
		reason  string
		undoes  string
		outcome state.Outcome
		mark    string // the transaction of the mark there is
		ended   bool   // the end of the transaction was recorded before
		want    string
	}{
		"TakenBack":        {"a person has taken t1 back", "t1", state.OutcomeCommitted, "", false, "t1"},
		"TakenBackAgain":   {"the newer mark counts", "t1", state.OutcomeCommitted, "t0", false, "t1"},
		"FinishedAfter":    {"what a crash has cut off is finished by another process", "t1", state.OutcomeRecoveredFinished, "", false, "t1"},
		"Leftover":         {"it is done all the same", "t1", state.OutcomeLeftover, "", false, "t1"},
		"NotTakenBack":     {"it failed and was undone", "t1", state.OutcomeRolledBack, "", false, ""},
		"CutOffBeforeEnd":  {"the mark came before the crash, and then all was undone", "t1", state.OutcomeRecoveredUndone, "t1", false, ""},
		"OlderMarkStays":   {"one that fails says nothing of the one before", "t1", state.OutcomeRolledBack, "t0", false, "t0"},
		"Applied":          {"a person wants it again", "", state.OutcomeCommitted, "t1", false, ""},
		"AppliedAfter":     {"be it that another process finished it", "", state.OutcomeRecoveredFinished, "t1", false, ""},
		"NotApplied":       {"it failed and was undone", "", state.OutcomeRolledBack, "t1", false, "t1"},
		"TidiedUp":         {"only what it had left was removed, long after", "", state.OutcomeRecoveredFinished, "t1", true, "t1"},
		"NothingSuspended": {"there is nothing to lift", "", state.OutcomeCommitted, "", false, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := Config{StateDir: t.TempDir()}
			j := journal{state.Store{Dir: c.StateDir}}
			now := time.Now()
			record := state.Record{Transaction: "t2", Project: "shop", Began: now, Undoes: tc.undoes}
			if tc.ended {
				record.Ended, record.Outcome = &now, state.OutcomeLeftover
			}
			if err := j.Store.Save(record); err != nil {
				t.Fatal(err)
			}
			if tc.mark != "" {
				if err := j.Suspend("shop", state.Suspension{Since: now, Transaction: tc.mark}); err != nil {
					t.Fatal(err)
				}
			}
			record.Ended, record.Outcome = &now, tc.outcome
			if err := j.Save(record); err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			wantMark(t, c, tc.want)
			if saved, err := j.Load("shop", "t2"); err != nil || saved.Outcome != tc.outcome {
				t.Errorf("%s: recorded %q, %v", tc.reason, saved.Outcome, err)
			}
		})
	}
}
