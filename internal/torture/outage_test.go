package torture

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
)

// prober knocks at the service every few milliseconds, from a container in its network and by its name.
type prober struct {
	t       *testing.T
	ask     io.Writer
	answers *bufio.Scanner
}

func newProber(t *testing.T, p *project, service string) *prober {
	t.Helper()
	name := p.name + "-prober"
	cmd := p.command("docker", "run", "-i", "--rm", "--name", name, "--network", p.name+"_default", imageName(), "probe", service+":8080")
	ask, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("docker", "rm", "-f", "-v", name).Run()
		_ = cmd.Wait() // it ends by being removed
	})
	return &prober{t, ask, bufio.NewScanner(answers)}
}

// outage waits until the service answers steadily, and returns for how long it has not since the last call.
func (p *prober) outage() time.Duration {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.ask); err != nil {
		p.t.Fatalf("ask the prober: %v", err)
	}
	if !p.answers.Scan() {
		p.t.Fatalf("the prober ended: %v", p.answers.Err())
	}
	micros, err := strconv.Atoi(p.answers.Text())
	if err != nil {
		p.t.Fatal(err)
	}
	return time.Duration(micros) * time.Microsecond
}

// watched is a project of one service whose outages are measured.
type watched struct {
	*project
	*prober
	value int
}

func newWatched(t *testing.T, name string) *watched {
	t.Helper()
	w := &watched{project: newProject(t, name, composeOf(t, ""), "outage")}
	w.up()
	w.prober = newProber(t, w.project, "web")
	w.prober.outage()
	return w
}

// change sets the variable in a file to what it has not had yet.
func (w *watched) change(file, key string) {
	w.project.t.Helper()
	was := fmt.Sprintf("%s: \"%d\"", key, w.value)
	w.replace(file, was, fmt.Sprintf("%s: \"%d\"", key, w.value+1))
}

// swapping lets composure replace the container.
func (w *watched) swapping() time.Duration {
	w.project.t.Helper()
	w.change("policy.yaml", "value")
	w.wantApply(0)
	w.value++
	return w.prober.outage()
}

// bouncing stops and starts the container by the engine's API: less than that nobody can do.
func (w *watched) bouncing() time.Duration {
	w.project.t.Helper()
	id := w.ids()["web-1"]
	if _, err := w.made.engine.ContainerStop(w.project.t.Context(), id, client.ContainerStopOptions{}); err != nil {
		w.project.t.Fatal(err)
	}
	if _, err := w.made.engine.ContainerStart(w.project.t.Context(), id, client.ContainerStartOptions{}); err != nil {
		w.project.t.Fatal(err)
	}
	return w.prober.outage()
}

// upping lets docker compose replace the container, after the same change.
func (w *watched) upping() time.Duration {
	w.project.t.Helper()
	w.change("compose.yaml", "ROUND")
	w.change("policy.yaml", "value")
	w.value++
	w.up()
	return w.prober.outage()
}

// crashing lets composure put a container in place that does not come up, and put the old one back.
func (w *watched) crashing() time.Duration {
	w.project.t.Helper()
	before := w.ids()
	w.replace("policy.yaml", "variables:\n", "variables:\n    - {name: TARGET_CRASH, value: \"true\"}\n")
	file := w.read("compose.yaml")
	got := w.wantApply(3)
	if !strings.Contains(got.stdout+got.stderr, "runs again") {
		w.project.t.Errorf("it must say what runs again: %s", got)
	}
	w.wantIDs(before)
	if w.read("compose.yaml") != file {
		w.project.t.Error("compose.yaml is not as it was")
	}
	w.replace("policy.yaml", "variables:\n    - {name: TARGET_CRASH, value: \"true\"}\n", "variables:\n")
	return w.prober.outage()
}

// interleave measures each kind once a round, in random order.
func interleave(rounds int, kinds map[string]func() time.Duration) map[string][]time.Duration {
	measured := map[string][]time.Duration{}
	var names []string
	for name := range kinds {
		names = append(names, name)
	}
	for range rounds {
		rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for _, name := range names {
			measured[name] = append(measured[name], kinds[name]())
		}
	}
	return measured
}

// A swap costs no more than stopping and starting the container.
func TestOutage(t *testing.T) {
	pairs := amount(t, "COMPOSURE_OUTAGE_PAIRS", 2, 30)
	w := newWatched(t, "outage")
	got := interleave(pairs, map[string]func() time.Duration{"swap": w.swapping, "stop+start": w.bouncing, "up -d": w.upping})
	w.wantInstances("web-1", "prober")
	w.wantUpToDate()
	ratios := ratios(got["swap"], got["stop+start"])
	low, high := interval(ratios)
	for _, kind := range []string{"stop+start", "swap", "up -d"} {
		t.Logf("%-10s %s", kind, spread(got[kind]))
	}
	t.Logf("swap / (stop + start), n = %d: median %.3f, its 95 %% interval %.3f to %.3f", pairs, median(ratios), low, high)
	if pairs >= 6 && low > 1.05 {
		t.Errorf("a swap's outage is more than that of stop + start: at least %.3f of it", low)
	}
}

// An environment with which the program does not come up is taken back soon.
func TestOutageOfACrash(t *testing.T) {
	pairs := max(amount(t, "COMPOSURE_OUTAGE_PAIRS", 2, 30)/3, 2)
	w := newWatched(t, "crash")
	got := interleave(pairs, map[string]func() time.Duration{"crash": w.crashing, "stop+start": w.bouncing})
	w.wantInstances("web-1", "prober")
	w.wantUpToDate()
	for _, kind := range []string{"stop+start", "crash"} {
		t.Logf("%-10s %s", kind, spread(got[kind]))
	}
	ratio := median(ratios(got["crash"], got["stop+start"]))
	t.Logf("crash / (stop + start), n = %d: median %.2f", pairs, ratio)
	if pairs >= 6 && ratio > 4 {
		t.Errorf("an apply that is rolled back costs %.2f times the outage of stop + start, want at most 4", ratio)
	}
}
