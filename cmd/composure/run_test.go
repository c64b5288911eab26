package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/internal/report"
	"github.com/composure-dev/composure/reconcile/plan"
)

// invoked is an invocation whose streams are buffers: no terminal.
func invoked(stdin string, environ ...string) (in invocation, stdout, stderr *bytes.Buffer) {
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	return invocation{stdin: strings.NewReader(stdin), stdout: stdout, stderr: stderr, environ: environ, directory: "/", user: 1000}, stdout, stderr
}

func TestConclude(t *testing.T) {
	type want struct {
		Code   int
		Stderr string
	}
	tests := map[string]struct {
		reason string
		err    error
		want   want
	}{
		"OK":         {"no error", nil, want{0, ""}},
		"Report":     {"a report's code is silent", status(3), want{3, ""}},
		"Pipe":       {"a broken pipe that is not stdout's is an error", fmt.Errorf("ask the engine: %w", syscall.EPIPE), want{2, "composure: ask the engine: broken pipe\n"}},
		"Interrupt":  {"an interrupt has a code of its own", fmt.Errorf("stop: %w", context.Canceled), want{130, "composure: interrupted\n"}},
		"Plain":      {"any other error", errors.New("read x: denied"), want{2, "composure: read x: denied\n"}},
		"Hints":      {"hints stand below, each once", hint.Wrap(hint.Wrap(errors.New("no"), "a", "b"), "a"), want{2, "composure: no\n  hint: a\n  hint: b\n"}},
		"Lines":      {"several problems stand one below the other", errors.Join(errors.New("x:1:2: a"), errors.New("x:3:4: b")), want{2, "composure: x:1:2: a\nx:3:4: b\n"}},
		"TooOld":     {"advice for errors that have none", fmt.Errorf("reach: %w", engine.ErrTooOld), want{2, "composure: reach: engine too old\n  hint: Composure needs Docker 20.10 or newer\n"}},
		"OwnAdvices": {"an error's own hints win", hint.Wrap(engine.ErrTooOld, "upgrade"), want{2, "composure: engine too old\n  hint: upgrade\n"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			in, stdout, stderr := invoked("")
			got := want{in.conclude(tc.err), stderr.String()}
			if diff := cmp.Diff(tc.want, got); diff != "" || stdout.Len() > 0 {
				t.Errorf("%s (-want +got):\n%s\nstdout: %s", tc.reason, diff, stdout)
			}
		})
	}
}

// TestCrash: a panic is one line and a hint; its trace is for -v, and its value is not quoted.
func TestCrash(t *testing.T) {
	in, _, stderr := invoked("")
	if code := in.crashed("hunter2", []string{"check"}); code != exitError {
		t.Errorf("exit code %d", code)
	}
	if got := stderr.String(); strings.Contains(got, "hunter2") || strings.Contains(got, "goroutine") || strings.Count(got, "\n") != 2 {
		t.Errorf("quiet crash: %s", got)
	}
	stderr.Reset()
	in.crashed(errors.New("hunter2"), []string{"check", "-v"})
	if got := stderr.String(); strings.Contains(got, "hunter2") || !strings.Contains(got, "goroutine") {
		t.Errorf("verbose crash: %s", got)
	}
}

