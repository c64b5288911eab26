package sim

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
)

// TestDays lives through some hours of one seed, or through COMPOSURE_DAYS for each of COMPOSURE_DAYS_SEEDS, "FROM-TO" or one.
func TestDays(t *testing.T) {
	days, from, to := 0.25, 1, 1
	if text := os.Getenv("COMPOSURE_DAYS"); text != "" {
		days, _ = strconv.ParseFloat(text, 64)
	}
	if text := os.Getenv("COMPOSURE_DAYS_SEEDS"); text != "" {
		first, last, _ := strings.Cut(text, "-")
		from, _ = strconv.Atoi(first)
		if to, _ = strconv.Atoi(last); to == 0 {
			to = from
		}
	}
	for seed := from; seed <= to; seed++ {
		t.Run(strconv.Itoa(seed), func(t *testing.T) { live(t, seed, days) })
	}
}

func live(t *testing.T, seed int, days float64) {
	t.Helper()
	began := time.Now()
	counted := &tally{seen: map[string]bool{}}
	var w *world
	var virtual time.Duration
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(t, seed)
		w.start()
		w.pause(10 * time.Minute)
		w.measure(counted)
		for time.Since(w.began).Hours() < 24*days && !w.failed() {
			w.burst++
			w.storm()
			if !w.failed() {
				w.calm(counted)
			}
		}
		virtual = time.Since(w.began)
		w.daemon.stop()
	})
	line := fmt.Sprintf("days: seed=%d days=%.1f drifts=%d faults=%d policy-changes=%d transactions=%d rolled-back=%d recovered=%d restarts=%d projects=%d held=%d quarantined=%d helped=%d calls=%d goroutines=%d..%d heap=%d..%dKiB violations=%d wall=%s",
		seed, virtual.Hours()/24, w.drifts, w.faults.total(), w.changes, counted.transactions, counted.rolledBack, counted.recovered, w.restarts, w.named,
		counted.held, counted.quarantined, counted.helped, w.faults.calls, slices.Min(counted.goroutines), slices.Max(counted.goroutines),
		slices.Min(counted.heap)/1024, slices.Max(counted.heap)/1024, len(w.problems), time.Since(began).Round(100*time.Millisecond))
	fmt.Fprintln(os.Stdout, line)
	t.Logf("faults: %v, of events: %v", w.faults.counts, w.faults.events)
	w.report(t, days, counted)
}

func (w *world) report(t *testing.T, days float64, counted *tally) {
	t.Helper()
	if w.failed() {
		t.Fatalf("violation: seed %d\n%s\n\nthe last steps:\n%s\nreplay: make sim REPLAY=days/%d", w.seed, strings.Join(w.problems, "\n"), strings.Join(w.scene, "\n"), w.seed)
	}
	if grown := counted.grown(); grown != "" {
		t.Errorf("seed %d: %s", w.seed, grown)
	}
	if weeks := days / 7; float64(w.drifts) < 500*weeks || float64(w.faults.total()) < 200*weeks || float64(w.changes) < 50*weeks {
		t.Errorf("seed %d: %d drifts, %d faults and %d changes of policies are too few to tell anything", w.seed, w.drifts, w.faults.total(), w.changes)
	}
}

// storm is a time in which people and faults are at everything.
func (w *world) storm() {
	w.logf("storm %d", w.burst)
	for _, p := range w.projects {
		if w.random.IntN(2) == 0 || p.gone || p.broken || p.suspended {
			w.heal(p)
		}
	}
	for range 3 { // in which nothing goes wrong
		w.pause(w.some(10, 60))
		w.drift()
	}
	for range 24 {
		if w.failed() {
			return
		}
		w.pause(w.some(1, 60))
		switch n := w.random.IntN(24); {
		case n < 12:
			w.drift()
		case n < 15:
			w.changePolicy()
		default:
			w.fault()
		}
		w.lookAtStatuses()
		w.look("in the storm")
	}
	// Nobody is told of the last edit: it is found nevertheless.
	w.faults.set(func(f *faults) { f.lose = 1 })
	p := w.someProject()
	w.logf("drift: %s: %s, of which nobody is told", p.name, w.editWrong(p, "web", "SYNC"))
	w.drifts++
}

// some is between so many and so many seconds, and never as long as something of the daemon's.
func (w *world) some(from, to int) time.Duration {
	return time.Duration(from)*time.Second + time.Duration(w.random.IntN(1000*(to-from)))*time.Millisecond + 137*time.Microsecond
}

