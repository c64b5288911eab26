package reconcile

import (
	"maps"
	"slices"
	"strings"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/redact"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

// Sensitive are the names of the variables that some policy calls sensitive, whichever services it selects.
func Sensitive(policies []policy.Policy) []string {
	names := map[string]bool{}
	for _, p := range policies {
		for _, rule := range p.Spec.Variables {
			if rule.Sensitive != nil && *rule.Sensitive {
				names[rule.Name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// Sensitive are the names of the variables that are sensitive here: all that anything knows of when nobody can tell.
func (p Proposal) Sensitive() []string {
	if !p.unsure {
		return Sensitive(p.All)
	}
	names := map[string]bool{}
	for _, env := range p.environments() {
		for name := range env {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// redactor keeps the secrets out of what is told. When every value is taken for one, a name that commands cannot do without stays:
// services are called by what stands in variables, too.
func (p Proposal) redactor() *redact.Redactor {
	if !p.unsure {
		return redact.New(p.Secrets()...)
	}
	names := []string{p.Snapshot.Name}
	for service, containers := range p.Snapshot.Containers {
		names = append(names, service)
		for _, c := range containers {
			names = append(names, c.CleanName())
		}
	}
	public := strings.Join(names, "\n")
	return redact.New(p.Secrets()...).Without(func(secret string) bool { return strings.Contains(public, secret) })
}

// Secrets are the values that no message may repeat: of every container of the project, since a check reads the logs of those that
// are not swapped as well, of the files, and of the replacements.
func (p Proposal) Secrets() []string {
	names := p.Sensitive()
	values := map[string]bool{}
	for _, env := range p.environments() {
		for key, value := range env {
			if value == nil || *value == "" {
				continue
			}
			if redact.Key(key) || slices.Contains(names, key) {
				values[*value] = true
			}
			for _, part := range redact.Within(*value) { // the password of a URL may stand alone elsewhere
				values[part] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(values))
}

// environments are all environments that the proposal knows.
func (p Proposal) environments() []map[string]*string {
	var list []map[string]*string
	for _, containers := range p.Snapshot.Containers {
		for _, c := range containers {
			list = append(list, c.Env())
		}
	}
	for _, project := range []*compose.Project{p.Snapshot.Extended, p.after} {
		if project == nil {
			continue
		}
		for _, service := range project.Services {
			list = append(list, values(service))
		}
	}
	for _, step := range p.Plan.Of(plan.VerbSwap) {
		list = append(list, engine.EnvMap(step.Swap.Env))
	}
	return list
}
