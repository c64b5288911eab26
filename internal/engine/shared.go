package engine

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/moby/moby/api/types/container"
)

// containerMode begins a namespace mode that names another container.
const containerMode = "container:"

// follow is the container that a reference of the original means in its replacement. A name means what it always means: the
// replacement of a container has its name.
func (r Replacement) follow(reference string) string {
	if to, found := r.References[reference]; found {
		return to
	}
	for from, to := range r.References {
		if len(reference) >= shortIDLength && strings.HasPrefix(from, reference) {
			return to
		}
	}
	return reference
}

// followMode is a network, process or IPC mode with its reference followed.
func (r Replacement) followMode(mode string) string {
	if reference, found := strings.CutPrefix(mode, containerMode); found {
		return containerMode + r.follow(reference)
	}
	return mode
}

// followVolumes is an entry of VolumesFrom, CONTAINER[:MODE], with its reference followed.
func (r Replacement) followVolumes(from string) string {
	reference, mode, found := strings.Cut(from, ":")
	if !found {
		return r.follow(reference)
	}
	return r.follow(reference) + ":" + mode
}

// shareNamespaces points the host configuration at the replacements of the containers that it shares something with.
func shareNamespaces(host *container.HostConfig, r Replacement) {
	host.NetworkMode = container.NetworkMode(r.followMode(string(host.NetworkMode)))
	host.PidMode = container.PidMode(r.followMode(string(host.PidMode)))
	host.IpcMode = container.IpcMode(r.followMode(string(host.IpcMode)))
	for i, from := range host.VolumesFrom {
		host.VolumesFrom[i] = r.followVolumes(from)
	}
}

// volumeSources are the containers whose volumes the replacement inherits.
func (s *swap) volumeSources(ctx context.Context) ([]Container, error) {
	if s.replacement.Old.HostConfig == nil {
		return nil, nil
	}
	var sources []Container
	for _, from := range s.replacement.Old.HostConfig.VolumesFrom {
		reference, _, _ := strings.Cut(s.replacement.followVolumes(from), ":")
		if !fullID(reference) {
			reference = "/" + strings.TrimPrefix(reference, "/")
		}
		source, err := s.Reader.Inspect(ctx, reference)
		if err != nil {
			return nil, fmt.Errorf("find the container whose volumes it uses: %w", err)
		}
		sources = append(sources, source)
	}
	return sources, nil
}

// ownLinks are the links of the default bridge as they are asked for, container:alias. Inspect shows /container:/self/alias, by
// the names of now: that of a container whose swap is not committed yet has a suffix.
func ownLinks(links []string) []string {
	var own []string
	for _, link := range links {
		name, alias, _ := strings.Cut(link, ":")
		name = strings.TrimSuffix(strings.TrimPrefix(name, "/"), keptSuffix)
		own = append(own, name+":"+path.Base(alias))
	}
	return own
}
