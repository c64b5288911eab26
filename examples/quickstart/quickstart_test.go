// Package quickstart_test runs the example on a real Docker Engine with a real docker compose, as its README tells people to.
package quickstart_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// testImage is this run's own, so that it leaves a person's quickstart alone, and another run.
var testImage = fmt.Sprintf("composure-quickstart-test-%d:latest", os.Getpid())

// tools are built once for all tests.
type tools struct {
	composure, compose string
}

var build = sync.OnceValues(func() (tools, error) {
	dir, err := os.MkdirTemp("", "composure-quickstart-")
	if err != nil {
		return tools{}, err
	}
	made := tools{composure: filepath.Join(dir, "composure")}
	// The probe's image is this very binary, so it has to be the static one that people run.
	compile := exec.Command("go", "build", "-trimpath", "-o", made.composure, "../../cmd/composure")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0")
	for _, command := range []*exec.Cmd{compile, exec.Command("./build.sh", testImage)} {
		if out, err := command.CombinedOutput(); err != nil {
			return tools{}, fmt.Errorf("%s: %w\n%s", command, err, out)
		}
	}
	path, err := exec.Command("../../scripts/compose.sh").Output()
	made.compose = strings.TrimSpace(string(path))
	return made, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if engineRuns() {
		clean()
	}
	os.Exit(code)
}

// clean removes what the tests built, the probe's image included: it is named after the binary.
func clean() {
	made, err := build()
	if err != nil {
		return
	}
	if content, err := os.ReadFile(made.composure); err == nil {
		sum := sha256.Sum256(content)
		probe := "composure-probe:" + hex.EncodeToString(sum[:6])
		_ = exec.Command("docker", "rmi", testImage, probe).Run()
	}
	_ = os.RemoveAll(filepath.Dir(made.composure))
}

func engineRuns() bool { return exec.Command("docker", "info").Run() == nil }

// project is a copy of the example in a folder of its own, brought up under a name of its own.
type project struct {
	t    *testing.T
	name string
	dir  string
	made tools
	env  []string
}

func newProject(t *testing.T, name string) *project {
	t.Helper()
	if !engineRuns() {
		if os.Getenv("COMPOSURE_REQUIRE_ENGINE") == "1" {
			t.Fatal("COMPOSURE_REQUIRE_ENGINE=1, but there is no Docker Engine")
		}
		t.Skip("needs a Docker Engine")
	}
	t.Parallel() // most of the time they wait for containers
	made, err := build()
	if err != nil {
		t.Fatal(err)
	}
	p := &project{t: t, name: "composure-test-" + name, dir: t.TempDir(), made: made}
	for _, file := range []string{"compose.yaml", "policy.yaml"} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p.write(file, strings.ReplaceAll(string(content), "composure-quickstart:latest", testImage))
	}
	t.Cleanup(func() { p.run(made.compose, "down", "--volumes", "--timeout", "2") })
	p.up()
	return p
}

// result is what a command left behind.
type result struct {
	stdout, stderr string
	code           int
}

