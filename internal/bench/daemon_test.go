package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// said is a line of the daemon's log.
type said struct {
	Time        time.Time `json:"time"`
	Level       string    `json:"level"`
	Msg         string    `json:"msg"`
	Project     string    `json:"project"`
	Ready       bool      `json:"ready"`
	Reason      string    `json:"reason"`
	Message     string    `json:"message"`
	Differences int       `json:"differences"`
	Result      string    `json:"result"`
	Failure     string    `json:"failure"`
	committed   int       // transactions of the project until then
}

// daemon is a composure run on its way.
type daemon struct {
	t       *testing.T
	cmd     *exec.Cmd
	address string
	ended   chan struct{}

	mu     sync.Mutex
	states map[string]said // by project, as the log told last
	trace  []string        // the last lines
	heard  chan struct{}   // closed at each line
}

// start runs the daemon on an engine. It is ended with the test at the latest.
func start(t *testing.T, dockerHost, folder, enforcement string, args ...string) *daemon {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	own := t.TempDir()
	if err := os.WriteFile(filepath.Join(own, "policy.yaml"), []byte(policyFile(enforcement)), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &daemon{t: t, address: freeAddress(t), ended: make(chan struct{}), states: map[string]said{}, heard: make(chan struct{})}
	d.cmd = exec.Command(binary, append([]string{
		"run", "--policy", filepath.Join(own, "policy.yaml"), "--allow-root", filepath.Join(folder, "srv"), "--state-dir", filepath.Join(own, "state"),
		"--listen", d.address, "--log-format", "json", "--budget", "1000", "--max-services", "1000", "--pprof",
	}, args...)...)
	d.cmd.Dir = own
	d.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + own, "DOCKER_HOST=" + dockerHost}
	stderr, err := d.cmd.StderrPipe()
	if err == nil {
		err = d.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.stop)
	go d.listen(stderr)
	return d
}

func (d *daemon) listen(stderr io.Reader) {
	defer close(d.ended)
	scanner := bufio.NewScanner(stderr)
	for scanner.Buffer(nil, 1<<20); scanner.Scan(); {
		var line said
		if json.Unmarshal(scanner.Bytes(), &line) != nil {
			line.Msg = scanner.Text()
		}
		d.mu.Lock()
		switch known := d.states[line.Project]; {
		case line.Msg == "project looked at":
			line.committed = known.committed
			d.states[line.Project] = line
		case line.Msg == "transaction ended" && line.Result == "committed":
			known.committed++
			d.states[line.Project] = known
		}
		if d.trace = append(d.trace, scanner.Text()); len(d.trace) > 20 {
			d.trace = d.trace[1:]
		}
		close(d.heard)
		d.heard = make(chan struct{})
		d.mu.Unlock()
	}
}

// stop ends the daemon as systemd does.
func (d *daemon) stop() {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.ended:
	case <-time.After(time.Minute):
		_ = d.cmd.Process.Kill()
	}
	_ = d.cmd.Wait() // stopped before, perhaps
}

// until waits for what the log tells of the projects.
func (d *daemon) until(what string, holds func(states map[string]said) bool) {
	d.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		d.mu.Lock()
		done, heard := holds(d.states), d.heard
		d.mu.Unlock()
		if done {
			return
		}
		select {
		case <-heard:
		case <-d.ended:
			d.t.Fatalf("%s: the daemon has ended\n%s", what, d.told())
		case <-deadline.C:
			d.t.Fatalf("%s did not come true within %s\n%s", what, patience, d.told())
		}
	}
}

func (d *daemon) told() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.trace, "\n")
}

// find waits until the daemon says that a project differs in so many places, and returns when it was heard.
func (d *daemon) find(project string, differences int) said {
	d.t.Helper()
	var found said
	d.until(fmt.Sprintf("%s with %d differences", project, differences), func(states map[string]said) bool {
		found = states[project]
		return found.Project != "" && found.Differences == differences && found.Ready == (differences == 0)
	})
	return found
}

// figures are what a process has used since it began, and the memory that it has now.
type figures struct {
	cpu       time.Duration // user and system
	objects   float64       // that were allocated
	bytes     float64       // that were allocated
	rss, peak int64         // bytes: now, and at most
	told      telling
}