func (w *world) changePolicy() {
	project := w.someProject().name
	w.mu.Lock()
	what, path, err := w.policies.change(w.random, project, w.burst)
	w.mu.Unlock()
	if err != nil {
		w.problemf("%v", err)
	}
	w.changes++
	w.logf("policies: %s", what)
	w.touched(path)
}

// fault makes something go wrong, now or at a later call.
func (w *world) fault() {
	modes := []enginetest.Mode{
		enginetest.ErrorBefore, enginetest.ErrorAfter, enginetest.CrashBefore, enginetest.CrashAfter, enginetest.Stale, enginetest.Hang,
		enginetest.Stranger, enginetest.ErrorAfter, enginetest.CrashAfter,
	}
	switch n := w.random.IntN(16); n {
	case 0:
		w.awayFor(time.Duration(5+w.random.IntN(400)) * time.Second)
	case 1:
		w.restartEngine()
	case 2:
		w.logf("fault: the events break off")
		w.faults.count("events broken")
		w.engine.DropEvents()
	case 3:
		w.logf("fault: the daemon is killed")
		w.faults.count("killed")
		w.revive(time.Duration(w.random.IntN(120)) * time.Second)
	case 4:
		w.logf("fault: the daemon is restarted")
		w.daemon.stop()
		w.start()
		w.pause(w.some(0, 1))
	case 5:
		after := 1 + w.random.IntN(6)
		w.faults.set(func(f *faults) { f.logs = after })
	case 6, 7:
		w.logf("fault: events are lost, doubled and late")
		w.faults.count("events disturbed")
		lose, double, swap := w.random.Float64()/2, w.random.Float64()/2, w.random.Float64()/2
		w.faults.set(func(f *faults) { f.lose, f.double, f.swap = lose, double, swap })
		for range 2 {
			w.pause(w.some(1, 50))
			w.drift()
		}
		w.pause(w.some(1, 20))
		w.faults.set(func(f *faults) { f.lose, f.double, f.swap = 0, 0, 0 })
	case 8, 9:
		p := w.someProject()
		spoil := w.spoil(p, w.random.IntN(3) > 0)
		if w.random.IntN(2) == 0 {
			w.faults.arm(&armed{mode: enginetest.Stranger, verb: "write", after: w.random.IntN(8), act: spoil})
		} else {
			w.faults.count("disk")
			spoil()
		}
		w.drift()
		w.pause(time.Duration(w.random.IntN(200)) * time.Second)
		w.unspoil(p.name)
	default:
		p := w.someProject()
		a := &armed{mode: pick(w.random, modes), verb: pick(w.random, []string{"write", "write", "", "list", "inspect"}), after: w.random.IntN(12)}
		if a.mode == enginetest.Stale {
			a.verb = "list"
		}
		if a.verb == "list" {
			a.after = w.random.IntN(2) // there are few of them
		}
		if a.mode == enginetest.Stranger {
			a.verb, a.act = "write", w.meddle(p, pick(w.random, p.services()), "LEVEL", pick(w.random, []string{"edit", "up", "stop", "remove"}))
		}
		w.faults.arm(a)
		w.faults.arm(&armed{mode: enginetest.ErrorAfter, after: 5 + w.random.IntN(40)})
		w.drift()
	}
}

func (w *world) awayFor(d time.Duration) {
	w.logf("fault: the engine is away for %s", d)
	w.faults.count("away")
	w.faults.set(func(f *faults) { f.away = true })
	w.engine.DropEvents()
	w.pause(d)
	w.faults.set(func(f *faults) { f.away = false })
	w.noteFault()
}

// restartEngine ends all containers, and starts those again that were running and have the engine restart them.
func (w *world) restartEngine() {
	w.logf("fault: the engine is restarted")
	w.faults.count("engine restarted")
	w.faults.set(func(f *faults) { f.away = true })
	w.engine.DropEvents()
	var ran []engine.Container
	w.mu.Lock()
	for _, c := range w.list() {
		if c.State.Running && w.strangers[c.CleanName()] == "" {
			ran = append(ran, c)
		}
	}
	w.mu.Unlock()
	for _, c := range ran {
		_ = w.engine.Stop(w.t.Context(), c.ID) // it may be gone by now
	}
	w.pause(time.Duration(1+w.random.IntN(20)) * time.Second)
	for _, c := range ran {
		if !c.HostConfig.RestartPolicy.IsNone() {
			_ = w.engine.Start(w.t.Context(), c.ID) // it may be gone by now
		}
	}
	w.faults.set(func(f *faults) { f.away = false })
	w.noteFault()
}

func (w *world) noteFault() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faulted = time.Now()
}
