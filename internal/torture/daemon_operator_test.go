package torture

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// converges is how long anything that is waited for may take.
const converges = 90 * time.Second

// said is a line of the daemon's log.
type said struct {
	Time        time.Time `json:"time"`
	Msg         string    `json:"msg"`
	Project     string    `json:"project"`
	Transaction string    `json:"transaction"`
	Step        string    `json:"step"`
	Reason      string    `json:"reason"`
	Message     string    `json:"message"`
	Result      string    `json:"result"`
	Failure     string    `json:"failure"`
	Err         string    `json:"err"`
}

func (s said) String() string {
	words := []string{s.Time.Format("15:04:05.000"), s.Msg}
	for _, word := range []string{s.Transaction, s.Step, s.Reason, s.Message, s.Result, s.Failure, s.Err} {
		if word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, " | ")
}

// status reports whether the line says how a project is, and that it is so for this reason.
func (s said) status(reason string) bool { return s.Msg == "project looked at" && s.Reason == reason }

// operator is composure run as a process of its own, which may be killed and started again.
type operator struct {
	p     *project
	state string // the folder of its records
	args  []string
	cmd   *exec.Cmd

	mu    sync.Mutex
	lines []said // of all processes so far
	moved chan struct{}
	over  chan struct{} // closed when the process says nothing any more
}

// newOperator makes one for the project that keeps its records in the folder, and starts nothing.
func newOperator(t *testing.T, p *project, state string, args ...string) *operator {
	t.Helper()
	o := &operator{p: p, state: state, moved: make(chan struct{})}
	o.args = append([]string{
		"run", "--file", "compose.yaml", "--file", "compose.override.yaml", "--policy", "policy.yaml", "--state-dir", state,
		"--budget", "1000", "--max-services", "1000", "--listen", "", "--log-format", "json",
	}, args...)
	t.Cleanup(func() {
		if o.cmd != nil {
			o.end()
		}
	})
	return o
}

func (o *operator) start() {
	o.p.t.Helper()
	o.cmd = o.p.command(o.p.made.composure, o.args...)
	stderr, err := o.cmd.StderrPipe()
	if err == nil {
		err = o.cmd.Start()
	}
	if err != nil {
		o.p.t.Fatal(err)
	}
	over := make(chan struct{})
	o.mu.Lock()
	o.over = over
	o.mu.Unlock()
	go o.listen(stderr, over)
}

func (o *operator) listen(from io.Reader, over chan struct{}) {
	for scanner := bufio.NewScanner(from); scanner.Scan(); {
		var line said
		if json.Unmarshal(scanner.Bytes(), &line) != nil {
			line.Msg = "no JSON: " + scanner.Text()
		}
		o.mu.Lock()
		o.lines = append(o.lines, line)
		close(o.moved)
		o.moved = make(chan struct{})
		o.mu.Unlock()
	}
	close(over)
}

// kill is kill -9.
func (o *operator) kill() {
	_ = o.cmd.Process.Kill() // it may have ended
	o.end()
}

// silent is closed when the process that was started last says nothing any more.
func (o *operator) silent() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.over
}

// end waits for a process that is told to end, or tells it the hard way.
func (o *operator) end() {
	select {
	case <-o.silent():
	case <-time.After(20 * time.Second):
		_ = o.cmd.Process.Kill()
		<-o.silent()
	}
	_ = o.cmd.Wait() // how it ended is what the caller looks at
}

// stop is what a service manager does.
func (o *operator) stop() {
	o.p.t.Helper()
	_ = o.cmd.Process.Signal(syscall.SIGTERM) // it may have ended, which the code tells
	o.end()
	if code := o.cmd.ProcessState.ExitCode(); code != 0 {
		o.p.t.Errorf("composure run ended with %d, want 0\n%s", code, o.told(0))
	}
}

// since is what was said from the line on that has this number, and what is closed when there is more.
func (o *operator) since(from int) (lines []said, moved <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.lines[from:]), o.moved
}

// mark is the number of the next line.
func (o *operator) mark() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.lines)
}

// each passes on what is said from that line on, until it is told that this is enough, the process ends, or too much time has
// passed.
func (o *operator) each(from int, enough func(said) bool) {
	deadline, over := time.After(converges), o.silent()
	for {
		lines, moved := o.since(from)
		if slices.ContainsFunc(lines, enough) {
			return
		}
		if from += len(lines); len(lines) > 0 {
			continue
		}
		select {
		case <-moved:
		case <-deadline:
			return
		case <-over:
			if lines, _ := o.since(from); len(lines) == 0 {
				return
			}
		}
	}
}

// wait waits for a line, and returns it with the number of the one after it.
func (o *operator) wait(from int, what string, is func(said) bool) (line said, next int) {
	o.p.t.Helper()
	deadline, over, began := time.After(converges), o.silent(), from
	for {
		lines, moved := o.since(from)
		if i := slices.IndexFunc(lines, is); i >= 0 {
			return lines[i], from + i + 1
		}
		from += len(lines)
		select {
		case <-moved:
		case <-over:
			if lines, _ := o.since(from); len(lines) == 0 {
				o.p.t.Fatalf("composure run has ended, and %s was waited for:\n%s%s", what, o.told(began), o.p.census())
			}
		case <-deadline:
			o.p.t.Fatalf("%s was waited for %s:\n%s%s", what, converges, o.told(began), o.p.census())
		}
	}
}

// waitCompliant waits until the daemon finds that all is as it should be.
func (o *operator) waitCompliant(from int) said {
	o.p.t.Helper()
	line, _ := o.wait(from, "that all is as it should be", func(s said) bool { return s.status("Compliant") })
	return line
}

// waitWell waits until composure diff finds nothing, and the daemon has said nothing else last. A status that stays is not told again.
func (o *operator) waitWell(from int) {
	o.p.t.Helper()
	var got result
	for deadline := time.Now().Add(converges); ; {
		got = o.p.run(o.p.made.composure, "diff", "--file", "compose.yaml", "--file", "compose.override.yaml", "--policy", "policy.yaml", "--state-dir", o.state)
		if got.code == 0 && o.last() == "Compliant" {
			return
		}
		if time.Now().After(deadline) {
			break
		}
		<-time.After(100 * time.Millisecond)
	}
	o.p.t.Fatalf("not well after %s: composure diff: %s\ncomposure run:\n%s%s", converges, got, o.told(from), o.p.census())
}

// last is how the project was when the daemon last said something of it.
func (o *operator) last() string {
	lines, _ := o.since(0)
	for _, line := range slices.Backward(lines) {
		if line.Msg == "project looked at" {
			return line.Reason
		}
	}
	return ""
}

// told is the log from that line on.
func (o *operator) told(from int) string {
	var words strings.Builder
	lines, _ := o.since(from)
	for _, line := range lines {
		fmt.Fprintf(&words, "  %s\n", line)
	}
	return words.String()
}
