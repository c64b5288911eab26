package sim

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/reconcile"
)

// fault is what goes wrong at one call; who says which stranger acts.
type fault struct {
	mode string
	call int
}

func (f fault) String() string { return f.mode + "/" + strconv.Itoa(f.call) }

const (
	edits     = "stranger-edits"
	recreates = "stranger-recreates"
	removes   = "stranger-removes"
	restarts  = "engine-restarts"
)

func modes() []string {
	return []string{
		string(enginetest.ErrorBefore), string(enginetest.ErrorAfter), string(enginetest.CrashBefore), string(enginetest.CrashAfter),
		string(enginetest.Stale), string(enginetest.NoLists), string(enginetest.Hang), edits, recreates, removes, restarts,
	}
}

// tally counts over all scenarios.
type tally struct {
	mu         sync.Mutex
	runs       int
	violations int
	told       map[string]int // violations, by scenario and mode
}

// add counts a run, and reports whether its violation is to be told: of many of one kind the first few are.
func (c *tally) add(kind string, violated bool) (tell bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runs++
	if !violated {
		return false
	}
	c.violations++
	c.told[kind]++
	return c.told[kind] <= 2
}

// outcome is what became of one run.
type outcome struct {
	faults   []fault
	seed     int
	calls    []enginetest.Call
	problems []string
	story    string
}

// simulate runs a scenario with its faults, and then a process in which nothing goes wrong, until all is in order.
func simulate(t *testing.T, s scenario, faults ...fault) (o outcome) {
	t.Helper()
	o.faults = faults
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, s)
		var planned []enginetest.Fault
		patience := 2 * time.Minute
		for _, f := range faults {
			planned = append(planned, w.plan(f))
			if f.mode == string(enginetest.Hang) {
				patience = 2 * time.Hour
			}
		}
		p := w.process(enginetest.NewFaults(planned...))
		thaw := func() {}
		p.faults.Died = func() { thaw = w.freeze() }
		p.faults.Watch = func(call enginetest.Call) {
			o.calls = append(o.calls, call)
			w.look(call)
		}
		w.begin(patience, 1)
		var applied reconcile.Applied
		var err error
		crashed := p.faults.Run(func() { applied, err = p.apply(t.Context()) })
		thaw()
		story := []string{fmt.Sprintf("the first process: crashed %v, %q, %v, %s", crashed, applied.Result, err, applied.Failure)}
		story = append(story, applied.Restored...)
		story = append(story, p.faults.Trace()...)
		if !crashed {
			w.truth(applied, err)
		}
		if len(faults) == 0 && string(applied.Result) != s.result {
			w.problemf("nothing goes wrong, and the result is %q, %v: %s", applied.Result, err, applied.Failure)
		}
		w.lookAtMade()
		w.unsure = applied.Result == reconcile.ResultRollbackFailed
		story = append(story, w.settle(patience)...)
		o.problems, o.story = w.watch.problems, strings.Join(story, "\n")
		if len(o.problems) > 0 {
			o.story = w.planned() + o.story
		}
	})
	return o
}

func (w *world) planned() string {
	var lines []string
	for _, step := range w.shown.Steps {
		lines = append(lines, "plan: "+step.ID)
	}
	return strings.Join(lines, "\n") + "\n"
}

// rounds is how many runs put everything in order.
const rounds = 3

// settle runs processes in which nothing goes wrong, and then wants everything to be in order.
func (w *world) settle(patience time.Duration) (story []string) {
	var last reconcile.Applied
	for range rounds {
		p := w.process(enginetest.NewFaults())
		p.faults.Watch = w.look
		w.begin(patience, 1)
		applied, err := p.apply(w.t.Context())
		last = applied
		story = append(story, fmt.Sprintf("then: %q, %v, %s", applied.Result, err, applied.Failure))
		story = append(story, applied.Restored...)
		story = append(story, p.faults.Trace()...)
		if !w.scenario.fails { // those begin with what the one before could not put back
			w.truth(applied, err)
		}
		if err == nil && applied.Result == reconcile.ResultNothing {
			break
		}
	}
	w.settled(last)
	return story
}

// settled is what must be true in the end.
func (w *world) settled(last reconcile.Applied) {
	if w.remade && last.Result == reconcile.ResultRollbackFailed {
		return // a person is told what to do
	}
	if left := w.leftovers(); len(left) > 0 {
		w.problemf("in the end is left: %v", left)
	}
	w.lookAtFiles("in the end")
	w.lookAtVolumes("in the end")
	if severed := w.severed(); len(severed) > 0 && !w.restarted && !w.remade {
		w.problemf("in the end the namespaces of these are gone: %v", severed)
	}
	if w.scenario.fails {
		if differences := w.asBefore(); len(differences) > 0 && !w.edited && !w.remade && !w.unsure {
			w.problemf("every run fails, and in the end: %v", differences)
		}
		return
	}
	if differences := w.asWanted(); len(differences) > 0 {
		w.problemf("in the end: %v", differences)
	}
	p := w.process(enginetest.NewFaults())
	if _, err := p.apply(w.t.Context()); err != nil || p.faults.Writes() > 0 {
		w.problemf("one more run: %v, %d writes", err, p.faults.Writes())
	}
}

// plan turns a fault into one of the decorator's.
func (w *world) plan(f fault) enginetest.Fault {
	planned := enginetest.Fault{Call: f.call, Mode: enginetest.Stranger}
	switch f.mode {
	case edits:
		planned.Act = w.edit
	case recreates:
		planned.Act = w.recreate
	case removes:
		planned.Act = w.remove
	case restarts:
		planned.Act = w.restart
	default:
		planned.Mode = enginetest.Mode(f.mode)
	}
	return planned
}

func (w *world) edit() error {
	w.edited = true
	f, err := os.OpenFile(filepath.Join(w.dir, mainFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(edit)
	return err
}

// remove is docker rm -f of the first container of app, whichever has the name.
func (w *world) remove() error {
	w.remade = true
	c, err := w.engine.Inspect(w.t.Context(), "/shop-app-1")
	if err != nil {
		return nil //nolint:nilerr // there is none to be removed
	}
	return w.engine.Remove(w.t.Context(), c.ID, true)
}

// recreate is docker compose up -d --force-recreate app.
func (w *world) recreate() error {
	if err := w.remove(); err != nil {
		return err
	}
	if _, err := w.engine.Inspect(w.t.Context(), "/shop-app-1"); err == nil {
		return nil
	}
	w.up("app")
	if w.wrote {
		c, err := w.engine.Inspect(w.t.Context(), "/shop-app-1")
		if err != nil {
			return err
		}
		w.made = append(w.made, c.ID)
	}
	return nil
}

// restart is what the engine does with stopped containers when it starts.
func (w *world) restart() error {
	w.restarted = true
	for _, c := range w.list() {
		if c.State.Status == container.StateExited && c.HostConfig.RestartPolicy.Name == container.RestartPolicyAlways {
			if err := w.engine.Start(w.t.Context(), c.ID); err != nil {
				w.t.Logf("the engine cannot start %s: %v", engine.ShortID(c.ID), err)
			}
		}
	}
	return nil
}
