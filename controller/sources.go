package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/composecli"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/files"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/internal/state"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile"
)

// DefaultPolicies is the folder beside the compose file where policies are looked for.
const DefaultPolicies = "composure"

// item is one project of the run: where it was read from, and what was found or why nothing could be.
type item struct {
	source   reconcile.Source
	proposal reconcile.Proposal
	err      error
	// recovered says what was put in order, after a transaction that had been cut off, before proposal was made; stuck is how far
	// that came when it could not be.
	recovered []string
	stuck     *reconcile.Applied
	// reverts says that a transaction is taken back.
	reverts bool
}

// propose observes and plans each project. With --all a project that cannot be read does not keep the others from being judged.
func (c Config) propose(ctx context.Context, reader engine.Reader) ([]item, error) {
	sources, err := c.sources(ctx, reader)
	if err != nil {
		return nil, err
	}
	var items []item
	for _, src := range sources {
		if src, err = c.attended(src); err != nil {
			return nil, err
		}
		src.ComposeReady = composecli.Project{Options: src.Compose}.Ready
		proposal, err := reconcile.Propose(ctx, src)
		if err == nil && len(proposal.Policies) == 0 && !c.All {
			err = c.nothingJudged(proposal)
		}
		if err != nil && (!c.All || ctx.Err() != nil) {
			return nil, err
		}
		items = append(items, item{source: src, proposal: proposal, err: err})
	}
	return items, nil
}

// here adds what tells the transactions of this host and state folder from others.
func (c Config) here(src reconcile.Source) (reconcile.Source, error) {
	host, err := os.Hostname()
	if err != nil {
		return src, fmt.Errorf("read the host's name: %w", err)
	}
	src.Host, src.Alive, src.Born, src.Journal = host, alive, born, journal{state.Store{Dir: c.StateDir}}
	src.Foreign, src.Endpoints = c.Foreign, c.Endpoints.current
	return src, nil
}

// attended is here for what a person asks for. The container that Composure runs in is looked for each time: a daemon does that once.
func (c Config) attended(src reconcile.Source) (reconcile.Source, error) {
	src.Self = ownContainer("/proc")
	return c.here(src)
}

func (c Config) nothingJudged(p reconcile.Proposal) error {
	what := "a service of project " + p.Snapshot.Name
	if len(c.Services) > 0 {
		what = "service " + strings.Join(c.Services, " or ")
	}
	return hint.Wrap(fmt.Errorf("no policy selects %s: nothing was judged", what),
		"the project's services are: "+strings.Join(p.Snapshot.ServiceNames(), ", "))
}

func (c Config) sources(ctx context.Context, reader engine.Reader) ([]reconcile.Source, error) {
	if c.All {
		return c.running(ctx, reader)
	}
	paths := c.Policies
	if len(paths) == 0 {
		project, err := compose.Load(ctx, c.Project)
		if err != nil {
			return nil, err
		}
		paths = []string{filepath.Join(project.Directory, DefaultPolicies)}
	}
	policies, err := readPolicies(paths, len(c.Policies) == 0)
	if err != nil {
		return nil, err
	}
	return []reconcile.Source{{Compose: c.Project, Policies: policies, Services: c.Services, AllowRoots: c.AllowRoots, Reader: reader}}, nil
}

