package sim

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// secret is in every value that must not be told to anybody.
const secret = "hunter2"

// Values that a program does not survive, or that make it sick.
const (
	crashes = "boom"
	ails    = "sick"
)

// rule is one variable that a policy wants to have one value.
type rule struct{ key, want string }

// rules is a policy as the world knows it; text writes it down.
type rules struct {
	name              string
	project, service  string // project is a pattern
	files, containers string // Audit or Enforce
	startFirst        bool
	list              []rule
}

func (r rules) text() string {
	var lines []string
	for _, each := range r.list {
		line := fmt.Sprintf("  - {name: %s, value: %q", each.key, each.want)
		if each.key == "SYNC" {
			line += fmt.Sprintf(", declare: %q", "${SYNC:-"+each.want+"}")
		}
		lines = append(lines, line+"}")
	}
	strategy := "StopFirst"
	if r.startFirst {
		strategy = "StartFirst"
	}
	return fmt.Sprintf(`apiVersion: composure/v1alpha1
kind: EnvironmentPolicy
metadata: {name: %s}
spec:
  enforcement: {files: %s, containers: %s}
  selector: {projects: [%q], services: [%s]}
  variables:
%s
  rollout: {stableFor: 1s, timeout: 20s, strategy: %s}
  verify:
  - healthy: true
`, r.name, r.files, r.containers, r.project, r.service, strings.Join(lines, "\n"), strategy)
}

func (r rules) selects(project, service string) bool {
	matches, _ := filepath.Match(r.project, project)
	return matches && r.service == service
}

// poisonous rules want what cannot run.
func (r rules) poisonous() bool {
	return slices.ContainsFunc(r.list, func(each rule) bool { return each.want == crashes || each.want == ails })
}

// policyFile is a file of the folder of policies.
type policyFile struct {
	rules   rules
	broken  bool
	inForce bool // what it says, or said before it was broken
	burst   int  // in which it was last changed
}

// policies is the folder of policies, and what has been in force since the last calm.
type policies struct {
	dir   string
	files map[string]*policyFile
	past  [][]rules
	made  int
}

const audit, enforce = "Audit", "Enforce"

// base are the policies that are there from the start, each with another enforcement.
func base() []rules {
	return []rules{
		{name: "aa", project: "*", service: "db", files: audit, containers: audit, list: []rule{{"LEVEL", "3"}}},
		{name: "ae", project: "*", service: "cache", files: audit, containers: enforce, startFirst: true, list: []rule{{"SYNC", "true"}}},
		{name: "ea", project: "*", service: "job", files: enforce, containers: audit, list: []rule{{"LEVEL", "3"}}},
		{name: "ee", project: "*", service: "web", files: enforce, containers: enforce, list: []rule{{"SYNC", "true"}, {"API_TOKEN", secret + "-1"}}},
	}
}

// anyBroken reports whether a daemon that begins now knows less than the one before.
func (p *policies) anyBroken() bool {
	for _, file := range p.files {
		if file.broken {
			return true
		}
	}
	return false
}

// inForce are the rules in force, by the name of their file.
func (p *policies) inForce() []rules {
	var list []rules
	for _, name := range slices.Sorted(maps.Keys(p.files)) {
		if p.files[name].inForce {
			list = append(list, p.files[name].rules)
		}
	}
	return list
}

// noted remembers what is in force now: what is done until the next calm may be done for it.
func (p *policies) noted() { p.past = append(p.past, p.inForce()) }

// forget is for a calm: what is done from now on is done for what is in force now.
func (p *policies) forget() { p.past = [][]rules{p.inForce()} }

