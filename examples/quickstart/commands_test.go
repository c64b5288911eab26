package quickstart_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// The commands of the examples are ones that composure takes.
func TestDeployedCommands(t *testing.T) {
	if !engineRuns() {
		t.Skip("needs a Docker Engine")
	}
	made, err := build()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"systemd/composure.service", "cron/composure-once.service", "cron/crontab", "container/compose.yaml", "container/user.yaml", "container/Dockerfile"} {
		commands := commandsOf(t, "../deploy/"+name)
		if len(commands) == 0 {
			t.Errorf("%s has no command", name)
		}
		for _, args := range commands {
			// Flags that are not known are an error all the same.
			if out, err := exec.Command(made.composure, append(args, "--help")...).CombinedOutput(); err != nil || !strings.Contains(string(out), "composure "+args[0]) {
				t.Errorf("%s: composure %s: %v\n%s", name, strings.Join(args, " "), err, out)
			}
		}
	}
}

// commandsOf finds the arguments that composure is given: in a line of a unit, a crontab or a Dockerfile, or as a compose file's list.
func commandsOf(t *testing.T, path string) [][]string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var commands [][]string
	if strings.HasSuffix(path, ".yaml") {
		var file struct {
			Services map[string]struct {
				Command []string `json:"command"`
			} `json:"services"`
		}
		if err := yaml.Unmarshal(content, &file); err != nil {
			t.Fatal(err)
		}
		return append(commands, file.Services["composure"].Command)
	}
	for _, line := range regexp.MustCompile(`(?m)^(?:ExecStart=/usr/local/bin/|\*/10 .* root )composure (run [^>\n]*)`).FindAllStringSubmatch(string(content), -1) {
		commands = append(commands, strings.Fields(line[1]))
	}
	for _, line := range regexp.MustCompile(`(?m)^HEALTHCHECK .*"/composure", "(\w+)"\]`).FindAllStringSubmatch(string(content), -1) {
		commands = append(commands, line[1:])
	}
	return commands
}
