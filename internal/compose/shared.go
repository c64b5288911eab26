package compose

import (
	"path"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// Shared is what compose hashes in the place of references to other containers, as the container itself has it.
type Shared struct {
	Network, Pid, Ipc string   // "container:" and a full id, or empty
	VolumesFrom       []string // full ids
}

// resolve puts what a container has in the place of the services that it was made to share with, as compose does before it hashes.
func (s Shared) resolve(config types.ServiceConfig) types.ServiceConfig {
	namespace := func(mode, container string) string {
		if strings.HasPrefix(mode, types.ServicePrefix) && container != "" {
			return container
		}
		return mode
	}
	config.NetworkMode = namespace(config.NetworkMode, s.Network)
	config.Pid, config.Ipc = namespace(config.Pid, s.Pid), namespace(config.Ipc, s.Ipc)
	if len(config.VolumesFrom) == len(s.VolumesFrom) {
		config.VolumesFrom = slices.Clone(s.VolumesFrom)
	}
	return config
}

// shares are the services whose namespaces or volumes a service uses, sorted.
func shares(config types.ServiceConfig) []string {
	var services []string
	for _, mode := range []string{config.NetworkMode, config.Pid, config.Ipc} {
		if name, found := strings.CutPrefix(mode, types.ServicePrefix); found {
			services = append(services, name)
		}
	}
	for _, from := range config.VolumesFrom {
		if !strings.HasPrefix(from, types.ContainerPrefix) {
			name, _, _ := strings.Cut(from, ":")
			services = append(services, name)
		}
	}
	slices.Sort(services)
	return slices.Compact(services)
}

// restartsWith are the services with which compose restarts a service, sorted; what it adds by itself for a link is none of them,
// since on a network of its own a link is a name that a swap does not break.
func restartsWith(config types.ServiceConfig) []string {
	var services []string
	shared := shares(config)
	for name, dependency := range config.DependsOn {
		if dependency.Restart && !links(config, name) && !slices.Contains(shared, name) {
			services = append(services, name)
		}
	}
	slices.Sort(services)
	return services
}

// oneShot tells whether another service waits for this one to end well.
func (o *origins) oneShot(name string) bool {
	for _, other := range o.declared {
		if other.DependsOn[name].Condition == types.ServiceConditionCompletedSuccessfully {
			return true
		}
	}
	return false
}

// injected are the files that compose writes into a container before it starts it: what has no file of its own to be mounted.
func (o *origins) injected(config types.ServiceConfig) []string {
	var paths []string
	for _, ref := range config.Configs {
		c := o.model.Configs[ref.Source]
		if c.Content != "" || c.Environment != "" && o.env.values[c.Environment] != "" {
			paths = append(paths, injectedAt("/", types.FileReferenceConfig(ref)))
		}
	}
	for _, ref := range config.Secrets {
		if o.model.Secrets[ref.Source].Environment != "" {
			paths = append(paths, injectedAt("/run/secrets", types.FileReferenceConfig(ref)))
		}
	}
	return paths
}

func injectedAt(folder string, ref types.FileReferenceConfig) string {
	switch {
	case ref.Target == "":
		return path.Join(folder, ref.Source)
	case path.IsAbs(ref.Target):
		return path.Clean(ref.Target)
	}
	return path.Join(folder, ref.Target)
}