func (p *project) run(command string, args ...string) result {
	p.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(command, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, &stdout, &stderr
	cmd.Env = append(os.Environ(), append([]string{"COMPOSE_PROJECT_NAME=" + p.name, "COLUMNS=120"}, p.env...)...)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatalf("%s: %v", cmd, err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// composure runs with the example's policy and a state folder of the test's, and wants the exit code.
func (p *project) composure(code int, verb string, args ...string) result {
	p.t.Helper()
	args = append([]string{verb, "--policy", "policy.yaml", "--state-dir", filepath.Join(p.dir, "state")}, args...)
	got := p.run(p.made.composure, args...)
	if got.code != code {
		p.t.Fatalf("composure %s: exit %d, want %d\n%s\n%s", strings.Join(args, " "), got.code, code, got.stdout, got.stderr)
	}
	return got
}

func (p *project) up() {
	p.t.Helper()
	got := p.run(p.made.compose, "up", "-d", "--wait")
	if got.code != 0 {
		p.t.Fatalf("docker compose up: exit %d\n%s", got.code, got.stderr)
	}
}

// wantUpToDate runs a plain up -d, which must find every container as its files say.
func (p *project) wantUpToDate() {
	p.t.Helper()
	before := p.ids()
	got := p.run(p.made.compose, "up", "-d")
	if strings.Contains(got.stderr, "Recreate") || strings.Count(got.stderr, "Running")+strings.Count(got.stderr, "Healthy") < len(before) {
		p.t.Errorf("docker compose up -d did not find everything running:\n%s", got.stderr)
	}
	p.wantIDs(before)
}

// ids are the full ids of the services' running containers.
func (p *project) ids() map[string]string {
	p.t.Helper()
	got := p.run("docker", "ps", "--no-trunc", "--filter", "label=com.docker.compose.project="+p.name,
		"--format", `{{.Label "com.docker.compose.service"}} {{.ID}}`)
	ids := map[string]string{}
	for line := range strings.Lines(got.stdout) {
		service, id, _ := strings.Cut(strings.TrimSpace(line), " ")
		ids[service] = id
	}
	return ids
}

func (p *project) wantIDs(want map[string]string) {
	p.t.Helper()
	for service, id := range p.ids() {
		if want[service] != id {
			p.t.Errorf("%s runs in %.12s, want %.12s", service, id, want[service])
		}
	}
	if all := p.run("docker", "ps", "-aq", "--filter", "label=com.docker.compose.project="+p.name); strings.Count(all.stdout, "\n") != len(want) {
		p.t.Errorf("containers are left over:\n%s", all.stdout)
	}
}

// wantSwapped wants exactly these services in new containers.
func (p *project) wantSwapped(before map[string]string, services ...string) {
	p.t.Helper()
	after := p.ids()
	for service, id := range before {
		swapped := after[service] != id
		if wanted := strings.Contains(" "+strings.Join(services, " ")+" ", " "+service+" "); swapped != wanted {
			p.t.Errorf("%s swapped: %v, want %v", service, swapped, wanted)
		}
		p.t.Logf("%-5s %.12s -> %.12s", service, id, after[service])
	}
}

func (p *project) read(name string) string {
	p.t.Helper()
	content, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(content)
}

func (p *project) write(name, content string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(content), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func (p *project) replace(name, old, new string) {
	p.t.Helper()
	content := p.read(name)
	if !strings.Contains(content, old) {
		p.t.Fatalf("%s does not hold %q", name, old)
	}
	p.write(name, strings.ReplaceAll(content, old, new))
}

func TestCheckNamesServiceVariableAndPlace(t *testing.T) {
	p := newProject(t, "check")
	got := p.composure(1, "check")
	for _, want := range []string{"app", "beat", "CELERY_BEAT_REDIS_SYNC_ENABLED"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("check does not name %s:\n%s", want, got.stdout)
		}
	}
	if !regexp.MustCompile(`compose\.yaml:\d+`).MatchString(got.stdout) {
		t.Errorf("check names no file:line:\n%s", got.stdout)
	}
	before := p.read("compose.yaml")
	ids := p.ids()
	p.composure(0, "apply", "--files-only", "--yes")
	p.composure(0, "check")
	p.wantIDs(ids)
	for line := range strings.Lines(before) {
		if !strings.Contains(p.read("compose.yaml"), line) {
			t.Errorf("line %q is gone: only additions are allowed", line)
		}
	}
	if added := strings.Count(p.read("compose.yaml"), "\n") - strings.Count(before, "\n"); added != 6 {
		t.Errorf("%d lines were added, want 3 for each of 2 services", added)
	}
	// The containers are still old; the second half swaps each exactly once.
	p.composure(0, "apply", "--yes")
	p.wantSwapped(ids, "app", "beat")
	p.wantUpToDate()
}

func TestDiffWritesNothingAndApplyTwiceDoesNothing(t *testing.T) {
	p := newProject(t, "twice")
	stat, err := os.Stat(filepath.Join(p.dir, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	ids := p.ids()
	first, second := p.composure(1, "diff"), p.composure(1, "diff")
	if first.stdout != second.stdout {
		t.Errorf("two diffs differ:\n%s\n%s", first.stdout, second.stdout)
	}
	p.wantIDs(ids)
	if again, err := os.Stat(filepath.Join(p.dir, "compose.yaml")); err != nil || !again.ModTime().Equal(stat.ModTime()) {
		t.Error("diff touched compose.yaml")
	}
	p.composure(0, "apply", "--yes")
	p.wantSwapped(ids, "app", "beat")
	ids = p.ids()
	p.composure(0, "apply", "--yes")
	p.wantIDs(ids)
	p.wantUpToDate()
}

func TestEditByHandAndRestart(t *testing.T) {
	p := newProject(t, "edited")
	p.replace("compose.yaml", "      REDIS_URL: redis://redis:6379/0\n", `      REDIS_URL: redis://redis:6379/0
      CELERY_BEAT_REDIS_SYNC_ENABLED: "true"
      CELERY_BEAT_MIN_SYNC_INTERVAL: "5"
      CELERY_BEAT_REDIS_CHANNEL: celery_beat_schedule_updates
`)
	ids := p.ids()
	p.run(p.made.compose, "restart", "--timeout", "2", "beat")
	p.wantIDs(ids)
	edited := p.read("compose.yaml")
	p.composure(0, "apply", "--yes")
	p.wantSwapped(ids, "app", "beat")
	if !strings.Contains(p.read("compose.yaml"), edited[strings.Index(edited, "  beat:"):]) {
		t.Error("the block edited by hand was touched")
	}
	p.wantUpToDate()
}

func TestValueOfAnotherShell(t *testing.T) {
	p := newProject(t, "shell")
	p.composure(0, "apply", "--yes")
	p.wantMendedAfterUpWith("CELERY_BEAT_MIN_SYNC_INTERVAL=60")
}

// wantMendedAfterUpWith brings the project up from a shell that sets the variable, and applies from one that does not: the
// containers are stale, and the files are right by their text.
func (p *project) wantMendedAfterUpWith(variable string) {
	p.t.Helper()
	p.env = []string{variable}
	p.up()
	p.env = nil
	ids := p.ids()
	file := p.read("compose.yaml")
	p.composure(0, "apply", "--yes")
	p.wantSwapped(ids, "app", "beat")
	if p.read("compose.yaml") != file {
		p.t.Error("the file was right and was written")
	}
	p.wantUpToDate()
}

// The file interpolates the shell where no key of environment shows it: in an env_file.
func TestValueOfAnotherShellInAnEnvFile(t *testing.T) {
	p := newProject(t, "envfile")
	p.write("sync.env", "CELERY_BEAT_REDIS_SYNC_ENABLED=${SYNC:-true}\nCELERY_BEAT_MIN_SYNC_INTERVAL=5\nCELERY_BEAT_REDIS_CHANNEL=updates\n")
	p.replace("compose.yaml", "    command: [app]\n", "    command: [app]\n    env_file: sync.env\n")
	p.replace("compose.yaml", "    command: [beat]\n", "    command: [beat]\n    env_file: sync.env\n")
	p.wantMendedAfterUpWith("SYNC=false")
}

// A person who presses Ctrl-C in the middle of a swap gets everything back.
func TestInterrupt(t *testing.T) {
	p := newProject(t, "interrupt")
	ids, file := p.ids(), p.read("compose.yaml")
	cmd := exec.Command(p.made.composure, "apply", "--yes", "--policy", "policy.yaml", "--state-dir", filepath.Join(p.dir, "state"))
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "COMPOSE_PROJECT_NAME="+p.name)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	told := ""
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		told += lines.Text() + "\n"
		if strings.HasPrefix(lines.Text(), "swapping beat") {
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 130 {
		t.Errorf("exit %d (%v), want 130\n%s", cmd.ProcessState.ExitCode(), err, told)
	}
	p.wantIDs(ids)
	if p.read("compose.yaml") != file {
		t.Error("compose.yaml is not as it was")
	}
	p.wantUpToDate()
}

func TestRollback(t *testing.T) {
	tests := map[string]struct {
		reason   string
		old, new string
		say      string
	}{
		"crash": {
			"a value beat cannot start with",
			"minimum: 1\n      maximum: 30\n      declare: ${CELERY_BEAT_MIN_SYNC_INTERVAL:-5}", "value: soon", "code 2",
		},
		"numsub": {
			"a check that cannot be met",
			"subscribers: 1", "subscribers: 7\n        within: 3s", "want at least 7",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := newProject(t, name)
			p.replace("policy.yaml", tc.old, tc.new)
			ids, file := p.ids(), p.read("compose.yaml")
			got := p.composure(3, "apply", "--yes")
			if told := got.stdout + got.stderr; !strings.Contains(told, tc.say) || !strings.Contains(told, "runs again") {
				t.Errorf("%s: it must say what failed (%q) and what was restored:\n%s", tc.reason, tc.say, told)
			}
			p.wantIDs(ids)
			if p.read("compose.yaml") != file {
				t.Errorf("%s: compose.yaml is not as it was", tc.reason)
			}
			p.wantUpToDate()
		})
	}
}