func (p *policies) write(name string) error {
	file := p.files[name]
	text := file.rules.text()
	if file.broken {
		text = "kind: [" + text
	}
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path+".tmp", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// put adds or replaces a file.
func (p *policies) put(r rules, burst int) (path string, err error) {
	name := r.name + ".yaml"
	p.files[name] = &policyFile{rules: r, inForce: true, burst: burst}
	p.noted()
	return filepath.Join(p.dir, name), p.write(name)
}

// change does something to a policy, by chance, and says what.
func (p *policies) change(random *rand.Rand, project string, burst int) (what, path string, err error) {
	name := pick(random, slices.Sorted(maps.Keys(p.files)))
	file := p.files[name]
	path = filepath.Join(p.dir, name)
	extra := strings.HasPrefix(name, "extra")
	switch n := random.IntN(10); {
	case file.broken:
		file.broken, file.inForce = false, true
		what = "repair policy " + name
	case n <= 1 && file.burst < burst-1:
		file.broken = true
		what = "break policy " + name
	case n == 2 && extra:
		delete(p.files, name)
		p.noted()
		return "remove policy " + name, path, os.Remove(path)
	case n <= 5 && len(p.files) < 8:
		r := p.extra(random, project)
		path, err = p.put(r, burst)
		return fmt.Sprintf("add policy %+v", r), path, err
	case n == 6 && !file.rules.poisonous() && extra:
		file.rules.files, file.rules.containers = pick(random, []string{audit, enforce}), pick(random, []string{audit, enforce})
		what = fmt.Sprintf("change the enforcement of policy %s to %s/%s", name, file.rules.files, file.rules.containers)
	default:
		i := random.IntN(len(file.rules.list))
		file.rules.list = slices.Clone(file.rules.list)
		file.rules.list[i].want = value(random, file.rules.list[i].key)
		what = fmt.Sprintf("policy %s wants %+v", name, file.rules.list[i])
	}
	file.burst = burst
	p.noted()
	return what, path, p.write(name)
}

// extra is a further policy, now and then one that asks for what cannot run.
func (p *policies) extra(random *rand.Rand, project string) rules {
	p.made++
	r := rules{
		name: fmt.Sprintf("extra%d", p.made), project: pick(random, []string{project, "*"}), service: pick(random, []string{"web", "job", "cache", "db"}),
		files: pick(random, []string{audit, enforce, enforce}), containers: pick(random, []string{audit, enforce, enforce}),
	}
	key := pick(random, []string{"MODE", "MODE", "LEVEL", "API_TOKEN", "ZONE"})
	r.list = []rule{{key, value(random, key)}}
	if random.IntN(3) == 0 {
		r = rules{name: r.name, project: project, service: "web", files: enforce, containers: enforce, list: []rule{{"MODE", pick(random, []string{crashes, crashes, ails})}}}
	}
	return r
}

// value is one that a variable may well have.
func value(random *rand.Rand, key string) string {
	switch key {
	case "SYNC":
		return pick(random, []string{"true", "true", "yes"})
	case "API_TOKEN":
		return fmt.Sprintf("%s-%d", secret, 1+random.IntN(2))
	case "MODE":
		return pick(random, []string{"slow", "fast"})
	default:
		return fmt.Sprint(1 + random.IntN(3))
	}
}

func pick[T any](random *rand.Rand, list []T) T { return list[random.IntN(len(list))] }

// claims are the rules of policies on the variables of one service.
func claims(list []rules, project, service string) (own []rules) {
	for _, r := range list {
		if r.selects(project, service) {
			own = append(own, r)
		}
	}
	slices.SortFunc(own, func(a, b rules) int { return cmp.Compare(a.name, b.name) })
	return own
}

// mayPatch reports whether policies that were in force since the last calm let the daemon write a variable of a service.
func (p *policies) mayPatch(project, service, key string) bool {
	return slices.ContainsFunc(p.past, func(list []rules) bool {
		asked := false
		for _, r := range claims(list, project, service) {
			if slices.ContainsFunc(r.list, func(each rule) bool { return each.key == key }) {
				if asked = true; r.files != enforce {
					return false
				}
			}
		}
		return asked
	})
}

// mayReplace is the same for its containers.
func (p *policies) mayReplace(project, service string) bool {
	return slices.ContainsFunc(p.past, func(list []rules) bool {
		own := claims(list, project, service)
		return len(own) > 0 && !slices.ContainsFunc(own, func(r rules) bool { return r.containers != enforce })
	})
}

// pastClaims are what was in force on a service since the last calm.
func (p *policies) pastClaims(project, service string) (past [][]rules) {
	for _, list := range p.past {
		past = append(past, claims(list, project, service))
	}
	return past
}
