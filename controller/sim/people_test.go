package sim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/files"
	"github.com/composure-dev/composure/internal/state"
)

// up is how docker compose up is called.
type up struct {
	environ []string
	service string // "" all
	force   bool
	slow    time.Duration // between two steps of it
}

// at notes that somebody is at the project's containers.
func (w *world) at(p *project) {
	locked := w.locked(p.name)
	w.mu.Lock()
	defer w.mu.Unlock()
	p.mixed = p.mixed || locked
}

// made notes that somebody has made or removed a container, unless that failed.
func (w *world) made(p *project, err error) {
	disturbed := w.faults.disturbed()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		p.touched, p.told = time.Now(), !disturbed && time.Since(w.faulted) > 15*time.Minute && !p.started.Equal(time.Now())
	}
}

// remove is docker rm -f. The container may be gone by now.
func (w *world) remove(p *project, id string) {
	w.at(p)
	w.made(p, w.engine.Remove(w.t.Context(), id, true))
}

// up is docker compose up -d.
func (w *world) up(p *project, how up) {
	if !w.usable(p) || strings.Contains(w.text(p), crashes) || strings.Contains(w.text(p), ails) {
		return
	}
	loaded, err := compose.Load(w.t.Context(), compose.Options{Directory: p.dir, Files: []string{filepath.Join(p.dir, composeFile)}, Environ: how.environ})
	if err != nil {
		w.problemf("docker compose cannot load project %s: %v\n%s", p.name, err, w.text(p))
		return
	}
	for _, name := range p.services() {
		if how.service == "" || how.service == name {
			w.upService(p, loaded, name, how)
		}
	}
}

func (w *world) upService(p *project, loaded *compose.Project, name string, how up) {
	flavor, _ := compose.FlavorOf("2.40.3")
	hash, err := loaded.Hash(name, flavor)
	if err != nil {
		w.problemf("%v", err)
		return
	}
	there := w.of(p, name)
	other := func(c engine.Container) bool { return c.Label(engine.LabelConfigHash) != hash }
	want := max(1, w.count(p.most, name))
	w.expect(p, name, 0, want) // until it is there
	if how.force || slices.ContainsFunc(there, other) {
		for _, c := range there {
			w.remove(p, c.ID)
			if how.slow > 0 {
				w.pause(how.slow)
			}
		}
		there = nil
	}
	for _, c := range there {
		if !c.State.Running {
			w.at(p)
			w.mu.Lock()
			p.started = time.Now()
			w.mu.Unlock()
			_ = w.engine.Start(w.t.Context(), c.ID) // it may be gone by now
		}
	}
	taken := map[string]bool{}
	for _, c := range there {
		taken[c.Label(engine.LabelContainerNumber)] = true
	}
	for number := 1; len(taken) < want; number++ {
		if taken[strconv.Itoa(number)] {
			continue
		}
		if !w.startReplica(p, loaded, name, number) {
			return
		}
		taken[strconv.Itoa(number)] = true
	}
	w.expect(p, name, want, want)
}

func (w *world) startReplica(p *project, loaded *compose.Project, name string, number int) bool {
	flavor, _ := compose.FlavorOf("2.40.3")
	service := loaded.Services[name]
	hash, err := loaded.Hash(name, flavor)
	if err != nil {
		w.problemf("%v", err)
		return false
	}
	env := map[string]string{}
	for key, v := range service.Environment {
		if v.Value != nil {
			env[key] = *v.Value
		}
	}
	w.at(p)
	_, err = w.engine.AddService(w.t.Context(), enginetest.Service{
		Project: p.name, Name: name, Image: service.Image, Number: number, ConfigHash: hash, Env: env,
		Labels: map[string]string{engine.LabelWorkingDir: p.dir, engine.LabelConfigFiles: filepath.Join(p.dir, composeFile)},
		Edit:   func(spec *engine.Spec) { spec.Host.RestartPolicy.Name = container.RestartPolicyAlways },
	})
	w.made(p, err)
	if err != nil {
		w.logf("docker compose cannot start %s-%s-%d: %v", p.name, name, number, err)
	}
	return err == nil
}

func (w *world) expect(p *project, service string, least, most int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p.least[service], p.most[service] = least, most
}

func (w *world) count(counts map[string]int, service string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return counts[service]
}

// text is the compose file as it is now.
func (w *world) text(p *project) string {
	content, _ := os.ReadFile(filepath.Join(p.dir, composeFile)) // "" when it is away
	return string(content)
}

// edited is the text with a line for a variable of a service, in the place of the one that is there; an empty line takes it away.
func edited(text, service, key, line string) string {
	var out []string
	within, done := false, line == ""
	for each := range strings.Lines(text) {
		if strings.HasPrefix(each, "  ") && !strings.HasPrefix(each, "   ") {
			within = each == "  "+service+":\n"
		}
		if within && strings.HasPrefix(strings.Trim(each, " -\"\n"), key+"=") {
			continue
		}
		out = append(out, each)
		if within && !done && strings.TrimSpace(each) == "environment:" {
			out, done = append(out, "      - "+line+"\n"), true
		}
	}
	return strings.Join(out, "")
}

