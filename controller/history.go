package controller

import (
	"context"
	"errors"
	"io/fs"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/internal/report"
	"github.com/composure-dev/composure/internal/state"
)

// History tells what was recorded of the project, or with All of every one that has a record. It asks no engine and writes nothing,
// and a project that is named needs no files. A record that cannot be read does not hide the others: the error comes with them.
func History(ctx context.Context, c Config) (report.History, error) {
	store := state.Store{Dir: c.StateDir}
	history := report.History{Version: c.Version, Store: c.StateDir, Base: c.Project.Directory}
	names, err := c.recorded(ctx, store)
	if err != nil {
		return history, err
	}
	var problems []error
	for _, name := range names {
		records, damaged := store.List(name)
		mark, unknown := store.Suspension(name)
		history.Projects = append(history.Projects, report.ProjectHistory{Name: name, Suspended: mark, Records: records})
		problems = append(problems, damaged, unknown)
	}
	err = errors.Join(problems...)
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		err = hint.Wrap(err, "the rest is shown; move such a file away when nothing of it is needed any more")
	}
	return history, err
}

// recorded are the names of the projects that History is about.
func (c Config) recorded(ctx context.Context, store state.Store) ([]string, error) {
	if c.All {
		return store.Projects()
	}
	if c.Project.Name != "" {
		return []string{c.Project.Name}, state.CheckProject(c.Project.Name)
	}
	project, err := compose.Load(ctx, c.Project)
	if errors.Is(err, compose.ErrNoComposeFile) {
		return nil, hint.Wrap(err, "name the project with -p, or see all that have records with --all")
	}
	if err != nil {
		return nil, err
	}
	return []string{project.Name}, nil
}