// TestRunRecovers: a stream that panics stands for any bug.
func TestRunRecovers(t *testing.T) {
	in, _, stderr := invoked("")
	in.stdout = panicking{}
	if code := run([]string{"version"}, in); code != exitError || !strings.Contains(stderr.String(), "internal error") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

type panicking struct{}

func (panicking) Write([]byte) (int, error) { panic("bug") }

func TestRunBrokenPipe(t *testing.T) {
	signal.Ignore(syscall.SIGPIPE)
	t.Cleanup(func() { signal.Reset(syscall.SIGPIPE) })
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	in, _, stderr := invoked("")
	in.stdout = writer
	if code := run([]string{"version"}, in); code != exitOK || stderr.Len() > 0 {
		t.Errorf("exit code %d, stderr %q, want 0 and silence", code, stderr)
	}
}

// TestBrokenPipeKeepsTheCode: `composure check | true` still tells a script with pipefail that something differs.
func TestBrokenPipeKeepsTheCode(t *testing.T) {
	in, _, _ := invoked("")
	in.stdout = brokenPipe{}
	f := flags{format: formatText, failOn: "error"}
	differing := report.Report{Projects: []report.Project{{Result: report.ResultRolledBack}}}
	if err := f.print(in, differing, report.TextOptions{Width: 80}); !errors.Is(err, status(3)) {
		t.Errorf("error %v, want exit code 3", err)
	}
}

// TestConfirmBrokenPipe: a question that nobody sees is not answered, and that is no success.
func TestConfirmBrokenPipe(t *testing.T) {
	in, _, stderr := invoked("y\n")
	asking := in
	asking.stderr = brokenPipe{}
	var f applyFlags
	ok, err := f.confirm(t.Context(), asking, report.Report{})
	if code := in.conclude(err); ok || code != exitError || stderr.Len() == 0 {
		t.Errorf("%v, exit code %d, %q, want no and 2", ok, code, stderr)
	}
}

// TestInterrupted: what was done before the interrupt is told, and the exit code is the interrupt's.
func TestInterrupted(t *testing.T) {
	in, stdout, stderr := invoked("")
	f := applyFlags{flags: flags{format: formatText, failOn: "error"}}
	done := report.Report{Verb: report.VerbApply, Projects: []report.Project{{
		Name: "shop", Result: report.ResultRolledBack, Failure: "interrupted", Restored: []string{"file compose.yaml is byte-identical again"},
	}}}
	code := in.conclude(f.tell(in, done, fmt.Errorf("apply: %w", context.Canceled)))
	if code != exitInterrupted || !strings.Contains(stdout.String(), "byte-identical again") || stderr.String() != "composure: interrupted\n" {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

// TestNoPlaceForRecords: records hold secrets and are not written below whatever folder the command runs in.
func TestNoPlaceForRecords(t *testing.T) {
	tests := map[string]struct {
		reason  string
		environ []string
		user    int
		args    []string
		refused bool
	}{
		"Nowhere":  {"no home", nil, 1000, nil, true},
		"Relative": {"a home that depends on the folder", []string{"HOME=."}, 1000, nil, true},
		"Home":     {"a home", []string{"HOME=/home/u"}, 1000, nil, false},
		"XDG":      {"a state folder", []string{"XDG_STATE_HOME=/state"}, 1000, nil, false},
		"Root":     {"root has a place of its own", nil, 0, nil, false},
		"Named":    {"a folder that was named, relative or not", nil, 1000, []string{"--state-dir", "state"}, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			in, _, stderr := invoked("", tc.environ...)
			in.user, in.directory = tc.user, t.TempDir()
			code := run(append([]string{"apply", "--files-only", "--yes"}, tc.args...), in)
			if got := strings.Contains(stderr.String(), "no place for transaction records"); got != tc.refused || code != exitError {
				t.Errorf("%s: refused %v, want %v; exit code %d: %s", tc.reason, got, tc.refused, code, stderr)
			}
			if tc.refused && !strings.Contains(stderr.String(), "--state-dir") {
				t.Errorf("%s: no hint: %s", tc.reason, stderr)
			}
			run(append([]string{"history", "-p", "shop"}, tc.args...), in)
			if got := strings.Count(stderr.String(), "no place for transaction records"); (got == 2) != tc.refused {
				t.Errorf("%s: history and apply do not agree: %s", tc.reason, stderr)
			}
			stderr.Reset()
			// check writes no record and needs no place for one.
			if run([]string{"check"}, in); strings.Contains(stderr.String(), "no place for transaction records") {
				t.Errorf("%s: check is refused: %s", tc.reason, stderr)
			}
		})
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestConfirm(t *testing.T) {
	planned := report.Report{Verb: report.VerbDiff, Projects: []report.Project{{
		Name: "shop", Context: "Docker Engine 20.10 (API 1.41) at unix:///var/run/docker.sock",
		Plan: plan.Plan{Steps: []plan.Step{{ID: "patch:compose.yaml", Verb: plan.VerbPatch, Object: "compose.yaml"}}},
	}}}
	for answer, want := range map[string]bool{"y\n": true, "YES\n": true, " y \n": true, "\n": false, "n\n": false, "": false, "yeah\n": false} {
		in, stdout, stderr := invoked(answer)
		var f applyFlags
		got, err := f.confirm(t.Context(), in, planned)
		if err != nil || got != want {
			t.Errorf("answer %q: %v, %v, want %v", answer, got, err, want)
		}
		if !strings.Contains(stderr.String(), "Apply this to shop on Docker Engine 20.10 (API 1.41) at unix:///var/run/docker.sock? [y/N]") {
			t.Errorf("the question does not name project and engine: %s", stderr)
		}
		if stdout.Len() > 0 {
			t.Errorf("the question is no result, but stdout has %s", stdout)
		}
	}
}

// TestDeclined: no is an answer, told in one line.
func TestDeclined(t *testing.T) {
	in, stdout, stderr := invoked("n\n")
	f := applyFlags{flags: flags{format: formatText, failOn: "error"}}
	ok, err := f.confirm(t.Context(), in, report.Report{})
	if ok || err != nil {
		t.Fatalf("%v, %v, want no", ok, err)
	}
	asked := stderr.Len()
	code := in.conclude(f.tell(in, report.Report{Verb: report.VerbApply, Projects: []report.Project{{Name: "shop"}}}, nil))
	if code != exitDeclined || stdout.String() != "declined: nothing was changed\n" || stderr.Len() > asked {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

// TestProgress: quiet or not, a person learns how to undo a swap before it begins.
func TestProgress(t *testing.T) {
	const swapping = "swapping app (shop-app-1), container 1a2b3c4d5e6f; should this process die, undo it with:\n  docker start 1a2b3c4d5e6f"
	for quiet, want := range map[bool]string{true: swapping + "\n", false: "patched compose.yaml\n" + swapping + "\n"} {
		in, stdout, stderr := invoked("")
		f := applyFlags{flags: flags{quiet: quiet}}
		tell := f.progress(in)
		tell("patched compose.yaml")
		tell(swapping)
		if stderr.String() != want || stdout.Len() > 0 {
			t.Errorf("quiet %v: stderr %q, want %q; stdout %q", quiet, stderr, want, stdout)
		}
	}
}

// TestLog: -v shows the steps, at a level that people know.
func TestLog(t *testing.T) {
	for verbose, want := range map[bool]string{true: "level=DEBUG msg=step", false: ""} {
		in, _, stderr := invoked("")
		f := flags{verbose: verbose}
		f.log(in).V(1).Info("step")
		if got := stderr.String(); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("verbose %v: %q, want %q", verbose, got, want)
		}
	}
}

// TestConfirmInterrupted: an interrupt answers for a person who does not.
func TestConfirmInterrupted(t *testing.T) {
	reader, writer := io.Pipe()
	t.Cleanup(func() { _ = writer.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in, _, _ := invoked("")
	in.stdin = reader
	var f applyFlags
	if ok, err := f.confirm(ctx, in, report.Report{}); ok || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v, want no and context.Canceled", ok, err)
	}
}

func TestSurroundings(t *testing.T) {
	in, stdout, _ := invoked("", "COLUMNS=72", "XDG_STATE_HOME=/x", "HOME=/home/u", "HOME=/home/v")
	if got := in.width(stdout); got != 72 {
		t.Errorf("width %d, want what COLUMNS says", got)
	}
	if in.color(stdout) {
		t.Error("color without a terminal")
	}
	if got := in.getenv("HOME"); got != "/home/v" {
		t.Errorf("HOME is %q, want the last entry", got)
	}
	narrow, stdout, _ := invoked("", "COLUMNS=3")
	if got := narrow.width(stdout); got != leastWidth {
		t.Errorf("width %d, want %d at least", got, leastWidth)
	}
	none, stdout, _ := invoked("", "COLUMNS=wide")
	if got := none.width(stdout); got != defaultWidth {
		t.Errorf("width %d, want %d", got, defaultWidth)
	}
}

// TestTerminal runs the real thing on a terminal that script(1) makes: it asks, and no is the default.
func TestTerminal(t *testing.T) {
	if _, err := exec.LookPath("script"); err != nil {
		t.Skip("script(1) is not installed")
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	// testscript.Main runs the command when the test binary is called by its name.
	if err := os.Symlink(binary, filepath.Join(folder, "composure")); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"compose.yaml": "name: shop\nservices:\n  app:\n    image: x\n",
		"policy.yaml":  "apiVersion: composure/v1alpha1\nkind: EnvironmentPolicy\nmetadata: {name: sync}\nspec:\n  variables:\n  - {name: SYNC, value: \"true\"}\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// In this order: after a yes there is nothing left to ask.
	for _, turn := range []struct{ answer, want string }{{"n\n", "declined: nothing was changed"}, {"y\n", "Applied: 1 file patched"}} {
		answer, want := turn.answer, turn.want
		command := exec.CommandContext(t.Context(), "script", "-qec", "./composure apply --files-only -P policy.yaml --state-dir state", "/dev/null")
		command.Dir, command.Stdin = folder, strings.NewReader(answer)
		command.Env = append(os.Environ(), "TERM=xterm", "NO_COLOR=")
		output, _ := command.CombinedOutput() // declined is exit code 1
		got := string(output)
		if !strings.Contains(got, "Patch the files of shop? [y/N]") || !strings.Contains(got, want) {
			t.Errorf("answer %q: want the question and %q in\n%s", answer, want, got)
		}
		if !strings.Contains(got, "\x1b[32m") {
			t.Errorf("answer %q: no color on a terminal:\n%s", answer, got)
		}
		if strings.Contains(got, "Nothing was changed.") {
			t.Errorf("answer %q: a summary beside the one line, or a question's plan that ends in the past tense:\n%s", answer, got)
		}
		if strings.Count(got, "+++ b/compose.yaml") != 1 {
			t.Errorf("answer %q: the plan is not shown exactly once:\n%s", answer, got)
		}
	}
}
