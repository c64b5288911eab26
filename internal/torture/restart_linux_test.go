package torture

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
)

// daemon is a dockerd of the test's own, which can be stopped without harm to anybody.
type daemon struct {
	t      *testing.T
	folder string
	args   []string
	log    *os.File
	cmd    *exec.Cmd
	engine *client.Client
}

func (d *daemon) host() string { return "unix://" + filepath.Join(d.folder, "docker.sock") }

// newDaemon skips where none can be run.
func newDaemon(t *testing.T) *daemon {
	t.Helper()
	driver, err := exec.Command("docker", "info", "--format", "{{.Driver}}").Output()
	if _, missing := exec.LookPath("dockerd"); missing != nil || err != nil || os.Geteuid() != 0 {
		t.Skipf("a second dockerd needs root and the program: %v", missing)
	}
	folder, err := os.MkdirTemp("", family) //nolint:usetesting // the path of a socket has to be short
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{t: t, folder: folder}
	if d.log, err = os.Create(filepath.Join(folder, "log")); err != nil {
		t.Fatal(err)
	}
	configuration := filepath.Join(folder, "daemon.json")
	if err := os.WriteFile(configuration, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.args = []string{
		"--config-file", configuration, "--host", d.host(), "--pidfile", filepath.Join(folder, "pid"),
		"--data-root", filepath.Join(folder, "data"), "--exec-root", filepath.Join(folder, "exec"),
		"--containerd-namespace", filepath.Base(folder), "--containerd-plugins-namespace", filepath.Base(folder) + "-plugins",
		"--storage-driver", strings.TrimSpace(string(driver)), "--bridge", "none", "--iptables=false", "--ip-masq=false", "--shutdown-timeout", "2",
	}
	if d.engine, err = client.New(client.WithHost(d.host())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.remove)
	if !d.start() {
		told, _ := os.ReadFile(d.log.Name())
		t.Skipf("a second dockerd does not run here:\n%s", told)
	}
	return d
}

// start reports whether the daemon answers in the end.
func (d *daemon) start() bool {
	d.t.Helper()
	d.cmd = exec.Command("dockerd", d.args...)
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	// Networks of its own: a dockerd takes away the bridge of one that it is to do without, whoever that belongs to.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := d.cmd.Start(); err != nil {
		return false
	}
	for range 100 {
		if _, err := d.engine.Ping(d.t.Context(), client.PingOptions{NegotiateAPIVersion: true}); err == nil {
			return true
		}
		<-time.After(200 * time.Millisecond)
	}
	return false
}

// stop ends the daemon, and all its containers with it.
func (d *daemon) stop() {
	if d.cmd != nil && d.cmd.Process != nil {
		_ = d.cmd.Process.Signal(syscall.SIGTERM)
		_ = d.cmd.Wait() // how it ended shows when it is started again
	}
}

// remove ends everything that belongs to the daemon, and takes off what a daemon that died has left mounted.
func (d *daemon) remove() {
	d.stop()
	_ = d.engine.Close()
	_ = d.log.Close()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		d.t.Error(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); strings.HasPrefix(fields[1], d.folder+"/") {
			_ = syscall.Unmount(fields[1], syscall.MNT_DETACH)
		}
	}
	if err := os.RemoveAll(d.folder); err != nil {
		d.t.Errorf("%s is left: %v", d.folder, err)
	}
}

// An engine that restarts in the middle of an apply takes the answers with it, and every container down.
func TestEngineRestart(t *testing.T) {
	made := needEngine(t)
	t.Parallel()
	d := newDaemon(t)
	if err := importImage(filepath.Join(made.folder, "target"), imageName(), "--host", d.host()); err != nil {
		t.Fatal(err)
	}
	p := newProject(t, "restart", composeOf(t, ""), "kill", "DOCKER_HOST="+d.host())
	p.made.engine = d.engine
	k := newKilled(t, p)
	tests := []struct {
		reason string
		at     phase
	}{
		// Not while a container is made: fuse-overlayfs then keeps it mounted, and an engine that comes up can never remove it.
		{"only the old containers are left to be removed", committing},
		{"the old container has been told to end, and nobody knows whether it did", stopping},
		{"the new container is taken down as well, while it is watched", waiting},
	}
	for _, tc := range sampled(tests, 1) {
		t.Run(string(tc.at), func(t *testing.T) {
			k.t, d.t = t, t
			before, value := k.files(), k.demand()
			got := k.follow(func(w *watch, _ *exec.Cmd, ended <-chan struct{}) {
				w.until(tc.at, 1, ended)
				d.stop()
				if !d.start() {
					t.Fatal("the daemon does not come up again")
				}
			})
			t.Logf("apply: exit %d", got.code)
			k.wantClear(got.result, []int{0, 1, 2, 3, 4}, before)
			k.wantMended(value)
			if t.Failed() {
				t.Logf("%s: the apply said:\n%s", tc.reason, got.result)
			}
		})
		if k.t, d.t = t, t; t.Failed() {
			return
		}
	}
}
