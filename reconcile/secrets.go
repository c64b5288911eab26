package reconcile

import (
	"maps"
	"slices"

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

// Secrets are the values that no message may repeat: of every container of the project, since a check reads the logs of those that
// are not swapped as well, of the files, and of the replacements.
func (p Proposal) Secrets() []string {
	names := Sensitive(p.All)
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
	if p.Snapshot.Project != nil {
		for _, service := range p.Snapshot.Extended.Services {
			env := map[string]*string{}
			for key, v := range service.Environment {
				env[key] = v.Value
			}
			list = append(list, env)
		}
	}
	if p.after != nil {
		for _, service := range p.after.Services {
			env := map[string]*string{}
			for key, v := range service.Environment {
				env[key] = v.Value
			}
			list = append(list, env)
		}
	}
	for _, step := range p.Plan.Of(plan.VerbSwap) {
		list = append(list, engine.EnvMap(step.Swap.Env))
	}
	return list
}
