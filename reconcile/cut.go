package reconcile

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/files"
	"github.com/composure-dev/composure/internal/state"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

// cut is a transaction whose process died, or that could not tidy up: by its record, by its containers, by its lock, or by all of
// them.
type cut struct {
	id string
	// record is nil when it is kept in another state folder, or lost.
	record *state.Record
	// swaps are those that the engine shows to be unfinished, what others hang on first.
	swaps []engine.Swapped
	// finish says that its checks had passed; what is left is to remove the old containers.
	finish bool
	// overtaken is a later transaction that was committed over the same files or containers: what that has verified is not undone for
	// one that nobody had known to be dead.
	overtaken string
}

// observeCuts finds what earlier runs have left. Records that cannot be read are told, and keep nothing from being done.
func (s *Snapshot) observeCuts(src Source, own []engine.Container) {
	records, err := src.Journal.List(s.Name)
	if err != nil {
		s.Warnings = append(s.Warnings, err.Error())
	}
	found := map[string]*cut{}
	at := func(id string) *cut {
		if found[id] == nil {
			found[id] = &cut{id: id}
		}
		return found[id]
	}
	for _, swapped := range engine.Interrupted(own) {
		swapped.Transaction = cmp.Or(swapped.Transaction, transactionOf(records, swapped.Old.ID))
		c := at(swapped.Transaction)
		swapped.Pace = usualPace()
		c.swaps, c.finish = append(c.swaps, swapped), engine.Committed(own, swapped.Transaction)
	}
	locker := src.locker()
	if lock, stale := locker.Stale(s.Name, s.All); stale {
		at(lock.Label(engine.LabelTransaction))
	}
	for _, record := range records {
		_, seen := found[record.Transaction]
		if seen || open(record) && !s.underWay(src, record) && s.concerns(record) {
			c := at(record.Transaction)
			c.record, c.finish = &record, record.Phase == state.PhaseCommitting
			c.overtaken = cmp.Or(overtaken(record, records), overtakenOn(own, record))
		}
	}
	if src.Transaction != "" {
		delete(found, src.Transaction)
	}
	for _, c := range found {
		s.cuts = append(s.cuts, *c)
	}
	slices.SortFunc(s.cuts, func(a, b cut) int { return cmp.Compare(a.id, b.id) })
}

// transactionOf is the last transaction that was to replace a container: one whose replacement is gone does not tell.
func transactionOf(records []state.Record, id string) string {
	for _, record := range slices.Backward(records) {
		if slices.ContainsFunc(record.Containers, func(c state.Container) bool { return c.ID == id }) {
			return record.Transaction
		}
	}
	return ""
}

// usualPace is what a policy says that says nothing.
func usualPace() engine.Pace {
	rollout, _ := policy.Strictest(nil)
	return engine.Pace{StableFor: time.Duration(rollout.StableFor), Timeout: time.Duration(rollout.Timeout)}
}

func open(record state.Record) bool { return record.Ended == nil }

// concerns holds for a record of containers of this engine: a project of the same name may be on another one as well.
func (s *Snapshot) concerns(record state.Record) bool {
	return len(record.Containers) == 0 || s.Engine.Host == "" || record.Engine == "" || record.Engine == s.Engine.Host
}

// underWay reports whether a transaction is at work. That its very process runs is enough: the list of the containers may be older than
// its lock. Where only the id is known the process may be another one, which does not hold the lock that whoever is at work on the engine
// holds. This process may have had to leave a transaction; it has let go of the lock then.
func (s *Snapshot) underWay(src Source, record state.Record) bool {
	if record.Transaction == src.Transaction {
		return true
	}
	if record.Host != src.Host {
		return false
	}
	locker := src.locker()
	life, own := locker.Life(record.PID, record.Process), record.PID == os.Getpid()
	if life == engine.LifeOver {
		return false
	}
	if own && src.UnderWay != nil {
		return src.UnderWay(record.Transaction)
	}
	if !own && (life == engine.LifeSure || record.Engine == "" || record.Engine != s.Engine.Host) {
		return true
	}
	return slices.ContainsFunc(s.All, func(c engine.Container) bool {
		return c.Label(engine.LabelRole) == engine.RoleLock && c.Label(engine.LabelTransaction) == record.Transaction
	})
}

// locker tells who is at work on the project, by its lock and by its records.
func (s Source) locker() engine.Locker {
	return engine.Locker{Reader: s.Reader, Host: s.Host, Alive: s.Alive, Born: s.born, UnderWay: s.UnderWay}
}

func (s Source) born(pid int) string {
	if s.Born == nil {
		return ""
	}
	return s.Born(pid)
}

// overtaken is the last transaction that was begun after an unfinished one and committed, and has changed a file or a container of it.
func overtaken(record state.Record, records []state.Record) string {
	if !unfinished(record) {
		return ""
	}
	for _, later := range slices.Backward(records) {
		if later.Committed() && later.Began.After(record.Began) && overlap(record, later) {
			return later.Transaction
		}
	}
	return ""
}

// overtakenOn is a transaction that has replaced a container of an unfinished one since, as the engine shows: its record may be kept in
// another state folder.
func overtakenOn(own []engine.Container, record state.Record) string {
	if !unfinished(record) {
		return ""
	}
	for _, c := range own {
		later := c.Label(engine.LabelTransaction)
		another := slices.ContainsFunc(record.Containers, func(was state.Container) bool { return was.Name == c.CleanName() && was.ID != c.ID })
		if another && later != record.Transaction && engine.Committed(own, later) {
			return later
		}
	}
	return ""
}

