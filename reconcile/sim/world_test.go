// Package sim runs the reconciler through everything that can go wrong at every one of its calls.
package sim

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/state"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile"
	"github.com/composure-dev/composure/reconcile/plan"
)

// world is what outlives a process: the engine, the disk and the people beside it.
type world struct {
	t         *testing.T
	scenario  scenario
	dir       string
	stateDir  string
	engine    *enginetest.Engine
	policies  []policy.Policy
	processes int
	declared  map[string]int // containers, by service
	before    map[string]string
	patched   map[string]string // the files as they are to be
	began     map[string]engine.Container
	strangers map[string]string
	volumes   []string
	edited    bool     // a stranger has edited a file
	remade    bool     // a stranger has recreated a container
	restarted bool     // the engine was restarted: it does not start containers in the order of their namespaces
	wrote     bool     // the process has begun: it has the lock, and its plan is made for good
	final     bool     // the process has removed an old container: what it did was verified
	made      []string // ids of containers that a stranger has made after that
	unsure    bool     // the first process has said that not everything is as before
	watch     watcher
	shown     plan.Plan
}

func newWorld(t *testing.T, s scenario) *world {
	t.Helper()
	w := &world{
		t: t, scenario: s, dir: t.TempDir(), stateDir: filepath.Join(t.TempDir(), "state"), engine: enginetest.New(enginetest.Options{}),
		declared: map[string]int{}, began: map[string]engine.Container{}, strangers: map[string]string{},
	}
	var err error
	if w.policies, err = policy.Parse("policy.yaml", []byte(s.policy)); err != nil {
		t.Fatal(err)
	}
	w.engine.AddImage(enginetest.Image{Name: "shop:1", Program: program, Config: container.Config{Volumes: map[string]struct{}{"/data": {}}}})
	w.engine.AddImage(enginetest.Image{Name: "free:1", Program: program})
	for name, content := range s.files {
		w.write(name, content)
	}
	w.up("")
	w.addStrangers()
	if s.stale {
		w.makeStale()
	}
	<-time.After(time.Minute) // they have run for a while
	w.remember()
	return w
}

// program crashes when it is told to.
func program(env map[string]string) enginetest.Behavior {
	if env["SYNC"] == "crash" {
		return enginetest.Behavior{Exit: &enginetest.Exit{After: 100 * time.Millisecond, Code: 2}}
	}
	return enginetest.Behavior{StopAfter: time.Second}
}

func (w *world) write(name, content string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o640); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) options() compose.Options {
	return compose.Options{Directory: w.dir, Files: []string{filepath.Join(w.dir, mainFile)}}
}

// up is docker compose up -d of one service, or of all that have no container.
func (w *world) up(service string) {
	w.t.Helper()
	project, err := compose.Load(w.t.Context(), w.options())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(project.Services)) {
		if service != "" && name != service {
			continue
		}
		s := project.Services[name]
		w.declared[name] = 1
		if strings.Contains(w.scenario.files[mainFile], "replicas: 3") {
			w.declared[name] = 3
		}
		for number := range w.declared[name] {
			w.start(project, s, number+1)
		}
	}
}

