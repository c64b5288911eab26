package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/composure-dev/composure/internal/hint"
)

// Clean reports whether a commit of the files, once they are changed or created, would hold that change and nothing else, as far
// as can be told beforehand: nothing is under way in the repository, git knows who commits, and each file is tracked and as in
// HEAD, or does not exist and is not ignored. What speaks against it is an error with advice.
func (r Repo) Clean(ctx context.Context, paths []string) error {
	names, err := r.relatives(paths)
	if err != nil {
		return hint.Wrap(err, without[len("or "):])
	}
	for _, check := range []func(context.Context, []string) error{r.checkIdle, r.checkIdentity, r.checkFiles} {
		if err := check(ctx, names); err != nil {
			return err
		}
	}
	return nil
}

// checkIdle wants nothing to be under way in which git refuses such a commit, or in which it would be lost.
func (r Repo) checkIdle(ctx context.Context, _ []string) error {
	underWay := []struct{ file, what, way string }{
		{"MERGE_HEAD", "a merge is in progress", "finish it, or end it with: git merge --abort"},
		{"rebase-merge", "a rebase is in progress", "finish it, or end it with: git rebase --abort"},
		{"rebase-apply", "a rebase or am is in progress", "finish it, or end it with: git rebase --abort, git am --abort"},
		{"CHERRY_PICK_HEAD", "a cherry-pick is in progress", "finish it, or end it with: git cherry-pick --abort"},
		{"REVERT_HEAD", "a revert is in progress", "finish it, or end it with: git revert --abort"},
		{"BISECT_LOG", "a bisect is in progress", "end it with: git bisect reset"},
		{"index.lock", "another git process is at work", "wait for it to end; if it was killed, remove its index.lock"},
	}
	args := []string{"rev-parse"}
	for _, u := range underWay {
		args = append(args, "--git-path", u.file)
	}
	out, err := r.git.read(ctx, r.Top, "", args...)
	if err != nil {
		return fmt.Errorf("look into git repository %q: %w", r.Top, err)
	}
	for i, path := range strings.Split(strings.TrimSuffix(out, "\n"), "\n") {
		if !filepath.IsAbs(path) {
			path = filepath.Join(r.Top, path)
		}
		if _, err := os.Lstat(path); err == nil && i < len(underWay) {
			return hint.Wrap(fmt.Errorf("in git repository %q %s", r.Top, underWay[i].what), underWay[i].way, without)
		}
	}
	return nil
}

func (r Repo) checkIdentity(ctx context.Context, _ []string) error {
	for _, who := range []string{"GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"} {
		if _, err := r.git.read(ctx, r.Top, "", "var", who); err != nil {
			if ctx.Err() != nil {
				return err
			}
			return hint.Wrap(fmt.Errorf("git does not know who commits to %q", r.Top),
				"tell it with: git config --global user.name NAME; git config --global user.email ADDRESS", without)
		}
	}
	return nil
}

func (r Repo) checkFiles(ctx context.Context, names []string) error {
	tracked, err := r.tracked(ctx, names)
	if err != nil {
		return err
	}
	changed, err := r.changed(ctx, names)
	if err != nil {
		return err
	}
	ignored, err := r.ignored(ctx, names)
	if err != nil {
		return err
	}
	var problems []error
	var advice []string
	for _, name := range names {
		_, err := os.Lstat(filepath.Join(r.Top, name))
		absent := errors.Is(err, fs.ErrNotExist)
		problem := func(words, help string) {
			problems, advice = append(problems, fmt.Errorf("file %q %s", filepath.Join(r.Top, name), words)), append(advice, help)
		}
		switch tag := tracked[name]; {
		case ignored[name]:
			problem("is ignored by git", "see which rule it is with: git check-ignore -v "+quote(name))
		case tag != "" && tag != "H":
			problem("is tracked by git, but its changes are not (assume-unchanged or skip-worktree)", "lift that with: git update-index --no-assume-unchanged --no-skip-worktree "+quote(name))
		case tag == "" && !absent:
			problem("is not tracked by git", "commit it as it is first, so that the change can be seen: git add "+quote(name)+" && git commit")
		case changed[name]:
			problem("has changes that are not committed", "commit them first, or put them aside: git diff HEAD -- "+quote(name))
		}
	}
	return hint.Wrap(errors.Join(problems...), append(advice, without)...)
}

// tracked are the letters that git ls-files gives to those files that are in the index; H is the usual one.
func (r Repo) tracked(ctx context.Context, names []string) (map[string]string, error) {
	out, err := r.git.read(ctx, r.Top, "", append([]string{"ls-files", "-v", "-z"}, pathspecs(names)...)...)
	if err != nil {
		return nil, fmt.Errorf("list files of git repository %q: %w", r.Top, err)
	}
	tags := map[string]string{}
	for entry := range strings.SplitSeq(out, "\x00") {
		if tag, name, found := strings.Cut(entry, " "); found {
			tags[name] = tag
		}
	}
	return tags, nil
}

// changed are the files that git status speaks of.
func (r Repo) changed(ctx context.Context, names []string) (map[string]bool, error) {
	args := []string{"status", "--porcelain", "-z", "--no-renames", "--untracked-files=all"}
	out, err := r.git.read(ctx, r.Top, "", append(args, pathspecs(names)...)...)
	if err != nil {
		return nil, fmt.Errorf("ask for the status of git repository %q: %w", r.Top, err)
	}
	changed := map[string]bool{}
	for entry := range strings.SplitSeq(out, "\x00") {
		if len(entry) > len("XY ") {
			changed[entry[len("XY "):]] = true
		}
	}
	return changed, nil
}

func (r Repo) ignored(ctx context.Context, names []string) (map[string]bool, error) {
	// Without the dot a colon at the beginning would be magic.
	out, err := r.git.read(ctx, r.Top, "./"+strings.Join(names, "\x00./")+"\x00", "check-ignore", "-z", "--stdin")
	if out == "" && exitCode(err) == 1 {
		return nil, nil // that is how it says none
	}
	if err != nil {
		return nil, fmt.Errorf("ask what git repository %q ignores: %w", r.Top, err)
	}
	ignored := map[string]bool{}
	for name := range strings.SplitSeq(out, "\x00") {
		ignored[strings.TrimPrefix(name, "./")] = true
	}
	return ignored, nil
}
