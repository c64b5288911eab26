// Package git makes one commit of given files with the git command, so that hooks, signing and settings are the user's own.
//
// What else is staged or changed in the work tree is left as it is. No error quotes what a hook or filter has printed: that may
// be a file's content.
package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/composure-dev/composure/internal/hint"
)

// without is the end of every advice: the change itself needs no git.
const without = "or leave out --git-commit"

// Git is the git command in an environment.
type Git struct {
	Environ []string // as of os.Environ; nil: this process's own
}

// Repo is a repository with a work tree.
type Repo struct {
	Top string // the work tree's folder
	git Git
}

// Open finds the repository in whose work tree the folder dir lies.
func (g Git) Open(ctx context.Context, dir string) (Repo, error) {
	top, err := g.read(ctx, dir, "", "rev-parse", "--show-toplevel")
	if err != nil {
		return Repo{}, unopened(dir, err)
	}
	return Repo{Top: filepath.Clean(strings.TrimSuffix(top, "\n")), git: g}, nil
}

// unopened says what to do about a folder that git does not take for part of a work tree.
func unopened(dir string, err error) error {
	words := said(err)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return hint.Wrap(errors.New("git is not installed, or not in PATH"), "install git, "+without)
	case strings.Contains(words, "dubious ownership"):
		_, rest, _ := strings.Cut(words, "repository at '")
		repository, _, _ := strings.Cut(rest, "'")
		return hint.Wrap(fmt.Errorf("the git repository of folder %q belongs to another user", dir),
			"run composure as its owner, so that what git writes stays theirs", "or trust it with: git config --global --add safe.directory "+quote(repository))
	case strings.Contains(words, "not a git repository"):
		return hint.Wrap(fmt.Errorf("folder %q is in no git repository", dir), "make one with: git init, "+without)
	case strings.Contains(words, "must be run in a work tree"):
		return hint.Wrap(fmt.Errorf("folder %q is in no git work tree", dir), "use a checkout, "+without)
	default:
		return hint.Wrap(fmt.Errorf("find the git repository of folder %q: %w", dir, err), "see: git -C "+quote(dir)+" status")
	}
}

// Ready is [Repo.Clean] for files, and an error unless they are all in one repository.
func (g Git) Ready(ctx context.Context, paths []string) error {
	repo, err := g.repo(ctx, paths)
	if err != nil {
		return err
	}
	return repo.Clean(ctx, paths)
}

// Commit is [Repo.Commit] in the repository of the files.
func (g Git) Commit(ctx context.Context, paths []string, message string) (hash string, err error) {
	repo, err := g.repo(ctx, paths)
	if err != nil {
		return "", err
	}
	return repo.Commit(ctx, paths, message)
}

// repo is the one repository of all files. Paths are absolute, without symlinks.
func (g Git) repo(ctx context.Context, paths []string) (Repo, error) {
	var dirs []string
	for _, path := range paths {
		dirs = append(dirs, filepath.Dir(path))
	}
	slices.Sort(dirs)
	var repo Repo
	for _, dir := range slices.Compact(dirs) {
		other, err := g.Open(ctx, dir)
		if err != nil {
			return Repo{}, err
		}
		if repo.Top != "" && repo.Top != other.Top {
			return Repo{}, hint.Wrap(fmt.Errorf("the files are in two git repositories, %q and %q: that is not one commit", repo.Top, other.Top),
				"commit by hand afterwards: leave out --git-commit")
		}
		repo = other
	}
	return repo, nil
}

// relative names a file as git does, with slashes.
func (r Repo) relative(path string) (string, error) {
	name, err := filepath.Rel(r.Top, path)
	if err != nil || !filepath.IsLocal(name) {
		return "", fmt.Errorf("file %q is not in the git work tree %q", path, r.Top)
	}
	return filepath.ToSlash(name), nil
}

func (r Repo) relatives(paths []string) ([]string, error) {
	var names []string
	for _, path := range paths {
		name, err := r.relative(path)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// pathspecs mean each file and nothing else, whatever characters are in its name. The options that do the same are handed down
// to hooks, which may not expect it.
func pathspecs(names []string) []string {
	specs := []string{"--"}
	for _, name := range names {
		specs = append(specs, ":(top,literal)"+name)
	}
	return specs
}

// read runs a git command that changes nothing, not even the index's cache, and runs no hook: its own words may be shown.
func (g Git) read(ctx context.Context, dir, stdin string, args ...string) (string, error) {
	out, err := g.run(ctx, dir, stdin, append([]string{"--no-optional-locks"}, args...)...)
	if failed, ok := errors.AsType[*commandError](err); ok {
		failed.words = failed.own()
	}
	return out, err
}

// lingering bounds the wait for what git has started, a hook say, after git itself has ended or was killed.
const lingering = 5 * time.Second

func (g Git) run(ctx context.Context, dir, stdin string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, g.environ(), lingering
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it then removes its locks
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	switch {
	case err == nil:
		return stdout.String(), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("git did not end in time: %w", ctx.Err())
	default:
		return stdout.String(), &commandError{stderr: stderr.String(), err: err}
	}
}

// environ has git speak English, which is understood here, and take pathspecs as they are meant.
func (g Git) environ() []string {
	environ := g.Environ
	if environ == nil {
		environ = os.Environ()
	}
	environ = slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return strings.HasPrefix(name, "GIT_") && strings.HasSuffix(name, "_PATHSPECS")
	})
	return append(environ, "LC_ALL=C")
}

// commandError is a git command that failed.
type commandError struct {
	stderr string
	words  string // to be shown
	err    error
}

func (e *commandError) Error() string {
	if e.words != "" {
		return e.words
	}
	return "git: " + e.err.Error()
}

func (e *commandError) Unwrap() error { return e.err }

// own are the lines in which git itself says what is wrong.
func (e *commandError) own() string {
	var own []string
	for line := range strings.Lines(e.stderr) {
		if strings.HasPrefix(line, "fatal: ") || strings.HasPrefix(line, "error: ") {
			own = append(own, strings.TrimSpace(line))
		}
	}
	return strings.Join(own, "; ")
}

// said are git's own words about a failure.
func said(err error) string {
	if failed, ok := errors.AsType[*commandError](err); ok {
		return failed.own()
	}
	return ""
}

// quote makes one word of a shell command.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = quote(word)
	}
	return strings.Join(quoted, " ")
}
