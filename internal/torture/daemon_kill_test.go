package torture

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// drift is a way in which a project comes to differ from its policy.
type drift string

// The drifts. Each but the first ends in two swaps.
const (
	driftNone   drift = "none"
	driftUp     drift = "up"     // docker compose up -d from a shell with another environment
	driftEdit   drift = "edit"   // the same, and then the files are edited as well
	driftPolicy drift = "policy" // the policy asks for something else
)

func drifts() []drift { return []drift{driftUp, driftEdit, driftPolicy} }

// tended is a project that a daemon keeps true to its policy.
type tended struct {
	*killed
	witness  *witness
	declared string // the value that the policy asks for
}

// newTended starts the project, and no daemon.
func newTended(t *testing.T, p *project) *tended {
	t.Helper()
	d := &tended{killed: newKillable(t, p), declared: "0"}
	d.witness = newWitness(p)
	return d
}

// drift makes the project differ. What it does is done when it returns, and the daemon waits until that has settled.
func (d *tended) drift(kind drift) {
	d.t.Helper()
	switch kind {
	case driftNone:
	case driftPolicy:
		d.declared = d.demand()
	case driftUp:
		d.upFromElsewhere()
	case driftEdit:
		d.upFromElsewhere()
		d.edit()
	}
}

func (d *tended) upFromElsewhere() {
	d.t.Helper()
	cmd := d.command(d.compose, "up", "-d", "--timeout", "2")
	cmd.Env = append(cmd.Env, "SYNC=false")
	if got := run(d.t, cmd); got.code != 0 {
		d.t.Fatalf("SYNC=false docker compose up -d: %s", got)
	}
}

// edit makes the files say what the policy forbids.
func (d *tended) edit() {
	d.t.Helper()
	d.replace("compose.yaml", fmt.Sprintf("ROUND: %q", d.declared), `ROUND: "by hand"`)
	d.replace("compose.override.yaml", "ROUND="+d.declared, "ROUND=by hand")
}

// wantAsDeclared wants files and containers to be as the policy says, each container once, and nothing to be left over.
func (d *tended) wantAsDeclared() {
	d.t.Helper()
	d.wantSettled(d.declared)
	for instance, id := range d.ids() {
		if env := d.inspect(id).Config.Env; instance != "aside-1" && !slices.Contains(env, "SYNC=true") {
			d.t.Errorf("%s has %v, want SYNC=true", instance, env)
		}
	}
}

// tally is what came of the kills.
type tally struct {
	kills    map[phase]int
	outcomes map[string]int
	took     []float64 // seconds from the start of the next process until all was well
	drifts   int
	locks    int
	overall  int // transactions
}

func newTally() tally { return tally{kills: map[phase]int{}, outcomes: map[string]int{}} }

func (a *tally) add(b tally) {
	for each, n := range b.kills {
		a.kills[each] += n
	}
	for each, n := range b.outcomes {
		a.outcomes[each] += n
	}
	a.took = append(a.took, b.took...)
	a.drifts, a.locks, a.overall = a.drifts+b.drifts, a.locks+b.locks, a.overall+b.overall
}

func (a *tally) total() int {
	total := 0
	for _, n := range a.kills {
		total += n
	}
	return total
}

// A daemon that is killed at any instant of a swap puts everything in order once it is started again, by itself.
func TestDaemonKill(t *testing.T) {
	if testing.Short() {
		t.Skip("kills a daemon over and over")
	}
	kills := amount(t, "COMPOSURE_DAEMON_KILLS", 4, 50)
	compose := composeOf(t, "")
	needEngine(t)
	t.Parallel()
	seed, began := uint64(time.Now().UnixNano()), time.Now()
	lanes := (kills + len(phases()) - 1) / len(phases())
	tallies := make([]tally, lanes)
	// Beside each other, each with a project and a daemon of its own: most of the time passes with waiting until nobody is at a project.
	var together sync.WaitGroup
	for i := range lanes {
		together.Go(func() {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				l := newLane(t, newProject(t, fmt.Sprintf("daemon%d", i), compose, "daemon"), seed+uint64(i))
				l.tally = newTally()
				l.play((kills + i) / lanes)
				tallies[i] = l.tally
			})
		})
	}
	together.Wait()
	sum := newTally()
	for _, each := range tallies {
		sum.add(each)
	}
	t.Logf("kill -9 of composure run by phase (seed %d, %s):\n%s", seed, time.Since(began).Round(time.Second), histogram(sum.kills))
	t.Logf("%d of %d converged by themselves; %d drifts, %d transactions: %s; %d locks, one at a time", len(sum.took), kills, sum.drifts, sum.overall, inWords(sum.outcomes), sum.locks)
	if len(sum.took) > 0 {
		t.Logf("from the start of the next process until all was well: median %.1f s, at most %.1f s", median(sum.took), slices.Max(sum.took))
	}
	if !t.Failed() && len(sum.took) != kills {
		t.Errorf("%d kills, want %d", len(sum.took), kills)
	}
	for _, each := range phases() {
		if kills >= 5*len(phases()) && sum.kills[each] == 0 {
			t.Errorf("no kill in phase %s", each)
		}
	}
}

