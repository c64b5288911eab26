package bench

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What is promised.
const (
	driftRatio  = 1.5       // what a drift costs on the largest engine, by what it costs on the smallest
	memoryLimit = 150 << 20 // RSS at 10,000 containers, in bytes
)

// scale is what was measured on one engine.
type scale struct {
	*world
	first    figures        // until every project was looked at
	asked    map[string]int // by then
	drift    figures        // each, to its finding
	full     figures        // a resync that believes nothing
	resync   figures        // one without drift
	resynced int64          // RSS at most, of a daemon that also lists while it looks at everything for the first time
	lists    float64        // of each resync
	others   int            // requests of all resyncs beside the lists
	mended   figures        // each, to the end of its transaction
	settled  int64          // RSS after a full resync
}

// TestScale measures the same on engines of different size, side by side: whatever else the machine does meets all of them.
func TestScale(t *testing.T) {
	sizes, rounds := []int{100, 1000}, 1
	if full() {
		sizes, rounds = []int{100, 1000, 10000}, 6
	}
	var scales []*scale
	for _, size := range sizes {
		scales = append(scales, &scale{world: newWorld(t, size)})
	}
	defer printScales(t, scales) // also what was measured before something failed
	measureDrifts(t, scales, rounds)
	for _, s := range scales {
		if full() || s == scales[0] {
			s.measureResyncs(t, 3)
		}
		if full() {
			s.measureMending(t)
		}
	}
	judgeScales(t, scales)
}

// batch is how many projects drift one after the other between two measures: as many as the smallest engine has.
const batch = 10

// measureDrifts has a daemon for each engine. The drifts of each round are of another service, and put right before the next one.
func measureDrifts(t *testing.T, scales []*scale, rounds int) {
	t.Helper()
	daemons := map[*scale]*daemon{}
	for _, s := range scales {
		d := start(t, "unix://"+s.socket, s.folder, "Audit", "--resync", "24h")
		d.until("a look at every project", func(states map[string]said) bool { return len(states) == s.size/perProject })
		d.quiet()
		s.first, s.asked, daemons[s] = d.measure(), s.counts(), d
		for name, state := range d.states {
			if !state.Ready {
				t.Fatalf("%s is not as it should be: %+v", name, state)
			}
		}
	}
	for _, s := range scales {
		s.settle(daemons[s])
	}
	for round := range rounds {
		for _, s := range scales {
			d := daemons[s]
			d.quiet()
			before := d.measure()
			for i := range batch {
				s.recreate(i, round, false)
				d.find(project(i), 1)
			}
			d.quiet()
			s.drift = s.drift.add(d.measure().since(before))
			for i := range batch {
				s.recreate(i, round, true)
				d.find(project(i), 0)
			}
		}
	}
	for _, s := range scales {
		s.drift = s.drift.each(rounds * batch)
		if full() {
			s.measureFull(t, daemons[s])
		}
		daemons[s].stop()
	}
}

// ready is how many projects a daemon keeps ready to be looked at; the others it has to thaw.
const ready = 32

// settle has so many other projects drift before anything is measured, so that what is done once for each project is done, and those that
// are measured are not among the ready ones of a large engine.
func (s *scale) settle(d *daemon) {
	for i := batch; i < min(batch+ready, s.size/perProject); i++ {
		for _, right := range []bool{false, true} {
			s.recreate(i, 0, right)
			differences := 1
			if right {
				differences = 0
			}
			d.find(project(i), differences)
		}
	}
}

// measureFull has a daemon believe nothing that it has read before, as it does in every tenth resync.
func (s *scale) measureFull(t *testing.T, d *daemon) {
	t.Helper()
	d.quiet()
	before, counts := d.measure(), s.counts()
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an inspect of each container", func() bool { return s.counts()["inspect"] >= counts["inspect"]+s.size })
	d.quiet()
	after := d.measure()
	s.full, s.settled = after.since(before), after.rss
	if got := s.counts()["list"] - counts["list"]; got != 1 {
		t.Errorf("%d containers: a full resync listed %d times, want once", s.size, got)
	}
}

