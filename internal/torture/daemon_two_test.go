package torture

import (
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pair is a project that two daemons keep true to its policy, each with a state folder of its own, as on two hosts.
type pair struct {
	*tended
	operators []*operator
	known     map[string]bool      // the transactions of earlier rounds
	died      map[string]time.Time // the transactions that were cut off, and when
	seconds   []float64            // from a drift until both find that all is well
}

// newPair starts the project and the daemons.
func newPair(t *testing.T, p *project, args ...string) *pair {
	t.Helper()
	r := &pair{tended: newTended(t, p), known: map[string]bool{}, died: map[string]time.Time{}}
	for _, name := range []string{"a", "b"} {
		o := newOperator(t, p, filepath.Join(p.state, name), args...)
		r.operators = append(r.operators, o)
		o.start()
	}
	r.waitBothWell()
	return r
}

func (r *pair) states() []string { return []string{r.operators[0].state, r.operators[1].state} }

// waitBothWell waits until both find that all is well.
func (r *pair) waitBothWell() {
	r.t.Helper()
	for _, o := range r.operators {
		o.waitWell(0)
	}
}

// mended waits until the drift is mended, and returns the transactions of which it took both to do so.
func (r *pair) mended() []transaction {
	r.t.Helper()
	began := time.Now()
	r.waitBothWell()
	r.seconds = append(r.seconds, time.Since(began).Seconds())
	r.wantAsDeclared()
	return r.fresh()
}

// fresh are the transactions that were not there the last time.
func (r *pair) fresh() []transaction {
	r.t.Helper()
	var fresh []transaction
	for _, each := range r.history(r.states()...) {
		if !r.known[each.ID] {
			fresh = append(fresh, each)
		}
		r.known[each.ID] = true
	}
	return fresh
}

// lookAgain makes both look at everything, and waits until they have.
func (r *pair) lookAgain() {
	r.t.Helper()
	for _, o := range r.operators {
		if err := o.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			r.t.Fatal(err)
		}
	}
	r.waitBothWell()
}

func (r *pair) stop() {
	r.t.Helper()
	for _, o := range r.operators {
		o.stop()
	}
}

// told is what both have said.
func (r *pair) told() string {
	return "a:\n" + r.operators[0].told(0) + "b:\n" + r.operators[1].told(0) + r.census()
}

// conclude wants that all is as declared when both have ended, and that never two were at it at once.
func (r *pair) conclude() []transaction {
	r.t.Helper()
	r.lookAgain()
	if again := r.fresh(); len(again) > 0 {
		r.t.Errorf("when all was well there were more transactions: %v", again)
	}
	r.stop()
	all := r.history(r.states()...)
	r.wantOneAtATime(all, r.died)
	r.witness.wantExclusive(r.project)
	r.wantAsDeclared()
	r.wantUpToDate()
	if r.t.Failed() {
		r.t.Log(r.told())
	}
	return all
}

// Two daemons that know nothing of each other mend each drift once, and never both at once: the engine keeps their lock.
func TestDaemonTwo(t *testing.T) {
	times := amount(t, "COMPOSURE_DAEMON_DRIFTS", 2, 10)
	needEngine(t)
	t.Parallel()
	r := newPair(t, newProject(t, "operators", composeOf(t, ""), "daemon"))
	r.fresh()
	for i := range times {
		kind := drifts()[i%len(drifts())]
		r.drift(kind)
		if all := r.mended(); len(all) != 1 || all[0].Outcome != committed {
			t.Fatalf("%s: want one transaction, got %v\n%s", kind, all, r.told())
		}
	}
	shares := []int{len(r.history(r.operators[0].state)), len(r.history(r.operators[1].state))}
	all := r.conclude()
	t.Logf("%d drifts, each mended once: %d transactions, %d of one daemon and %d of the other; %d locks, one at a time; from the drift until both found all well: median %.1f s, at most %.1f s",
		times, len(all), shares[0], shares[1], r.witness.locks, median(r.seconds), slices.Max(r.seconds))
}

// Of two daemons with a state folder each the one that does the work is killed: the other one mends what it left, without its record.
// When the first comes back it finds that record open, and undoes nothing of what was done since.
func TestDaemonTwoKilled(t *testing.T) {
	if !full() {
		t.Skip("kills daemons: make torture")
	}
	needEngine(t)
	t.Parallel()
	r := newPair(t, newProject(t, "operators-killed", composeOf(t, ""), "daemon"))
	r.fresh()
	for _, at := range sampled([]phase{stopping, patched, committing}, 1) {
		r.drift(driftEdit)
		killed := r.killWorker(at)
		r.operators[1-killed].waitWell(0)
		r.wantAsDeclared()
		other := outcomes(r.fresh())
		r.operators[killed].start()
		r.waitBothWell()
		r.lookAgain()
		r.wantAsDeclared()
		if again := r.fresh(); len(again) > 0 {
			t.Errorf("all was well, and yet, when the first was back: %v", again)
		}
		t.Logf("killed in %s: all is well by the other one alone (%s), and stays so when the first is back", at, inWords(other))
		if t.Failed() {
			t.Fatal(r.told())
		}
	}
	t.Logf("transactions: %s; %d locks, one at a time", inWords(outcomes(r.conclude())), r.witness.locks)
}

// killWorker kills the daemon that does the work once that has come to the phase, and returns which it was.
func (r *pair) killWorker(at phase) int {
	r.t.Helper()
	w, over, late := newWatch(r.name), make(chan struct{}), make(chan struct{})
	defer close(over)
	r.feed(w, over)
	defer time.AfterFunc(converges, func() { close(late) }).Stop()
	from := []int{r.operators[0].mark(), r.operators[1].mark()}
	for i, o := range r.operators {
		go o.each(from[i], func(line said) bool {
			if strings.HasPrefix(line.Step, "patched ") && w.current() == locked {
				w.enter(patched)
			}
			return line.Msg == "transaction ended"
		})
	}
	if !w.until(at, 1, late) {
		r.t.Fatalf("%s was not seen\n%s", at, r.told())
	}
	for i, o := range r.operators {
		lines, _ := o.since(from[i])
		if j := slices.IndexFunc(lines, func(s said) bool { return s.Msg == "transaction" }); j >= 0 {
			o.kill()
			r.died[lines[j].Transaction] = time.Now()
			return i
		}
	}
	r.t.Fatalf("nobody is at work\n%s", r.told())
	return -1
}
