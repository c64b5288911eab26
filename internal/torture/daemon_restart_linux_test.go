package torture

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// restart is one restart of the engine under the daemon.
type restart struct {
	reason string
	kind   drift // made in the outage, or the one whose swap is cut off
	at     phase // "" when nothing is under way
}

// restarts are as many as there are, and then again.
func restarts(n int) []restart {
	all := []restart{
		{"the files and the policy differ when the engine comes back", driftEdit, ""},
		{"the old container has been told to end, and nobody knows whether it did", driftUp, stopping},
		{"the policy asks for something else since", driftPolicy, ""},
		{"the new container is taken down as well, while it is watched", driftPolicy, waiting},
		{"nothing has happened, and what happens afterwards is noticed", driftNone, ""},
		{"only the old containers are left to be removed", driftEdit, committing},
		{"containers are made before the daemon is back", driftUp, ""},
		{"one container is replaced, and the other is not", driftPolicy, renaming},
		{"all is replaced, and not yet verified", driftUp, checking},
		{"files are patched, and no container is replaced", driftEdit, patched},
	}
	for len(all) < n {
		all = append(all, all...)
	}
	return all[:n]
}

// An engine that restarts under the daemon, idle or in the middle of a swap, is noticed once, and all is well again by itself.
func TestDaemonEngineRestart(t *testing.T) {
	if !full() {
		t.Skip("restarts dockerd over and over: make torture")
	}
	times := amount(t, "COMPOSURE_ENGINE_RESTARTS", 2, 10)
	made := needEngine(t)
	t.Parallel()
	d := newDaemon(t)
	if err := importImage(filepath.Join(made.folder, "target"), imageName(), "--host", d.host()); err != nil {
		t.Fatal(err)
	}
	p := newProject(t, "restarts", composeOf(t, ""), "daemon", "DOCKER_HOST="+d.host())
	p.made.engine = d.engine
	r := &restarted{lane: newLane(t, p, 1), daemon: d}
	began := time.Now()
	for i, each := range restarts(times) {
		r.round(each)
		t.Logf("%2d: %s %s: well again %.1f s after the engine was", i+1, each.kind, each.at, r.tally.took[i])
		if t.Failed() {
			return
		}
	}
	r.stop()
	all := r.history(r.operator.state)
	r.wantOneAtATime(all, nil)
	r.wantAsDeclared()
	r.wantUpToDate()
	t.Logf("%d restarts of the engine in %s, %d in the middle of a swap: each told once when it went and once when it came; %d transactions: %s; none began in between",
		times, time.Since(began).Round(time.Second), r.cut, len(all), inWords(outcomes(all)))
	t.Logf("from the engine's answer until all was well: median %.1f s, at most %.1f s", median(r.tally.took), slices.Max(r.tally.took))
}

// restarted is a daemon whose engine comes and goes.
type restarted struct {
	*lane
	daemon *daemon
	cut    int
}

func (r *restarted) round(o restart) {
	r.t.Helper()
	from := r.mark()
	if o.at != "" {
		w, ended := r.disturb(o.kind)
		if !w.until(o.at, 1, ended) {
			r.t.Fatalf("%s was not seen:\n%s", o.at, r.told(from))
		}
		r.cut++
	}
	r.daemon.stop()
	away, _ := r.wait(from, "that the engine does not answer", func(s said) bool { return s.Msg == "engine does not answer; it is tried again" })
	if o.at == "" {
		r.inOutage(o.kind)
	}
	if !r.daemon.start() {
		r.t.Fatal("the engine does not come up again")
	}
	if o.at == "" && o.kind == driftUp {
		r.drift(driftUp)
	}
	back, next := r.wait(from, "that the engine answers", func(s said) bool { return s.Msg == "engine answers" })
	if o.kind == driftNone {
		r.drift(driftUp)
		_, next = r.wait(next, "that it was mended", func(s said) bool { return s.Msg == "transaction ended" })
	}
	r.waitWell(next)
	r.tally.took = append(r.tally.took, time.Since(back.Time).Seconds())
	// Where only files were patched nobody has waited for what the engine has started.
	eventually(r.t, "health", func() bool { return !strings.Contains(r.census(), "starting") })
	r.wantAsDeclared()
	r.wantNothingBegun(away.Time, back.Time)
	r.wantTold(from)
	if r.t.Failed() {
		r.t.Logf("%s: composure run said:\n%s%s", o.reason, r.told(from), r.census())
	}
}

// inOutage changes what can be changed without an engine, and gives the daemon the time to act upon it, which it must not.
func (r *restarted) inOutage(kind drift) {
	r.t.Helper()
	from := r.mark()
	switch kind {
	case driftEdit:
		r.edit()
	case driftPolicy:
		r.declared = r.demand()
	case driftUp, driftNone:
		return
	}
	edited := r.files()
	r.wait(from, "that it has looked at what has changed", func(s said) bool { return s.status("EngineAway") })
	if r.files() != edited {
		r.t.Error("files were patched while nobody knew what runs")
	}
}

// wantNothingBegun wants no transaction to have begun between these moments.
func (r *restarted) wantNothingBegun(away, back time.Time) {
	r.t.Helper()
	for _, each := range r.history(r.operator.state) {
		if each.Began.After(away) && each.Began.Before(back) {
			r.t.Errorf("transaction %s began at %s, and the engine was away from %s to %s", each.ID, each.Began, away, back)
		}
	}
}

// wantTold wants the outage to have been told once, and its end once.
func (r *restarted) wantTold(from int) {
	r.t.Helper()
	counts := map[string]int{}
	lines, _ := r.since(from)
	for _, line := range lines {
		if strings.HasPrefix(line.Msg, "engine ") {
			counts[line.Msg]++
		}
	}
	if want := "map[engine answers:1 engine does not answer; it is tried again:1]"; fmt.Sprint(counts) != want {
		r.t.Errorf("it said %v, want %s", counts, want)
	}
}
