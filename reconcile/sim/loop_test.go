package sim

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/composure-dev/composure/internal/engine/enginetest"
)

// TestSimulation makes every call of every scenario go wrong in every way, and then pairs of them by seed.
func TestSimulation(t *testing.T) {
	if replay := os.Getenv("COMPOSURE_SIM_REPLAY"); replay != "" {
		again(t, replay)
		return
	}
	seeds, _ := strconv.Atoi(os.Getenv("COMPOSURE_SIM_SEEDS"))
	counted := &tally{told: map[string]int{}}
	t.Cleanup(func() {
		line := fmt.Sprintf("sim: runs=%d seeds=%d violations=%d", counted.runs, seeds, counted.violations)
		t.Log(line)
		fmt.Fprintln(os.Stdout, line)
	})
	chosen := os.Getenv("COMPOSURE_SIM_ONLY")
	for _, s := range scenarios() {
		if chosen != "" && !contains(chosen, s.name) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			clean := simulate(t, s)
			report(t, counted, s, clean)
			for _, mode := range modes() {
				if modes := os.Getenv("COMPOSURE_SIM_MODES"); modes == "" || contains(modes, mode) {
					single(t, counted, s, mode, clean.calls)
				}
			}
			for seed := range seeds {
				pair(t, counted, s, seed+1, len(clean.calls))
			}
		})
	}
}

func contains(list, name string) bool { return strings.Contains(","+list+",", ","+name+",") }

func single(t *testing.T, counted *tally, s scenario, mode string, calls []enginetest.Call) {
	t.Helper()
	tried := slices.Index(modes(), mode) // each mode begins elsewhere, so that together they come to most calls
	for k, call := range calls {
		if !matters(mode, k, call) {
			continue
		}
		if tried++; tried%stride() != 0 {
			continue
		}
		f := fault{mode, k}
		report(t, counted, s, simulate(t, s, f))
	}
}

// stride is how many calls there are between two that go wrong, by default as many as fit into half a minute under the race detector.
func stride() int {
	const usual = 140
	if every, err := strconv.Atoi(os.Getenv("COMPOSURE_SIM_STRIDE")); err == nil && every > 0 {
		return every
	}
	return usual
}

// matters leaves out what is the same as another run: a process that dies at a read dies after the write before it, and only a list
// can be stale.
func matters(mode string, k int, call enginetest.Call) bool {
	switch enginetest.Mode(mode) {
	case enginetest.CrashBefore, enginetest.CrashAfter:
		return call.Writes || k == 0
	case enginetest.ErrorAfter:
		return call.Writes // a lost answer of a read is an error
	case enginetest.Stale, enginetest.NoLists:
		return call.Verb == "list"
	default:
		return true
	}
}

// pair makes two calls go wrong. The second may be one of the undo.
func pair(t *testing.T, counted *tally, s scenario, seed, calls int) {
	t.Helper()
	random := rand.New(rand.NewPCG(uint64(seed), 0)) //nolint:gosec // it is to be repeated
	all := modes()
	first := fault{all[random.IntN(len(all))], random.IntN(calls)}
	second := fault{all[random.IntN(len(all))], first.call + 1 + random.IntN(calls)}
	o := simulate(t, s, first, second)
	o.seed = seed
	report(t, counted, s, o)
}

func report(t *testing.T, counted *tally, s scenario, o outcome) {
	t.Helper()
	replay, kind := s.name, s.name
	for _, f := range o.faults {
		replay += "/" + f.String()
		kind += "/" + f.mode
	}
	if !counted.add(kind, len(o.problems) > 0) {
		return
	}
	t.Errorf("violation: scenario %s, faults %v, seed %d\n%s\n%s\nreplay: make sim REPLAY=%s",
		s.name, o.faults, o.seed, strings.Join(o.problems, "\n"), o.story, replay)
}

// again repeats one run: scenario/mode/call, or scenario/mode/call/mode/call.
func again(t *testing.T, replay string) {
	t.Helper()
	parts := strings.Split(replay, "/")
	var faults []fault
	for i := 1; i+1 < len(parts); i += 2 {
		call, err := strconv.Atoi(parts[i+1])
		if err != nil {
			t.Fatal(err)
		}
		faults = append(faults, fault{parts[i], call})
	}
	for _, s := range scenarios() {
		if s.name == parts[0] {
			o := simulate(t, s, faults...)
			t.Log(o.story)
			report(t, &tally{told: map[string]int{}}, s, o)
			return
		}
	}
	t.Fatalf("there is no scenario %q", parts[0])
}
