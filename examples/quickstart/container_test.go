package quickstart_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"sigs.k8s.io/yaml"
)

// contained is the example of a container: Composure with the example's policy, for this project alone, since others on the engine may
// be at what it would hold for cut off. Its own compose file is there as well, and a policy that selects it.
type contained struct {
	*project
	id string
}

const ownPolicy = `apiVersion: composure/v1alpha1
kind: EnvironmentPolicy
metadata: {name: own}
spec:
  enforcement: {files: Enforce, containers: Enforce}
  selector: {projects: [%s], services: [composure]}
  variables: [{name: NOT_SET, value: "1"}]
`

// contain makes the container, and does not start it.
func (p *project) contain(flags ...string) *contained {
	p.t.Helper()
	image := p.name + ":latest"
	if out, err := exec.Command("../../scripts/image.sh", image, p.made.composure).CombinedOutput(); err != nil {
		p.t.Fatalf("image.sh: %v\n%s", err, out)
	}
	p.t.Cleanup(func() { p.run("docker", "rmi", image) })
	policies := filepath.Join(p.dir, "deploy", "policies")
	if err := os.MkdirAll(policies, 0o755); err != nil {
		p.t.Fatal(err)
	}
	p.write("deploy/compose.yaml", exampleWith(p.t, append(flags, "--file="+filepath.Join(p.dir, "compose.yaml"), "--project-name="+p.name)))
	p.write("deploy/policies/own.yaml", fmt.Sprintf(ownPolicy, p.name+"-deploy"))
	p.write("deploy/policies/policy.yaml", strings.NewReplacer(
		"  selector:\n", "  enforcement: {files: Enforce, containers: Enforce}\n  selector:\n    projects: ["+p.name+"]\n",
		"stableFor: 3s", "stableFor: 1s",
	).Replace(p.read("policy.yaml")))
	p.write("deploy/.env", fmt.Sprintf("COMPOSURE_IMAGE=%s\nCOMPOSURE_ROOT=%s\nCOMPOSURE_HOSTNAME=%s\nCOMPOSURE_POLICIES=%s\n", image, p.dir, p.name, policies))
	deploy := func(args ...string) result {
		return p.run(p.made.compose, append([]string{"--project-name", p.name + "-deploy", "--file", "deploy/compose.yaml"}, args...)...)
	}
	p.t.Cleanup(func() { deploy("down", "--volumes", "--timeout", "20") })
	if got := deploy("create"); got.code != 0 {
		p.t.Fatalf("docker compose create: exit %d\n%s", got.code, got.stderr)
	}
	return &contained{p, strings.TrimSpace(deploy("ps", "--all", "--quiet").stdout)}
}

