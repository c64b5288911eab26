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
//
// A loaded project is large, and most of them are not looked at for hours: all but the ones looked at last are frozen.
type loads struct {
	set func(name string, paths []string) // watches

	mu     sync.Mutex
	loaded map[string]*loaded
	warm   []string // the names of those that are not frozen, the one looked at last at the end
}

// warmProjects is how many projects are not frozen.
const warmProjects = 32

// loaded is what is remembered of one project.
type loaded struct {
	paths    []string // that are watched, sorted
	projects []remembered
	version  int // goes up with every change
}

type remembered struct {
	options compose.Options
	project *compose.Project // nil while it is frozen
	frozen  *compose.Frozen  // nil until it is for the first time
}

func newLoads(set func(string, []string)) *loads {
	return &loads{set: set, loaded: map[string]*loaded{}}
}

// load is compose.Load, from memory where nothing has changed. Candidates for edits are not remembered.
func (l *loads) load(ctx context.Context, name string, options compose.Options) (*compose.Project, error) {
	if options.Overlay != nil {
		return compose.Load(ctx, options)
	}
	project, version, err := l.find(name, options)
	if project != nil || err != nil {
		return project, err
	}
	project, err = compose.Load(ctx, options)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.of(name)
	if known.version == version && !slices.ContainsFunc(filesOf(project), func(path string) bool { return !slices.Contains(known.paths, path) }) {
		known.projects = append(known.projects, remembered{options: options, project: project})
		l.warmUp(name)
	}
	return project, nil
}

func (l *loads) find(name string, options compose.Options) (project *compose.Project, version int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.of(name)
	for i, r := range known.projects {
		if !sameOptions(r.options, options) {
			continue
		}
		if r.project == nil {
			if r.project, err = r.frozen.Thaw(); err != nil {
				return nil, known.version, err
			}
			known.projects[i] = r
		}
		l.warmUp(name)
		return r.project, known.version, nil
	}
	return nil, known.version, nil
}

// warmUp notes that a project is looked at, and freezes the one that was not for the longest time. It is called with the lock held.
func (l *loads) warmUp(name string) {
	l.warm = append(slices.DeleteFunc(l.warm, func(other string) bool { return other == name }), name)
	if len(l.warm) <= warmProjects {
		return
	}
	coldest := l.warm[0]
	l.warm = slices.Delete(l.warm, 0, 1)
	if l.loaded[coldest] == nil {
		return
	}
	for i, r := range l.loaded[coldest].projects {
		if r.frozen == nil {
			r.frozen, _ = r.project.Freeze() // one that cannot be frozen stays as it is
		}
		if r.frozen != nil {
			r.project = nil
		}
		l.loaded[coldest].projects[i] = r
	}
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
