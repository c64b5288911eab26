// Package reconcile makes one project true to its policies, once: it observes files and containers, computes a plan, and on
// request carries the plan out as one transaction that is verified or undone.
//
// The way of the data goes one direction: Observe → [Snapshot] → policy.Evaluate → draft → plan.Make → Apply → outcomes.
// [Observe] and [Propose] hold a reader; the [Executor] alone holds a writer.
package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/internal/owner"
	"github.com/composure-dev/composure/internal/state"
	"github.com/composure-dev/composure/policy"
)

// Source says what to observe.
type Source struct {
	Compose  compose.Options
	Policies []policy.Policy
	// Name and Directory are those of the project that is meant, where they are known before its files are read: when those are gone,
	// what a search finds further up is another project. Empty: whatever is found is meant.
	Name, Directory string
	// Self is the full id of the container that this very process runs in, or whose network that one has joined: all of that network are
	// left alone. Empty: it runs in none.
	Self string
	// Endpoints tells where this process reaches what it needs, its engine included, whose address it is given: a container that answers
	// there is left alone, too. Nil: nowhere.
	Endpoints func(ctx context.Context, engine string) []Endpoint
	// Unattended says that nobody has asked: what a policy's enforcement does not allow is held, and a project whose files cannot be
	// read is one with unreachable files, not an error.
	Unattended bool
	// Foreign names tools, and projects: what they manage, and these, is mended although another tool manages it. See package owner.
	Foreign []string
	// Now is the instant by which maintenance windows are judged; while somebody has asked they do not count.
	Now time.Time
	// Unsure says that the policies could not be read, and that every variable is taken for a sensitive one.
	Unsure bool
	// Services restricts what is reported and changed; empty: all. A name the project does not have is an error.
	Services []string
	// Unreachable, when not empty, says why the project's files may not be read; Compose.Name then names it.
	Unreachable string
	// AllowRoots are folders in which files may be written beside the project's own.
	AllowRoots []string
	// Load loads the project's files. Nil: compose.Load.
	Load func(context.Context, compose.Options) (*compose.Project, error)
	// Reader is nil when only files are judged.
	Reader engine.Reader
	// ComposeReady reports whether there is a docker compose that services could be handed to; it is asked where a policy wants that.
	// Errors carry hints.
	ComposeReady func(context.Context) error
	// Host is this host's name, and Alive reports whether a process of it runs: they tell a transaction that is under way from one
	// that was cut off.
	Host  string
	Alive func(pid int) bool
	// Born tells the process that has an id from others that have had it; empty where that is not known. Nil: nowhere.
	Born func(pid int) string
	// UnderWay reports whether this very process is at work on a transaction. Nil: on every one that it has begun and not ended.
	UnderWay func(transaction string) bool
	// Journal keeps the records of transactions.
	Journal Journal
	// Transaction is the one that observes; it is not held up by itself.
	Transaction string
}

func (src Source) load(ctx context.Context, options compose.Options) (*compose.Project, error) {
	if src.Load == nil {
		return compose.Load(ctx, options)
	}
	return src.Load(ctx, options)
}

// Journal keeps the records of transactions durably, as [state.Store] does.
type Journal interface {
	Save(record state.Record) error
	// List returns the records of a project, the oldest first: those that can be read, beside an error for the others.
	List(project string) ([]state.Record, error)
	// Path says where a person finds a record.
	Path(record state.Record) string
}

// Snapshot is one project as it was seen at one moment.
type Snapshot struct {
	Name      string
	Directory string
	// Project is the running project's files; nil when they are unreachable. Extended is the same with the files on top that
	// only patch.files names; it is Project itself when there are none.
	Project, Extended *compose.Project
	// Override is where patch.target Override writes.
	Override    compose.OverrideFile
	Unreachable string
	Engine      engine.Info
	Containers  map[string][]engine.Container // by service, sorted by name
	All         []engine.Container            // every container of the engine that may concern it: one may hang on another's namespaces
	Images      map[string]engine.Image       // by image id, and by the name a container was made from; a gone one is left out
	Leftovers   []engine.Leftover
	Owner       *owner.Owner // the other tool that manages the project, nil: none
	Warnings    []string
	own         own
	cuts        []cut                         // transactions that were cut off
	dependents  map[string][]engine.Container // by the id of what they use the namespaces or volumes of
}

