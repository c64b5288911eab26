package sim

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/state"
	"github.com/composure-dev/composure/reconcile"
)

// edit is what a stranger adds to the compose file.
const edit = "# mine\n"

const (
	stillPlanned  = "still planned: "
	stillRecovers = stillPlanned + "recover:"
)

// watcher holds the world to what must be true at every moment.
type watcher struct {
	problems []string
	// floor is how many services, or containers of one, may be down at once: one more than usual while a process puts in order what
	// another one had stopped.
	floor    int
	down     map[string]time.Time // services that run less than is declared, since when
	patience time.Duration        // how long they may
}

func (w *world) problemf(format string, args ...any) {
	if len(w.watch.problems) < 5 {
		w.watch.problems = append(w.watch.problems, fmt.Sprintf(format, args...))
	}
}

// begin starts the watch over one process.
func (w *world) begin(patience time.Duration, floor int) {
	w.watch.down, w.watch.patience, w.watch.floor = map[string]time.Time{}, patience, floor
}

// look is what is checked after each call.
func (w *world) look(call enginetest.Call) {
	if len(w.watch.problems) > 0 {
		return
	}
	at := "after " + call.String()
	list := w.list()
	w.lookAtStrangers(list, at)
	if call.Writes {
		w.wrote = true
		w.lookAtFiles(at)
		w.lookAtVolumes(at)
		w.lookAtFinal(list, at)
	}
	running := w.running(list)
	down := 0
	for service, declared := range w.declared {
		surge := w.scenario.surge
		if w.remade {
			surge++ // whoever recreates a container in the middle of it all
		}
		if running[service] > declared+surge {
			w.problemf("%s: %d containers of %s run, and %d are declared", at, running[service], service, declared)
		}
		if w.remade || w.scenario.filesOnly {
			continue
		}
		if running[service] >= declared {
			delete(w.watch.down, service)
			continue
		}
		down++
		since, known := w.watch.down[service]
		if !known {
			since = time.Now()
			w.watch.down[service] = since
		}
		if running[service] < declared-w.watch.floor || time.Since(since) > w.watch.patience {
			w.problemf("%s: %d of %d containers of %s run, for %s", at, running[service], declared, service, time.Since(since))
		}
	}
	if down > w.watch.floor && !w.scenario.shares {
		w.problemf("%s: %d services are down at once", at, down)
	}
}

func (w *world) running(list []engine.Container) map[string]int {
	running := map[string]int{}
	for _, c := range list {
		if c.Label(engine.LabelProject) == "shop" && c.State.Running {
			running[c.Label(engine.LabelService)]++
		}
	}
	return running
}

func (w *world) lookAtStrangers(list []engine.Container, at string) {
	found := 0
	for _, c := range list {
		if was, is := w.strangers[c.CleanName()]; is {
			found++
			if was != string(c.Raw) {
				w.problemf("%s: container %s of a stranger was touched", at, c.CleanName())
			}
		}
	}
	if found != len(w.strangers) {
		w.problemf("%s: a container of a stranger is gone", at)
	}
}

func (w *world) lookAtFiles(at string) {
	now := w.disk()
	for name := range w.before {
		content := now[name]
		if name == mainFile && w.edited {
			rest, kept := strings.CutSuffix(content, edit)
			if !kept {
				w.problemf("%s: the edit of %s is lost", at, name)
			}
			content = rest
		}
		if content != w.before[name] && content != w.patched[name] {
			w.problemf("%s: %s is neither as before nor as it is to be:\n%s", at, name, content)
		}
	}
}

// lookAtFinal wants nothing to be undone once an old container was removed: what came after it was verified then.
func (w *world) lookAtFinal(list []engine.Container, at string) {
	if w.remade || w.scenario.fails || w.scenario.filesOnly {
		return
	}
	there := map[string]bool{}
	for _, c := range list {
		there[c.ID] = true
		selected := slices.Contains([]string{"app", "beat"}, c.Label(engine.LabelService)) && c.Label(engine.LabelProject) == "shop"
		if _, has := c.Env()["SYNC"]; w.final && !has && selected && c.State.Running && w.scenario.name != "dependent" {
			w.problemf("%s: %s runs as before, although all was verified", at, c.CleanName())
		}
	}
	for _, c := range w.began {
		w.final = w.final || !there[c.ID]
	}
}

// lookAtMade wants a process to leave alone what a stranger has made while it was at work.
func (w *world) lookAtMade() {
	for _, id := range w.made {
		if _, err := w.engine.Inspect(w.t.Context(), id); err != nil {
			w.problemf("container %s, which a stranger has made meanwhile, is gone", engine.ShortID(id))
		}
	}
}

