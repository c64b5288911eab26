package compose

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// Shared is what compose hashes in the place of references to other services' containers. It is what the container itself has in
// its HostConfig: "container:<64 hex>" or anything else for a mode that is no reference, and the containers' ids for volumes_from,
// in order.
type Shared struct {
	Network, Pid, Ipc string
	VolumesFrom       []string
}

var containerID = regexp.MustCompile(`^[0-9a-f]{64}$`)

// refer is the service with its references as compose hashes them: another service is the id of its container, a container is
// what the file calls it, and the mode of volumes_from is dropped. It is false when what is shared does not say which container.
func refer(config types.ServiceConfig, shared Shared) (types.ServiceConfig, bool) {
	for _, namespace := range []struct {
		mode *string
		now  string
	}{{&config.NetworkMode, shared.Network}, {&config.Pid, shared.Pid}, {&config.Ipc, shared.Ipc}} {
		if !strings.HasPrefix(*namespace.mode, types.ServicePrefix) {
			continue
		}
		id, ok := strings.CutPrefix(namespace.now, types.ContainerPrefix)
		if !ok || !containerID.MatchString(id) {
			return config, false
		}
		*namespace.mode = namespace.now
	}
	if len(config.VolumesFrom) == 0 {
		return config, true
	}
	config.VolumesFrom = slices.Clone(config.VolumesFrom)
	for i, from := range config.VolumesFrom {
		service, container := volumesFrom(from)
		if service == "" {
			config.VolumesFrom[i] = container
			continue
		}
		if i >= len(shared.VolumesFrom) || !containerID.MatchString(shared.VolumesFrom[i]) {
			return config, false
		}
		config.VolumesFrom[i] = shared.VolumesFrom[i]
	}
	return config, true
}

// volumesFrom reads an entry of volumes_from: the service, or else the container, that it names.
func volumesFrom(entry string) (service, container string) {
	name, rest, _ := strings.Cut(entry, ":")
	if name+":" != types.ContainerPrefix {
		return name, ""
	}
	container, _, _ = strings.Cut(rest, ":")
	return "", container
}

// shares are the services that the service takes a namespace or volumes from, sorted.
func shares(config types.ServiceConfig) []string {
	var out []string
	for _, mode := range []string{config.NetworkMode, config.Pid, config.Ipc} {
		if service, ok := strings.CutPrefix(mode, types.ServicePrefix); ok {
			out = append(out, service)
		}
	}
	for _, entry := range config.VolumesFrom {
		if service, _ := volumesFrom(entry); service != "" {
			out = append(out, service)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// HashShared is [Project.Hash] of a container that refers to others.
func (p *Project) HashShared(service string, flavor Flavor, shared Shared) (string, error) {
	config, ok := p.configs[service]
	if !ok {
		return "", fmt.Errorf("hash service %q: not in the project, or its environment does not resolve", service)
	}
	config, ok = refer(config, shared)
	if !ok {
		return "", &Unprovable{service, "the containers that it is to refer to are not known"}
	}
	e, err := newEncoding(config)
	if err != nil {
		return "", err
	}
	return e.hash(flavor), nil
}
