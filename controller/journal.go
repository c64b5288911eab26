package controller

import (
	"github.com/composure-dev/composure/internal/state"
)

// journal keeps records and, with the end of each, the mark of a suspended project: one who takes a transaction back does not want it
// done again at once by itself, and one who applies wants it done. It goes by the record, so that it holds of a transaction that
// another process has finished, too.
type journal struct{ state.Store }

// Save suspends the project before a transaction that takes another one back is recorded as committed: a crash between the two leaves
// a mark too many, which is lifted when the transaction is undone.
func (j journal) Save(record state.Record) error {
	if record.Ended == nil || j.ended(record) {
		return j.Store.Save(record)
	}
	if record.Undoes != "" && record.Committed() {
		mark := state.Suspension{Since: *record.Ended, Reason: "taken back by a person", Transaction: record.Undoes}
		if err := j.Suspend(record.Project, mark); err != nil {
			return err
		}
	}
	if err := j.Store.Save(record); err != nil {
		return err
	}
	return j.lift(record)
}

// ended reports whether the end of the transaction was recorded before: what is tidied up after it says nothing of what a person wants.
func (j journal) ended(record state.Record) bool {
	known, err := j.Load(record.Project, record.Transaction)
	return err == nil && known.Ended != nil
}

// lift takes away the mark that a committed transaction makes void, or that one has made which was undone in the end. A mark that was
// set after the transaction had begun says what somebody wants from then on: it stays.
func (j journal) lift(record state.Record) error {
	if record.Undoes == "" {
		mark, err := j.Suspension(record.Project)
		if later := err == nil && mark != nil && mark.Since.After(record.Began); later || !record.Committed() {
			return nil
		}
		return j.Resume(record.Project)
	}
	mark, err := j.Suspension(record.Project)
	if err != nil || mark == nil || record.Committed() || mark.Transaction != record.Undoes {
		return err
	}
	return j.Resume(record.Project)
}
