// Package controller brings the pieces together for one run: which policies, which projects, which engine; and one report.
package controller

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-logr/logr"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
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

	// Endpoints are where this process reaches what it needs. Nil: nowhere that a container could answer.
	Endpoints *Endpoints
	// Foreign names tools, and projects: the daemon mends what they manage, and these, although another tool manages them.
	Foreign []string
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
		Recovered: item.recovered,
		Name:      p.Snapshot.Name, Directory: p.Snapshot.Directory, Findings: p.Findings, Plan: p.Plan,
		Result: judge(p), Warnings: slices.Clone(p.Snapshot.Warnings),
		Sensitive: p.Sensitive(), Secrets: p.Secrets(), Base: c.base(p.Snapshot.Directory),
	}
	if item.stuck != nil {
		tell(&project, *item.stuck)
	}
	if p.Snapshot.Project != nil {
		for _, file := range p.Snapshot.Project.Files {
			project.Files = append(project.Files, file.Path)
		}
	}
	if info := p.Snapshot.Engine; info.APIVersion != "" {
		project.Context = fmt.Sprintf("Docker Engine %s (API %s) at %s", info.ServerVersion, info.APIVersion, info.Host)
	}
	if warning := c.suspension(project.Name); warning != "" {
		project.Warnings = append(project.Warnings, warning)
	}
	if len(p.Policies) == 0 && !item.reverts {
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