func overlap(a, b state.Record) bool {
	return slices.ContainsFunc(a.Files, func(f state.FileImage) bool {
		return slices.ContainsFunc(b.Files, func(g state.FileImage) bool { return f.Path == g.Path })
	}) || slices.ContainsFunc(a.Containers, func(c state.Container) bool {
		return slices.ContainsFunc(b.Containers, func(d state.Container) bool { return c.Name == d.Name })
	})
}

// unfinished holds for a record that does not end with all files as before, or all as they were to be: one that is open, or whose
// rollback has failed.
func unfinished(record state.Record) bool {
	return open(record) || record.Outcome == state.OutcomeRollbackFailed
}

// hasFiles reports whether the files of the record are to be put in order, too.
func (c cut) hasFiles() bool { return c.record != nil && unfinished(*c.record) && c.overtaken == "" }

// pending reports whether the record says what is to be put in order. A closed one, or one that was overtaken, only explains what the
// engine still shows.
func (c cut) pending() bool { return c.record != nil && open(*c.record) && c.overtaken == "" }

// needsEngine reports whether the transaction has swapped, or may have.
func (c cut) needsEngine() bool {
	return len(c.swaps) > 0 || c.pending() && len(c.record.Containers) > 0
}

// recovery is the step that puts a transaction in order.
func (s *Snapshot) recovery(c cut) plan.Recover {
	r := plan.Recover{Transaction: c.id, Finish: c.finish, Overtaken: c.overtaken}
	for _, swapped := range c.unfinished() {
		r.Containers = append(r.Containers, swapped.Name())
	}
	for _, h := range c.handed() {
		r.Containers = append(r.Containers, h.old.CleanName())
	}
	if !c.hasFiles() {
		r.Locked = s.abandonedLocks()
		return r
	}
	for _, image := range c.record.Files {
		name := image.Path
		if relative, err := filepath.Rel(s.Directory, image.Path); err == nil && filepath.IsLocal(relative) {
			name = relative
		}
		r.Files, r.Locked = append(r.Files, name), append(r.Locked, image.Path)
	}
	return r
}

// abandonedLocks are the lock files in the project's folders: a process that dies late leaves one although its record is closed.
func (s *Snapshot) abandonedLocks() []string {
	var locks []string
	for _, folder := range Roots(s.Project, nil) {
		lock := filepath.Join(folder, files.LockName)
		if _, err := os.Lstat(lock); err == nil && !slices.Contains(locks, lock) {
			locks = append(locks, lock)
		}
	}
	return locks
}

// unfinished are the swaps to be undone or finished: those of the record, which knows best, else those that the engine shows.
func (c cut) unfinished() []engine.Swapped {
	if c.record == nil {
		return c.swaps
	}
	shows := func(list []engine.Swapped, id string) bool {
		return slices.ContainsFunc(list, func(s engine.Swapped) bool { return s.Old.ID == id })
	}
	var swaps []engine.Swapped
	for _, recorded := range c.record.Containers {
		swapped, err := revive(*c.record, recorded)
		if err == nil && !recorded.Handed && (c.pending() || shows(c.swaps, recorded.ID)) {
			swaps = append(swaps, swapped)
		}
	}
	for _, shown := range c.swaps {
		if !shows(swaps, shown.Old.ID) {
			swaps = append(swaps, shown)
		}
	}
	return swaps
}

// moved are the containers that an earlier undo has made again, by the ids of those that are gone.
func (c cut) moved() map[string]string {
	moved := map[string]string{}
	for _, shown := range c.swaps {
		maps.Copy(moved, shown.Moved)
	}
	return moved
}

// handed are the containers that docker compose may have replaced and is to make again.
func (c cut) handed() []handed {
	if c.finish || !c.pending() {
		return nil
	}
	var list []handed
	for _, recorded := range c.record.Containers {
		swapped, err := revive(*c.record, recorded)
		if err == nil && recorded.Handed && recorded.Stopping {
			list = append(list, handed{old: swapped.Old, service: recorded.Service, pace: swapped.Pace})
		}
	}
	return list
}

// recovers reports whether a leftover of docker compose is one that a cut-off transaction has to do with.
func (s *Snapshot) recovers(l engine.Leftover) bool {
	i := slices.IndexFunc(s.All, func(c engine.Container) bool { return c.ID == l.ID })
	return i >= 0 && slices.ContainsFunc(s.cuts, func(c cut) bool {
		return slices.ContainsFunc(c.handed(), func(h handed) bool { return h.service == s.All[i].Label(engine.LabelService) })
	})
}

// revive makes a swap out of what the record tells of it.
func revive(record state.Record, recorded state.Container) (engine.Swapped, error) {
	old := engine.Container{Raw: recorded.Inspect}
	if err := json.Unmarshal(recorded.Inspect, &old.InspectResponse); err != nil {
		return engine.Swapped{}, fmt.Errorf("decode the record of container %q: %w", recorded.Name, err)
	}
	return engine.Swapped{
		Old: old, NewID: recorded.Replacement, Transaction: record.Transaction, Pace: recordedPace(recorded.Pace), Injected: recorded.Injected,
		Touched: recorded.Stopping, Stopped: recorded.Stopping, RanFor: time.Duration(recorded.RanForMs) * time.Millisecond,
	}, nil
}
