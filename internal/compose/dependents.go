package compose

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// oneShot tells whether another service waits for this one to end. Inactive ones count: they may have been started with a profile.
func (o *origins) oneShot(name string) bool {
	for _, other := range o.declared {
		if other.DependsOn[name].Condition == types.ServiceConditionCompletedSuccessfully {
			return true
		}
	}
	return false
}

// restartsWith are the services of which the service's depends_on says so.
func (o *origins) restartsWith(s types.ServiceConfig) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(s.DependsOn)) {
		if s.DependsOn[name].Restart && (!implied(s, name) || o.dependencies[s.Name][name].Restart) {
			out = append(out, name)
		}
	}
	return out
}

// writtenDependencies are the depends_on of services as the files have them, of those for which compose-go may have added to them.
// It makes out of a link or a shared namespace the very depends_on that somebody can have written, so that only loading without
// its additions tells.
func (l *load) writtenDependencies(ctx context.Context) (map[string]types.DependsOnConfig, error) {
	ambiguous := func(s types.ServiceConfig) bool {
		return slices.ContainsFunc(slices.Collect(maps.Keys(s.DependsOn)), func(name string) bool {
			return s.DependsOn[name].Restart && implied(s, name)
		})
	}
	services := l.model.AllServices()
	if !slices.ContainsFunc(slices.Collect(maps.Values(services)), ambiguous) {
		return nil, nil
	}
	model, err := l.loadWith(ctx, func(o *loader.Options) { o.SkipNormalization, o.SkipConsistencyCheck = true, true })
	if err != nil {
		return nil, err
	}
	out := map[string]types.DependsOnConfig{}
	for name, s := range model.AllServices() {
		out[name] = s.DependsOn
	}
	return out, nil
}

// implied tells whether compose-go makes the service restart with the other because of a link or a shared namespace.
func implied(s types.ServiceConfig, name string) bool {
	for _, link := range s.Links {
		if target, _, _ := strings.Cut(link, ":"); target == name {
			return true
		}
	}
	return slices.Contains([]string{s.NetworkMode, s.Ipc, s.Pid, s.Uts, s.Cgroup}, types.ServicePrefix+name)
}

// injected are the paths of the files that compose copies into the service's containers, sorted.
func (o *origins) injected(s types.ServiceConfig) []string {
	var out []string
	for _, ref := range s.Configs {
		if inline(types.FileObjectConfig(o.model.Configs[ref.Source])) {
			out = append(out, target("/", types.FileReferenceConfig(ref)))
		}
	}
	for _, ref := range s.Secrets {
		if inline(types.FileObjectConfig(o.model.Secrets[ref.Source])) {
			out = append(out, target("/run/secrets", types.FileReferenceConfig(ref)))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func inline(object types.FileObjectConfig) bool {
	return object.Content != "" || object.Environment != ""
}

func target(folder string, ref types.FileReferenceConfig) string {
	name := ref.Target
	if name == "" {
		name = ref.Source
	}
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join(folder, name)
}
