package controller

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/internal/report"
	"github.com/composure-dev/composure/internal/state"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile"
)

// Rollback takes the project's last committed transaction back, files and containers, or changes nothing. transaction, when not
// empty, must mean that one. Afterwards the project is suspended: the next apply lifts that. Without confirmation by o.Confirm
// nothing is written.
func Rollback(ctx context.Context, c Config, transaction string, o ApplyOptions) (report.Report, error) {
	record, directory, err := c.revertible(ctx, transaction)
	if err != nil {
		return report.Report{}, err
	}
	var opened Engine
	if len(record.Containers) > 0 {
		if opened, err = c.Open(ctx); err != nil {
			return report.Report{}, err
		}
	}
	it, err := c.wayBack(ctx, opened, record, directory)
	if err != nil {
		return report.Report{}, err
	}
	planned := c.report(report.VerbRollback, []item{it})
	if proceed, err := confirmed(planned, o.Confirm); err != nil || !proceed || len(it.proposal.Plan.Steps) == 0 {
		return planned, err
	}
	applied, err := c.executor(opened, it, o).Revert(ctx, it.source, record, it.proposal.Plan)
	if err != nil {
		return report.Report{}, err
	}
	project := c.project(it)
	tell(&project, applied)
	if applied.Result == reconcile.ResultCommitted {
		project.Result = report.ResultApplied
	}
	done := report.Report{Verb: report.VerbRollback, Version: c.Version, Projects: []report.Project{project}}
	if ctx.Err() != nil && project.Result != report.ResultRollbackFailed {
		return done, ctx.Err()
	}
	return done, nil
}

// revertible finds the transaction, and the folder of its project.
func (c Config) revertible(ctx context.Context, transaction string) (state.Record, string, error) {
	project, err := compose.Load(ctx, c.Project)
	if err != nil {
		return state.Record{}, "", err
	}
	records, err := state.Store{Dir: c.StateDir}.List(project.Name)
	if err != nil {
		return state.Record{}, "", hint.Wrap(err, "move such a file away when nothing of it is needed any more")
	}
	record, err := reconcile.Revertible(records, transaction)
	return record, project.Directory, err
}

// wayBack plans to take the transaction back. Without containers in it no engine is needed.
func (c Config) wayBack(ctx context.Context, opened Engine, record state.Record, directory string) (item, error) {
	src, err := c.attended(reconcile.Source{Compose: c.Project, AllowRoots: c.AllowRoots})
	if err != nil {
		return item{}, err
	}
	if opened != nil {
		src.Reader = opened
	}
	it := item{source: src, reverts: true}
	it.source.Policies, it.source.Unsure = c.knownPolicies(directory)
	it.proposal, err = reconcile.ProposeRevert(ctx, it.source, record)
	return it, err
}

// knownPolicies only tell which variables are sensitive: the way back must not depend on them. Where they cannot be read, every
// variable is.
func (c Config) knownPolicies(directory string) (policies []policy.Policy, unsure bool) {
	paths := c.Policies
	if len(paths) == 0 {
		paths = []string{filepath.Join(directory, DefaultPolicies)}
	}
	policies, err := readPolicies(paths, len(c.Policies) == 0)
	return policies, err != nil
}

// suspension is the warning that a project is suspended, or empty.
func (c Config) suspension(name string) string {
	if c.StateDir == "" || state.CheckProject(name) != nil {
		return ""
	}
	mark, err := state.Store{Dir: c.StateDir}.Suspension(name)
	switch {
	case errors.Is(err, os.ErrPermission):
		return "" // it is another user's to know
	case err != nil:
		return err.Error()
	case mark == nil:
		return ""
	}
	return suspended(*mark)
}

func suspended(mark state.Suspension) string {
	because := mark.Reason
	if mark.Transaction != "" {
		because = "transaction " + mark.Transaction + ", " + because
	}
	return fmt.Sprintf("the project is suspended since %s (%s); the next composure apply that changes it lifts this", mark.Since.UTC().Format(time.RFC3339), because)
}
