// Package sim lets composure run live through days in which everything changes and everything goes wrong.
package sim

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/files"
	"github.com/composure-dev/composure/internal/state"
)

// world is what outlives the daemon: the engine, the disk, and the people at both.
type world struct {
	t      *testing.T
	seed   int
	random *rand.Rand
	began  time.Time
	resync time.Duration
	root   string
	engine *enginetest.Engine
	state  state.Store
	faults *faults
	daemon *daemon
	burst  int

	drifts, changes, restarts int

	mu        sync.Mutex
	policies  *policies
	projects  map[string]*project
	strangers map[string]string       // by name
	frozen    []string                // lock files of a process that died
	spoiled   map[string]func() error // what ends a fault of the disk, by project
	named     int                     // projects so far
	faulted   time.Time               // when something last went wrong

	tale     sync.Mutex
	story    []string
	scene    []string // the last steps before the first problem
	problems []string
}

// project is one of compose, and what people have done to it.
type project struct {
	name, dir string
	wrote     map[string]string // its files as people have left them, by name
	gone      bool              // its file is away
	broken    bool              // its file does not parse
	suspended bool
	since     time.Time
	least     map[string]int // containers by service that people want to run
	most      map[string]int
	mixed     bool      // somebody was at it in the midst of a transaction
	touched   time.Time // when somebody last made or removed a container
	told      bool      // and the daemon could know
	started   time.Time // when somebody last started one, which wakes the daemon and does not make it wait
}

const (
	composeFile = "compose.yaml"
	envFile     = "web.env"
)

func newWorld(t *testing.T, seed int) *world {
	t.Helper()
	random := rand.New(rand.NewPCG(uint64(seed), 1)) //nolint:gosec // it is to be repeated
	w := &world{
		t: t, seed: seed, random: random, began: time.Now(), root: t.TempDir(), engine: enginetest.New(enginetest.Options{}),
		state: state.Store{Dir: filepath.Join(t.TempDir(), "state")}, projects: map[string]*project{}, strangers: map[string]string{}, spoiled: map[string]func() error{},
		resync: pick(random, []time.Duration{5 * time.Minute, 10 * time.Minute}),
		faults: &faults{random: rand.New(rand.NewPCG(uint64(seed), 2)), counts: map[string]int{}, events: map[string]int{}}, //nolint:gosec // it is to be repeated
	}
	w.policies = &policies{dir: t.TempDir(), files: map[string]*policyFile{}}
	for _, r := range base() {
		if _, err := w.policies.put(r, 0); err != nil {
			t.Fatal(err)
		}
	}
	w.engine.AddImage(enginetest.Image{Name: "app:1", Program: program(false)})
	w.engine.AddImage(enginetest.Image{Name: "job:1", Program: program(true)})
	w.addStrangers()
	for range 4 {
		w.addProject()
	}
	return w
}

// program ends badly where it is told to.
func program(checked bool) enginetest.Program {
	return func(env map[string]string) enginetest.Behavior {
		var b enginetest.Behavior
		if checked {
			b.Health = []enginetest.Health{{After: 2 * time.Second, Status: container.Healthy}}
		}
		switch env["MODE"] {
		case crashes:
			b.Exit = &enginetest.Exit{After: 50 * time.Millisecond, Code: 1}
			b.Logs = []enginetest.Log{{Text: "cannot log in with " + env["API_TOKEN"]}}
		case ails:
			b.Exit = &enginetest.Exit{After: 800 * time.Millisecond, Code: 2}
		}
		return b
	}
}

// log keeps the last steps, for whoever has to find out.
func (w *world) logf(format string, args ...any) {
	const most = 200
	w.tale.Lock()
	defer w.tale.Unlock()
	at := time.Since(w.began)
	line := fmt.Sprintf("day %d %s  ", 1+int(at/(24*time.Hour)), (at%(24*time.Hour)).Round(time.Millisecond)) + fmt.Sprintf(format, args...)
	if w.story = append(w.story, line); len(w.story) > 2*most {
		w.story = slices.Clone(w.story[most:])
	}
}

func (w *world) problemf(format string, args ...any) {
	w.logf("violation: "+format, args...)
	w.tale.Lock()
	defer w.tale.Unlock()
	if len(w.problems) == 0 {
		const last = 60
		w.scene = slices.Clone(w.story[max(0, len(w.story)-last):])
	}
	if len(w.problems) < 5 {
		w.problems = append(w.problems, fmt.Sprintf(format, args...))
	}
}

func (w *world) failed() bool {
	w.tale.Lock()
	defer w.tale.Unlock()
	return len(w.problems) > 0
}

