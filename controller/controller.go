// Package controller brings the pieces together for one run: which policies, which projects, which engine; and one report.
package controller

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/git"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/internal/report"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile"
)

// Engine is all views of one Docker Engine. Only Apply uses more than the Reader in it.
type Engine interface {
	engine.Reader
	engine.Writer
	engine.Prober
}

// Config says what to look at. The zero value of a field means what the flag's absence means.
type Config struct {
	Policies       []string // files and folders; empty: "composure" beside the compose file
	Project        compose.Options
	All            bool     // every running project of the engine
	Services       []string // restrict to these
	AllowRoots     []string // where files may be read by label and written through symlinks, beside the project's own folders
	StateDir       string   // of transaction records
	OtherVariables bool     // list differences that no policy speaks of
	Version        string
	Open           func(context.Context) (Engine, error) // called only when an engine is needed
	Log            logr.Logger
}

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

// Check judges the files alone. It opens no engine and writes nothing.
func Check(ctx context.Context, c Config) (report.Report, error) {
	if c.All {
		return report.Report{}, hint.Wrap(errors.New("check judges the files of one project; --all needs an engine"), "use: composure diff --all")
	}
	items, err := c.propose(ctx, nil)
	if err != nil {
		return report.Report{}, err
	}
	r := c.report(report.VerbCheck, items)
	for i, item := range items {
		r.Projects[i].Warnings = append(r.Projects[i].Warnings, c.typedWarnings(item.proposal.Snapshot.Project, r.Projects[i].Sensitive)...)
	}
	return r, nil
}

// Diff judges files and containers and plans what apply would do. It writes nothing.
func Diff(ctx context.Context, c Config) (report.Report, error) {
	opened, err := c.Open(ctx)
	if err != nil {
		return report.Report{}, err
	}
	items, err := c.propose(ctx, opened)
	if err != nil {
		return report.Report{}, err
	}
	return c.report(report.VerbDiff, items), nil
}

// Apply does what Diff plans, project after project, and verifies it or puts everything back. A canceled ctx ends it after the
// project at hand has been put in order; the report then comes with ctx's error.
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
	planned := c.report(report.VerbDiff, items)
	if err := stale(planned, o.SavedPlan); err != nil {
		return report.Report{}, err
	}
	if proceed, err := confirmed(planned, o.Confirm); err != nil || !proceed {
		planned.Verb = report.VerbApply
		return planned, err
	}
	applied := report.Report{Verb: report.VerbApply, Version: c.Version}
	for _, item := range items {
		project, err := c.apply(ctx, opened, item, o)
		if err != nil {
			return applied, err
		}
		applied.Projects = append(applied.Projects, project)
		if ctx.Err() != nil && project.Result != report.ResultRollbackFailed {
			return applied, ctx.Err()
		}
	}
	return applied, nil
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
	if item.err != nil {
		return c.project(item), nil //nolint:nilerr // the error is the project's result
	}
	executor := &reconcile.Executor{
		Roots: reconcile.Roots(item.proposal.Snapshot.Project, c.AllowRoots), Backup: o.Backup, NewID: newID, Progress: o.Progress, Log: c.Log,
	}
	if o.GitCommit {
		executor.Committer = git.Git{Environ: c.Project.Environ}
	}
	if opened != nil {
		executor.Writer, executor.Prober = opened, opened
	}
	applied, err := executor.Apply(ctx, item.source, item.proposal.Plan)
	if err != nil && (!c.All || ctx.Err() != nil) {
		return report.Project{}, err
	}
	item.err = err
	project := c.project(item)
	if err != nil {
		return project, nil //nolint:nilerr // the error is the project's result
	}
	project.Outcomes, project.Failure, project.Restored = applied.Outcomes, applied.Failure, applied.Restored
	project.Backup, project.Commit = applied.Backup, applied.Commit
	switch applied.Result {
	case reconcile.ResultNothing:
	case reconcile.ResultRolledBack:
		project.Result = report.ResultRolledBack
	case reconcile.ResultRollbackFailed:
		project.Result = report.ResultRollbackFailed
	case reconcile.ResultKept:
		project.Result = report.ResultDifferences
	case reconcile.ResultCommitted:
		lookAgain(ctx, item.source, &project)
	}
	return project, nil
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

func (c Config) report(verb report.Verb, items []item) report.Report {
	r := report.Report{Verb: verb, Version: c.Version}
	for _, item := range items {
		r.Projects = append(r.Projects, c.project(item))
	}
	return r
}

func (c Config) project(item item) report.Project {
	if item.err != nil {
		lines := []string{item.err.Error()}
		for _, advice := range hint.Of(item.err) {
			lines = append(lines, "hint: "+advice)
		}
		return report.Project{Name: item.source.Compose.Name, Result: report.ResultError, Failure: strings.Join(lines, "\n")}
	}
	p := item.proposal
	project := report.Project{
		Name: p.Snapshot.Name, Directory: p.Snapshot.Directory, Findings: p.Findings, Plan: p.Plan,
		Result: judge(p), Warnings: slices.Clone(p.Snapshot.Warnings),
		Sensitive: reconcile.Sensitive(p.All), Secrets: p.Secrets(), Base: c.base(p.Snapshot.Directory),
	}
	if p.Snapshot.Project != nil {
		for _, file := range p.Snapshot.Project.Files {
			project.Files = append(project.Files, file.Path)
		}
	}
	if info := p.Snapshot.Engine; info.APIVersion != "" {
		project.Context = fmt.Sprintf("Docker Engine %s (API %s) at %s", info.ServerVersion, info.APIVersion, info.Host)
	}
	if len(p.Policies) == 0 {
		project.Warnings = append(project.Warnings, "no policy selects a service of this project: nothing was judged")
	}
	if !c.OtherVariables {
		return project
	}
	for _, service := range p.Snapshot.ServiceNames() {
		for _, change := range p.Others[service] {
			project.Others = append(project.Others, report.Other{Service: service, Change: change})
		}
	}
	return project
}

// base is the folder that paths are printed relative to: where the command runs, when the project lies there or below. A path can
// then be clicked, and a patch applied, right there.
func (c Config) base(directory string) string {
	relative, err := filepath.Rel(c.Project.Directory, directory)
	if err != nil || !filepath.IsLocal(relative) {
		return ""
	}
	return c.Project.Directory
}

func judge(p reconcile.Proposal) report.Result {
	differs := slices.ContainsFunc(p.Findings, policy.Finding.Difference)
	if differs || !p.Plan.Empty() {
		return report.ResultDifferences
	}
	return report.ResultCompliant
}

// stale compares the plan in a saved report with the one of now, as both are printed.
func stale(planned report.Report, saved []byte) error {
	if saved == nil {
		return nil
	}
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

// alive reports whether a process of this machine exists, be it another user's.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