// drift is one thing that a person does to a project.
func (w *world) drift() {
	p := w.someProject()
	service, key := pick(w.random, p.services()), pick(w.random, []string{"SYNC", "SYNC", "LEVEL", "MODE", "API_TOKEN"})
	w.drifts++
	all := []func(p *project, service, key string) string{
		w.upOtherwise, w.upOtherwise, w.upAgain, w.editWrong, w.editWrong, w.takeOut, w.editEnvFile, w.removeContainer, w.stopContainer,
		w.scale, w.restartContainer, w.comment, w.moveAway, w.breakFile, w.suspend, w.addOrRemove,
	}
	what := pick(w.random, all)(p, service, key)
	w.logf("drift: %s: %s", p.name, what)
}

func (w *world) upOtherwise(p *project, service, _ string) string {
	how := up{environ: []string{"SYNC=" + pick(w.random, []string{"false", "no", "true"})}, slow: time.Duration(w.random.IntN(2500)) * time.Millisecond}
	if w.random.IntN(2) == 0 {
		how.service, how.force = service, true
	}
	w.up(p, how)
	return fmt.Sprintf("up %+v", how)
}

func (w *world) upAgain(p *project, _, _ string) string {
	w.up(p, up{})
	return "up"
}

func (w *world) editWrong(p *project, service, key string) string {
	line := key + "=" + pick(w.random, []string{"wrong", "off", "2", secret + "-7"})
	if !p.gone && !p.broken {
		w.save(p, composeFile, edited(w.text(p), service, key, line))
	}
	return "edit " + service + " " + line
}

func (w *world) takeOut(p *project, service, key string) string {
	if !p.gone && !p.broken {
		w.save(p, composeFile, edited(w.text(p), service, key, ""))
	}
	return "take out " + service + " " + key
}

func (w *world) editEnvFile(p *project, _, _ string) string {
	if p.wrote[envFile] == "" {
		return "there is no env file to edit"
	}
	w.save(p, envFile, fmt.Sprintf("# of %s\nZONE=%d\nAPI_TOKEN=%s-%d\n", p.name, w.random.IntN(4), secret, w.random.IntN(4)))
	return "edit the env file"
}

// runningOne is a container that runs, of those that people see.
func (w *world) runningOne(p *project, service string) (engine.Container, bool) {
	for _, c := range w.of(p, service) {
		if c.Running() {
			return c, true
		}
	}
	return engine.Container{}, false
}

// without notes that people want one container less; in the midst of a transaction nobody can say which one they meant.
func (w *world) without(p *project, service string) {
	w.at(p)
	least := max(0, w.count(p.least, service)-1)
	if p.mixed {
		least = 0
	}
	w.expect(p, service, least, w.count(p.most, service))
}

func (w *world) removeContainer(p *project, service, _ string) string {
	if c, found := w.runningOne(p, service); found {
		w.without(p, service)
		w.remove(p, c.ID)
	}
	return "remove a container of " + service
}

func (w *world) stopContainer(p *project, service, _ string) string {
	if c, found := w.runningOne(p, service); found {
		w.without(p, service)
		_ = w.engine.Stop(w.t.Context(), c.ID) // it may be gone by now
	}
	return "stop a container of " + service
}

func (w *world) restartContainer(p *project, service, _ string) string {
	if c, found := w.runningOne(p, service); found {
		w.at(p)
		if p.mixed {
			w.expect(p, service, 0, w.count(p.most, service))
		}
		_ = w.engine.Stop(w.t.Context(), c.ID) // it may be gone by now
		_ = w.engine.Start(w.t.Context(), c.ID)
	}
	return "restart a container of " + service
}

// scale is docker compose up -d --scale SERVICE=N.
func (w *world) scale(p *project, service, _ string) string {
	want := 1 + w.random.IntN(2)
	w.expect(p, service, 0, want)
	for _, c := range w.of(p, service) {
		if number, _ := strconv.Atoi(c.Label(engine.LabelContainerNumber)); number > want {
			w.remove(p, c.ID)
		}
	}
	w.up(p, up{service: service})
	return fmt.Sprintf("scale %s to %d", service, want)
}

func (w *world) comment(p *project, _, _ string) string {
	if !p.gone && !p.broken {
		w.save(p, composeFile, w.text(p)+"# "+strconv.Itoa(w.drifts)+"\n")
	}
	return "add a comment"
}

func (w *world) moveAway(p *project, _, _ string) string {
	path := filepath.Join(p.dir, composeFile)
	from, to := path, path+".away"
	if p.gone {
		from, to = to, from
	}
	w.mu.Lock()
	if content, err := os.ReadFile(from); err == nil {
		p.wrote[composeFile] = string(content) // that is what they take away, and bring back
	}
	if err := os.Rename(from, to); err != nil {
		w.problemf("%v", err)
	}
	p.gone = !p.gone
	w.mu.Unlock()
	w.touched(path)
	return fmt.Sprintf("the compose file is away: %t", p.gone)
}

