package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/git"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/internal/state"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

// repository makes the world's folder a git repository in which everything is committed, and the executor commit to it.
func (w *world) repository() {
	w.t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		w.t.Skip("git is not installed")
	}
	w.git("init", "--quiet")
	w.git("add", ".")
	w.git("commit", "--quiet", "-m", "first")
	w.executor.Committer = git.Git{}
}

func (w *world) git(args ...string) string {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), "git", args...)
	cmd.Dir = w.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (w *world) put(name, content string, mode os.FileMode) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(content), mode); err != nil {
		w.t.Fatal(err)
	}
}

// recorded is the one record there is.
func (w *world) recorded() state.Record {
	w.t.Helper()
	data, err := os.ReadFile(w.source.Journal.Path(state.Record{Project: "shop", Transaction: "t1"}))
	if err != nil {
		w.t.Fatal(err)
	}
	var record state.Record
	if err := json.Unmarshal(data, &record); err != nil {
		w.t.Fatal(err)
	}
	return record
}

const wantMessage = `composure: sync

compose.yaml:
- app.SYNC_CHANNEL
- app.SYNC_ENABLED
- beat.SYNC_CHANNEL
- beat.SYNC_ENABLED

Composure-Transaction: t1`

// inBubble runs f with a virtual clock; the environment is set outside of it.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	for name, value := range map[string]string{
		"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
		"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_COMMITTER_NAME": "C", "GIT_COMMITTER_EMAIL": "c@example.com",
	} {
		t.Setenv(name, value)
	}
	synctest.Test(t, f)
}

func TestCommitHoldsThePatchedFilesAlone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		w.put("notes", "old", 0o600)
		w.repository()
		w.put("notes", "staged", 0o600)
		w.git("add", "notes")
		w.put("notes", "dirty", 0o600)
		applied := w.apply()
		if applied.Result != ResultCommitted || applied.Commit == "" || applied.Commit != w.git("rev-parse", "HEAD") {
			t.Fatalf("result = %q, commit = %q, want committed and HEAD: %s", applied.Result, applied.Commit, w.told(applied))
		}
		if got := w.git("show", "--name-only", "--format=%B", "HEAD"); got != wantMessage+"\n\n\ncompose.yaml" {
			t.Errorf("committed:\n%s", got)
		}
		if got := w.git("show", "HEAD:compose.yaml"); got != strings.TrimSpace(patchedFile) {
			t.Errorf("committed content:\n%s", got)
		}
		if got := w.git("status", "--porcelain"); got != "MM notes" {
			t.Errorf("status = %q, want what was staged and changed as it was", got)
		}
		if got := w.recorded().Commit; got != applied.Commit {
			t.Errorf("recorded commit = %q", got)
		}
	})
}

func TestCommitIsRefusedBeforeAnythingIsChanged(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		w.repository()
		w.write(composeFile + "# somebody's\n")
		before := w.containers()
		applied, err := w.executor.Apply(t.Context(), w.source, w.propose().Plan)
		if err == nil || !strings.Contains(err.Error(), "has changes that are not committed") || len(hint.Of(err)) == 0 {
			t.Errorf("%+v, %v, want that said and what to do", applied, err)
		}
		w.wantContainers(before, "nothing was to be changed")
		if w.file() != composeFile+"# somebody's\n" || w.git("rev-list", "--count", "HEAD") != "1" {
			t.Error("the file was changed or committed")
		}
		if records, _ := filepath.Glob(filepath.Join(w.stateDir, "projects", "*", "*")); len(records) > 0 {
			t.Errorf("nothing was begun, but there are records: %v", records)
		}
	})
}

func TestRolledBackIsNotCommitted(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, strings.ReplaceAll(syncPolicy, ":-updates", nobody))
		w.repository()
		applied := w.apply()
		if applied.Result != ResultRolledBack || applied.Commit != "" || w.git("rev-list", "--count", "HEAD") != "1" || w.git("status", "--porcelain") != "" {
			t.Errorf("result = %q, commit = %q: %s", applied.Result, applied.Commit, w.told(applied))
		}
	})
}

