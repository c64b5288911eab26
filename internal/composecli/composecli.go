// Package composecli runs docker compose for a project, with the inputs that the project was loaded from.
package composecli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/hint"
)

// Variable names another docker compose than the installed one.
const Variable = "COMPOSURE_COMPOSE"

// ErrMissing tells that no docker compose was found that could be used. It comes with advice.
var ErrMissing = errors.New("there is no docker compose 2.20 or later (5.1 excepted)")

const (
	// versionWithin bounds the question for a version, lingering the wait for a docker compose that was told to end.
	versionWithin = 20 * time.Second
	lingering     = 10 * time.Second
	// lastLines is how much of its output an error tells.
	lastLines = 10
)

// Project is one project as docker compose is told of it.
type Project struct {
	Options compose.Options
}

// Ready reports whether there is a docker compose to run: ErrMissing when there is none.
func (p Project) Ready(ctx context.Context) error {
	_, err := p.find(ctx)
	return err
}

// Up has docker compose make the services what the files say, and start them; not what they depend on. It neither builds nor pulls.
// An error holds the last lines of what it printed, which may be secret.
func (p Project) Up(ctx context.Context, services ...string) error {
	command, err := p.find(ctx)
	if err != nil {
		return err
	}
	args := slices.Concat(command[1:], p.flags(), []string{"up", "--detach", "--no-deps", "--no-build", "--pull", "never", "--"}, services)
	output, err := p.run(ctx, command[0], args...)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		err = fmt.Errorf("docker compose did not end in time: %w", ctx.Err())
	default:
		err = fmt.Errorf("docker compose up: %w", err)
	}
	if lines := last(output); lines != "" {
		return fmt.Errorf("%w; its last lines:\n  %s", err, lines)
	}
	return err
}

// flags say which project is meant. Files and folders that were not named are found as compose always does, from the same folder.
func (p Project) flags() []string {
	flags := []string{"--ansi", "never"}
	add := func(flag string, values ...string) {
		for _, value := range values {
			if value != "" {
				flags = append(flags, flag, value)
			}
		}
	}
	add("--project-name", p.Options.Name)
	add("--project-directory", p.Options.ProjectDirectory)
	add("--file", p.Options.Files...)
	add("--env-file", p.Options.EnvFiles...)
	add("--profile", p.Options.Profiles...)
	return flags
}

// find is the command that COMPOSURE_COMPOSE names, or else docker's plugin, or else docker-compose.
func (p Project) find(ctx context.Context) ([]string, error) {
	if named := p.named(); named != "" {
		if p.usable(ctx, named) {
			return []string{named}, nil
		}
		return nil, hint.Wrap(fmt.Errorf("%s: %w", Variable, ErrMissing), "let "+Variable+" name a docker-compose that can be run, or unset it")
	}
	for _, command := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		if p.usable(ctx, command...) {
			return command, nil
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, hint.Wrap(ErrMissing, "install Docker's compose plugin, or name one with "+Variable)
}

func (p Project) named() string {
	value := ""
	for _, entry := range p.Options.Environ {
		if v, found := strings.CutPrefix(entry, Variable+"="); found {
			value = v
		}
	}
	return value
}

// usable holds for releases that know what Up asks of them; 5.1 cannot talk to engines below API 1.44.
func (p Project) usable(ctx context.Context, command ...string) bool {
	ctx, cancel := context.WithTimeout(ctx, versionWithin)
	defer cancel()
	output, err := p.run(ctx, command[0], slices.Concat(command[1:], []string{"version", "--short"})...)
	if err != nil {
		return false
	}
	major, rest, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(output), "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	first, err := strconv.Atoi(major)
	second, errMinor := strconv.Atoi(minor)
	if cmp.Or(err, errMinor) != nil {
		return false
	}
	return first > 2 && (first != 5 || second != 1) || first == 2 && second >= 20
}

// run runs a command where Composure runs, with its environment, and returns all that it prints. A person's Ctrl-C is not for it: it
// would leave things halfway.
func (p Project) run(ctx context.Context, name string, args ...string) (string, error) {
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.WaitDelay = p.Options.Directory, lingering
	cmd.Env = append([]string{"PWD=" + p.Options.Directory}, p.Options.Environ...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	return output.String(), err
}

func last(output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	return strings.Join(lines[max(0, len(lines)-lastLines):], "\n  ")
}