// telling is what it costs the daemon to be asked for the figures.
type telling struct {
	cpu            time.Duration
	objects, bytes float64
}

// since is what was used between two measures, less what the measures have cost.
func (f figures) since(before figures) figures {
	f.cpu -= before.cpu + before.told.cpu
	f.objects -= before.objects + before.told.objects
	f.bytes -= before.bytes + before.told.bytes
	return f
}

func (f figures) add(other figures) figures {
	f.cpu, f.objects, f.bytes = f.cpu+other.cpu, f.objects+other.objects, f.bytes+other.bytes
	return f
}

func (f figures) each(n int) figures {
	f.cpu, f.objects, f.bytes = f.cpu/time.Duration(n), f.objects/float64(n), f.bytes/float64(n)
	return f
}

// cpu is the process's clock, to the nanosecond: clock_getcpuclockid(3) tells how its number is made.
func (d *daemon) cpu() time.Duration {
	d.t.Helper()
	const perProcess = 2
	var used unix.Timespec
	if err := unix.ClockGettime(int32(^d.cmd.Process.Pid<<3|perProcess), &used); err != nil { //nolint:gosec // ids of processes are below 2^22
		d.t.Fatalf("CPU clock of the daemon: %v\n%s", err, d.told())
	}
	return time.Duration(used.Nano())
}

// quiet waits until the daemon has done next to nothing for a while.
func (d *daemon) quiet() {
	d.t.Helper()
	const span, idle = 25, 5 * time.Millisecond // looks 20 ms apart
	var marks []time.Duration
	eventually(d.t, "a daemon that has nothing to do", func() bool {
		marks = append(marks, d.cpu())
		n := len(marks)
		return n > span && marks[n-1]-marks[n-1-span] < idle
	})
}

// measure is to be taken when the daemon is quiet. It asks twice: the difference is what asking costs, and that the figures of the next
// measure hold twice, once for the second question here and once, in halves, for the first ones here and there.
func (d *daemon) measure() figures {
	d.t.Helper()
	now := figures{cpu: d.cpu(), rss: d.memory("VmRSS"), peak: d.memory("VmHWM")}
	first, second := d.metrics(), d.metrics()
	allocated := func(samples map[string]float64) (objects, bytes float64) {
		return samples["go_memstats_mallocs_total"], samples["go_memstats_alloc_bytes_total"]
	}
	now.objects, now.bytes = allocated(first)
	objects, bytes := allocated(second)
	if now.objects == 0 || now.bytes == 0 {
		d.t.Fatal("GET /metrics does not tell of allocations")
	}
	now.told = telling{cpu: d.cpu() - now.cpu, objects: 2 * (objects - now.objects), bytes: 2 * (bytes - now.bytes)}
	return now
}

// metrics are the samples without labels.
func (d *daemon) metrics() map[string]float64 {
	d.t.Helper()
	body := d.get("/metrics")
	samples := map[string]float64{}
	for line := range strings.Lines(body) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		if value, err := strconv.ParseFloat(text, 64); err == nil && !strings.HasPrefix(name, "#") {
			samples[name] = value
		}
	}
	return samples
}

func (d *daemon) get(path string) string {
	d.t.Helper()
	var body []byte
	eventually(d.t, "an answer to GET "+path, func() bool {
		response, err := http.Get("http://" + d.address + path)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		var failed error
		body, failed = io.ReadAll(response.Body)
		if failed != nil || response.StatusCode != http.StatusOK {
			d.t.Fatalf("GET %s: %s, %v", path, response.Status, failed)
		}
		return true
	})
	return string(body)
}

// memory reads a line of /proc/PID/status, in bytes.
func (d *daemon) memory(name string) int64 {
	d.t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	_, rest, found := bytes.Cut(content, []byte(name+":"))
	var kilobytes int64
	if _, err := fmt.Sscan(string(rest), &kilobytes); !found || err != nil {
		d.t.Fatal(errors.Join(err, errors.New("no "+name)))
	}
	return kilobytes << 10
}
