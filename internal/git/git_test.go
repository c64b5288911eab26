package git

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/internal/hint"
)

// work is a repository with one commit, of nobody's configuration.
type work struct {
	t       *testing.T
	dir     string
	environ []string
}

func newWork(t *testing.T) *work {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &work{t: t, dir: dir, environ: append(os.Environ(),
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir), "HOME="+t.TempDir(),
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=C", "GIT_COMMITTER_EMAIL=c@example.com",
	)}
	w.git("init", "--quiet", "--initial-branch=main")
	w.write("compose.yaml", "old\n")
	w.write("other", "old\n")
	w.write(".gitignore", "*.local\n")
	w.git("add", ".")
	w.git("commit", "--quiet", "-m", "first")
	return w
}

func (w *work) git(args ...string) string {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), "git", args...)
	cmd.Dir, cmd.Env = w.dir, w.environ
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (w *work) path(name string) string { return filepath.Join(w.dir, name) }

func (w *work) write(name, content string) {
	w.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(w.path(name)), 0o755), os.WriteFile(w.path(name), []byte(content), 0o644)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *work) hook(name, script string) {
	w.t.Helper()
	if err := os.WriteFile(w.path(".git/hooks/"+name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		w.t.Fatal(err)
	}
}

func (w *work) repo() Repo {
	w.t.Helper()
	repo, err := Git{Environ: w.environ}.Open(w.t.Context(), w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	return repo
}

func TestOpen(t *testing.T) {
	w := newWork(t)
	w.write("deep/down/f", "")
	repo, err := Git{Environ: w.environ}.Open(t.Context(), w.path("deep/down"))
	if err != nil || repo.Top != w.dir {
		t.Errorf("top %q, %v, want %q", repo.Top, err, w.dir)
	}
	tests := map[string]struct {
		reason string
		dir    func() string
		want   string
	}{
		"NoRepository": {"nothing could be committed", func() string { return t.TempDir() }, "is in no git repository"},
		"GitFolder":    {"it is git's own folder", func() string { return w.path(".git") }, "is in no git work tree"},
		"NotInstalled": {"there is no git", func() string { t.Setenv("PATH", ""); return w.dir }, "git is not installed"},
	}
	for _, name := range []string{"NoRepository", "GitFolder", "NotInstalled"} {
		tc := tests[name]
		_, err := Git{Environ: w.environ}.Open(t.Context(), tc.dir())
		if err == nil || !strings.Contains(err.Error(), tc.want) || len(hint.Of(err)) == 0 {
			t.Errorf("%s: %s: got %v, %v, want %q and what to do", name, tc.reason, err, hint.Of(err), tc.want)
		}
	}
}

func TestOpenOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	w := newWork(t)
	if err := errors.Join(os.Chown(w.dir, 1234, 1234), os.Chown(w.path(".git"), 1234, 1234)); err != nil {
		t.Fatal(err)
	}
	_, err := Git{Environ: w.environ}.Open(t.Context(), w.dir)
	if err == nil || !strings.Contains(err.Error(), "belongs to another user") || !strings.Contains(strings.Join(hint.Of(err), "\n"), "safe.directory '"+w.dir+"'") {
		t.Errorf("got %v, %v", err, hint.Of(err))
	}
}

func TestClean(t *testing.T) {
	tests := map[string]struct {
		reason string
		meddle func(w *work)
		files  []string
		want   []string // parts of the error; none: it is clean
	}{
		"Clean":       {"a tracked file and one to be made", func(*work) {}, []string{"compose.yaml", "new", "no/new"}, nil},
		"OtherDirty":  {"what else is changed is none of our business", func(w *work) { w.write("other", "x"); w.git("add", "other"); w.write("other", "y") }, []string{"compose.yaml"}, nil},
		"Untracked":   {"its change could not be seen", func(w *work) { w.write("f", "") }, []string{"f"}, []string{"is not tracked"}},
		"Ignored":     {"git would not take it", func(w *work) { w.write("f.local", "") }, []string{"f.local"}, []string{"is ignored"}},
		"IgnoredNew":  {"git would not take it", func(*work) {}, []string{"new.local"}, []string{"is ignored"}},
		"Modified":    {"somebody's change would be committed too", func(w *work) { w.write("compose.yaml", "x") }, []string{"compose.yaml"}, []string{"has changes"}},
		"Staged":      {"somebody's change would be committed too", func(w *work) { w.write("compose.yaml", "x"); w.git("add", ".") }, []string{"compose.yaml"}, []string{"has changes"}},
		"StagedAlone": {"as in HEAD, but the index is not", func(w *work) { w.write("compose.yaml", "x"); w.git("add", "."); w.write("compose.yaml", "old\n") }, []string{"compose.yaml"}, []string{"has changes"}},
		"Removed":     {"a file that was removed is no new one", func(w *work) { _ = os.Remove(w.path("compose.yaml")) }, []string{"compose.yaml"}, []string{"has changes"}},
		"Hidden":      {"git does not look at it", func(w *work) { w.git("update-index", "--assume-unchanged", "compose.yaml") }, []string{"compose.yaml"}, []string{"assume-unchanged"}},
		"Several":     {"each is named", func(w *work) { w.write("compose.yaml", "x"); w.write("f", "") }, []string{"compose.yaml", "f", "other"}, []string{"compose.yaml\" has changes", "f\" is not tracked"}},
		"OddNames": {"a name is taken literally", func(w *work) {
			w.write("*", "")
			w.git("add", ":(literal)*")
			w.git("commit", "-qm", "odd")
			w.write("other", "x")
		}, []string{"*", ":(top)new", "ü\n\"q"}, nil},
		"Outside":    {"it is in another folder", func(*work) {}, []string{"../f"}, []string{"not in the git work tree"}},
		"Merge":      {"git refuses such a commit", func(w *work) { w.conflict("merge") }, []string{"compose.yaml"}, []string{"a merge is in progress"}},
		"Rebase":     {"it would be part of the rebase", func(w *work) { w.conflict("rebase") }, []string{"compose.yaml"}, []string{"a rebase is in progress"}},
		"CherryPick": {"git refuses such a commit", func(w *work) { w.conflict("cherry-pick") }, []string{"compose.yaml"}, []string{"a cherry-pick is in progress"}},
		"Locked":     {"the commit would fail", func(w *work) { w.write(".git/index.lock", "") }, []string{"compose.yaml"}, []string{"another git process"}},
		"Nobody": {"git wants a name", func(w *work) {
			w.environ = append(w.environ, "GIT_COMMITTER_NAME=", "GIT_COMMITTER_EMAIL=")
			w.git("config", "user.useConfigOnly", "true")
		}, []string{"compose.yaml"}, []string{"does not know who commits"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWork(t)
			tc.meddle(w)
			var paths []string
			for _, file := range tc.files {
				paths = append(paths, w.path(file))
			}
			before := w.git("status", "--porcelain", "--ignored") + w.git("ls-files", "-v", "-s")
			err := w.repo().Clean(t.Context(), paths)
			if len(tc.want) == 0 && err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) || len(hint.Of(err)) == 0 {
					t.Errorf("%s: got %v with hints %v, want %q and what to do", tc.reason, err, hint.Of(err), want)
				}
			}
			if after := w.git("status", "--porcelain", "--ignored") + w.git("ls-files", "-v", "-s"); after != before {
				t.Errorf("%s: looking changed something: %s", tc.reason, cmp.Diff(before, after))
			}
		})
	}
}

