package sim

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
)

const (
	lockPrefix = "composure-lock-"
	settleFor  = 3 * time.Second
)

// creates is what is checked before the daemon makes a container.
func (w *world) creates(spec engine.Spec) {
	if name, is := strings.CutPrefix(spec.Name, lockPrefix); is {
		w.mu.Lock()
		defer w.mu.Unlock()
		p := w.projects[name]
		if p == nil {
			return // it was taken down a moment ago
		}
		ago := time.Since(p.touched)
		if p.told && time.Since(w.faulted) > 15*time.Minute && ago < settleFor {
			w.problemf("a transaction begins in %s %s after somebody was at it", name, ago)
		}
		return
	}
	labels := spec.Config.Labels
	w.mayWrite("create "+spec.Name, labels[engine.LabelProject], labels[engine.LabelService])
}

// touches is what is checked before the daemon changes a container.
func (w *world) touches(verb, id string) {
	c, err := w.engine.Inspect(w.t.Context(), id)
	if err != nil || c.Label(engine.LabelRole) != "" {
		return
	}
	w.mayWrite(verb+" "+c.CleanName(), c.Label(engine.LabelProject), c.Label(engine.LabelService))
}

func (w *world) mayWrite(what, project, service string) {
	if !w.locked(project) {
		w.problemf("%s without the lock of project %q", what, project)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.policies.mayReplace(project, service) {
		w.problemf("%s, and no policies have let it change containers of %s of %s", what, service, project)
	}
}

// after is what is checked after each call of the daemon's that changes something.
func (w *world) after(call enginetest.Call, _ error) {
	if call.Writes {
		w.look("after " + call.String())
	}
}

// look is what holds at every moment.
func (w *world) look(at string) {
	list := w.list()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lookAtStrangers(list, at)
	w.lookAtRunning(list, at)
	for _, p := range w.projects {
		w.lookAtFiles(p, at)
	}
}

func (w *world) lookAtStrangers(list []engine.Container, at string) {
	found := 0
	for _, c := range list {
		if was, is := w.strangers[c.CleanName()]; is {
			found++
			if was != string(c.Raw) {
				w.problemf("%s: container %s of a stranger was touched", at, c.CleanName())
			}
		}
	}
	if found != len(w.strangers) {
		w.problemf("%s: a container of a stranger is gone", at)
	}
}

// lookAtRunning wants no replica of a service to run twice, but for the services that policies let overlap.
func (w *world) lookAtRunning(list []engine.Container, at string) {
	running := map[string]int{}
	for _, c := range list {
		p := w.projects[c.Label(engine.LabelProject)]
		if p == nil || p.mixed || !c.State.Running {
			continue
		}
		service := c.Label(engine.LabelService)
		replica := p.name + "-" + service + "-" + c.Label(engine.LabelContainerNumber)
		most := 1
		if service == "cache" {
			most = 2 // they start first
		}
		if running[replica]++; running[replica] > most {
			w.problemf("%s: %d containers of %s run", at, running[replica], replica)
		}
	}
}

// lookAtFiles wants a file to differ from what people have written in variables only that policies enforce in files.
func (w *world) lookAtFiles(p *project, at string) {
	if p.gone || p.broken {
		return
	}
	for name, wrote := range p.wrote {
		content, err := os.ReadFile(filepath.Join(p.dir, name))
		if err != nil {
			w.problemf("%s: %v", at, err)
			continue
		}
		now := string(content)
		if now == wrote {
			continue
		}
		for _, key := range otherKeys(name, wrote, now) {
			if service, variable, _ := strings.Cut(key, "."); !w.policies.mayPatch(p.name, service, variable) {
				w.problemf("%s: %s of %s in %s was written, which no policies have allowed: %+v; it was\n%s\nand is\n%s", at, key, p.name, name, w.policies.pastClaims(p.name, service), wrote, now)
			}
		}
		if rest(wrote) != rest(now) {
			w.problemf("%s: more than variables of %s in %s was written; it was\n%s\nand is\n%s", at, p.name, name, wrote, now)
		}
	}
}

// rest is a file without the lines of variables.
func rest(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if trimmed := strings.Trim(line, " -\"\n"); !strings.Contains(trimmed, "=") || strings.HasPrefix(trimmed, "#") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// otherKeys are the SERVICE.VARIABLEs that two versions of a file give other values, or that do not parse.
func otherKeys(name, a, b string) (other []string) {
	read := func(text string) map[string]string {
		if name == envFile {
			return prefixed("web", lines(text))
		}
		all := map[string]string{}
		services, err := parse(text)
		if err != nil {
			return map[string]string{"file.does not parse": err.Error()}
		}
		for service, s := range services {
			maps.Copy(all, prefixed(service, s.environment))
		}
		return all
	}
	before, now := read(a), read(b)
	for key, value := range now {
		if was, had := before[key]; !had || was != value {
			other = append(other, key)
		}
	}
	for key := range before {
		if _, has := now[key]; !has {
			other = append(other, key)
		}
	}
	slices.Sort(other)
	return other
}

func prefixed(service string, variables map[string]string) map[string]string {
	all := map[string]string{}
	for key, value := range variables {
		all[service+"."+key] = value
	}
	return all
}

// service is what a compose file says of one, read without the product's own reader.
type service struct {
	environment map[string]string
	envFiles    []string
}

func parse(text string) (map[string]service, error) {
	var file struct {
		Services map[string]struct {
			Environment []string `yaml:"environment"`
			EnvFile     []string `yaml:"env_file"`
		} `yaml:"services"`
	}
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		return nil, err
	}
	services := map[string]service{}
	for name, s := range file.Services {
		services[name] = service{lines(strings.Join(s.Environment, "\n")), s.EnvFile}
	}
	return services, nil
}

// lines are KEY=VALUE, one a line. A key that is there twice is an error of the reader's.
func lines(text string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, is := strings.Cut(strings.TrimSpace(line), "="); is && !strings.HasPrefix(key, "#") {
			found[key] = value
		}
	}
	return found
}

