// Package torture plays composure against a real Docker Engine and a real docker compose, and looks at it from outside only: what
// it prints, how it exits, what the engine says and what the programs inside the containers answer.
//
// The tests play a sample by default, and everything with COMPOSURE_TORTURE=full, as make torture does. COMPOSURE_KILLS,
// COMPOSURE_DAEMON_KILLS, COMPOSURE_ENGINE_RESTARTS, COMPOSURE_DAEMON_DRIFTS, COMPOSURE_REDIS_RESTARTS and COMPOSURE_OUTAGE_PAIRS say how
// often an apply and a daemon are killed, an engine is restarted under a daemon, two daemons have something to mend, their Redis goes away,
// and an outage is measured.
package torture

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/moby/moby/client"
)

const (
	// family begins the name of everything that the tests make; the id of their process follows.
	family = "composure-torture-"

	labelProject = "com.docker.compose.project"
	labelService = "com.docker.compose.service"
	labelNumber  = "com.docker.compose.container-number"
)

// ours begins the names of this very run.
func ours() string { return fmt.Sprintf("%s%d-", family, os.Getpid()) }

func imageName() string { return ours() + "target:latest" }

// tools are built once for all tests.
type tools struct {
	folder    string
	composure string
	engine    *client.Client
}

var build = sync.OnceValues(func() (tools, error) {
	dir, err := os.MkdirTemp("", family)
	if err != nil {
		return tools{}, err
	}
	made := tools{folder: dir, composure: filepath.Join(dir, "composure")}
	// The probe's image is this very binary, so it has to be the static one that people run.
	if err := compile(made.composure, "../../cmd/composure"); err != nil {
		return made, err
	}
	if err := compile(filepath.Join(dir, "target"), "./target"); err != nil {
		return made, err
	}
	if made.engine, err = client.New(client.FromEnv); err != nil {
		return made, err
	}
	sweep(func(pid int) bool { return syscall.Kill(pid, 0) != nil })
	return made, importImage(filepath.Join(dir, "target"), imageName())
})

func compile(to, from string) error {
	command := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", to, from)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", command, err, out)
	}
	return nil
}

// importImage makes an image of one static program, on an engine that needs neither a registry nor a builder for it.
func importImage(program, name string, flags ...string) error {
	content, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	var layer bytes.Buffer
	archive := tar.NewWriter(&layer)
	if err := archive.WriteHeader(&tar.Header{Name: "target", Mode: 0o755, Size: int64(len(content))}); err != nil {
		return err
	}
	if _, err := archive.Write(content); err != nil {
		return err
	}
	if err := archive.Close(); err != nil {
		return err
	}
	command := exec.Command("docker", append(flags, "import", "--change", `ENTRYPOINT ["/target"]`, "--change", "ENV FROM_IMAGE=image",
		"--change", `VOLUME ["/data/image"]`, "-", name)...)
	command.Stdin = &layer
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", command, err, out)
	}
	return nil
}

func TestMain(m *testing.M) {
	if address := os.Getenv(redisAddress); address != "" {
		if err := serveRedis(address, os.Getenv(redisFile)); err != nil {
			fmt.Fprintln(os.Stderr, "redis:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if made, err := build(); err == nil {
		sweep(func(pid int) bool { return pid == os.Getpid() })
		if content, err := os.ReadFile(made.composure); err == nil {
			sum := sha256.Sum256(content)
			_ = exec.Command("docker", "rmi", "composure-probe:"+hex.EncodeToString(sum[:6])).Run()
		}
		_ = os.RemoveAll(made.folder)
	}
	os.Exit(code)
}

// sweep removes what runs have left behind, by their names alone: those whose process the answer is true for.
func sweep(ended func(pid int) bool) {
	for _, kind := range []struct{ list, remove string }{
		{"ps -aq --no-trunc --format {{.Names}}", "rm -f -v"},
		{"network ls --format {{.Name}}", "network rm"},
		{"volume ls --format {{.Name}}", "volume rm"},
		{"image ls --format {{.Repository}}:{{.Tag}}", "rmi"},
	} {
		listed, err := exec.Command("docker", strings.Fields(kind.list)...).Output()
		if err != nil {
			continue
		}
		for name := range strings.FieldsSeq(string(listed)) {
			_, rest, found := strings.Cut(name, family)
			pid, _, _ := strings.Cut(rest, "-")
			if number, err := strconv.Atoi(pid); found && err == nil && ended(number) {
				_ = exec.Command("docker", append(strings.Fields(kind.remove), name)...).Run()
			}
		}
	}
}

// needEngine skips without an engine, unless one is required, and builds the tools.
func needEngine(t *testing.T) tools {
	t.Helper()
	if exec.Command("docker", "info").Run() != nil {
		if os.Getenv("COMPOSURE_REQUIRE_ENGINE") == "1" {
			t.Fatal("COMPOSURE_REQUIRE_ENGINE=1, but there is no Docker Engine")
		}
		t.Skip("needs a Docker Engine")
	}
	made, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// composeOf is the docker compose of that version, built if need be. An empty version is whatever the project's tests use.
func composeOf(t *testing.T, version string) string {
	t.Helper()
	command := exec.Command("../../scripts/compose.sh")
	if version != "" {
		command.Args = append(command.Args, version)
	}
	var told bytes.Buffer
	command.Stderr = &told
	path, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, told.String())
	}
	compose := strings.TrimSpace(string(path))
	got, err := exec.Command(compose, "version", "--short").Output()
	if number := strings.TrimSpace(string(got)); err != nil || version != "" && number != strings.TrimPrefix(version, "v") {
		t.Fatalf("%s is docker compose %s (%v), want %s", compose, number, err, version)
	}
	return compose
}

// full reports whether everything is to be played, and not only a sample.
func full() bool { return os.Getenv("COMPOSURE_TORTURE") == "full" }

// sampled is all of the list in full, and else what it begins with.
func sampled[T any](list []T, sample int) []T {
	if full() {
		return list
	}
	return list[:sample]
}

// amount is a number from the environment, or else that of the sample or of the full run.
func amount(t *testing.T, variable string, sample, all int) int {
	t.Helper()
	text := os.Getenv(variable)
	switch {
	case text == "" && full():
		return all
	case text == "":
		return sample
	}
	number, err := strconv.Atoi(text)
	if err != nil || number < 1 {
		t.Fatalf("%s=%s is no amount", variable, text)
	}
	return number
}

// afterwards is a context for what is put in order when the test's own has ended.
func afterwards(t *testing.T) context.Context { return context.WithoutCancel(t.Context()) }