// lane is one project whose daemon is killed again and again.
type lane struct {
	*tended
	*operator
	random *rand.Rand
	known  map[string]bool // the transactions of earlier rounds
	tally  tally
}

func newLane(t *testing.T, p *project, seed uint64) *lane {
	t.Helper()
	l := &lane{tended: newTended(t, p), operator: newOperator(t, p, p.state), random: rand.New(rand.NewPCG(seed, 0)), known: map[string]bool{}}
	l.start()
	l.waitCompliant(0)
	// One that nobody disturbs shows how long each phase takes.
	w, ended := l.disturb(driftEdit)
	<-ended
	l.lengths = map[phase]time.Duration{}
	l.learn(w)
	for _, each := range phases() {
		if each != unlocking && l.lengths[each] == 0 {
			t.Fatalf("phase %s was not seen: %v\n%s", each, l.lengths, l.told(0))
		}
	}
	t.Logf("phases take %v", l.lengths)
	l.wantAsDeclared()
	l.wantMendedOnce()
	return l
}

// learn notes how long the phases took that were seen to their end. The last one has none: what follows upon it is another transaction.
func (l *lane) learn(w *watch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.Copy(l.lengths, w.lengths)
	delete(l.lengths, unlocking)
}

// disturb makes the project differ and follows what the daemon does about it. ended is closed when it has nothing left to do.
func (l *lane) disturb(kind drift) (w *watch, ended <-chan struct{}) {
	l.t.Helper()
	from := l.mark()
	if kind != driftPolicy {
		l.drift(kind)
	}
	// What docker compose does is not to be taken for what the daemon does; it waits for longer than it takes to listen.
	over := make(chan struct{})
	w = newWatch(l.name)
	l.feed(w, over)
	if kind == driftPolicy {
		l.drift(kind)
	}
	go func() {
		defer close(over)
		mended := false
		l.each(from, func(line said) bool {
			if strings.HasPrefix(line.Step, "patched ") && w.current() == locked {
				w.enter(patched)
			}
			mended = mended || line.Msg == "transaction ended"
			return mended && line.status("Compliant")
		})
	}()
	return w, over
}

func (l *lane) play(kills int) {
	l.t.Helper()
	for rounds := 0; l.tally.total() < kills && !l.t.Failed(); rounds++ {
		if rounds > 2*kills+2 {
			l.t.Fatalf("only %d of %d swaps could be cut off in %d rounds", l.tally.total(), kills, rounds)
		}
		l.round(drifts()[rounds%len(drifts())])
		if rounds%5 == 4 {
			l.wantUpToDate()
		}
	}
	l.stop()
	l.wantAsDeclared()
	l.wantUpToDate()
	all := l.history(l.operator.state)
	l.wantOneAtATime(all, nil)
	l.witness.wantExclusive(l.project)
	l.tally.outcomes, l.tally.locks, l.tally.overall = outcomes(all), l.witness.locks, len(all)
}

// round makes the project differ, kills the daemon in the phase that was met least, and starts it again.
func (l *lane) round(kind drift) {
	l.t.Helper()
	aim := rarest(l.tally.kills)
	if aim == patched && kind == driftUp {
		kind = driftEdit // else no file is patched
	}
	delay := time.Duration(l.random.Int64N(int64(max(l.lengths[aim], time.Millisecond))))
	nth := 1
	if slices.Contains(perSwap(), aim) {
		nth += l.random.IntN(swaps)
	}
	from := l.mark()
	w, ended := l.disturb(kind)
	in := l.killIn(w, aim, nth, delay, ended)
	l.learn(w)
	if in != "" {
		l.tally.kills[in]++
		began, next := time.Now(), l.mark()
		l.start()
		l.waitCompliant(next)
		l.tally.took = append(l.tally.took, time.Since(began).Seconds())
	} else {
		l.lengths[aim] /= 2 // it was faster
	}
	l.tally.drifts++
	l.wantAsDeclared()
	l.wantMendedOnce()
	if l.t.Failed() {
		l.t.Logf("%s; killed in %s, aimed at %s + %s; composure run said:\n%s%s", kind, in, aim, delay, l.told(from), l.census())
	}
}

// killIn returns the phase in which the daemon was killed, or nothing when it was faster.
func (l *lane) killIn(w *watch, aim phase, nth int, delay time.Duration, ended <-chan struct{}) phase {
	if !w.until(aim, nth, ended) {
		return ""
	}
	select {
	case <-time.After(delay):
	case <-ended:
		return ""
	}
	in := w.current()
	l.kill()
	return in
}

// wantMendedOnce wants one transaction since the last call whose change is in place, and every one to have ended.
func (l *lane) wantMendedOnce() {
	l.t.Helper()
	done := 0
	for _, each := range l.history(l.operator.state) {
		if l.known[each.ID] {
			continue
		}
		l.known[each.ID] = true
		if each.done() {
			done++
		}
		if each.Outcome == stillUnderWay || each.Outcome == rollbackFailed {
			l.t.Errorf("transaction %s: %s", each.ID, each.Outcome)
		}
	}
	if done != 1 {
		l.t.Errorf("the drift was mended %d times, want once", done)
	}
}