// measureResyncs has a daemon that lists often, but not so often that it has not looked at all projects by the time it believes nothing
// any more, which it does in every tenth resync. When one of those comes in between it is measured again.
func (s *scale) measureResyncs(t *testing.T, resyncs int) {
	t.Helper()
	every := max(3*time.Second, time.Duration(s.size)*4*time.Millisecond)
	d := start(t, "unix://"+s.socket, s.folder, "Audit", "--resync", every.String())
	defer d.stop()
	d.until("a look at every project", func(states map[string]said) bool { return len(states) == s.size/perProject })
	next := func() {
		from := s.counts()["list"]
		eventually(t, "a resync", func() bool { return s.counts()["list"] > from })
		d.quiet()
	}
	const attempts = 3
	for range attempts {
		next()
		before, counts := d.measure(), s.counts()
		for range resyncs {
			next()
		}
		s.resync = d.measure().since(before).each(resyncs)
		after := s.counts()
		s.lists = float64(after["list"]-counts["list"]) / float64(resyncs)
		s.others = total(after) - total(counts) - after["list"] + counts["list"]
		s.resynced = d.memory("VmHWM")
		if after["inspect"]-counts["inspect"] < s.size {
			return
		}
	}
}

func total(counts map[string]int) (sum int) {
	for _, count := range counts {
		sum += count
	}
	return sum
}

// measureMending has a daemon that may change something: one service of each project, and then, when what it does only once is done, the
// next one, which is measured.
func (s *scale) measureMending(t *testing.T) {
	t.Helper()
	d := start(t, "unix://"+s.socket, s.folder, "Enforce", "--resync", "24h")
	d.until("a look at every project", func(states map[string]said) bool { return len(states) == s.size/perProject })
	mend := func(service int) {
		t.Helper()
		for i := range batch {
			s.recreate(i, service, false)
		}
		d.until("the end of every transaction", func(states map[string]said) bool {
			for i := range batch {
				if state := states[project(i)]; state.committed != service || !state.Ready {
					return false
				}
			}
			return true
		})
		for i := range batch {
			c, err := s.memory.Inspect(t.Context(), fmt.Sprintf("/%s-app%d-1", project(i), service))
			if err != nil || !slices.Contains(c.Config.Env, switched+"=true") {
				t.Fatalf("%s was not mended: %v\n%s", project(i), err, d.told())
			}
		}
		d.quiet()
	}
	mend(1)
	before := d.measure()
	mend(2)
	s.mended = d.measure().since(before).each(batch)
	d.stop()
}

