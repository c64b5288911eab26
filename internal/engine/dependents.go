package engine

import (
	"slices"
	"strings"
	"time"
)

// Dependents are the containers of all that live in a namespace of the given one, use its volumes or are linked to it on the
// default bridge. They refer to the very
// container that it is now: a replacement, or a mere restart, takes the namespace away from under them. all are the containers
// of the whole engine, of any project or none.
func Dependents(of Container, all []Container) []Container {
	var dependents []Container
	for _, c := range all {
		refersToIt := func(reference string) bool { return refersTo(reference, of, all) }
		if c.Label(LabelRole) != "" {
			continue // a probe that a killed run left behind asks nothing of anybody any more
		}
		if c.ID != of.ID && slices.ContainsFunc(references(c), refersToIt) {
			dependents = append(dependents, c)
		}
	}
	return dependents
}

// Severed are the running containers that have lost a namespace: they joined that of a container which has been started again
// since. Whatever shares the namespaces of one of them comes after it. all are the containers of the whole engine.
func Severed(by Container, all []Container) []Container {
	var severed []Container
	for _, c := range Joined(by, all) {
		if up(c) && joins(c, by) && startedBefore(c, by) {
			severed = append(append(severed, c), slices.DeleteFunc(Joined(c, all), func(c Container) bool { return !up(c) })...)
		}
	}
	return severed
}

// Joined are the containers in the namespaces of another, and in theirs, those of which others use the namespaces first.
func Joined(parent Container, all []Container) []Container {
	var found []Container
	for _, c := range Dependents(parent, all) {
		if joins(c, parent) {
			found = append(append(found, c), Joined(c, all)...)
		}
	}
	return found
}

// joins leaves out volumes and links, which outlive a process.
func joins(c, parent Container) bool {
	return slices.ContainsFunc(namespaces(c), func(reference string) bool { return refersTo(reference, parent, nil) })
}

func startedBefore(a, b Container) bool {
	if a.State == nil || b.State == nil {
		return false
	}
	first, err := time.Parse(time.RFC3339Nano, a.State.StartedAt)
	second, badTime := time.Parse(time.RFC3339Nano, b.State.StartedAt)
	return err == nil && badTime == nil && first.Before(second)
}

// references are the ids and names by which a container was told to share something of others.
func references(c Container) []string {
	if c.HostConfig == nil {
		return nil
	}
	shared := namespaces(c)
	for _, from := range c.HostConfig.VolumesFrom {
		reference, _, _ := strings.Cut(from, ":") // :ro or :rw
		shared = append(shared, reference)
	}
	for _, link := range c.HostConfig.Links {
		name, _, _ := strings.Cut(link, ":")
		shared = append(shared, name)
	}
	return shared
}

// namespaces are the ids and names of the containers whose namespaces it joins when it starts.
func namespaces(c Container) []string {
	if c.HostConfig == nil {
		return nil
	}
	var shared []string
	for _, mode := range []string{string(c.HostConfig.NetworkMode), string(c.HostConfig.PidMode), string(c.HostConfig.IpcMode)} {
		if reference, found := strings.CutPrefix(mode, containerMode); found {
			shared = append(shared, reference)
		}
	}
	return shared
}

// refersTo resolves as the engine does: a whole id, else a name, else the beginning of an id.
func refersTo(reference string, of Container, all []Container) bool {
	name := strings.TrimPrefix(reference, "/")
	if name == "" {
		return false
	}
	if reference == of.ID || name == of.CleanName() {
		return true
	}
	isNamed := func(c Container) bool { return c.CleanName() == name }
	return strings.HasPrefix(of.ID, reference) && !slices.ContainsFunc(all, isNamed)
}