// conflict leaves a merge, rebase or cherry-pick half done over another file than compose.yaml.
func (w *work) conflict(verb string) {
	w.t.Helper()
	w.git("checkout", "-q", "-b", "theirs")
	w.write("other", "theirs\n")
	w.git("commit", "-qam", "theirs")
	w.git("checkout", "-q", "main")
	w.write("other", "ours\n")
	w.git("commit", "-qam", "ours")
	cmd := exec.CommandContext(w.t.Context(), "git", verb, "theirs")
	cmd.Dir, cmd.Env = w.dir, w.environ
	if err := cmd.Run(); err == nil {
		w.t.Fatalf("git %s met no conflict", verb)
	}
}

func TestCommit(t *testing.T) {
	w := newWork(t)
	w.write("other", "staged\n")
	w.write("added", "staged\n")
	w.git("add", "other", "added")
	w.write("other", "dirty\n")
	w.write("untracked", "")
	before := w.git("status", "--porcelain")
	w.write("compose.yaml", "new\n")
	w.write("sub/*.yaml", "made\n")
	w.write("sub/a.yaml", "not to be committed\n")
	w.hook("post-commit", "printf %s \"$GIT_LITERAL_PATHSPECS\" > post-commit.local")

	const message = "composure: sync\n\ncompose.yaml:\n- app.SYNC\n\nComposure-Transaction: t1\n"
	hash, err := w.repo().Commit(t.Context(), []string{w.path("compose.yaml"), w.path("sub/*.yaml")}, message)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(w.git("rev-parse", "HEAD")); got != hash {
		t.Errorf("hash %q, want %q", hash, got)
	}
	if got := w.git("show", "--no-renames", "--name-status", "--format=%an %cn %B", "HEAD"); got != "A C "+message+"\n\nM\tcompose.yaml\nA\tsub/*.yaml\n" {
		t.Errorf("committed:\n%q", got)
	}
	if got := w.git("log", "-1", "--format=%(trailers:key=Composure-Transaction,valueonly)"); strings.TrimSpace(got) != "t1" {
		t.Errorf("the transaction is not found as a trailer: %q", got)
	}
	if got := strings.ReplaceAll(w.git("status", "--porcelain"), "?? sub/\n", "?? "); got != strings.Replace(before, "?? ", "?? sub/a.yaml\n?? ", 1) {
		t.Errorf("what else was changed or staged:\n%s\nwas\n%s", got, before)
	}
	if content, err := os.ReadFile(w.path("post-commit.local")); err != nil || len(content) > 0 {
		t.Errorf("a hook did not run, or not as it does by hand: %q, %v", content, err)
	}
}