func (w *world) start(project *compose.Project, s *compose.Service, number int) {
	w.t.Helper()
	if _, err := w.engine.Inspect(w.t.Context(), fmt.Sprintf("/shop-%s-%d", s.Name, number)); err == nil {
		return
	}
	flavor, _ := compose.FlavorOf("2.40.3")
	var shared compose.Shared
	for _, parent := range s.Shares {
		c, err := w.engine.Inspect(w.t.Context(), "/shop-"+parent+"-1")
		if err != nil {
			w.t.Fatal(err)
		}
		shared.Network = "container:" + c.ID
	}
	hash, err := project.HashShared(s.Name, flavor, shared)
	if err != nil {
		w.t.Fatal(err)
	}
	env := map[string]string{}
	for key, v := range s.Environment {
		if v.Value != nil {
			env[key] = *v.Value
		}
	}
	_, err = w.engine.AddService(w.t.Context(), enginetest.Service{
		Project: "shop", Name: s.Name, Image: s.Image, Number: number, ConfigHash: hash, Env: env,
		Labels: map[string]string{engine.LabelWorkingDir: w.dir, engine.LabelConfigFiles: filepath.Join(w.dir, mainFile)},
		Edit: func(spec *engine.Spec) {
			spec.Host.RestartPolicy.Name = container.RestartPolicyAlways
			if shared.Network != "" {
				spec.Host.NetworkMode, spec.Network = container.NetworkMode(shared.Network), nil
			}
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// addStrangers adds containers of nobody's and of another project's.
func (w *world) addStrangers() {
	w.t.Helper()
	_, err := w.engine.AddService(w.t.Context(), enginetest.Service{Project: "other", Name: "app", Image: "shop:1", Env: map[string]string{"SYNC": "off"}})
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = w.engine.Create(w.t.Context(), engine.Spec{Name: "stranger", Config: &container.Config{Image: "free:1"}})
	if err != nil {
		w.t.Fatal(err)
	}
}

// makeStale patches the files, by a run that touches no container.
func (w *world) makeStale() {
	w.t.Helper()
	p := w.process(enginetest.NewFaults())
	p.source.Reader = nil
	p.executor.Writer, p.executor.Prober = nil, nil
	if _, err := p.apply(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// remember notes how everything is before.
func (w *world) remember() {
	w.t.Helper()
	w.before = w.disk()
	w.patched = maps.Clone(w.before)
	p := w.process(enginetest.NewFaults())
	proposal, err := reconcile.Propose(w.t.Context(), p.source)
	if err != nil {
		w.t.Fatal(err)
	}
	w.shown = proposal.Plan
	for _, step := range proposal.Plan.Of(plan.VerbPatch) {
		w.patched[filepath.Base(step.Patch.File)] = string(step.Patch.After)
	}
	for _, c := range w.list() {
		if c.Label(engine.LabelProject) == "shop" {
			w.began[c.CleanName()] = c
		} else {
			w.strangers[c.CleanName()] = string(c.Raw)
		}
	}
	w.volumes = w.mounted()
}

func (w *world) list() []engine.Container {
	w.t.Helper()
	list, err := w.engine.List(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// mounted are the names of the volumes that the project's containers have, sorted.
func (w *world) mounted() []string {
	w.t.Helper()
	var names []string
	for _, c := range w.list() {
		for _, point := range c.Mounts {
			if c.Label(engine.LabelProject) == "shop" && point.Name != "" {
				names = append(names, point.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// disk is every file of the project's folder, by name.
func (w *world) disk() map[string]string {
	w.t.Helper()
	found := map[string]string{}
	entries, err := fs.ReadDir(os.DirFS(w.dir), ".")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(w.dir, entry.Name()))
		if err != nil {
			w.t.Fatal(err)
		}
		found[entry.Name()] = string(content)
	}
	return found
}

// process is one run of the program.
type process struct {
	w        *world
	faults   *enginetest.Faults
	source   reconcile.Source
	executor *reconcile.Executor
	progress []string
}

func (w *world) process(faults *enginetest.Faults) *process {
	w.processes++
	p := &process{w: w, faults: faults}
	faulty := &enginetest.Faulty{Faults: faults, Engine: w.engine}
	p.source = reconcile.Source{
		Compose: w.options(), Policies: w.policies, Reader: faulty, Host: "here", Alive: func(int) bool { return false },
		Journal: journal{Journal: state.Store{Dir: w.stateDir}, faults: faults},
	}
	id := 0
	p.executor = &reconcile.Executor{
		Writer: faulty, Prober: faulty, Roots: []string{w.dir}, Files: disk{faults: faults}, Log: logr.Discard(),
		NewID:    func() string { id++; return fmt.Sprintf("t%d-%d", w.processes, id) },
		Progress: func(line string) { p.progress = append(p.progress, line) },
	}
	if w.scenario.filesOnly {
		p.source.Reader, p.executor.Writer, p.executor.Prober = nil, nil, nil
	}
	return p
}

// apply puts in order what was cut off, plans anew and applies, as the controller does.
func (p *process) apply(ctx context.Context) (reconcile.Applied, error) {
	proposal, err := reconcile.Propose(ctx, p.source)
	if err != nil {
		return reconcile.Applied{}, err
	}
	if reconcile.Recovers(proposal.Plan) {
		applied, err := p.executor.Apply(ctx, p.source, proposal.Plan)
		if err != nil || applied.Result != reconcile.ResultRecovered {
			return applied, err
		}
		if proposal, err = reconcile.Propose(ctx, p.source); err != nil {
			return reconcile.Applied{}, err
		}
	}
	return p.executor.Apply(ctx, p.source, proposal.Plan)
}
