// Package deploy_test judges the examples without starting them. Package quickstart runs those that need an engine.
package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/internal/compose"
)

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// systemd takes the units as they are, and holds the services for well shut in.
func TestUnits(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	dir := t.TempDir()
	var units []string
	for _, name := range []string{"systemd/composure.service", "cron/composure-once.service", "cron/composure-once.timer"} {
		unit := filepath.Join(dir, filepath.Base(name))
		// It wants the program to be there, and knows no unit of a Docker Engine that is not.
		content := strings.NewReplacer("/usr/local/bin/composure ", "/bin/true ", "Requires=docker.service\n", "").Replace(read(t, name))
		if err := os.WriteFile(unit, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		units = append(units, unit)
	}
	if out, err := exec.Command(analyze, append([]string{"verify", "--man=no"}, units...)...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	if help, err := exec.Command(analyze, "--help").Output(); err != nil || !strings.Contains(string(help), "--threshold") {
		t.Skip("this systemd-analyze cannot judge a unit that is not loaded")
	}
	for _, unit := range units[:2] {
		// 0 is shut in, 10 is not at all; what is left is being root among the host's files, with the network.
		if out, err := exec.Command(analyze, "security", "--no-pager", "--offline=true", "--threshold=30", unit).CombinedOutput(); err != nil {
			t.Errorf("%s is exposed too much: %v\n%s", filepath.Base(unit), err, out)
		}
	}
}

// What runs now and then may no more than what always runs.
func TestSameSandbox(t *testing.T) {
	sandbox := func(name string) []string {
		return slices.Sorted(slices.Values(regexp.MustCompile(`(?m)^(?:Protect|Private|Restrict|Capability|NoNew|Lock|Memory|Remove|SystemCall|State|Configuration|ReadWrite|UMask|KillMode|TimeoutStop).*$`).
			FindAllString(read(t, name), -1)))
	}
	want := sandbox("systemd/composure.service")
	if len(want) < 25 {
		t.Fatalf("only %d settings were found", len(want))
	}
	if diff := cmp.Diff(want, sandbox("cron/composure-once.service")); diff != "" {
		t.Errorf("(-always +now and then):\n%s", diff)
	}
}

// Two operators that reach one engine under one name take each other's locks, so no name is given to those who choose none.
func TestHostnameIsChosen(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		reason string
		files  []string
	}{
		"Container":   {"on its own", []string{"container/compose.yaml"}},
		"User":        {"without root", []string{"container/compose.yaml", "container/user.yaml"}},
		"SocketProxy": {"in front of the socket", []string{"container/compose.yaml", "socket-proxy/compose.yaml"}},
		"Audit":       {"looking only", []string{"container/compose.yaml", "socket-proxy/compose.yaml", "socket-proxy/audit.yaml"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			options := compose.Options{Directory: here, Files: tc.files}
			_, err := compose.Load(t.Context(), options)
			if err == nil || !strings.Contains(err.Error(), "COMPOSURE_HOSTNAME") {
				t.Errorf("%s: without a name: error = %v", tc.reason, err)
			}
			options.Environ = []string{"COMPOSURE_HOSTNAME=composure-one"}
			if _, err := compose.Load(t.Context(), options); err != nil {
				t.Errorf("%s: with a name: %v", tc.reason, err)
			}
		})
	}
}