// addStrangers adds containers that are nobody's, and a project whose files are out of reach.
func (w *world) addStrangers() {
	w.t.Helper()
	for _, name := range []string{"stranger", "another"} {
		if _, err := w.engine.Create(w.t.Context(), engine.Spec{Name: name, Config: &container.Config{Image: "app:1", Env: []string{"SYNC=false"}}}); err != nil {
			w.t.Fatal(err)
		}
	}
	outside := filepath.Join(w.t.TempDir(), composeFile)
	_, err := w.engine.AddService(w.t.Context(), enginetest.Service{
		Project: alien, Name: "web", Image: "app:1", Env: map[string]string{"SYNC": "false"},
		Labels: map[string]string{engine.LabelWorkingDir: filepath.Dir(outside), engine.LabelConfigFiles: outside},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.rememberStrangers()
}

// alien is a project whose files are not for the daemon.
const alien = "alien"

func (w *world) rememberStrangers() {
	for _, c := range w.list() {
		if name := c.Label(engine.LabelProject); (name == "" || name == alien) && c.Label(engine.LabelRole) == "" {
			w.strangers[c.CleanName()] = string(c.Raw)
		}
	}
}

func (w *world) list(labels ...string) []engine.Container {
	list, err := w.engine.List(w.t.Context(), labels...)
	if err != nil {
		w.problemf("%v", err)
	}
	return list
}

func (w *world) of(p *project, service string) []engine.Container {
	return w.list(engine.LabelProject+"="+p.name, engine.LabelService+"="+service)
}

// locked reports whether a transaction is under way.
func (w *world) locked(project string) bool {
	_, err := w.engine.Inspect(w.t.Context(), "/composure-lock-"+project)
	return err == nil
}

// called is a container's name, for the story.
func (w *world) called(id string) string {
	return engine.ShortID(id)
}

// addProject makes a project of two or three services, and brings it up.
func (w *world) addProject() *project {
	w.named++
	p := &project{name: fmt.Sprintf("p%d", w.named), wrote: map[string]string{}, least: map[string]int{}, most: map[string]int{}}
	p.dir = filepath.Join(w.root, p.name)
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		w.problemf("%v", err)
	}
	third := pick(w.random, []string{"cache", "db"})
	text := "name: " + p.name + "\nservices:\n"
	for _, service := range []string{"web", "job", third} {
		image := "app:1"
		if service == "job" {
			image = "job:1"
		}
		text += "  " + service + ":\n    image: " + image + "\n    restart: always\n"
		if service == "web" && w.random.IntN(2) == 0 {
			text += "    env_file: [" + envFile + "]\n"
			w.save(p, envFile, "# of "+p.name+"\nZONE=1\nAPI_TOKEN="+secret+"-1\n")
		}
		text += "    environment:\n      - A=1\n      - LEVEL=3\n      - SYNC=${SYNC:-true}\n"
	}
	w.save(p, composeFile, text)
	w.mu.Lock()
	w.projects[p.name] = p
	w.mu.Unlock()
	w.up(p, up{})
	return p
}

// save writes a file as an editor does, and remembers it as what people want.
func (w *world) save(p *project, name, text string) {
	path := filepath.Join(p.dir, name)
	w.mu.Lock()
	temporary := path + ".tmp"
	err := os.WriteFile(temporary, []byte(text), 0o640)
	if err == nil {
		err = os.Rename(temporary, path)
	}
	p.wrote[name] = text
	w.mu.Unlock()
	if err != nil {
		w.problemf("%v", err)
	}
	w.touched(path)
}

// touched tells the daemon's watcher of a file, or does not.
func (w *world) touched(path string) {
	f := w.faults
	f.mu.Lock()
	lost := f.random.Float64() < f.lose
	if lost {
		f.events["change of a file lost"]++
	}
	f.mu.Unlock()
	if w.daemon != nil && !lost {
		w.daemon.watcher.touch(path)
	}
}

// freeze notes the lock files of a process that dies: what unwinds it removes them.
func (w *world) freeze() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frozen = nil
	for _, p := range w.projects {
		path := filepath.Join(p.dir, files.LockName)
		if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
			w.frozen = append(w.frozen, path)
		}
	}
}

func (w *world) thaw() {
	for _, path := range w.frozen {
		if err := os.WriteFile(path, nil, 0o600); err != nil && !os.IsNotExist(err) {
			w.problemf("%v", err)
		}
	}
}

// pause lets time go by, or less when the daemon dies meanwhile: it is then started again after a while.
func (w *world) pause(d time.Duration) {
	for end := time.Now().Add(d); ; {
		select {
		case <-time.After(time.Until(end)):
			return
		case <-w.daemon.client.dead:
			w.revive(time.Duration(w.random.IntN(60)) * time.Second)
		}
	}
}

func (w *world) revive(after time.Duration) {
	w.daemon.kill()
	<-time.After(after)
	w.restarts++
	w.start()
	<-time.After(137 * time.Millisecond) // nothing happens at the very instant of its start
}

// someProject is one by chance.
func (w *world) someProject() *project {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.projects[pick(w.random, slices.Sorted(maps.Keys(w.projects)))]
}

// services are those that a project's files have had, as people have written them.
func (p *project) services() []string {
	var names []string
	for line := range strings.Lines(p.wrote[composeFile]) {
		if name, is := strings.CutPrefix(strings.TrimRight(line, "\n:"), "  "); is && !strings.HasPrefix(name, " ") {
			names = append(names, name)
		}
	}
	return names
}