// Observe reads the project's files and, with a reader, its containers. A list that fails is an error, never "no containers".
func Observe(ctx context.Context, src Source) (Snapshot, error) {
	snap, err := observeProject(ctx, src)
	if err != nil {
		return Snapshot{}, err
	}
	var own []engine.Container
	if src.Reader != nil {
		if own, err = snap.observeContainers(ctx, src.Reader); err != nil {
			return Snapshot{}, err
		}
	}
	snap.own = snap.observeOwn(ctx, src)
	if snap.Owner = snap.findOwner(); snap.Owner != nil {
		snap.Warnings = append(snap.Warnings, snap.Owner.String()+": its next deployment may write the files and recreate the containers as it has them")
	}
	snap.observeCuts(src, own)
	return snap, snap.knows(src.Services)
}

// observeProject is what the files tell of the project.
func observeProject(ctx context.Context, src Source) (Snapshot, error) {
	unreachable := Snapshot{Name: cmp.Or(src.Name, src.Compose.Name), Unreachable: src.Unreachable}
	if src.Unreachable != "" {
		return unreachable, nil
	}
	snap := Snapshot{}
	err := snap.observeFiles(ctx, src)
	switch {
	case err != nil && (!src.Unattended || unreachable.Name == "" || !compose.IsUnreadable(err)):
		return Snapshot{}, err
	case err != nil:
		unreachable.Unreachable = firstLine(err)
		return unreachable, nil
	case src.Name != "" && snap.Name != src.Name || src.Directory != "" && snap.Directory != src.Directory:
		unreachable.Unreachable = fmt.Sprintf("the files that are found now are those of project %s in %s", snap.Name, snap.Directory)
		return unreachable, nil
	}
	return snap, nil
}

func (s *Snapshot) observeFiles(ctx context.Context, src Source) error {
	project, err := src.load(ctx, src.Compose)
	if err != nil {
		return err
	}
	s.Name, s.Directory, s.Project, s.Extended = project.Name, project.Directory, project, project
	s.Override = project.OverrideFile(src.Compose)
	s.Warnings = append(s.Warnings, project.Warnings...)
	if err := s.extend(ctx, src, s.patchFilesOnTop(src.Policies)); err != nil {
		return fmt.Errorf("load the files of patch.files on top of the project: %w", err)
	}
	return nil
}

// extend loads files on top of the project. Those that need a file which cannot be read are left out, as one is that cannot be read
// itself: the project that runs has none of them.
func (s *Snapshot) extend(ctx context.Context, src Source, also []string) error {
	err := s.extendWith(ctx, src, also)
	if !compose.IsUnreadable(err) {
		return err
	}
	var kept []string
	for _, path := range also {
		err := s.extendWith(ctx, src, append(slices.Clone(kept), path))
		switch {
		case err == nil:
			kept = append(kept, path)
		case compose.IsUnreadable(err):
			s.Warnings = append(s.Warnings, fmt.Sprintf("%s, which patch.files names, is left out: %s", path, firstLine(err)))
		default:
			return err
		}
	}
	return nil
}

func (s *Snapshot) extendWith(ctx context.Context, src Source, also []string) error {
	if len(also) == 0 {
		return nil
	}
	options := src.Compose
	options.Also = also
	extended, err := src.load(ctx, options)
	if err != nil {
		return err
	}
	s.Extended = extended
	return nil
}