// exampleWith is the compose file of examples/deploy/container with more flags, and without the label that leaves its own service
// out of every policy.
func exampleWith(t *testing.T, flags []string) string {
	t.Helper()
	content, err := os.ReadFile("../deploy/container/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := yaml.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	service := file["services"].(map[string]any)["composure"].(map[string]any)
	delete(service, "labels")
	for _, flag := range flags {
		service["command"] = append(service["command"].([]any), flag)
	}
	changed, err := yaml.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(changed)
}

// start follows the log from the start on. It ends with the container, and with its exit code.
func (c *contained) start() *daemon {
	c.t.Helper()
	return c.follow(exec.Command("docker", "start", "--attach", c.id))
}

// stop is a docker stop, which waits for as long as the example says.
func (c *contained) stop(d *daemon) {
	c.t.Helper()
	if got := c.run("docker", "stop", c.id); got.code != 0 {
		c.t.Errorf("docker stop: %s", got.stderr)
	}
	d.ends()
}

// swaps waits until it is about to replace that service.
func (d *daemon) swaps(service string) {
	d.t.Helper()
	d.says("swapping "+service, func(line said) bool { return strings.HasPrefix(line.Step, "swapping "+service+" ") })
}

// giveAway gives the project to another user, and to nobody else; the answer wants it to be still so.
func (p *project) giveAway() (stillSo func()) {
	p.t.Helper()
	if os.Geteuid() != 0 {
		return func() {}
	}
	const user = 54321
	file := filepath.Join(p.dir, "compose.yaml")
	if err := errors.Join(os.Chown(p.dir, user, user), os.Chmod(p.dir, 0o700), os.Chown(file, user, user), os.Chmod(file, 0o600)); err != nil {
		p.t.Fatal(err)
	}
	return func() {
		stat, err := os.Stat(file)
		if err != nil {
			p.t.Fatal(err)
		}
		if owner := stat.Sys().(*syscall.Stat_t); owner.Uid != user || owner.Gid != user || stat.Mode().Perm() != 0o600 {
			p.t.Errorf("compose.yaml is %s of %d:%d, want it as it was", stat.Mode(), owner.Uid, owner.Gid)
		}
	}
}

// A container that is stopped in the middle of a swap ends well and gives everything back; started again, it mends. All the while it
// leaves its own container alone.
func TestContainer(t *testing.T) {
	p := newProject(t, "ways-container")
	ids, file := p.ids(), p.read("compose.yaml")
	owned := p.giveAway()
	c := p.contain()
	d := c.start()
	d.swaps("beat")
	c.stop(d)
	p.wantIDs(ids)
	if p.read("compose.yaml") != file {
		t.Error("compose.yaml is not as it was")
	}

	d = c.start()
	d.mended("after the stop")
	p.wantSwapped(ids, "app", "beat")
	p.wantUpToDate()
	owned()
	if got := p.run("docker", "exec", c.id, "/composure", "healthcheck"); got.code != 0 {
		t.Errorf("healthcheck: exit %d\n%s", got.code, got.stderr)
	}
	// Its own container lacks what a policy wants, and is left alone.
	own := p.run("docker", "exec", "--env", "COMPOSURE_ROOT="+p.dir, c.id, "/composure", "run", "--once", "--policy", "/etc/composure/policies",
		"--file", filepath.Join(p.dir, "deploy", "compose.yaml"), "--project-name", p.name+"-deploy", "--listen", "")
	if own.code != 1 || !strings.Contains(own.stdout, "Composure itself runs in it") {
		t.Errorf("its own project: exit %d\n%s%s", own.code, own.stdout, own.stderr)
	}
	c.stop(d)
}

// torture reports whether everything is to be played, as make torture does, and not only what is over soon.
func torture() bool { return os.Getenv("COMPOSURE_TORTURE") == "full" }

// A container that is killed at any step and started again has the same host name and is process 1 again: it must know that its
// predecessor is dead, and put in order what that has left.
func TestContainerKilled(t *testing.T) {
	if !torture() {
		t.Skip("kills a container over and over: COMPOSURE_TORTURE=full")
	}
	p := newProject(t, "ways-killed")
	c := p.contain("--budget=100", "--max-services=1000")
	d := c.start()
	d.mended("at the start")
	const policy = "deploy/policies/policy.yaml"
	first := p.read(policy)
	for round, step := range []string{"patched", "swapping app", "swapped app", "swapping beat", "swapped beat", "checked healthy"} {
		n := strconv.Itoa(round + 6)
		p.write(policy, strings.NewReplacer("minimum: 1", "minimum: "+n, "maximum: 30", "maximum: "+n, "INTERVAL:-5", "INTERVAL:-"+n).Replace(first))
		d.says(step, func(line said) bool { return line.Project == p.name && strings.HasPrefix(line.Step, step) })
		if got := p.run("docker", "kill", c.id); got.code != 0 {
			t.Fatalf("docker kill: %s", got.stderr)
		}
		for range d.lines { // to the end of its log
		}
		_ = d.cmd.Wait()
		const lock = "composure-lock-"
		if got := p.run("docker", "inspect", "--format", `{{index .Config.Labels "composure.host"}} {{index .Config.Labels "composure.pid"}}`, lock+p.name); got.stdout != p.name+" 1\n" {
			t.Errorf("killed after %q: the lock that it left is of %q %s", step, got.stdout, got.stderr)
		}
		d = c.start()
		d.says("compliant again", func(line said) bool { return line.Project == p.name && line.Reason == "Compliant" })
		if !strings.Contains(p.read("compose.yaml"), "INTERVAL:-"+n+"}") {
			t.Errorf("killed after %q: compose.yaml is not as the policy wants it", step)
		}
		p.wantUpToDate()
		if got := p.run("docker", "inspect", lock+p.name); got.code == 0 {
			t.Errorf("killed after %q: the lock is still there", step)
		}
	}
	c.stop(d)
}
