package quickstart_test

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// said is a line of the daemon's log.
type said struct {
	Msg     string `json:"msg"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Result  string `json:"result"`
	Failure string `json:"failure"`
	Project string `json:"project"`
	Step    string `json:"step"` // of a transaction
}

// daemon is composure run on its way.
type daemon struct {
	*project
	cmd   *exec.Cmd
	lines chan said
}

func (p *project) daemon() *daemon {
	p.t.Helper()
	cmd := exec.Command(p.made.composure, "run", "--file", "compose.yaml",
		"--policy", "policy.yaml", "--state-dir", filepath.Join(p.dir, "state"), "--listen", "", "--log-format", "json")
	cmd.Env = append(os.Environ(), "COMPOSE_PROJECT_NAME="+p.name)
	return p.follow(cmd)
}

// follow starts a command in the project's folder, and reads the daemon's log from its stderr.
func (p *project) follow(cmd *exec.Cmd) *daemon {
	p.t.Helper()
	d := &daemon{project: p, lines: make(chan said, 1000), cmd: cmd}
	d.cmd.Dir = p.dir
	stderr, err := d.cmd.StderrPipe()
	if err == nil {
		err = d.cmd.Start()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = d.cmd.Process.Kill() })
	go func() {
		defer close(d.lines)
		for scanner := bufio.NewScanner(stderr); scanner.Scan(); {
			var line said
			if json.Unmarshal(scanner.Bytes(), &line) != nil {
				line.Msg = "no JSON: " + scanner.Text()
			}
			d.lines <- line
		}
	}()
	return d
}

// ends waits for the end of the daemon, whom somebody has asked to end, and wants exit code 0.
func (d *daemon) ends() {
	d.t.Helper()
	for range d.lines { // to the end of its log
	}
	if err := d.cmd.Wait(); err != nil {
		d.t.Errorf("it ends with %v, want exit code 0", err)
	}
}

func (d *daemon) terminate() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	d.ends()
}

// says waits for a line of the log.
func (d *daemon) says(what string, wanted func(said) bool) said {
	d.t.Helper()
	var told []said
	for deadline := time.After(2 * time.Minute); ; {
		select {
		case line, runs := <-d.lines:
			if told = append(told, line); !runs {
				d.t.Fatalf("it ended before: %s: %+v", what, told)
			}
			if wanted(line) {
				return line
			}
		case <-deadline:
			d.t.Fatalf("not in time: %s: %+v", what, told)
		}
	}
}

// mended waits until the daemon has carried out one transaction, and no more, and finds everything as it should be.
func (d *daemon) mended(what string) {
	d.t.Helper()
	transactions, deadline := 0, time.After(2*time.Minute)
	var told []said
	for {
		select {
		case line, runs := <-d.lines:
			told = append(told, line)
			if !runs || strings.HasPrefix(line.Msg, "no JSON") {
				d.t.Fatalf("%s: it ended, or said what is no log: %+v", what, told)
			}
			if line.Msg == "transaction ended" && line.Project == d.name {
				if transactions++; line.Result != "committed" {
					d.t.Errorf("%s: %s: %s", what, line.Result, line.Failure)
				}
			}
			if line.Project != d.name || line.Reason != "Compliant" || transactions == 0 {
				continue
			}
			if transactions != 1 {
				d.t.Errorf("%s: mended %d times", what, transactions)
			}
			return
		case <-deadline:
			d.t.Fatalf("%s: not mended in time: %+v", what, told)
		}
	}
}

// Whoever has the daemon run need not notice that something had drifted.
func TestDaemonMends(t *testing.T) {
	p := newProject(t, "daemon")
	p.replace("policy.yaml", "  selector:\n", "  enforcement: {files: Enforce, containers: Enforce}\n  selector:\n")
	d := p.daemon()
	d.mended("at the start")
	p.wantUpToDate()

	p.env = []string{"CELERY_BEAT_REDIS_SYNC_ENABLED=false"}
	p.up()
	p.env = nil
	d.mended("after an up from another shell")
	p.wantUpToDate()

	p.replace("compose.yaml", "SYNC_ENABLED:-true}", "SYNC_ENABLED:-no}")
	d.mended("after an edit of the compose file")

	p.replace("policy.yaml", "    - name: REDIS_URL\n", "    - name: FROM_NOW_ON\n      value: \"1\"\n    - name: REDIS_URL\n")
	d.mended("after an edit of the policy")
	p.wantUpToDate()
	if !strings.Contains(p.read("compose.yaml"), "FROM_NOW_ON") {
		t.Error("the new variable is not in the file")
	}

	ids := p.ids()
	d.terminate()
	p.wantIDs(ids)
	if got := p.composure(0, "diff"); !strings.Contains(got.stdout, "0 held") && strings.Contains(got.stdout, "Plan:") {
		t.Errorf("diff:\n%s", got.stdout)
	}
}
