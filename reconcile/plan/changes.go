package plan

import (
	"maps"
	"slices"
	"strings"

	"github.com/composure-dev/composure/internal/redact"
)

// notByPolicy is the cause of a change that comes along: a swap gives the container what the files say, all of it, since that is
// what the config hash it is stamped with stands for.
const notByPolicy = "the compose files say so; no policy speaks of it"

// changes lists what differs between the container's environment and its replacement's, sorted by key.
func changes(in Input, c Container) []Change {
	next := environment(c.NewEnv)
	keys := maps.Clone(c.OldEnv)
	if keys == nil {
		keys = map[string]*string{}
	}
	maps.Copy(keys, next)
	var list []Change
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		old, had := c.OldEnv[key]
		want, has := next[key]
		if had == has && equal(old, want) {
			continue
		}
		list = append(list, explain(in, c.Service, Change{Sign: sign(had, has), Key: key, Old: old, New: want}))
	}
	return list
}

// environment splits KEY=VALUE entries; a bare KEY has no value.
func environment(entries []string) map[string]*string {
	env := map[string]*string{}
	for _, entry := range entries {
		key, value, found := strings.Cut(entry, "=")
		env[key] = nil
		if found {
			env[key] = &value
		}
	}
	return env
}

func explain(in Input, service string, change Change) Change {
	change.Cause, change.Sensitive = notByPolicy, redact.Key(change.Key)
	for _, f := range in.Findings {
		if f.Service != service || f.Variable != change.Key || f.Held != "" {
			continue
		}
		change.Policy, change.Sensitive, change.Origin = f.Policy, change.Sensitive || f.Sensitive, f.Origin
		change.Cause = "policy " + f.Policy
		if f.Difference() {
			change.Cause += ": " + string(f.Verdict)
			return change
		}
	}
	return change
}

// Others lists what the files would change in the container beyond what any policy speaks of.
func Others(in Input, c Container) []Change {
	return slices.DeleteFunc(changes(in, c), func(change Change) bool { return change.Policy != "" })
}

func sign(had, has bool) Sign {
	switch {
	case !had:
		return SignAdd
	case !has:
		return SignRemove
	default:
		return SignChange
	}
}

func equal(a, b *string) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
