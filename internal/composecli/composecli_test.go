package composecli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/hint"
)

// script is a docker-compose that is one: it says its version, and otherwise does what is given.
func script(t *testing.T, version, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "docker-compose")
	text := "#!/bin/sh\ncase \"$*\" in *'version --short') echo " + version + "; exit;; esac\n" + body + "\n"
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func project(t *testing.T, command string) Project {
	t.Helper()
	return Project{Options: compose.Options{Directory: t.TempDir(), Environ: []string{"PATH=" + os.Getenv("PATH"), Variable + "=" + command}}}
}

func TestUpTellsWhichProject(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	p := project(t, script(t, "2.40.3", `printf '%s\n' "$PWD" "$TOKEN" "$@" >`+log))
	p.Options.Files, p.Options.Name, p.Options.ProjectDirectory = []string{"a.yaml", "b.yaml"}, "shop", "/srv"
	p.Options.EnvFiles, p.Options.Profiles = []string{"x.env"}, []string{"debug"}
	p.Options.Environ = append(p.Options.Environ, "TOKEN=t")
	if err := p.Up(t.Context(), "app", "agent"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		p.Options.Directory, "t", "--ansi", "never", "--project-name", "shop", "--project-directory", "/srv", "--file", "a.yaml", "--file", "b.yaml",
		"--env-file", "x.env", "--profile", "debug", "up", "--detach", "--no-deps", "--no-build", "--pull", "never", "--", "app", "agent", "",
	}, "\n")
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestVersions(t *testing.T) {
	tests := map[string]struct {
		reason string
		usable bool
	}{
		"2.40.3": {"a release", true}, "v2.20.0": {"the first one", true}, "2.24.6+ds1-0ubuntu1": {"a distribution's", true}, "5.6.0": {"a later line", true},
		"2.19.1": {"too old", false}, "1.29.2": {"another program", false}, "5.1.2": {"it asks for a newer engine", false}, "dev": {"nobody knows", false},
	}
	for version, tc := range tests {
		t.Run(version, func(t *testing.T) {
			err := project(t, script(t, version, "")).Ready(t.Context())
			if (err == nil) != tc.usable {
				t.Errorf("%s: %v", tc.reason, err)
			}
			if err != nil && (!errors.Is(err, ErrMissing) || len(hint.Of(err)) == 0) {
				t.Errorf("no advice comes with %v", err)
			}
		})
	}
}

func TestFailureTellsTheLastLines(t *testing.T) {
	err := project(t, script(t, "2.40.3", "seq 1 30; echo no such image >&2; exit 3")).Up(t.Context(), "app")
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.HasSuffix(err.Error(), "  30\n  no such image") || strings.Contains(err.Error(), " 20\n") {
		t.Errorf("got %v", err)
	}
}

func TestDeadline(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := project(t, script(t, "2.40.3", "exec sleep 60")).Up(ctx, "app")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestNothingInstalled(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	p := Project{Options: compose.Options{Directory: t.TempDir()}}
	if err := p.Up(t.Context(), "app"); !errors.Is(err, ErrMissing) {
		t.Errorf("got %v", err)
	}
}
