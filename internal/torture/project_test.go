package torture

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// project is one docker compose project in a folder of its own.
type project struct {
	t       *testing.T
	name    string
	dir     string // nothing else is in it
	state   string
	compose string
	made    tools
	env     []string
}

// newProject copies the files from testdata, makes ready to remove everything again, and starts nothing.
func newProject(t *testing.T, name, compose, from string, env ...string) *project {
	t.Helper()
	made := needEngine(t)
	folder := t.TempDir()
	p := &project{t: t, name: ours() + name, dir: filepath.Join(folder, "project"), state: filepath.Join(folder, "state"), compose: compose, made: made}
	p.env = append([]string{"COMPOSE_PROJECT_NAME=" + p.name, "COLUMNS=120", "TORTURE_IMAGE=" + imageName()}, env...)
	if err := os.CopyFS(p.dir, os.DirFS(filepath.Join("testdata", from))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.remove)
	return p
}

// remove works although files may be broken: it goes by names.
func (p *project) remove() {
	for _, c := range p.list(afterwards(p.t)) {
		_ = p.command("docker", "rm", "-f", "-v", c.ID).Run()
	}
	p.run(p.compose, "down", "--volumes", "--remove-orphans", "--timeout", "1")
	_ = p.command("docker", "rm", "-f", "composure-lock-"+p.name).Run()
}

// result is what a command left behind.
type result struct {
	stdout, stderr string
	code           int
}

func (r result) String() string { return fmt.Sprintf("exit %d\n%s%s", r.code, r.stdout, r.stderr) }

func (p *project) command(command string, args ...string) *exec.Cmd {
	cmd := exec.Command(command, args...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), p.env...)
	return cmd
}

func (p *project) run(command string, args ...string) result {
	p.t.Helper()
	return run(p.t, p.command(command, args...))
}

func run(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Errorf("%s: %v", cmd, err)
		return result{code: -1}
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// applying is composure apply --yes as a person would run it.
func (p *project) applying(args ...string) *exec.Cmd {
	return p.command(p.made.composure, append([]string{"apply", "--yes", "--policy", "policy.yaml", "--state-dir", p.state}, args...)...)
}

func (p *project) apply() result {
	p.t.Helper()
	return run(p.t, p.applying("-v"))
}

func (p *project) wantApply(code int) result {
	p.t.Helper()
	got := p.apply()
	if got.code != code {
		p.t.Fatalf("composure apply: want exit %d, got %s\n%s", code, got, p.census())
	}
	return got
}

func (p *project) up() {
	p.t.Helper()
	if got := p.run(p.compose, "up", "-d", "--wait"); got.code != 0 {
		p.t.Fatalf("docker compose up: %s", got)
	}
}

// wantUpToDate runs a plain up -d, which must leave every container alone.
func (p *project) wantUpToDate() {
	p.t.Helper()
	before := p.ids()
	got := p.run(p.compose, "up", "-d")
	if got.code != 0 || strings.Contains(got.stderr, "Recreate") || strings.Contains(got.stderr, "Creat") {
		p.t.Errorf("docker compose up -d did something: %s", got)
	}
	p.wantIDs(before)
}

// list is every container of the project, whatever its state, and those that only bear its name.
func (p *project) list(ctx context.Context) []container.Summary {
	p.t.Helper()
	listed, err := p.made.engine.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		p.t.Fatal(err)
	}
	return slices.DeleteFunc(listed.Items, func(c container.Summary) bool {
		named := slices.ContainsFunc(c.Names, func(name string) bool { return strings.Contains(name, p.name) })
		return c.Labels[labelProject] != p.name && !named
	})
}

// census says in words what there is.
func (p *project) census() string {
	var words strings.Builder
	for _, c := range p.list(afterwards(p.t)) {
		fmt.Fprintf(&words, "  %.12s %s: %s\n", c.ID, strings.Join(c.Names, " "), c.Status)
	}
	return words.String()
}

// ids are the full ids of the running containers by instance, such as web-1.
func (p *project) ids() map[string]string {
	p.t.Helper()
	ids := map[string]string{}
	for _, c := range p.list(p.t.Context()) {
		if c.State == container.StateRunning && c.Labels[labelProject] == p.name {
			ids[c.Labels[labelService]+"-"+c.Labels[labelNumber]] = c.ID
		}
	}
	return ids
}

func (p *project) wantIDs(want map[string]string) {
	p.t.Helper()
	if got := p.ids(); !maps.Equal(got, want) {
		p.t.Errorf("containers are %v, want %v\n%s", got, want, p.census())
	}
}

// wantInstances wants exactly these to run under compose's names, each once, healthy if they have a healthcheck, and nothing beside them.
func (p *project) wantInstances(instances ...string) {
	p.t.Helper()
	var got, want []string
	for _, c := range p.list(p.t.Context()) {
		state := string(c.State)
		if strings.Contains(c.Status, "unhealthy") || strings.Contains(c.Status, "starting") {
			state = c.Status
		}
		got = append(got, strings.Join(c.Names, " ")+" "+state)
	}
	for _, instance := range instances {
		want = append(want, "/"+p.name+"-"+instance+" running")
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		p.t.Errorf("containers are\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// wantFiles wants these in the project's folder and nothing else, hidden files included.
func (p *project) wantFiles(names ...string) {
	p.t.Helper()
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		p.t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	slices.Sort(names)
	if !slices.Equal(got, names) {
		p.t.Errorf("the folder holds %v, want %v", got, names)
	}
}

func (p *project) inspect(id string) container.InspectResponse {
	p.t.Helper()
	got, err := p.made.engine.ContainerInspect(p.t.Context(), id, client.ContainerInspectOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return got.Container
}

// ask fetches from inside of a container.
func (p *project) ask(id, url string) string {
	p.t.Helper()
	got := p.run("docker", "exec", id, "/target", "get", url)
	if got.code != 0 {
		p.t.Errorf("%s does not answer inside of %.12s: %s", url, id, got)
	}
	return got.stdout
}

// processEnv is the environment that the program which serves at the address, seen from inside of a container, really has.
func (p *project) processEnv(id, address string) []string {
	p.t.Helper()
	var env []string
	if err := json.Unmarshal([]byte(p.ask(id, "http://"+address+"/env")), &env); err != nil {
		p.t.Errorf("%s: %v", address, err)
	}
	return env
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