func (w *world) lookAtVolumes(at string) {
	if w.remade {
		return
	}
	now := w.mounted()
	for _, name := range w.volumes {
		if !slices.Contains(now, name) {
			w.problemf("%s: no container has volume %s any more", at, name[:12])
		}
	}
}

// asBefore tells what is not as it was before the first process.
func (w *world) asBefore() (differences []string) {
	now := map[string]engine.Container{}
	for _, c := range w.list() {
		now[c.CleanName()] = c
	}
	for name, was := range w.began {
		is, found := now[name]
		switch {
		case !found && w.remade:
			continue // whoever has removed it wants it to be gone
		case !found:
			differences = append(differences, name+" is not there")
		case is.ID != was.ID && !w.remade:
			differences = append(differences, name+" is another one")
		case !is.Running():
			differences = append(differences, name+" is "+string(is.State.Status))
		case is.HostConfig.RestartPolicy != was.HostConfig.RestartPolicy && !w.remade:
			differences = append(differences, name+" has another restart policy")
		}
	}
	for name, content := range w.files() {
		if content != w.before[name] && !strings.HasPrefix(name, ".") {
			differences = append(differences, name+" is not as before")
		}
	}
	slices.Sort(differences)
	return differences
}

// files are those of the folder without what a stranger has added.
func (w *world) files() map[string]string {
	now := w.disk()
	if w.edited {
		now[mainFile] = strings.TrimSuffix(now[mainFile], edit)
	}
	return now
}

// asWanted tells what is not as the policies want it.
func (w *world) asWanted() (differences []string) {
	proposal, err := reconcile.Propose(w.t.Context(), w.process(enginetest.NewFaults()).source)
	if err != nil {
		return []string{err.Error()}
	}
	for _, step := range proposal.Plan.Steps {
		differences = append(differences, stillPlanned+step.ID)
	}
	for _, held := range proposal.Plan.Held {
		differences = append(differences, "held: "+held.Object+": "+held.Reason)
	}
	for name, content := range w.files() {
		if content != w.patched[name] && !strings.HasPrefix(name, ".") {
			differences = append(differences, name+" is not as it is to be")
		}
	}
	running := w.running(w.list())
	if !maps.Equal(running, w.declared) && !w.remade {
		differences = append(differences, fmt.Sprintf("running: %v, declared: %v", running, w.declared))
	}
	return differences
}

// severed are the containers whose namespaces ended with a container that was started again after them.
func (w *world) severed() (names []string) {
	list := w.list()
	for _, c := range list {
		for _, s := range engine.Severed(c, list) {
			names = append(names, s.CleanName())
		}
	}
	return names
}

// leftovers are what no run may leave for good.
func (w *world) leftovers() (left []string) {
	for _, c := range w.list() {
		_, began := w.began[c.CleanName()]
		_, strange := w.strangers[c.CleanName()]
		if !began && !strange {
			left = append(left, "container "+c.CleanName())
		}
	}
	for name := range w.disk() {
		if _, known := w.before[name]; !known {
			left = append(left, "file "+name)
		}
	}
	store := state.Store{Dir: w.stateDir}
	records, err := store.List("shop")
	if err != nil {
		left = append(left, err.Error())
	}
	for _, record := range records {
		if record.Ended == nil {
			left = append(left, "open record "+record.Transaction)
		}
	}
	entries, _ := os.ReadDir(filepath.Dir(store.Path(state.Record{Project: "shop", Transaction: "t"})))
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			left = append(left, "temporary file "+entry.Name())
		}
	}
	return left
}

// truth holds what a run says to how things are.
func (w *world) truth(applied reconcile.Applied, err error) {
	before := w.asBefore()
	switch {
	case err != nil:
		if len(before) > 0 {
			w.problemf("the answer is the error %v, and yet: %v", err, before)
		}
	case applied.Result == reconcile.ResultRolledBack:
		if len(before) > 0 {
			w.problemf("rolled back, and yet: %v", before)
		}
		if severed := w.severed(); len(severed) > 0 && !w.restarted {
			w.problemf("rolled back, and yet the namespaces of these are gone: %v", severed)
		}
	case applied.Result == reconcile.ResultRollbackFailed:
		if len(before) == 0 && !w.remade {
			w.problemf("the rollback is said to have failed, and all is as before: %s\n%s", applied.Failure, strings.Join(applied.Restored, "\n"))
		}
	case applied.Result == reconcile.ResultCommitted:
		// A lock that could not be released, or a record not be closed, is told while it happens, and put in order by the next run.
		wrong := slices.DeleteFunc(w.asWanted(), func(line string) bool { return strings.HasPrefix(line, stillRecovers) })
		if len(wrong) > 0 && !w.remade {
			w.problemf("committed, and yet: %v", wrong)
		}
		if w.scenario.fails && !w.remade {
			w.problemf("committed, although a check fails")
		}
	}
}
