package reconcile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/files"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/reconcile/plan"
)

// unlockWithin bounds the release of a lock, which happens even after Ctrl-C.
const unlockWithin = 10 * time.Second

// lock takes the project's lock on the engine, where there is one, and a lock beside every file to be patched: a run with an
// engine and one with --files-only know nothing else of each other.
func (e *Executor) lock(ctx context.Context, src Source, p plan.Plan, id string) (unlock func(), err error) {
	var held []func(context.Context) error
	unlock = func() {
		release, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockWithin)
		defer cancel()
		for _, let := range slices.Backward(held) {
			if err := let(release); err != nil {
				e.Progress("a lock could not be released: " + err.Error())
			}
		}
	}
	if src.Reader != nil {
		let, err := e.lockProject(ctx, src, p.Project, id)
		if err != nil {
			return nil, err
		}
		held = append(held, let)
	}
	folders, err := patchedFolders(p, e.Roots)
	if err != nil {
		unlock()
		return nil, err
	}
	for _, folder := range folders {
		let, err := files.LockDir(folder)
		if err != nil {
			unlock()
			return nil, err
		}
		held = append(held, func(context.Context) error { return let() })
	}
	return unlock, nil
}

// tidy removes the lock file of a process that died after its work was done. One that is held stays.
func (e *Executor) tidy() {
	for _, root := range e.Roots {
		if _, err := os.Lstat(filepath.Join(root, files.LockName)); err != nil {
			continue
		}
		let, err := files.LockDir(root)
		if err == nil {
			err = let()
		}
		if err != nil && !errors.Is(err, files.ErrLocked) {
			e.Progress("the lock file of an earlier run could not be removed: " + err.Error())
		}
	}
}

// tidyRecords is for who has the project's lock: nobody else ends a transaction meanwhile.
func (e *Executor) tidyRecords(project string) {
	if e.TidyRecords == nil {
		return
	}
	if err := e.TidyRecords(project); err != nil {
		e.Progress("old records could not be removed: " + err.Error())
	}
}

func (e *Executor) lockProject(ctx context.Context, src Source, project, id string) (func(context.Context) error, error) {
	locker := src.locker()
	locker.Writer, locker.Prober = e.Writer, e.Prober
	let, err := locker.Lock(ctx, project, id)
	if locked, held := errors.AsType[*engine.LockedError](err); held {
		return nil, hint.Wrap(err, waitFor(locked))
	}
	return let, err
}

func waitFor(locked *engine.LockedError) string {
	return "wait for it to end; if you know that it is dead, break the lock with: " + locked.Command
}

// patchedFolders are where the files that are written really lie, sorted so that two runs lock them in one order.
func patchedFolders(p plan.Plan, roots []string) ([]string, error) {
	var folders []string
	for _, step := range p.Of(plan.VerbPatch) {
		folder, err := files.Folder(step.Patch.File, roots)
		if err != nil {
			return nil, advise(err)
		}
		folders = append(folders, folder)
	}
	for _, step := range p.Of(plan.VerbRecover) {
		for _, path := range step.Recover.Locked {
			folder, err := files.Folder(path, nil)
			if files.Gone(err) {
				continue // nobody can write there
			}
			if err != nil {
				return nil, err
			}
			folders = append(folders, folder)
		}
	}
	slices.Sort(folders)
	return slices.Compact(folders), nil
}
