// Command composure keeps Docker Compose services true to a policy of environment variables.
//
// This package is flags, wiring and exit codes, one file per verb; what is decided is decided below it. The result goes to
// stdout and every message to stderr.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/policy"
)

// The build stamps these with -ldflags "-X main.version=...". Without, the module's own build information is shown.
var version, commit, date string

// The exit codes. 0, 1, 3 and 4 are a report's, see report.ExitCode.
const (
	exitOK          = 0
	exitDeclined    = 1
	exitError       = 2
	exitInterrupted = 130
)

// invocation is everything the command takes from the process it runs in.
type invocation struct {
	stdin     io.Reader
	stdout    io.Writer
	stderr    io.Writer
	environ   []string
	directory string // absolute
	user      int    // effective user id
}

func main() {
	// A reader that leaves must not kill an apply between two steps: its writes fail instead.
	signal.Ignore(syscall.SIGPIPE)
	directory, err := os.Getwd()
	if err != nil {
		fmt.Fprintln(os.Stderr, "composure: find the current folder:", err)
		os.Exit(exitError)
	}
	os.Exit(run(os.Args[1:], invocation{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ(), directory: directory, user: os.Geteuid(),
	}))
}

// run is the whole command. The first interrupt or SIGTERM cancels it, so that what was begun is put in order; an interrupt after that
// ends it. Another SIGTERM does not: timeout(1) sends two, and whoever manages services ends what hangs by other means.
func run(args []string, in invocation) (code int) {
	terminated, deaf := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer deaf()
	ctx, stop := signal.NotifyContext(terminated, os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop)
	defer func() {
		if problem := recover(); problem != nil {
			code = in.crashed(problem, args)
		}
	}()
	root := newRoot(in)
	root.SetArgs(args)
	return in.conclude(root.ExecuteContext(ctx))
}

// status is how a verb that did its work ends with another exit code than 0. It says nothing: the report has said it.
type status int

func (s status) Error() string { return fmt.Sprintf("exit code %d", int(s)) }

// conclude is the one place where an error becomes an exit code and words.
func (in invocation) conclude(err error) int {
	ended, isStatus := errors.AsType[status](err)
	unreachable, isUnreachable := errors.AsType[*engine.UnreachableError](err)
	switch {
	case err == nil:
		return exitOK
	case isStatus:
		return int(ended)
	case errors.Is(err, context.Canceled):
		in.say("interrupted")
		return exitInterrupted
	case isUnreachable: // what was being done does not matter: nothing can be
		in.say(unreachable.Error(), hints(err)...)
		return exitError
	}
	in.say(err.Error(), hints(err)...)
	return exitError
}

// hints are the error's own; where it has none, what the packages below cannot say because they know no flags.
func hints(err error) []string {
	own := hint.Of(err)
	parse, isParse := errors.AsType[*compose.ParseError](err)
	problems, isPolicy := errors.AsType[policy.Problems](err)
	switch {
	case len(own) > 0:
		return own
	case isParse && parse.Hint != "":
		return []string{parse.Hint}
	case isParse:
		return []string{"correct the file; docker compose config -q shows what compose itself says of it"}
	case isPolicy && !slices.ContainsFunc(problems, func(p policy.Problem) bool { return p.Hint != "" }):
		return []string{"correct the policy there or in the lines just above"}
	case errors.Is(err, compose.ErrNoComposeFile):
		return []string{"name one with --file, or go to the project's folder"}
	case errors.Is(err, engine.ErrUnreachable):
		return []string{"is Docker running? DOCKER_HOST and DOCKER_CONTEXT say which engine is asked", "without an engine: composure check, composure apply --files-only"}
	case errors.Is(err, engine.ErrTooOld):
		return []string{"Composure needs Docker 20.10 or newer"}
	case errors.Is(err, fs.ErrNotExist):
		return []string{"check the paths given with --file, --env-file and --policy"}
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return []string{"give this user access to it, or run composure as one who has it"}
	default:
		return nil
	}
}

// say writes one message to stderr, with what can be done about it below.
func (in invocation) say(message string, hints ...string) {
	fmt.Fprintf(in.stderr, "composure: %s\n", strings.TrimSpace(message))
	said := map[string]bool{}
	for _, h := range hints {
		if !said[h] {
			fmt.Fprintf(in.stderr, "  hint: %s\n", h)
		}
		said[h] = true
	}
}

// crashed tells of a panic in one line. A panic's own value may hold anything, so only the runtime's are quoted.
func (in invocation) crashed(problem any, args []string) int {
	words := fmt.Sprintf("%T", problem)
	if err, ok := problem.(runtime.Error); ok {
		words = err.Error()
	}
	in.say("internal error: "+words, "please report this at https://github.com/composure-dev/composure/issues; -v shows where it happened")
	if verbose(args) {
		fmt.Fprintf(in.stderr, "%s", debug.Stack())
	}
	return exitError
}

// verbose reports whether -v was asked for; a crash may have come before the flags were read.
func verbose(args []string) bool {
	for _, arg := range args {
		if arg == "--verbose" || (strings.HasPrefix(arg, "-v") && strings.Trim(arg, "v") == "-") {
			return true
		}
	}
	return false
}

// getenv returns the last value of a variable, "" when it is not set.
func (in invocation) getenv(name string) string {
	value := ""
	for _, entry := range in.environ {
		if v, found := strings.CutPrefix(entry, name+"="); found {
			value = v
		}
	}
	return value
}
