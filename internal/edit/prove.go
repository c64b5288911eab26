package edit

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// proved reports whether after differs from before in the given keys only, and reads each as its text (of several changes of
// one key the last counts).
//
// The trees are compared as written, with aliases by name: that costs no more than the files are long, whatever their aliases
// expand to. It is as strong as comparing them expanded, because nothing on the way to a changed key is used through an alias.
func proved(before, after *document, changes []Change) bool {
	if len(before.roots) != 1 || len(after.roots) != 1 {
		return false
	}
	wanted := map[string]map[string]string{}
	for _, c := range changes {
		if wanted[c.Service] == nil {
			wanted[c.Service] = map[string]string{}
		}
		wanted[c.Service][c.Key] = c.Text
	}
	for service, keys := range wanted {
		environment := child(child(after.services(), service), "environment")
		if environment == nil {
			return false
		}
		for key, text := range keys {
			found, count := entry(environment, key)
			if count == 0 || !reads(environment, found, Change{Service: service, Key: key, Text: text}) {
				return false
			}
		}
	}
	return equal(without(before.roots[0], wanted), without(after.roots[0], wanted))
}

// without is a copy of the root that lacks the given keys of the services' environments, and environments that are empty then.
func without(root *yaml.Node, keys map[string]map[string]string) *yaml.Node {
	return mapValue(root, "services", func(services *yaml.Node) *yaml.Node {
		for service := range keys {
			services = mapValue(services, service, func(n *yaml.Node) *yaml.Node {
				return mapValue(n, "environment", func(e *yaml.Node) *yaml.Node { return withoutKeys(e, keys[service]) })
			})
		}
		return services
	})
}

// mapValue is a copy of the mapping n with the value of key replaced by f's, or dropped if that is nil.
func mapValue(n *yaml.Node, key string, f func(*yaml.Node) *yaml.Node) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return n
	}
	copied := *n
	copied.Content = nil
	for _, p := range pairs(n) {
		value := p.value
		if p.key.Value == key {
			value = f(value)
		}
		if value != nil {
			copied.Content = append(copied.Content, p.key, value)
		}
	}
	return &copied
}

func withoutKeys(environment *yaml.Node, keys map[string]string) *yaml.Node {
	copied := *environment
	copied.Content = nil
	size := 1
	if environment.Kind == yaml.MappingNode {
		size = 2
	}
	for e := range slices.Chunk(environment.Content, size) {
		name := scalar(e[0]).Value
		if size == 1 {
			name, _, _ = strings.Cut(name, "=")
		}
		if _, changed := keys[name]; !changed {
			copied.Content = append(copied.Content, e...)
		}
	}
	if len(copied.Content) == 0 {
		return nil
	}
	return &copied
}

// equal reports whether two trees are the same data: quotes, comments and positions do not count.
func equal(a, b *yaml.Node) bool {
	return a.Kind == b.Kind && a.ShortTag() == b.ShortTag() && a.Value == b.Value && a.Anchor == b.Anchor &&
		slices.EqualFunc(a.Content, b.Content, equal)
}
