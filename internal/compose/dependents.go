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

// macs are the MAC addresses that a service asks for.
func macs(s types.ServiceConfig) []string {
	wanted := []string{s.MacAddress}
	for _, network := range s.Networks {
		if network != nil {
			wanted = append(wanted, network.MacAddress)
		}
	}
	slices.Sort(wanted)
	return slices.DeleteFunc(slices.Compact(wanted), func(address string) bool { return address == "" })
}

// injected are the paths of the files that compose copies into the service's containers, sorted.
func (o *origins) injected(s types.ServiceConfig) (full, empty []string) {
	add := func(object types.FileObjectConfig, path string) {
		switch {
		case object.File != "" || bool(object.External):
		case o.isEmpty(object):
			empty = append(empty, path)
		default:
			full = append(full, path)
		}
	}
	for _, ref := range s.Configs {
		add(types.FileObjectConfig(o.model.Configs[ref.Source]), target("/", types.FileReferenceConfig(ref)))
	}
	for _, ref := range s.Secrets {
		add(types.FileObjectConfig(o.model.Secrets[ref.Source]), target("/run/secrets", types.FileReferenceConfig(ref)))
	}
	slices.Sort(full)
	slices.Sort(empty)
	return slices.Compact(full), slices.Compact(empty)
}

// isEmpty holds for content that is known to be empty: a variable that is not set may have been at that time.
func (o *origins) isEmpty(object types.FileObjectConfig) bool {
	if object.Content != "" || object.Environment == "" {
		return object.Content == ""
	}
	value, set := o.env.values[object.Environment]
	return set && value == ""
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
