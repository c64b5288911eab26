package reconcile

import (
	"slices"
	"strconv"
	"strings"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
)

// findDependents notes what uses the namespaces or volumes of the project's containers.
func (s *Snapshot) findDependents() {
	s.dependents = map[string][]engine.Container{}
	for _, containers := range s.Containers {
		for _, c := range containers {
			s.dependents[c.ID] = engine.Dependents(c, s.All)
		}
	}
}

// parents are the ids of the containers whose namespaces or volumes a container of the project uses, by its own id.
func (s *Snapshot) parents() map[string][]string {
	parents := map[string][]string{}
	for id, dependents := range s.dependents {
		for _, dependent := range dependents {
			parents[dependent.ID] = append(parents[dependent.ID], id)
		}
	}
	for _, ids := range parents {
		slices.Sort(ids)
	}
	return parents
}

// outsider is a container that uses the namespaces or volumes of c and that no swap takes along: one that is not a service of this
// project. A stopped one that is will be created anew by the next up.
func (s *Snapshot) outsider(c engine.Container) (engine.Container, bool) {
	for _, dependent := range s.dependents[c.ID] {
		if !slices.ContainsFunc(s.Containers[dependent.Label(engine.LabelService)], func(own engine.Container) bool { return own.ID == dependent.ID }) {
			return dependent, true
		}
	}
	return engine.Container{}, false
}

// shared is how a container refers to others, in the form in which compose hashes it.
func shared(c engine.Container) compose.Shared {
	namespace := func(mode string) string {
		if strings.HasPrefix(mode, "container:") {
			return mode
		}
		return ""
	}
	refers := compose.Shared{
		Network: namespace(string(c.HostConfig.NetworkMode)),
		Pid:     namespace(string(c.HostConfig.PidMode)),
		Ipc:     namespace(string(c.HostConfig.IpcMode)),
	}
	for _, from := range c.HostConfig.VolumesFrom {
		id, _, _ := strings.Cut(from, ":") // :ro or :rw
		refers.VolumesFrom = append(refers.VolumesFrom, id)
	}
	return refers
}

// replaced is s with new ids in the place of old ones.
func replaced(s compose.Shared, ids map[string]string) compose.Shared {
	one := func(reference string) string {
		id := strings.TrimPrefix(reference, "container:")
		if now, found := ids[id]; found {
			return strings.TrimSuffix(reference, id) + now
		}
		return reference
	}
	after := compose.Shared{Network: one(s.Network), Pid: one(s.Pid), Ipc: one(s.Ipc)}
	for _, id := range s.VolumesFrom {
		after.VolumesFrom = append(after.VolumesFrom, one(id))
	}
	return after
}

// number is the replica's, 0 when the container does not tell.
func number(c engine.Container) int {
	n, err := strconv.Atoi(c.Label(engine.LabelContainerNumber))
	if err != nil {
		return 0
	}
	return n
}
