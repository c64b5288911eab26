package controller

import (
	"context"
	"path/filepath"
	"slices"
	"sync"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/reconcile"
)

// loads remembers the compose projects that were loaded, until one of their files may have changed. A project is remembered only once
// its files are watched: a change between the two would go unseen. It may be used by several goroutines at once.
type loads struct {
	set func(name string, paths []string) // watches

	mu     sync.Mutex
	loaded map[string]*loaded
}

// loaded is what is remembered of one project.
type loaded struct {
	paths    []string // that are watched, sorted
	projects []remembered
	version  int // goes up with every change
}

type remembered struct {
	options compose.Options
	project *compose.Project
}

func newLoads(set func(string, []string)) *loads {
	return &loads{set: set, loaded: map[string]*loaded{}}
}

// load is compose.Load, from memory where nothing has changed. Candidates for edits are not remembered.
func (l *loads) load(ctx context.Context, name string, options compose.Options) (*compose.Project, error) {
	if options.Overlay != nil {
		return compose.Load(ctx, options)
	}
	project, version := l.find(name, options)
	if project != nil {
		return project, nil
	}
	project, err := compose.Load(ctx, options)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.of(name)
	if known.version == version && !slices.ContainsFunc(filesOf(project), func(path string) bool { return !slices.Contains(known.paths, path) }) {
		known.projects = append(known.projects, remembered{options, project})
	}
	return project, nil
}

func (l *loads) find(name string, options compose.Options) (*compose.Project, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.of(name)
	for _, r := range known.projects {
		if sameOptions(r.options, options) {
			return r.project, known.version
		}
	}
	return nil, known.version
}

// of is called with the lock held.
func (l *loads) of(name string) *loaded {
	if l.loaded[name] == nil {
		l.loaded[name] = &loaded{}
	}
	return l.loaded[name]
}

// changed forgets what was loaded.
func (l *loads) changed(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.of(name)
	known.projects, known.version = nil, known.version+1
}

func (l *loads) forget(name string) {
	l.mu.Lock()
	delete(l.loaded, name)
	l.mu.Unlock()
	l.set(name, nil)
}

// watch has the project's files watched, and reports whether they are others than before.
func (l *loads) watch(name string, p reconcile.Proposal) (changed bool) {
	if p.Snapshot.Project == nil {
		return false
	}
	paths := filesOf(p.Snapshot.Extended)
	paths = append(paths, filesOf(p.Snapshot.Project)...)
	if p.Snapshot.Override.Path != "" {
		paths = append(paths, p.Snapshot.Override.Path)
	}
	paths = append(paths, filepath.Join(p.Snapshot.Directory, ".env"))
	slices.Sort(paths)
	paths = slices.Compact(paths)
	l.mu.Lock()
	known := l.of(name)
	same := slices.Equal(known.paths, paths)
	if !same {
		known.paths, known.projects = paths, nil
		known.version++
	}
	l.mu.Unlock()
	if !same {
		l.set(name, paths)
	}
	return !same
}

// expire forgets all that was loaded: what loading depends on may be more than the files that are watched.
func (l *loads) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, known := range l.loaded {
		known.projects, known.version = nil, known.version+1
	}
}

// filesOf are the files that a project was made from.
func filesOf(project *compose.Project) []string {
	var paths []string
	for _, file := range slices.Concat(project.Files, project.Reached, project.EnvFiles, project.ServiceEnvFiles) {
		paths = append(paths, file.Path)
	}
	return paths
}

// sameOptions leaves out what is one for the whole process.
func sameOptions(a, b compose.Options) bool {
	return slices.Equal(a.Files, b.Files) && a.Name == b.Name && a.ProjectDirectory == b.ProjectDirectory && slices.Equal(a.EnvFiles, b.EnvFiles) &&
		slices.Equal(a.Profiles, b.Profiles) && a.Directory == b.Directory && slices.Equal(a.Also, b.Also)
}