// patchFilesOnTop returns the files that policies of this project name in patch.files and the project does not load.
func (s *Snapshot) patchFilesOnTop(policies []policy.Policy) []string {
	var also []string
	for _, pol := range policies {
		if !s.selectedBy(pol.Spec.Selector) {
			continue
		}
		for _, name := range pol.Spec.Patch.Files {
			path := filepath.Join(s.Directory, name)
			if filepath.IsAbs(name) {
				path = filepath.Clean(name)
			}
			loaded := slices.ContainsFunc(s.Project.Files, func(f compose.File) bool { return f.Path == path })
			if loaded || slices.Contains(also, path) {
				continue
			}
			if _, err := os.Stat(path); err != nil {
				s.Warnings = append(s.Warnings, fmt.Sprintf("policy %s: patch.files names %s, which cannot be read", pol.Metadata.Name, path))
				continue
			}
			also = append(also, path)
		}
	}
	return also
}

func (s *Snapshot) selectedBy(selector policy.Selector) bool {
	for name, service := range s.Project.Services {
		if selector.Matches(s.Name, policy.Service{Name: name, Image: service.Image, Labels: service.Labels}) {
			return true
		}
	}
	return false
}

// observeContainers returns the project's own, one-offs included.
func (s *Snapshot) observeContainers(ctx context.Context, reader engine.Reader) (own []engine.Container, err error) {
	info, err := reader.Info(ctx)
	if err != nil {
		return nil, err
	}
	s.All, err = reader.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	s.Engine, s.Containers, s.Images = info, map[string][]engine.Container{}, map[string]engine.Image{}
	for _, c := range s.All {
		if c.Label(engine.LabelProject) != s.Name {
			continue
		}
		own = append(own, c)
		service := c.Label(engine.LabelService)
		if service == "" || c.Label(engine.LabelOneoff) == "True" || engine.Temporary(c) {
			continue // what a swap has left is put in order, and judged by nobody
		}
		s.Containers[service] = append(s.Containers[service], c)
		for _, ref := range []string{c.Image, c.Config.Image} {
			if err := s.observeImage(ctx, reader, ref); err != nil {
				return nil, fmt.Errorf("inspect the image of container %q: %w", c.CleanName(), err)
			}
		}
	}
	s.findDependents()
	s.Leftovers = engine.Unfinished(own)
	return own, nil
}

func (s *Snapshot) observeImage(ctx context.Context, reader engine.Reader, ref string) error {
	if _, known := s.Images[ref]; known {
		return nil
	}
	image, err := reader.Image(ctx, ref)
	if errors.Is(err, engine.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	s.Images[ref] = image
	return nil
}

// heldImage says why a container cannot be made again from its image. One whose tag has moved could, but the next up would
// recreate it with the other image.
func (s *Snapshot) heldImage(c engine.Container) string {
	if _, found := s.Images[c.Image]; !found {
		return "the image it was created from is gone"
	}
	if named, found := s.Images[c.Config.Image]; found && named.ID != c.Image {
		return "its image " + c.Config.Image + " is another one now, with which the next up recreates it"
	}
	return ""
}

// running are the services that have a running container, sorted.
func (s *Snapshot) running() []string {
	var services []string
	for _, name := range s.ServiceNames() {
		if slices.ContainsFunc(s.Containers[name], engine.Container.Running) {
			services = append(services, name)
		}
	}
	return services
}

// up reports whether the container is meant to run: one between two restarts is.
func up(c engine.Container) bool { return c.State != nil && c.State.Running }

// ServiceNames are the services of files and containers, sorted.
func (s *Snapshot) ServiceNames() []string {
	names := map[string]bool{}
	for name := range s.Containers {
		names[name] = true
	}
	if s.Project != nil {
		for name := range s.Extended.Services {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// Roots are the folders in which a project's files may be written: those of its own files, and the allowed ones.
func Roots(project *compose.Project, allowed []string) []string {
	roots := slices.Clone(allowed)
	if project == nil {
		return roots
	}
	roots = append(roots, project.Directory)
	for _, file := range project.Files {
		roots = append(roots, filepath.Dir(file.Path))
	}
	return roots
}

func (s *Snapshot) knows(services []string) error {
	have := s.ServiceNames()
	for _, name := range services {
		if !slices.Contains(have, name) {
			return hint.Wrap(fmt.Errorf("project %q has no service %q", s.Name, name), "its services are: "+cmp.Or(strings.Join(have, ", "), "none"))
		}
	}
	return nil
}
