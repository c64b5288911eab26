package torture

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// An apply that is killed at any instant leaves nothing that the next one does not put in order.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("kills an apply over and over")
	}
	kills := amount(t, "COMPOSURE_KILLS", 4, 100)
	t.Parallel()
	k := newKilled(t, newProject(t, "kill", composeOf(t, ""), "kill"))
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	counts := map[phase]int{}
	began := time.Now()
	for done, rounds := 0, 0; done < kills && !t.Failed(); rounds++ {
		if rounds > 2*kills {
			t.Fatalf("only %d of %d applies could be killed", done, rounds)
		}
		if in := k.round(counts, random); in != "" {
			counts[in]++
			done++
		}
		if rounds%10 == 9 {
			k.wantUpToDate()
		}
	}
	k.wantUpToDate()
	t.Logf("kill -9 by phase (seed %d, %s):\n%s", seed, time.Since(began).Round(time.Second), histogram(counts))
	for _, each := range phases() {
		if kills >= 10*len(phases()) && counts[each] < 5 {
			t.Errorf("only %d kills in phase %s, want 5", counts[each], each)
		}
	}
}

// killed is a project whose applies are cut off. Each round asks for another value, so that what one round leaves is where the next begins.
type killed struct {
	*project
	original map[string]string // the files as they were first
	value    int
	lengths  map[phase]time.Duration
}

// swaps is how many containers an apply of this project replaces.
const swaps = 2

// newKillable starts the project.
func newKillable(t *testing.T, p *project) *killed {
	t.Helper()
	k := &killed{project: p, original: map[string]string{}}
	for _, name := range []string{"compose.yaml", "compose.override.yaml"} {
		k.original[name] = k.read(name)
	}
	k.up()
	if got := k.run("docker", "exec", k.ids()["web-1"], "/target", "write", "/data/named/file", "kept"); got.code != 0 {
		t.Fatalf("write into the volume: %s", got)
	}
	return k
}

// newKilled starts the project and applies to it once.
func newKilled(t *testing.T, p *project) *killed {
	t.Helper()
	k := newKillable(t, p)
	// One that nobody disturbs shows how long each phase takes.
	value := k.demand()
	got := k.follow(func(*watch, *exec.Cmd, <-chan struct{}) {})
	if got.code != 0 {
		t.Fatalf("an apply that nobody disturbs: %s", got.result)
	}
	k.lengths = got.lengths
	for _, each := range phases() {
		if each != unlocking && got.lengths[each] == 0 {
			t.Fatalf("phase %s was not seen: %v\n%s", each, got.lengths, got.result)
		}
	}
	t.Logf("phases take %v", got.lengths)
	k.wantSettled(value)
	return k
}

// demand makes the policy ask for a value that nobody has had yet, and returns it.
func (k *killed) demand() string {
	k.t.Helper()
	before := fmt.Sprintf("value: \"%d\"", k.value)
	k.value++
	k.replace("policy.yaml", before, fmt.Sprintf("value: \"%d\"", k.value))
	return strconv.Itoa(k.value)
}

// round cuts one apply off in the phase that was met least, lets the next one put everything in order, and returns the phase in which
// the first one died.
func (k *killed) round(counts map[phase]int, random *rand.Rand) phase {
	k.t.Helper()
	value := k.demand()
	aim := rarest(counts)
	length := max(k.lengths[aim], time.Millisecond)
	delay := time.Duration(random.Int64N(int64(length)))
	nth := 1
	if slices.Contains(perSwap(), aim) {
		nth += random.IntN(swaps)
	}
	var in phase
	first := k.follow(func(w *watch, apply *exec.Cmd, ended <-chan struct{}) {
		if !w.until(aim, nth, ended) {
			return
		}
		select {
		case <-time.After(delay):
			_ = apply.Process.Kill()
			in = w.current()
		case <-ended:
		}
	})
	if first.code != -1 {
		in = "" // it was faster
	}
	maps.Copy(k.lengths, first.lengths)
	next := k.apply()
	if next.code != 0 {
		k.t.Errorf("the apply after a kill in %s (aimed at %s + %s) has to put all in order and go on: %s", in, aim, delay, next)
	}
	k.wantSettled(value)
	if k.t.Failed() {
		k.t.Logf("killed in %s, aimed at %s + %s; it had said:\n%s\nthe next one said:\n%s\n%s", in, aim, delay, first.result, next, k.census())
	}
	return in
}

// wantSettled wants files and containers to hold the value, and nothing to be left over.
func (k *killed) wantSettled(value string) {
	k.t.Helper()
	k.wantInstances("web-1", "worker-1", "aside-1")
	k.wantFiles("compose.yaml", "compose.override.yaml", "policy.yaml")
	k.wantValue(value)
}

// wantValue wants the files, byte for byte, and the containers to hold the value, and the volume what it has always held.
func (k *killed) wantValue(value string) {
	k.t.Helper()
	for name, content := range k.original {
		if want := strings.NewReplacer(`ROUND: "0"`, fmt.Sprintf("ROUND: %q", value), "ROUND=0", "ROUND="+value).Replace(content); k.read(name) != want {
			k.t.Errorf("%s is neither old nor new:\n%s\nwant\n%s", name, k.read(name), want)
		}
	}
	ids := k.ids()
	for _, instance := range []string{"web-1", "worker-1"} {
		if env := k.inspect(ids[instance]).Config.Env; !slices.Contains(env, "ROUND="+value) {
			k.t.Errorf("%s has %v, want ROUND=%s", instance, env, value)
		}
	}
	if got := k.ask(ids["web-1"], "http://127.0.0.1:8080/file?path=/data/named/file"); !strings.Contains(got, `"kept"`) {
		k.t.Errorf("the volume holds %s", got)
	}
}
