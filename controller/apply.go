package controller

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/composure-dev/composure/internal/composecli"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/git"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/internal/report"
	"github.com/composure-dev/composure/internal/state"
	"github.com/composure-dev/composure/reconcile"
)

// ApplyOptions are what apply is told beyond Config.
type ApplyOptions struct {
	FilesOnly bool
	// SavedPlan is the JSON report of an earlier diff; apply refuses when the plan would be another one now.
	SavedPlan []byte
	// Backup is the folder into which files are copied before they are written; empty: they are not.
	Backup string
	// GitCommit commits the written files to git.
	GitCommit bool
	// Confirm is shown the plan before the first write; nil means yes.
	Confirm func(report.Report) (bool, error)
	// Progress is told one line for each thing done.
	Progress func(string)
}

// Apply does what Diff plans, project after project, and verifies it or puts everything back. A canceled ctx ends it after the
// project at hand has been put in order; the report then comes with ctx's error, unless that project could not be.
func Apply(ctx context.Context, c Config, o ApplyOptions) (report.Report, error) {
	var opened Engine
	var reader engine.Reader
	if !o.FilesOnly {
		var err error
		if opened, err = c.Open(ctx); err != nil {
			return report.Report{}, err
		}
		reader = opened
	}
	items, err := c.propose(ctx, reader)
	if err != nil {
		return report.Report{}, err
	}
	if o.SavedPlan != nil {
		if err := stale(c.report(report.VerbDiff, items), o.SavedPlan); err != nil {
			return report.Report{}, err
		}
	}
	proceed, err := c.agree(ctx, opened, items, o)
	if err != nil && ctx.Err() == nil {
		return report.Report{}, err
	}
	if err != nil || !proceed {
		return c.report(report.VerbApply, items), err
	}
	applied := report.Report{Verb: report.VerbApply, Version: c.Version}
	for _, item := range items {
		project, err := c.apply(ctx, opened, item, o)
		if err != nil {
			return applied, err
		}
		applied.Projects = append(applied.Projects, project)
		if ctx.Err() != nil && project.Result == report.ResultRollbackFailed {
			return applied, nil // that a person is needed matters more than Ctrl-C
		}
		if ctx.Err() != nil {
			return applied, ctx.Err()
		}
	}
	return applied, nil
}

// agree puts what was cut off in order, and asks whether to go on with the plan that is made then. What comes after a saved plan
// that recovers nobody has seen.
func (c Config) agree(ctx context.Context, opened Engine, items []item, o ApplyOptions) (bool, error) {
	recovered, proceed, err := c.putInOrder(ctx, opened, items, o)
	if err != nil || !proceed || recovered && o.SavedPlan != nil {
		return false, err
	}
	return confirmed(c.report(report.VerbDiff, items), o.Confirm)
}

// confirmed asks only when there is something to do.
func confirmed(planned report.Report, ask func(report.Report) (bool, error)) (bool, error) {
	something := slices.ContainsFunc(planned.Projects, func(p report.Project) bool { return len(p.Plan.Steps) > 0 })
	if ask == nil || !something {
		return true, nil
	}
	return ask(planned)
}

// apply carries out one project's plan. With several projects an error is that project's result, and the others go on.
func (c Config) apply(ctx context.Context, opened Engine, item item, o ApplyOptions) (report.Project, error) {
	if item.err != nil || item.stuck != nil {
		return c.project(item), nil //nolint:nilerr // the error is the project's result
	}
	applied, err := c.executor(opened, item, o).Apply(ctx, item.source, item.proposal.Plan)
	if err != nil && (!c.All || ctx.Err() != nil) {
		return report.Project{}, err
	}
	item.err = err
	project := c.project(item)
	if err != nil {
		return project, nil //nolint:nilerr // the error is the project's result
	}
	tell(&project, applied)
	if applied.Result == reconcile.ResultCommitted {
		lookAgain(ctx, item.source, &project)
	}
	return project, nil
}

func (c Config) executor(opened Engine, item item, o ApplyOptions) *reconcile.Executor {
	executor := &reconcile.Executor{
		Roots: reconcile.Roots(item.proposal.Snapshot.Project, c.AllowRoots), Backup: o.Backup, NewID: newID, Progress: o.Progress, Log: c.Log,
		TidyRecords: state.Store{Dir: c.StateDir}.Tidy,
	}
	if o.GitCommit {
		executor.Committer = git.Git{Environ: c.Project.Environ}
	}
	if opened != nil {
		executor.Writer, executor.Prober = opened, opened
		executor.Composer = composecli.Project{Options: item.source.Compose}
	}
	return executor
}