// What is done and verified is not undone because it could not be committed.
func TestCommitThatFailsIsSaid(t *testing.T) {
	tests := map[string]struct {
		reason string
		policy string
		meddle func(w *world)
		want   []string
		file   string
	}{
		"Hook": {"a hook has the last word", syncPolicy, func(w *world) {
			w.put(".git/hooks/pre-commit", "#!/bin/sh\necho hunter2secret >&2\nexit 1\n", 0o700)
		}, []string{"the change is done, but not committed: git commit failed", "commit by hand with: git -C '", "'composure: sync'"}, patchedFile},
		"Edited": {"somebody's edit is not committed as the policy's", syncPolicy, func(w *world) {
			w.engine.HandleProbe(func(target engine.Container, raw []byte) ([]byte, error) {
				w.write(patchedFile + "# somebody's\n")
				return answerProbe(target, raw)
			})
		}, []string{"compose.yaml was edited since it was patched", "commit it by hand"}, patchedFile + "# somebody's\n"},
		"Kept": {"the policy keeps what failed a check, but it is no state to commit",
			strings.Replace(strings.ReplaceAll(syncPolicy, ":-updates", nobody), "  verify:", "  onFailure: Keep\n  verify:", 1), func(*world) {},
			[]string{"not committed, since a check failed"}, strings.ReplaceAll(patchedFile, ":-updates", nobody)},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, tc.policy)
				w.repository()
				confirmed := w.propose().Plan
				tc.meddle(w)
				applied, err := w.executor.Apply(t.Context(), w.source, confirmed)
				if err != nil || applied.Result != ResultKept || applied.Commit != "" {
					t.Fatalf("%s: result = %q, commit = %q, %v", tc.reason, applied.Result, applied.Commit, err)
				}
				for _, want := range tc.want {
					if !strings.Contains(applied.Failure, want) {
						t.Errorf("%s: failure = %q, want %q", tc.reason, applied.Failure, want)
					}
				}
				if w.git("rev-list", "--count", "HEAD") != "1" || w.file() != tc.file {
					t.Errorf("%s: something was committed, or undone:\n%s", tc.reason, w.file())
				}
				w.wantNoSecrets(applied)
				if got := w.recorded().Outcome; got != state.OutcomeCommitted {
					t.Errorf("%s: recorded outcome = %q", tc.reason, got)
				}
			})
		})
	}
}

func TestBackup(t *testing.T) {
	tests := map[string]struct {
		reason string
		policy string
		want   Result
	}{
		"Committed":  {"who wants the old file finds it", syncPolicy, ResultCommitted},
		"RolledBack": {"a backup is nobody's to remove", strings.ReplaceAll(syncPolicy, ":-updates", nobody), ResultRolledBack},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, tc.policy)
				w.executor.Backup = filepath.Join(t.TempDir(), "new", "backup")
				applied := w.apply()
				folder := filepath.Join(w.executor.Backup, "t1")
				if applied.Result != tc.want || applied.Backup != folder || w.recorded().Backup != folder {
					t.Errorf("%s: result = %q, backup = %q, recorded %q", tc.reason, applied.Result, applied.Backup, w.recorded().Backup)
				}
				target, err := filepath.EvalSymlinks(w.dir)
				if err != nil {
					t.Fatal(err)
				}
				if content, err := os.ReadFile(filepath.Join(folder, target, "compose.yaml")); err != nil || string(content) != composeFile {
					t.Errorf("%s: %q, %v", tc.reason, content, err)
				}
				if !strings.Contains(w.told(applied), "backed up to "+folder) {
					t.Errorf("%s: nobody was told where it is", tc.reason)
				}
			})
		})
	}
}

func TestBackupThatFailsEndsTheApplyBeforeAnyWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		w.executor.Backup = filepath.Join(w.dir, "compose.yaml")
		before := w.containers()
		_, err := w.executor.Apply(t.Context(), w.source, w.propose().Plan)
		if err == nil || !strings.Contains(err.Error(), "not a directory") || !strings.Contains(strings.Join(hint.Of(err), ""), "--backup") {
			t.Errorf("error = %v, hints = %v", err, hint.Of(err))
		}
		w.wantAsBefore(before)
		if got := w.recorded().Outcome; got != state.OutcomeRolledBack {
			t.Errorf("recorded outcome = %q, want the record closed", got)
		}
	})
}

// creating is the world's transaction with one more step, which makes a file.
func (w *world) creating(name string) *transaction {
	w.t.Helper()
	proposal := w.propose()
	path := filepath.Join(w.dir, name)
	step := plan.Step{ID: "patch:" + name, Verb: plan.VerbPatch, Object: name, Patch: &plan.Patch{
		File: path, After: []byte("services: {}\n"), Create: true, Like: filepath.Join(w.dir, "compose.yaml"), Keys: []string{"app.SYNC_ENABLED"},
	}}
	proposal.Plan.Steps = append([]plan.Step{step}, proposal.Plan.Steps...)
	return newTransaction(w.executor, w.source, proposal, "t1")
}