func TestCommitThatFails(t *testing.T) {
	tests := map[string]struct {
		reason string
		meddle func(w *work)
		want   string
	}{
		"Hook":    {"a hook has the last word, but its words may be secrets", func(w *work) { w.hook("pre-commit", "echo 'hunter2 fatal'; echo hunter2 >&2; exit 1") }, "a hook may have refused it"},
		"Message": {"so has this one", func(w *work) { w.hook("commit-msg", "exit 1") }, "a hook may have refused it"},
		"Signing": {"the user wants signed commits", func(w *work) { w.git("config", "commit.gpgSign", "true"); w.git("config", "gpg.program", "/bin/false") }, "could not be signed"},
		"Locked":  {"somebody else is at work", func(w *work) { w.write(".git/index.lock", "") }, "another git process"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWork(t)
			w.write("other", "staged\n")
			w.git("add", "other")
			w.write("compose.yaml", "new\n")
			w.write("it's new", "made\n")
			before := w.git("status", "--porcelain") + w.git("log")
			repo := w.repo()
			tc.meddle(w)
			_, err := repo.Commit(t.Context(), []string{w.path("compose.yaml"), w.path("it's new")}, "composure: sync\n\nbody\n")
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.want)
			}
			if after := w.git("status", "--porcelain") + w.git("log"); after != before {
				t.Errorf("%s: the failure left something behind: %s", tc.reason, cmp.Diff(before, after))
			}
			w.wantByHand(err)
		})
	}
}

// wantByHand wants the advice to work once nothing stands in its way.
func (w *work) wantByHand(err error) {
	w.t.Helper()
	for _, hook := range []string{"hooks/pre-commit", "hooks/commit-msg", "index.lock"} {
		_ = os.Remove(w.path(".git/" + hook))
	}
	w.git("config", "commit.gpgSign", "false")
	i := slices.IndexFunc(hint.Of(err), func(h string) bool { return strings.HasPrefix(h, "commit by hand with: ") })
	if i < 0 {
		w.t.Fatalf("no command in %v", hint.Of(err))
	}
	cmd := exec.CommandContext(w.t.Context(), "sh", "-c", strings.TrimPrefix(hint.Of(err)[i], "commit by hand with: "))
	cmd.Env = w.environ
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Errorf("the advice does not work: %v\n%s", err, out)
	}
	if got := w.git("show", "--name-only", "--format=%s", "HEAD"); got != "composure: sync\n\ncompose.yaml\nit's new\n" {
		w.t.Errorf("by hand: %q", got)
	}
}

func TestTwoRepositories(t *testing.T) {
	a, b := newWork(t), newWork(t)
	g := Git{Environ: a.environ}
	err := g.Ready(t.Context(), []string{a.path("compose.yaml"), b.path("compose.yaml")})
	if err == nil || !strings.Contains(err.Error(), "two git repositories") || len(hint.Of(err)) == 0 {
		t.Errorf("got %v", err)
	}
	a.write("sub/f", "")
	a.git("add", ".")
	a.git("commit", "-qm", "sub")
	if err := g.Ready(t.Context(), []string{a.path("compose.yaml"), a.path("sub/f")}); err != nil {
		t.Errorf("two folders of one repository: %v", err)
	}
}

// The first commit of a repository has no HEAD before it; its files are all uncommitted.
func TestUnborn(t *testing.T) {
	w := newWork(t)
	w.git("checkout", "-q", "--orphan", "unborn")
	err := w.repo().Clean(t.Context(), []string{w.path("compose.yaml")})
	if err == nil || !strings.Contains(err.Error(), "has changes") {
		t.Errorf("got %v", err)
	}
	w.git("rm", "-q", "-r", "--cached", ".")
	if err := w.repo().Clean(t.Context(), []string{w.path("new")}); err != nil {
		t.Errorf("a new file: %v", err)
	}
	w.write("new", "made\n")
	if _, err := w.repo().Commit(t.Context(), []string{w.path("new")}, "composure: sync\n"); err != nil {
		t.Errorf("a new file: %v", err)
	}
}

// A hook that hangs is ended with its deadline.
func TestCommitInTime(t *testing.T) {
	w := newWork(t)
	w.write("compose.yaml", "new\n")
	repo := w.repo()
	if err := syscall.Mkfifo(w.path("began"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.hook("pre-commit", "echo > began; exec sleep 60 > /dev/null 2>&1")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := repo.Commit(ctx, []string{w.path("compose.yaml")}, "composure: sync\n")
		done <- err
	}()
	if _, err := os.ReadFile(w.path("began")); err != nil { // waits for the hook
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "did not end in time") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(w.path(".git/index.lock")); err == nil {
		t.Error("the index is still locked")
	}
}