// tell fills in how a transaction ended.
func tell(project *report.Project, applied reconcile.Applied) {
	project.Outcomes, project.Failure, project.Restored = applied.Outcomes, applied.Failure, applied.Restored
	project.Backup, project.Commit = applied.Backup, applied.Commit
	switch applied.Result {
	case reconcile.ResultRolledBack:
		project.Result = report.ResultRolledBack
	case reconcile.ResultRollbackFailed:
		project.Result = report.ResultRollbackFailed
	case reconcile.ResultKept:
		project.Result = report.ResultDifferences
	case reconcile.ResultNothing, reconcile.ResultCommitted, reconcile.ResultRecovered:
	}
}

// putInOrder finishes or undoes what earlier runs have left, and then plans anew. proceed is false when a person said no.
func (c Config) putInOrder(ctx context.Context, opened Engine, items []item, o ApplyOptions) (recovered, proceed bool, err error) {
	var cutOff []int
	var shown []item
	for i, item := range items {
		if item.err == nil && reconcile.Recovers(item.proposal.Plan) {
			cutOff, shown = append(cutOff, i), append(shown, item)
		}
	}
	if len(cutOff) == 0 {
		return false, true, nil
	}
	if proceed, err := confirmed(c.report(report.VerbDiff, shown), o.Confirm); err != nil || !proceed {
		return false, proceed, err
	}
	for _, i := range cutOff {
		if err := c.recover(ctx, opened, &items[i], o); err != nil {
			return true, false, err
		}
		if ctx.Err() != nil {
			return true, false, ctx.Err()
		}
	}
	return true, true, nil
}

// recover puts one project in order. What cannot be is the project's result.
func (c Config) recover(ctx context.Context, opened Engine, item *item, o ApplyOptions) error {
	for range recoverAttempts {
		applied, err := c.executor(opened, *item, o).Apply(ctx, item.source, item.proposal.Plan)
		moved := errors.Is(err, reconcile.ErrMoved)
		if err != nil && !moved {
			return c.excuse(item, err)
		}
		if !moved && applied.Result != reconcile.ResultRecovered {
			item.stuck = &applied
			return nil
		}
		item.recovered = append(item.recovered, applied.Restored...)
		item.proposal, err = reconcile.Propose(context.WithoutCancel(ctx), item.source)
		if err != nil || !reconcile.Recovers(item.proposal.Plan) {
			return c.excuse(item, err)
		}
	}
	return c.excuse(item, hint.Wrap(reconcile.ErrMoved, "look at the plan again with: composure diff"))
}

// recoverAttempts bounds how often a recovery is begun anew: the engine may still be at what a dead process has last asked of it, and
// the container that it makes is then there when the plan has been made, or even when it has been carried out.
const recoverAttempts = 5

// excuse makes an error the project's result when there are others to go on with.
func (c Config) excuse(item *item, err error) error {
	if c.All {
		item.err, err = err, nil
	}
	return err
}

// lookAgain judges the project after a commit: what is held, or came back, is still a difference.
func lookAgain(ctx context.Context, src reconcile.Source, project *report.Project) {
	after, err := reconcile.Propose(context.WithoutCancel(ctx), src)
	if err != nil {
		project.Result = report.ResultDifferences
		project.Failure = "the change is done, but the project could not be looked at again: " + err.Error()
		return
	}
	project.Remaining, project.Result = after.Findings, report.ResultApplied
	if judge(after) == report.ResultDifferences {
		project.Result = report.ResultDifferences
	}
}

// stale compares the plan in a saved report with the one of now, as both are printed.
func stale(planned report.Report, saved []byte) error {
	var now bytes.Buffer
	if err := report.JSON(&now, planned); err != nil {
		return err
	}
	type printed struct {
		Kind    string      `json:"kind"`
		Command report.Verb `json:"command"`
		Plan    any         `json:"plan"`
	}
	var was, is printed
	if err := json.Unmarshal(saved, &was); err != nil || was.Kind != report.Kind || was.Command != report.VerbDiff {
		return hint.Wrap(errors.New("the saved plan is not a report of composure diff"), "make one with: composure diff -o json")
	}
	if err := json.Unmarshal(now.Bytes(), &is); err != nil {
		return fmt.Errorf("decode the plan: %w", err)
	}
	if !reflect.DeepEqual(was.Plan, is.Plan) {
		return hint.Wrap(errors.New("the saved plan is stale: "+reconcile.ErrMoved.Error()), "make a new one with: composure diff -o json")
	}
	return nil
}

// newID is a name for a transaction that sorts by time and is unique without anybody's help.
func newID() string {
	random := make([]byte, 4)
	rand.Read(random) // never fails, see crypto/rand
	return time.Now().UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(random)
}
