package git

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/composure-dev/composure/internal/hint"
)

// Commit commits the files as they are, and nothing else: what is staged stays staged. A file that git does not know yet becomes
// tracked. The hash is that of the commit. When it fails the index is as before, and the advice is the command that commits by
// hand: it shows what hooks have to say.
func (r Repo) Commit(ctx context.Context, paths []string, message string) (hash string, err error) {
	names, err := r.relatives(paths)
	if err != nil {
		return "", err
	}
	fresh, err := r.fresh(ctx, names)
	if err != nil {
		return "", hint.Wrap(err, r.byHand(names, nil, message))
	}
	if err := r.commit(ctx, names, fresh, message); err != nil {
		return "", hint.Wrap(err, r.byHand(names, fresh, message))
	}
	head, err := r.git.read(ctx, r.Top, "", "rev-parse", "--verify", "HEAD")
	if err != nil {
		return "", hint.Wrap(fmt.Errorf("the commit was made, but not found again: %w", err), "look for it with: git -C "+quote(r.Top)+" log")
	}
	return strings.TrimSpace(head), nil
}

func (r Repo) commit(ctx context.Context, names, fresh []string, message string) error {
	if len(fresh) > 0 {
		// A partial commit takes only what the index knows of.
		if _, err := r.git.run(ctx, r.Top, "", append([]string{"add", "--intent-to-add"}, pathspecs(fresh)...)...); err != nil {
			return failed("git add", err)
		}
	}
	args := []string{"commit", "--only", "--quiet", "--cleanup=whitespace", "--file=-"}
	_, err := r.git.run(ctx, r.Top, message, append(args, pathspecs(names)...)...)
	if err == nil {
		return nil
	}
	err = failed("git commit", err)
	if len(fresh) > 0 {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), lingering)
		defer cancel()
		if _, undoErr := r.git.run(undo, r.Top, "", append([]string{"reset", "--quiet"}, pathspecs(fresh)...)...); undoErr != nil {
			err = fmt.Errorf("%w; and git add --intent-to-add could not be undone", err)
		}
	}
	return err
}

// fresh are the files that git does not know yet.
func (r Repo) fresh(ctx context.Context, names []string) ([]string, error) {
	tracked, err := r.tracked(ctx, names)
	if err != nil {
		return nil, err
	}
	var fresh []string
	for _, name := range names {
		if tracked[name] == "" {
			fresh = append(fresh, name)
		}
	}
	return fresh, nil
}

// failed says why a command failed, in words of our own: hooks may have printed anything.
func failed(command string, err error) error {
	reasons := []struct{ said, reason string }{
		{"failed to sign", "it could not be signed"},
		{"insufficient permission", "this user may not write to the repository"},
		{"Permission denied", "this user may not write to the repository"},
		{"Read-only file system", "the repository is on a read-only filesystem"},
		{"No space left on device", "the disk is full"},
		{"index.lock': File exists", "another git process is at work"},
		{"during a merge", "a merge is in progress"},
	}
	words := said(err)
	for _, r := range reasons {
		if strings.Contains(words, r.said) {
			return fmt.Errorf("%s failed: %s", command, r.reason)
		}
	}
	if code := exitCode(err); code > 0 {
		return fmt.Errorf("%s failed with exit code %d, a hook may have refused it", command, code)
	}
	return fmt.Errorf("%s failed: %w", command, err)
}

func exitCode(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return -1
}

// byHand is what a person types to make the commit.
func (r Repo) byHand(names, fresh []string, message string) string {
	git := "git -C " + quote(r.Top)
	subject, _, _ := strings.Cut(message, "\n")
	command := fmt.Sprintf("%s commit --only -m %s -- %s", git, quote(subject), quoteAll(names))
	if len(fresh) > 0 {
		command = fmt.Sprintf("%s add --intent-to-add -- %s && %s", git, quoteAll(fresh), command)
	}
	return "commit by hand with: " + command
}
