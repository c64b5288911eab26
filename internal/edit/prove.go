package edit

import (
	"maps"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v4"

	"github.com/composure-dev/composure/internal/syntax"
)

// proof holds two versions of a file against each other.
type proof struct {
	before, after *document
	intended      []Change
	touched       []place
}

// problem is what an edit changes that it must not: services that have a variable otherwise (by name, sorted), or other data.
type problem struct {
	services []string
	data     bool
	dangling bool // an alias elsewhere has lost its anchor
}

// check returns nil when after differs from before in nothing but intended changes, and where it differs has what they ask for.
//
// Environments are compared as compose reads them, aliases and merge keys followed. All else is compared as data too, but for
// extension fields (x-…), which mean nothing to compose by themselves: they are compared as written, without the touched keys.
func (p proof) check() *problem {
	readable := p.after.model != nil && (mergeable(p.after) || !mergeable(p.before))
	if !readable || !maps.Equal(p.before.model.tags, p.after.model.tags) {
		return &problem{data: true}
	}
	if stray := p.stray(); len(stray) > 0 {
		return &problem{services: stray}
	}
	if !newComparison(p).same() {
		return &problem{data: true}
	}
	return nil
}

// mergeable reports whether all that merge keys bring in are mappings: nothing else can be merged.
func mergeable(d *document) bool {
	var fits func(n *yaml.Node) bool
	fits = func(n *yaml.Node) bool {
		for _, source := range syntax.Merged(n) {
			if source.Kind != yaml.MappingNode {
				return false
			}
		}
		return !slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return !fits(c) })
	}
	return !slices.ContainsFunc(d.Roots, func(root *yaml.Node) bool { return root != nil && !fits(root) })
}

// stray are the services of which a variable differs that no change speaks of, or otherwise than one says.
func (p proof) stray() []string {
	was, is := p.before.model.environments, p.after.model.environments
	services := map[string]bool{}
	compare := func(a, b map[string]map[string]value) {
		for service := range a {
			for key, v := range a[service] {
				// An empty value is another thing than none.
				if other, set := b[service][key]; (!set || other != v) && !p.wanted(service, key) {
					services[service] = true
				}
			}
		}
	}
	compare(was, is)
	compare(is, was)
	return slices.Sorted(maps.Keys(services))
}

func (p proof) wanted(service, key string) bool {
	return slices.ContainsFunc(p.intended, func(c Change) bool {
		return c.Service == service && c.Key == key && p.after.satisfies(c)
	})
}

// created are the services that a change may add to the file.
func (p proof) created() map[string]bool {
	created := map[string]bool{}
	for _, c := range p.intended {
		if _, defined := p.before.model.environments[c.Service]; c.Create && !defined {
			created[c.Service] = true
		}
	}
	return created
}

// place is a mapping or list of a document, by the keys and indexes that lead to it, and a key in it.
type place struct {
	document int
	path     []string
	key      string
}

// placeOf is the place of a key in n, which is written down somewhere in the file.
func (d *document) placeOf(n *yaml.Node, key string) place {
	for i, root := range d.Roots {
		nodes := nodesTo(root, n)
		if len(nodes) == 0 {
			continue
		}
		slices.Reverse(nodes)
		at := place{document: i, key: key}
		for j, child := range nodes[1:] {
			at.path = append(at.path, stepTo(nodes[j], child))
		}
		return at
	}
	return place{document: -1}
}

// stepTo is what leads from a node to one of its own: a key, or an index.
func stepTo(parent, child *yaml.Node) string {
	i := slices.Index(parent.Content, child)
	if parent.Kind == yaml.MappingNode {
		return parent.Content[i-i%2].Value
	}
	return strconv.Itoa(i)
}

// node is the mapping or list at a place, or nil.
func (p place) node(d *document) *yaml.Node {
	if p.document < 0 || p.document >= len(d.Roots) {
		return nil
	}
	n := d.Roots[p.document]
	for _, step := range p.path {
		n = below(n, step)
	}
	return n
}

func below(n *yaml.Node, step string) *yaml.Node {
	switch {
	case n == nil:
	case n.Kind == yaml.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i < len(n.Content) {
			return n.Content[i]
		}
	default:
		for _, e := range syntax.Entries(n) {
			if e.Key.Value == step {
				return e.Value
			}
		}
	}
	return nil
}
