package main

import (
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"composure": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits,
			"until": until,
		},
		Setup: func(env *testscript.Env) error {
			// The scripts run in an environment of their own; these keep them inside their folder.
			env.Setenv("GIT_CEILING_DIRECTORIES", env.WorkDir)
			return nil
		},
	})
}

// exits runs composure and wants an exact exit code: exits CODE ARGUMENTS...
func exits(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) < 2 {
		ts.Fatalf("usage: exits CODE ARGUMENTS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec("composure", args[1:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("run composure: %v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// until runs composure again and again until it succeeds and its output has a text: until TEXT ARGUMENTS...
func until(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) < 2 {
		ts.Fatalf("usage: until TEXT ARGUMENTS...")
	}
	deadline, again := time.After(30*time.Second), time.NewTicker(50*time.Millisecond)
	defer again.Stop()
	for {
		err := ts.Exec("composure", args[1:]...)
		output := ts.ReadFile("stdout")
		if err == nil && strings.Contains(output, args[0]) {
			return
		}
		select {
		case <-again.C:
		case <-deadline:
			ts.Fatalf("it does not come to %q: %v, %s", args[0], err, output)
		}
	}
}
