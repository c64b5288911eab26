package sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/controller"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/state"
)

// budget is how many transactions a project may have within an hour, by default.
const budget = 6

// tally is what came of it all.
type tally struct {
	transactions, rolledBack, recovered, helped, quarantined, held int
	seen                                                           map[string]bool
	goroutines                                                     []int
	heap                                                           []uint64
}

// calm lets everything come to rest, and holds the world to what must be so then.
func (w *world) calm(t *tally) {
	w.faults.calm()
	w.unspoil("")
	w.logf("calm")
	// Each of these may keep something from being seen, or done: a full resync, the hour of the budget, the longest pause of a recovery.
	for helped := -1; helped != t.helped && !w.failed(); {
		helped = t.helped // what a person has to be called for is another thing that happens
		for range 15 {
			w.pause(10 * time.Minute)
			w.lookAtStatuses()
		}
		w.settled(t)
	}
	before, calls := w.disk(), w.faults.writesSoFar()
	if w.random.IntN(4) == 0 && !w.policies.anyBroken() {
		w.logf("the daemon is killed in the calm")
		w.revive(time.Second)
	}
	w.pause(time.Hour)
	if now := w.faults.writesSoFar(); now != calls {
		w.problemf("%d calls have changed something in an hour in which nothing happened", now-calls)
	}
	if differences := cmp.Diff(before, w.disk()); differences != "" {
		w.problemf("files have changed in an hour in which nothing happened:\n%s", differences)
	}
	w.settled(t)
	w.mu.Lock()
	w.policies.forget()
	w.mu.Unlock()
	w.measure(t)
}

func (f *faults) writesSoFar() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writes
}

// disk is every file of every project.
func (w *world) disk() map[string]string {
	all := map[string]string{}
	for _, p := range w.projects {
		entries, err := os.ReadDir(p.dir)
		if err != nil {
			w.problemf("%v", err)
		}
		for _, entry := range entries {
			path := filepath.Join(p.dir, entry.Name())
			content, err := os.ReadFile(path)
			if err != nil {
				w.problemf("%v", err)
			}
			all[path] = string(content)
		}
	}
	return all
}

// lookAtStatuses wants the conditions to go together as they are documented to.
func (w *world) lookAtStatuses() map[string]controller.Status {
	statuses, err := w.daemon.statuses()
	if err != nil {
		w.problemf("the status cannot be read: %v", err)
	}
	for _, s := range statuses {
		left := s.Reason == controller.ReasonSuspended && !s.Stalled && !s.Reconciling
		if s.Ready && (s.Stalled || s.Reconciling) || !s.Ready && s.Stalled == s.Reconciling && !left {
			w.problemf("conditions of %s: %+v", s.Project, s)
		}
	}
	return statuses
}

// settled is what must be so while nothing happens.
func (w *world) settled(t *tally) {
	synctest.Wait()
	w.look("in the calm")
	statuses, list := w.lookAtStatuses(), w.list()
	for _, c := range list {
		// The lock that a daemon could not remove stays as long as it cannot read the files.
		p := w.projects[strings.TrimPrefix(c.CleanName(), lockPrefix)]
		if role := c.Label(engine.LabelRole); role != "" && (p == nil || !p.gone && !p.broken) {
			w.problemf("in the calm there is container %s, a %s", c.CleanName(), role)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.projects)) {
		p := w.projects[name]
		w.lookAtProject(t, p, statuses[name], list)
		w.lookAtRecords(t, p)
		delete(statuses, name)
	}
	delete(statuses, alien)
	for name := range statuses {
		w.problemf("the daemon tells of project %s, which is not there", name)
	}
	for _, name := range w.daemon.watcher.names() {
		if name, is := strings.CutPrefix(name, "project/"); is && w.projects[name] == nil {
			w.problemf("the daemon has files of project %s watched, which is not there", name)
		}
	}
}