func printScales(t *testing.T, scales []*scale) {
	t.Helper()
	heading := []string{""}
	for _, s := range scales {
		heading = append(heading, fmt.Sprintf("%d containers", s.size))
	}
	heading = append(heading, "last / first")
	rows := [][]string{heading}
	for _, kind := range []struct {
		name string
		of   func(*scale) figures
	}{
		{"first sync", func(s *scale) figures { return s.first }},
		{"a resync", func(s *scale) figures { return s.resync }},
		{"a full resync", func(s *scale) figures { return s.full }},
		{"a drift, found", func(s *scale) figures { return s.drift }},
		{"a drift, mended", func(s *scale) figures { return s.mended }},
	} {
		first, last := kind.of(scales[0]), kind.of(scales[len(scales)-1])
		if last.cpu == 0 {
			continue // not measured
		}
		cpu, objects, size := []string{kind.name + ": CPU time"}, []string{kind.name + ": objects"}, []string{kind.name + ": bytes"}
		for _, s := range scales {
			f := kind.of(s)
			cpu = append(cpu, fmt.Sprintf("%.1f ms", milliseconds(f.cpu)))
			objects, size = append(objects, fmt.Sprintf("%.0f", f.objects)), append(size, megabytes(f.bytes))
		}
		rows = append(rows,
			append(cpu, ratio(float64(last.cpu), float64(first.cpu))), append(objects, ratio(last.objects, first.objects)), append(size, ratio(last.bytes, first.bytes)))
	}
	rss, peak, settled := []string{"RSS after first sync"}, []string{"RSS at most until then"}, []string{"RSS after a full resync"}
	resynced := []string{"RSS at most, with resyncs meanwhile"}
	lists, requests := []string{"lists of a resync"}, []string{"other requests of a resync"}
	for _, s := range scales {
		rss, peak, settled = append(rss, megabytes(float64(s.first.rss))), append(peak, megabytes(float64(s.first.peak))), append(settled, megabytes(float64(s.settled)))
		resynced = append(resynced, megabytes(float64(s.resynced)))
		lists, requests = append(lists, fmt.Sprint(s.lists)), append(requests, fmt.Sprint(s.others))
	}
	memory, calls := [][]string{rss, peak}, [][]string{}
	if full() {
		memory, calls = append(memory, settled, resynced), [][]string{lists, requests}
	}
	for _, row := range slices.Concat(memory, calls) {
		rows = append(rows, append(row, ""))
	}
	table(t, "composure run, by the number of containers", rows...)
	for _, s := range scales {
		var words []string
		for _, kind := range slices.Sorted(maps.Keys(s.asked)) {
			words = append(words, fmt.Sprintf("%s: %d", kind, s.asked[kind]))
		}
		t.Logf("requests of the first sync of %d containers: %s", s.size, strings.Join(words, ", "))
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func megabytes(bytes float64) string { return fmt.Sprintf("%.2f MB", bytes/(1<<20)) }

func ratio(a, b float64) string { return fmt.Sprintf("%.2f", a/b) }

// judgeScales asserts times and memory only when everything is measured: a sample is taken on machines that are busy.
func judgeScales(t *testing.T, scales []*scale) {
	t.Helper()
	first, last := scales[0], scales[len(scales)-1]
	atMost := func(what string, got, limit float64) {
		t.Helper()
		if got > limit {
			t.Errorf("%s: %.2f, want at most %.2f", what, got, limit)
		}
	}
	for _, s := range scales {
		if measured := full() || s == first; measured && (s.lists != 1 || s.others != 0) {
			t.Errorf("%d containers: a resync without drift takes %.1f lists, and %d other requests, want one list and nothing else", s.size, s.lists, s.others)
		}
		if s.asked["list"] != 1 || s.asked["inspect"] != s.size {
			t.Errorf("%d containers: the first sync takes %v, want one list and each container inspected once", s.size, s.asked)
		}
	}
	atMost("objects of a drift, last by first", last.drift.objects/first.drift.objects, driftRatio)
	atMost("bytes of a drift, last by first", last.drift.bytes/first.drift.bytes, driftRatio)
	if !full() {
		return
	}
	atMost("CPU time of a drift, last by first", float64(last.drift.cpu)/float64(first.drift.cpu), driftRatio)
	atMost("CPU time of a mending, last by first", float64(last.mended.cpu)/float64(first.mended.cpu), driftRatio)
	atMost("bytes of a mending, last by first", last.mended.bytes/first.mended.bytes, driftRatio)
	atMost("RSS in MB", float64(max(last.first.rss, last.first.peak, last.settled))/(1<<20), memoryLimit/(1<<20))
}

// TestIdle measures what it costs to look after a hundred containers with which nothing happens.
func TestIdle(t *testing.T) {
	if !full() {
		t.Skip("takes five minutes and more: COMPOSURE_BENCH=full")
	}
	const span, promised = 5*time.Minute + 10*time.Second, 0.005
	w := newWorld(t, 100)
	d := start(t, "unix://"+w.socket, w.folder, "Audit")
	d.until("a look at every project", func(states map[string]said) bool { return len(states) == w.size/perProject })
	d.quiet()
	lists, before, began := w.counts()["list"], d.cpu(), time.Now()
	select {
	case <-time.After(span):
	case <-d.ended:
		t.Fatalf("the daemon has ended\n%s", d.told())
	}
	used, lasted := d.cpu()-before, time.Since(began)
	share := float64(used) / float64(lasted)
	t.Logf("idle at 100 containers over %s, with %d resyncs: %s of CPU time, %.3f %% of a core; RSS %s",
		lasted.Round(time.Second), w.counts()["list"]-lists, used.Round(time.Millisecond), 100*share, megabytes(float64(d.memory("VmRSS"))))
	if share > promised {
		t.Errorf("that is more than %.1f %%", 100*promised)
	}
}