func TestCreatedFileIsCommitted(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		w.repository()
		w.executor.Backup = t.TempDir()
		applied, err := w.creating("compose.override.yaml").run(t.Context())
		if err != nil || applied.Result != ResultCommitted {
			t.Fatalf("result = %q, %v: %s", applied.Result, err, w.told(applied))
		}
		if got := w.git("show", "--name-status", "--format=", "HEAD"); got != "A\tcompose.override.yaml\nM\tcompose.yaml" {
			t.Errorf("committed:\n%s", got)
		}
		info, err := os.Stat(filepath.Join(w.dir, "compose.override.yaml"))
		if err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%v, %v, want the mode of the file beside it", info, err)
		}
		if image := w.recorded().Files[0]; !image.Created || image.DigestBefore != "" || image.Before != nil {
			t.Errorf("recorded %+v, want that it was nothing before", image)
		}
	})
}

func TestCreatedFileIsRolledBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.ReplaceAll(syncPolicy, ":-updates", nobody))
		before := w.containers()
		applied, err := w.creating("compose.override.yaml").run(t.Context())
		if err != nil || applied.Result != ResultRolledBack {
			t.Fatalf("result = %q, %v: %s", applied.Result, err, w.told(applied))
		}
		if _, err := os.Lstat(filepath.Join(w.dir, "compose.override.yaml")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("it is left: %v", err)
		}
		if !strings.Contains(strings.Join(applied.Restored, "\n"), "compose.override.yaml: removed") {
			t.Errorf("restored = %v", applied.Restored)
		}
		w.wantAsBefore(before)
	})
}

func TestCreatedFileThatSomebodyWentOnWithIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.ReplaceAll(syncPolicy, ":-updates", nobody))
		w.engine.HandleProbe(func(target engine.Container, raw []byte) ([]byte, error) {
			if _, err := os.Lstat(filepath.Join(w.dir, "compose.override.yaml")); err == nil {
				w.put("compose.override.yaml", "edited", 0o600)
			}
			return answerProbe(target, raw)
		})
		applied, err := w.creating("compose.override.yaml").run(t.Context())
		if err != nil || applied.Result != ResultRollbackFailed || !strings.Contains(strings.Join(applied.Restored, "\n"), "compose.override.yaml is not as it was") {
			t.Errorf("result = %q, %v: %s", applied.Result, err, w.told(applied))
		}
	})
}

func TestCommitMessageCountsManyPolicies(t *testing.T) {
	long := strings.Repeat("p", 40)
	tr := &transaction{id: "t9", proposal: Proposal{Plan: plan.Plan{Steps: []plan.Step{
		{Verb: plan.VerbPatch, Object: "compose.yaml", Patch: &plan.Patch{Keys: []string{"app.A", "app.B"}}},
	}}}}
	for _, name := range []string{long + "-b", long + "-a"} {
		for _, variable := range []string{"A", "B"} {
			tr.proposal.Findings = append(tr.proposal.Findings, policy.Finding{Policy: name, Service: "app", Variable: variable})
		}
	}
	tr.proposal.Findings = append(tr.proposal.Findings, policy.Finding{Policy: "other", Service: "app", Variable: "C"})
	want := "composure: 2 policies\n\nPolicies:\n- " + long + "-a\n- " + long + "-b\n\ncompose.yaml:\n- app.A\n- app.B\n\nComposure-Transaction: t9\n"
	if got := tr.message(); got != want {
		t.Errorf("message = %q, want %q", got, want)
	}
}

// dyingCommitter commits and dies before it can answer.
type dyingCommitter struct {
	Committer
	dead *bool
}

func (d dyingCommitter) Commit(ctx context.Context, paths []string, message string) (string, error) {
	*d.dead = true
	_, err := d.Committer.Commit(ctx, paths, message)
	return "", errors.Join(err, errDead)
}

// What git has is not taken from the files by the next run, with or without an engine.
func TestCommitIsNotUndoneAfterACrash(t *testing.T) {
	for name, filesOnly := range map[string]bool{"FilesOnly": true, "Apply": false} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, syncPolicy)
				w.repository()
				if filesOnly {
					w.source.Reader, w.executor.Writer, w.executor.Prober = nil, nil, nil
				}
				dead := false
				w.executor.Committer = dyingCommitter{w.executor.Committer, &dead}
				w.source.Journal = mortalJournal{w.source.Journal, &dead}
				_, _ = w.executor.Apply(t.Context(), w.source, w.propose().Plan)
				w.executor.Committer, w.source.Journal = git.Git{}, state.Store{Dir: w.stateDir}
				w.source.Alive = func(int) bool { return false }
				w.executor.NewID = func() string { return "t9" }
				if applied := w.apply(); applied.Result != ResultRecovered || w.file() != patchedFile {
					t.Errorf("result = %q, %s; the file is\n%s", applied.Result, w.told(applied), w.file())
				}
				if got := w.recorded().Outcome; got != state.OutcomeRecoveredFinished {
					t.Errorf("outcome = %q", got)
				}
				if status := w.git("status", "--porcelain"); status != "" {
					t.Errorf("git status: %s", status)
				}
			})
		})
	}
}