// running makes a source of every project that the engine's containers name in their labels. Labels are strangers' input: files
// outside the allowed roots are not read, and then the project is judged by its containers alone.
func (c Config) running(ctx context.Context, reader engine.Reader) ([]reconcile.Source, error) {
	if len(c.Policies) == 0 {
		return nil, errNoPolicies
	}
	policies, err := readPolicies(c.Policies, false)
	if err != nil {
		return nil, err
	}
	containers, err := reader.List(ctx, engine.LabelProject)
	if err != nil {
		return nil, fmt.Errorf("list the running projects: %w", err)
	}
	projects, services := byProject(containers)
	var sources []reconcile.Source
	for _, name := range slices.Sorted(maps.Keys(projects)) {
		wanted := slices.DeleteFunc(slices.Clone(c.Services), func(s string) bool { return !services[name][s] })
		if len(c.Services) > 0 && len(wanted) == 0 {
			continue
		}
		src, err := c.labeled(name, projects[name])
		if err != nil {
			return nil, err
		}
		src.Policies, src.Reader, src.Services = policies, reader, wanted
		sources = append(sources, src)
	}
	for _, name := range c.Services {
		if !slices.ContainsFunc(slices.Collect(maps.Values(services)), func(s map[string]bool) bool { return s[name] }) {
			return nil, hint.Wrap(fmt.Errorf("no running project has a service %q", name), "see the projects with: docker compose ls")
		}
	}
	return sources, nil
}

var errNoPolicies = hint.Wrap(errors.New("all projects have no compose file in common beside which policies could lie"), "name them with --policy")

// labeled is the source of a project that a container's labels tell of.
func (c Config) labeled(name string, labels map[string]string) (src reconcile.Source, err error) {
	src.AllowRoots = c.AllowRoots
	src.Compose, err = compose.FromLabels(labels, c.AllowRoots, c.Project.Environ)
	if unreachable, ok := errors.AsType[*compose.Unreachable](err); ok {
		src.Unreachable, src.Compose.Name = unreachable.Reason, name
		err = nil
	}
	return src, err
}

// byProject gives each project the labels of one of its containers, and the services that have one.
func byProject(containers []engine.Container) (labels map[string]map[string]string, services map[string]map[string]bool) {
	labels, services = map[string]map[string]string{}, map[string]map[string]bool{}
	for _, container := range containers {
		if container.Label(engine.LabelOneoff) == "True" {
			continue
		}
		name := container.Label(engine.LabelProject)
		labels[name] = container.Config.Labels
		if services[name] == nil {
			services[name] = map[string]bool{}
		}
		services[name][container.Label(engine.LabelService)] = true
	}
	return labels, services
}

// readPolicies reads files and folders (their *.yaml and *.yml, not deeper). A place without a policy is an error: a run that judges
// nothing must not look like one that found nothing wrong.
func readPolicies(paths []string, isDefault bool) ([]policy.Policy, error) {
	var policies []policy.Policy
	var problems policy.Problems
	for _, path := range paths {
		names, err := policyFiles(path, isDefault)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			parsed, _, err := readPolicy(name)
			if found, ok := errors.AsType[policy.Problems](err); ok {
				problems = append(problems, found...)
				continue
			}
			if err != nil {
				return nil, err
			}
			policies = append(policies, parsed...)
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return policies, policy.Unique(policies)
}

func readPolicy(name string) (parsed []policy.Policy, content []byte, err error) {
	file, err := files.Read(name)
	if err != nil {
		return nil, nil, fmt.Errorf("read policy: %w", err)
	}
	parsed, err = policy.Parse(name, file.Content)
	return parsed, file.Content, err
}

func policyFiles(path string, isDefault bool) ([]string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("no policy: %s does not exist", path)
		if isDefault {
			return nil, hint.Wrap(err, "name a policy with --policy FILE, or put policies into the folder "+DefaultPolicies+" beside the compose file")
		}
		return nil, hint.Wrap(err, "check the path given with --policy")
	}
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("read policy folder: %w", err)
	}
	var names []string
	for _, entry := range entries {
		extension := strings.ToLower(filepath.Ext(entry.Name()))
		if !entry.IsDir() && (extension == ".yaml" || extension == ".yml") {
			names = append(names, filepath.Join(path, entry.Name()))
		}
	}
	if len(names) == 0 {
		return nil, hint.Wrap(fmt.Errorf("no policy: folder %s holds no .yaml file", path), "put an EnvironmentPolicy into it, or name another place with --policy")
	}
	return names, nil
}
