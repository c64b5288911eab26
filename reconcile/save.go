package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/composure-dev/composure/internal/files"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/reconcile/plan"
)

// Committer commits files to version control. Paths are absolute, without symlinks. Errors carry hints.
type Committer interface {
	// Ready reports whether Commit could commit the files, once they are changed, and nothing but that change.
	Ready(ctx context.Context, paths []string) error
	// Commit makes one commit of the files as they are.
	Commit(ctx context.Context, paths []string, message string) (hash string, err error)
}

// readyWithin and saveWithin bound what is asked of version control. A commit runs the user's hooks.
const (
	readyWithin = time.Minute
	saveWithin  = 5 * time.Minute
)

// readyToSave wants the files that are to be written to be ready for a commit, before anything is changed.
func (t *transaction) readyToSave(ctx context.Context) error {
	if t.Committer == nil {
		return nil
	}
	paths, err := t.patched()
	if err != nil || len(paths) == 0 {
		return advise(err)
	}
	asking, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	return t.Committer.Ready(asking, paths)
}

// patched are the files that the plan writes, where they really lie.
func (t *transaction) patched() ([]string, error) {
	var paths []string
	for _, step := range t.proposal.Plan.Of(plan.VerbPatch) {
		path, err := files.Target(step.Patch.File, t.Roots)
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// save commits what was written. It comes last: when it fails the change stays, and a person is told how to commit it.
func (t *transaction) save(ctx context.Context) {
	if t.Committer == nil || len(t.proposal.Plan.Of(plan.VerbPatch)) == 0 {
		return
	}
	hash, err := t.commitFiles(context.WithoutCancel(ctx))
	if err != nil {
		t.unsaved = true
		words := append([]string{"the change is done, but not committed: " + err.Error()}, hint.Of(err)...)
		t.alsoFailed(t.verify.redactor.String(strings.Join(words, "\n  ")))
		return
	}
	t.record.Commit = hash
	t.Progress("committed " + hash)
}

func (t *transaction) commitFiles(ctx context.Context) (hash string, err error) {
	paths, err := t.patched()
	if err != nil {
		return "", err
	}
	if err := t.stillWritten(); err != nil {
		return "", err
	}
	saving, cancel := context.WithTimeout(ctx, saveWithin)
	defer cancel()
	return t.Committer.Commit(saving, paths, t.message())
}

// stillWritten wants the files to be as they were written: somebody's edit since is not to be committed as the policies'.
func (t *transaction) stillWritten() error {
	for _, step := range t.proposal.Plan.Of(plan.VerbPatch) {
		now, err := files.Read(step.Patch.File)
		if err != nil {
			return err
		}
		if now.Digest != files.Digest(step.Patch.After) {
			return hint.Wrap(fmt.Errorf("%s was edited since it was patched", step.Object), "look at it and commit it by hand")
		}
	}
	return nil
}

// leaveUnsaved says that what was kept although a check failed is not committed.
func (t *transaction) leaveUnsaved() {
	if t.Committer != nil && len(t.proposal.Plan.Of(plan.VerbPatch)) > 0 {
		t.alsoFailed("the files are patched, but not committed, since a check failed")
	}
}

// longSubject is where the subject of a commit counts the policies instead of naming them.
const longSubject = 72

// message names what was changed and why, and no value.
func (t *transaction) message() string {
	names := t.patchingPolicies()
	subject := "composure: " + strings.Join(names, ", ")
	var body []string
	if len(subject) > longSubject && len(names) > 1 {
		subject = fmt.Sprintf("composure: %d policies", len(names))
		body = append(body, "Policies:\n- "+strings.Join(names, "\n- "))
	}
	for _, step := range t.proposal.Plan.Of(plan.VerbPatch) {
		body = append(body, step.Object+":\n- "+strings.Join(step.Patch.Keys, "\n- "))
	}
	return subject + "\n\n" + strings.Join(body, "\n\n") + "\n\nComposure-Transaction: " + t.id + "\n"
}

// patchingPolicies are the names of the policies that speak of a variable that was patched; of all, when none does by its name.
func (t *transaction) patchingPolicies() []string {
	var names []string
	for _, step := range t.proposal.Plan.Of(plan.VerbPatch) {
		for _, f := range t.proposal.Findings {
			if slices.Contains(step.Patch.Keys, f.Service+"."+f.Variable) {
				names = append(names, f.Policy)
			}
		}
	}
	if len(names) == 0 {
		for _, p := range t.proposal.Policies {
			names = append(names, p.Metadata.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// backUp copies the files that are about to be replaced into the backup folder, one folder below it for each transaction.
func (t *transaction) backUp(writes []files.Write) error {
	replaces := func(w files.Write) bool { return w.Digest != "" }
	if t.Backup == "" || !slices.ContainsFunc(writes, replaces) {
		return nil
	}
	folder := filepath.Join(t.Backup, t.id)
	if err := files.Backup(writes, folder); err != nil {
		return backupAdvice(err)
	}
	t.record.Backup = folder
	t.Progress("backed up to " + folder)
	return nil
}

func backupAdvice(err error) error {
	for _, place := range []error{fs.ErrPermission, fs.ErrExist, syscall.EROFS, syscall.ENOTDIR, syscall.ENOSPC} {
		if errors.Is(err, place) {
			return hint.Wrap(err, "name a folder that this user can write to with --backup")
		}
	}
	return err
}