const brokenTail = "services: [\n"

func (w *world) breakFile(p *project, _, _ string) string {
	if p.gone {
		return "the compose file is away, and cannot be broken"
	}
	text, was := strings.CutSuffix(w.text(p), brokenTail)
	w.mu.Lock()
	p.broken = !was
	w.mu.Unlock()
	if p.broken {
		text += brokenTail
	}
	w.save(p, composeFile, text)
	return fmt.Sprintf("the compose file is broken: %t", p.broken)
}

func (w *world) suspend(p *project, _, _ string) string {
	w.unspoil(p.name)
	var err error
	if p.suspended = !p.suspended; p.suspended {
		p.since = time.Now()
		err = w.state.Suspend(p.name, state.Suspension{Since: time.Now(), Reason: "maintenance"})
	} else {
		err = w.state.Resume(p.name)
	}
	if err != nil {
		w.problemf("%v", err)
	}
	return fmt.Sprintf("suspended: %t", p.suspended)
}

func (w *world) addOrRemove(p *project, _, _ string) string {
	if len(w.projects) < 4 || len(w.projects) < 6 && w.random.IntN(2) == 0 {
		return "another project is there: " + w.addProject().name
	}
	if w.locked(p.name) {
		return "it would be taken down, and a transaction is under way"
	}
	w.down(p)
	return "down, and its folder is removed"
}

// meddle is what a stranger does in the midst of a call of the daemon's: only what needs nothing that the world is at as well.
func (w *world) meddle(p *project, service, key, what string) func() {
	return func() {
		w.logf("drift: a stranger is at %s %s: %s", p.name, service, what)
		w.mu.Lock()
		there := w.projects[p.name] == p
		p.mixed, p.least[service] = true, 0
		w.mu.Unlock()
		c, found := w.runningOne(p, service)
		switch {
		case !there:
		case what == "edit" && w.usable(p):
			w.save(p, composeFile, edited(w.text(p), service, key, key+"=meddled"))
		case what == "up":
			w.up(p, up{service: service, force: true})
		case what == "stop" && found:
			_ = w.engine.Stop(w.t.Context(), c.ID) // it may be gone by now
		case what == "remove" && found:
			w.remove(p, c.ID)
		}
	}
}

// spoil keeps the daemon from writing: records, or beside the compose file. The way back is kept.
func (w *world) spoil(p *project, records bool) func() {
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.projects[p.name] != p || w.spoiled[p.name] != nil {
			return
		}
		lock := filepath.Join(p.dir, files.LockName)
		if _, err := os.Lstat(lock); !records && err == nil {
			return
		}
		if !records {
			w.logf("fault: no lock can be taken in the folder of %s", p.name)
			err := os.Mkdir(lock, 0o755)
			w.spoiled[p.name] = func() error { return os.Remove(lock) }
			w.complain(err)
			return
		}
		folder := filepath.Dir(w.state.Path(state.Record{Project: p.name, Transaction: "t"}))
		aside := filepath.Join(w.state.Dir, "aside-"+p.name)
		w.logf("fault: no record of %s can be read or written", p.name)
		had := os.Rename(folder, aside) == nil
		w.complain(os.WriteFile(folder, nil, 0o600))
		w.spoiled[p.name] = func() error {
			err := os.Remove(folder)
			if had {
				err = errors.Join(err, os.Rename(aside, folder))
			}
			return err
		}
	}
}

func (w *world) complain(err error) {
	if err != nil {
		w.problemf("%v", err)
	}
}

// unspoil lets a project be written again, or all with "".
func (w *world) unspoil(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for project, back := range w.spoiled {
		if name == "" || name == project {
			w.complain(back())
			delete(w.spoiled, project)
		}
	}
}

// usable reports whether the compose file can be worked with.
func (w *world) usable(p *project) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !p.gone && !p.broken
}

func (w *world) down(p *project) {
	w.unspoil(p.name)
	w.mu.Lock()
	delete(w.projects, p.name)
	w.mu.Unlock()
	for _, c := range w.list(engine.LabelProject + "=" + p.name) {
		_ = w.engine.Remove(w.t.Context(), c.ID, true) // it may be gone by now
	}
	if err := os.RemoveAll(p.dir); err != nil {
		w.problemf("%v", err)
	}
	w.touched(filepath.Join(p.dir, composeFile))
}

// heal ends what a person would not leave so for days.
func (w *world) heal(p *project) {
	if p.gone {
		w.logf("heal: %s: %s", p.name, w.moveAway(p, "", ""))
	}
	if p.broken {
		w.logf("heal: %s: %s", p.name, w.breakFile(p, "", ""))
	}
	if p.suspended {
		w.logf("heal: %s: %s", p.name, w.suspend(p, "", ""))
	}
	text := w.text(p)
	for _, bad := range []string{crashes, ails} {
		text = strings.ReplaceAll(text, "MODE="+bad, "MODE=slow")
	}
	if text != w.text(p) {
		w.save(p, composeFile, text)
	}
	w.up(p, up{})
	w.logf("heal: %s: up", p.name)
}
