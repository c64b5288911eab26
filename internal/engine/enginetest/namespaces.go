package enginetest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"github.com/composure-dev/composure/internal/engine"
)

// link is one of the default bridge: to a container, whatever it is called by then.
type link struct {
	id, alias string
}

// lookup resolves a reference to a container as the engine does: a whole id, else a name, else the beginning of an id.
func (e *Engine) lookup(reference string) (*box, error) {
	if found := e.containers[reference]; found != nil {
		return found, nil
	}
	if found := e.named("/" + strings.TrimPrefix(reference, "/")); found != nil {
		return found, nil
	}
	for id, b := range e.containers {
		if reference != "" && strings.HasPrefix(id, reference) {
			return b, nil
		}
	}
	return nil, fmt.Errorf("%w: no such container: %s", engine.ErrNotFound, reference)
}

// checkOptions refuses what contradicts a network or UTS namespace that is another's.
func checkOptions(spec engine.Spec) error {
	mode := spec.Host.NetworkMode
	conflicts := []struct {
		found bool
		what  string
	}{
		{spec.Host.UTSMode.IsHost() && spec.Config.Hostname != "", "hostname and the UTS mode"},
		{(mode.IsContainer() || mode.IsHost()) && spec.MACAddress != "", "mac-address and the network mode"},
		{(mode.IsContainer() || mode.IsHost()) && len(spec.Host.Links) > 0, "links and the network mode"},
		{mode.IsContainer() && spec.Config.Hostname != "", "hostname and the network mode"},
		{mode.IsContainer() && len(spec.Host.DNS) > 0, "dns and the network mode"},
		{mode.IsContainer() && len(spec.Host.ExtraHosts) > 0, "custom host-to-IP mapping and the network mode"},
		{mode.IsContainer() && len(spec.Host.PortBindings) > 0, "port publishing and the container type network mode"},
		{mode.IsContainer() && len(spec.Config.ExposedPorts) > 0, "port exposing and the container type network mode"},
	}
	for _, conflict := range conflicts {
		if conflict.found {
			return fmt.Errorf("conflicting options: %s", conflict.what)
		}
	}
	return nil
}

// checkShared refuses what refers to containers that do not exist. A network's is looked up at the start only.
func (e *Engine) checkShared(host *container.HostConfig) error {
	var references []string
	if host.PidMode.IsContainer() {
		references = append(references, host.PidMode.Container())
	}
	if host.IpcMode.IsContainer() {
		references = append(references, host.IpcMode.Container())
	}
	for _, reference := range references {
		if _, err := e.lookup(reference); err != nil {
			return err
		}
	}
	return nil
}

// join puts a starting container into the namespaces that it shares, as far as their containers run.
func (e *Engine) join(b *box) error {
	if err := e.joinNetwork(b); err != nil {
		return err
	}
	if mode := b.HostConfig.PidMode; mode.IsContainer() {
		if _, err := e.running(mode.Container()); err != nil {
			return err
		}
	}
	if mode := b.HostConfig.IpcMode; mode.IsContainer() {
		donor, err := e.running(mode.Container())
		if err != nil {
			return fmt.Errorf("can't join IPC of container %s: %w", mode.Container(), err)
		}
		if !donor.HostConfig.IpcMode.IsShareable() {
			return fmt.Errorf("can't join IPC of container %s: non-shareable IPC", mode.Container())
		}
	}
	for _, each := range b.links {
		linked := e.containers[each.id]
		if linked != nil && !linked.running {
			return fmt.Errorf("cannot link to a non running container: %s AS %s/%s", linked.Name, b.Name, each.alias)
		}
	}
	return nil
}

// joinNetwork also gives the container the names of the one whose network it joins, as inspect shows from then on.
func (e *Engine) joinNetwork(b *box) error {
	mode := b.HostConfig.NetworkMode
	if !mode.IsContainer() {
		return nil
	}
	parent, err := e.lookup(mode.ConnectedContainer())
	if err != nil {
		return err
	}
	if !parent.running {
		return fmt.Errorf("cannot join network of a non running container: %s", parent.ID)
	}
	b.Config.Hostname, b.Config.Domainname = parent.Config.Hostname, parent.Config.Domainname
	return nil
}

func (e *Engine) running(reference string) (*box, error) {
	found, err := e.lookup(reference)
	if err != nil {
		return nil, err
	}
	if !found.running {
		return nil, fmt.Errorf("container %s is not running", found.ID)
	}
	return found, nil
}

// linksTo resolves the links of a new container, NAME or NAME:ALIAS.
func (e *Engine) linksTo(host *container.HostConfig) ([]link, error) {
	var links []link
	for _, each := range host.Links {
		name, alias, found := strings.Cut(each, ":")
		linked, err := e.lookup(name)
		if err != nil {
			return nil, fmt.Errorf("could not get container for %s: %w", name, err)
		}
		if !found {
			alias = strings.TrimPrefix(linked.Name, "/")
		}
		links = append(links, link{id: linked.ID, alias: alias})
	}
	return links, nil
}

// shownLinks are the links by the names of now; that to a container which is gone has gone with it.
func (e *Engine) shownLinks(b *box) []string {
	var shown []string
	for _, each := range b.links {
		if linked := e.containers[each.id]; linked != nil {
			shown = append(shown, linked.Name+":"+b.Name+"/"+each.alias)
		}
	}
	slices.Sort(shown)
	return shown
}

// inherited are the mounts of the containers that VolumesFrom names.
func (e *Engine) inherited(host *container.HostConfig) ([]container.MountPoint, error) {
	var points []container.MountPoint
	for _, from := range host.VolumesFrom {
		reference, mode, _ := strings.Cut(from, ":")
		source, err := e.lookup(reference)
		if err != nil {
			return nil, err
		}
		for _, point := range source.Mounts {
			if point.Type == mount.TypeTmpfs {
				return nil, fmt.Errorf("get %s: no such volume", point.Name) // as API 1.41 has it
			}
			point.RW = point.RW && mode != "ro"
			points = append(points, point)
		}
	}
	return points, nil
}