// lookAtProject compares what is so with what should be, and both with what the daemon says.
func (w *world) lookAtProject(t *tally, p *project, s controller.Status, list []engine.Container) {
	own := slices.DeleteFunc(slices.Clone(list), func(c engine.Container) bool { return c.Label(engine.LabelProject) != p.name })
	if len(own) == 0 {
		if s.Project != "" {
			w.problemf("the daemon tells of project %s, which has no container: %+v", p.name, s)
		}
		return
	}
	found, judged, err := w.judge(p, list)
	if err != nil {
		w.problemf("files of %s: %v", p.name, err)
		return
	}
	if s.Reason == controller.ReasonStuck {
		w.help(t, p)
		return
	}
	if !p.broken { // nothing is put in order where the files cannot be read
		w.lookAtServices(p, own)
	}
	if why := w.lie(t, p, s, found, judged); why != "" {
		w.problemf("%s: %s; the status is %+v; what is wrong: %+v; policies: %+v\n%s", p.name, why, s, found, w.policies.inForce(), w.text(p))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	p.mixed = false
	for name := range p.wrote {
		if content, err := os.ReadFile(filepath.Join(p.dir, name)); err == nil {
			p.wrote[name] = string(content)
		}
	}
}

// lie says what is untrue about a status, or not as it should be.
func (w *world) lie(t *tally, p *project, s controller.Status, found []wrong, judged bool) string {
	unmendable := slices.ContainsFunc(found, func(each wrong) bool { return !each.mendable })
	mendable := slices.ContainsFunc(found, func(each wrong) bool { return each.mendable })
	switch s.Reason {
	case controller.ReasonCompliant, controller.ReasonNotSelected:
		if len(found) > 0 || !s.Ready || judged != (s.Reason == controller.ReasonCompliant) {
			return "it is said to be in order"
		}
	case controller.ReasonHeld, controller.ReasonPending:
		t.held++
		if !unmendable {
			return "it is said to be held, and nothing keeps it from being mended"
		}
		if mendable {
			return "something is held, and something else was not mended for that"
		}
	case controller.ReasonSuspended:
		if !p.suspended || len(found) == 0 {
			return "it is said to be suspended"
		}
	case controller.ReasonQuarantined:
		t.quarantined++
		poisoned := slices.ContainsFunc(p.services(), func(service string) bool {
			return slices.ContainsFunc(claims(w.policies.inForce(), p.name, service), rules.poisonous)
		})
		if !poisoned || len(found) == 0 {
			return "it is said to be quarantined, and nothing in it is bad"
		}
	case controller.ReasonUnreachable:
		if !p.gone {
			return "its files are said to be out of reach"
		}
	case controller.ReasonFailed:
		if !p.broken {
			return "it is said not to be readable"
		}
	case controller.ReasonChanging, controller.ReasonLocked, controller.ReasonBudget, controller.ReasonRepairing, controller.ReasonRolledBack,
		controller.ReasonNoEngine, controller.ReasonStuck:
		return "nothing has happened for hours"
	default:
		return "there is no such status"
	}
	return ""
}

// lookAtServices wants what people have left running to run, once.
func (w *world) lookAtServices(p *project, own []engine.Container) {
	for _, service := range p.services() {
		running := 0
		for _, c := range own {
			if c.Label(engine.LabelService) == service && c.State.Running && !c.State.Restarting {
				running++
			}
			if c.Label(engine.LabelService) == service && engine.Temporary(c) {
				w.problemf("%s: in the calm there is container %s", p.name, c.CleanName())
			}
		}
		if running < p.least[service] || running > p.most[service] {
			w.problemf("%s: %d containers of %s run, and people have left %d to %d", p.name, running, service, p.least[service], p.most[service])
		}
	}
}

// help is what the person does who is called for: whatever is there goes, and docker compose makes it anew.
func (w *world) help(t *tally, p *project) {
	t.helped++
	w.logf("a person is called for in %s", p.name)
	for _, c := range w.list(engine.LabelProject + "=" + p.name) {
		_ = w.engine.Remove(w.t.Context(), c.ID, true) // it may be gone by now
	}
	w.heal(p)
	w.save(p, composeFile, w.text(p)+"# a person was here\n")
}

// lookAtRecords wants no more transactions than the budget has, none beside another, and none twice that was undone.
func (w *world) lookAtRecords(t *tally, p *project) {
	records, err := w.state.List(p.name)
	if err != nil {
		w.problemf("records of %s: %v", p.name, err)
	}
	slices.SortStableFunc(records, func(a, b state.Record) int { // several may begin at one instant of a clock that stands still
		if a.Ended == nil || b.Ended == nil || !a.Began.Equal(b.Began) {
			return 0
		}
		return a.Ended.Compare(*b.Ended)
	})
	var last state.Record
	for i, r := range records {
		if r.Ended == nil && p.broken {
			continue // nothing is put in order where the files cannot be read
		}
		if r.Ended == nil {
			w.problemf("%s: transaction %s is open in the calm", p.name, r.Transaction)
			continue
		}
		if i > 0 && last.Ended != nil && r.Began.Before(*last.Ended) {
			w.problemf("%s: transaction %s began before %s had ended", p.name, r.Transaction, last.Transaction)
		}
		if i >= budget && r.Began.Sub(records[i-budget].Began) < time.Hour {
			w.problemf("%s: more than %d transactions within an hour, up to %s", p.name, budget, r.Transaction)
		}
		if undone(last) && undone(r) && basis(last) == basis(r) {
			w.problemf("%s: %s was undone, and %s tries the same", p.name, last.Transaction, r.Transaction)
		}
		if p.suspended && r.Began.After(p.since) {
			w.problemf("%s: it is suspended since %s, and %s began after that", p.name, p.since, r.Transaction)
		}
		if last = r; t.seen[r.Transaction] {
			continue
		}
		t.seen[r.Transaction] = true
		t.transactions++
		switch r.Outcome {
		case state.OutcomeRolledBack, state.OutcomeRollbackFailed:
			t.rolledBack++
		case state.OutcomeRecoveredUndone, state.OutcomeRecoveredFinished, state.OutcomeOvertaken:
			t.recovered++
		case state.OutcomeCommitted, state.OutcomeLeftover:
		}
	}
}

// undone holds for a transaction whose change is to blame.
func undone(r state.Record) bool {
	return (r.Outcome == state.OutcomeRolledBack || r.Outcome == state.OutcomeRollbackFailed) && !r.Inconclusive
}

// basis is what a transaction began from, but for containers.
func basis(r state.Record) string {
	var plan struct {
		Basis struct {
			Policies    []string `json:"policies"`
			Files       []string `json:"files"`
			Environment string   `json:"environment"`
		} `json:"basis"`
	}
	if err := json.Unmarshal(r.Plan, &plan); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%q", plan.Basis)
}

// grown says what has grown from the first calm to the last.
func (t *tally) grown() string {
	const some = 1 << 20
	last := len(t.heap) - 1
	if last < 1 {
		return ""
	}
	if more := t.goroutines[last] - t.goroutines[0]; more > 0 {
		return fmt.Sprintf("there are %d goroutines more than at first: %v", more, t.goroutines)
	}
	few := min(3, last)
	if before, now := slices.Min(t.heap[:few]), slices.Min(t.heap[last+1-few:]); now > before+some {
		return fmt.Sprintf("the heap has grown from %d to %d KiB", before/1024, now/1024)
	}
	return ""
}

// measure notes how much there is of what may not grow.
func (w *world) measure(t *tally) {
	synctest.Wait()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.goroutines, t.heap = append(t.goroutines, runtime.NumGoroutine()), append(t.heap, m.HeapAlloc)
}