// says is what the files give a service: environment before env_file, and defaults where something is left to the shell.
func (w *world) says(p *project) (map[string]map[string]string, error) {
	services, err := parse(w.text(p))
	if err != nil {
		return nil, err
	}
	all := map[string]map[string]string{}
	for name, s := range services {
		all[name] = map[string]string{}
		for _, path := range s.envFiles {
			content, err := os.ReadFile(filepath.Join(p.dir, path))
			if err != nil {
				return nil, err
			}
			maps.Copy(all[name], lines(string(content)))
		}
		for key, value := range s.environment {
			if inner, is := strings.CutPrefix(value, "${"); is {
				_, value, _ = strings.Cut(strings.TrimSuffix(inner, "}"), ":-")
			}
			all[name][key] = value
		}
	}
	return all, nil
}

// wrong is a variable that is not as a policy wants it, and whether the policies let the daemon mend it.
type wrong struct {
	what     string
	mendable bool
}

// judge compares files and containers with the policies, by reading them.
func (w *world) judge(p *project, list []engine.Container) (found []wrong, judged bool, err error) {
	var files map[string]map[string]string
	if !p.gone && !p.broken {
		if files, err = w.says(p); err != nil {
			return nil, false, err
		}
	}
	for _, service := range p.services() {
		known := func(c engine.Container) bool {
			return c.Label(engine.LabelProject) == p.name && c.Label(engine.LabelService) == service
		}
		if p.gone && !slices.ContainsFunc(list, known) {
			continue // nobody can know of it
		}
		own := claims(w.policies.inForce(), p.name, service)
		judged = judged || len(own) > 0
		var here []wrong
		mendable := true
		for _, r := range own {
			for _, each := range r.list {
				wrongs, may := judgeOne(own, each, files[service], containersOf(list, p.name, service))
				mendable = mendable && may
				for _, what := range wrongs {
					here = append(here, wrong{p.name + " " + service + ": policy " + r.name + ": " + what, true})
				}
			}
		}
		for _, each := range here {
			found = append(found, wrong{each.what, mendable})
		}
	}
	return found, judged, nil
}

func containersOf(list []engine.Container, project, service string) (own []engine.Container) {
	for _, c := range list {
		if c.Label(engine.LabelProject) == project && c.Label(engine.LabelService) == service && c.State.Running {
			own = append(own, c)
		}
	}
	return own
}

// judgeOne judges one rule. What it finds may be mended when the policies on the variable let its file be written, those on the service
// let its containers be replaced, and no two want different things.
func judgeOne(own []rules, each rule, file map[string]string, containers []engine.Container) (found []string, mendable bool) {
	mendable = true
	value, set := file[each.key]
	if file != nil && (!set || value != each.want) {
		found = append(found, fmt.Sprintf("%s is %q in the files and should be %q", each.key, value, each.want))
		for _, other := range own {
			for _, claim := range other.list {
				if claim.key == each.key && (other.files != enforce || claim.want != each.want) {
					mendable = false
				}
			}
		}
	}
	for _, c := range containers {
		env := c.Env()[each.key]
		if env == nil || *env != each.want {
			found = append(found, fmt.Sprintf("%s is not %q in container %s", each.key, each.want, c.CleanName()))
		}
	}
	auditor := slices.ContainsFunc(own, func(other rules) bool { return other.containers != enforce })
	if len(found) > 0 && len(containers) > 0 && auditor {
		mendable = false
	}
	return found, mendable
}
