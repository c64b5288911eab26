package edit

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/composure-dev/composure/internal/syntax"
)

// comparison holds all data of two versions of a file against each other but the environments of services.
type comparison struct {
	proof
	created map[string]bool
	// skipped are the touched keys, by the mapping or list of either version that has them.
	skipped map[*yaml.Node][]string
	// compared tells of mappings and lists whether they are the same with all that they expand to: each is looked at once.
	compared map[[2]*yaml.Node]bool
}

func newComparison(p proof) *comparison {
	c := &comparison{proof: p, created: p.created(), skipped: map[*yaml.Node][]string{}, compared: map[[2]*yaml.Node]bool{}}
	for _, t := range p.touched {
		for _, d := range []*document{p.before, p.after} {
			if n := t.node(d); n != nil {
				c.skipped[n] = append(c.skipped[n], t.key)
			}
		}
	}
	return c
}

func (c *comparison) same() bool {
	return slices.EqualFunc(roots(c.before), roots(c.after), c.sameRoot)
}

// roots are the values of a file's documents; a file of nothing but comments is an empty one.
func roots(d *document) []*yaml.Node {
	if len(d.Roots) == 0 {
		return []*yaml.Node{nil}
	}
	return d.Roots
}

func (c *comparison) sameRoot(a, b *yaml.Node) bool {
	if !isMappingOrEmpty(a) || !isMappingOrEmpty(b) {
		return c.sameData(a, b)
	}
	other := func(e syntax.Pair) bool { return e.Key.Value == "services" && !syntax.IsMerge(e.Key) }
	fields := func(n *yaml.Node) []syntax.Pair { return slices.DeleteFunc(syntax.Entries(n), other) }
	return slices.EqualFunc(fields(a), fields(b), c.sameField) && slices.EqualFunc(c.services(a), c.services(b), c.sameService)
}

func isMappingOrEmpty(n *yaml.Node) bool { return n == nil || n.Kind == yaml.MappingNode || isNull(n) }

// services are those of a document, without the ones that a change has added.
func (c *comparison) services(root *yaml.Node) []syntax.Pair {
	return slices.DeleteFunc(syntax.Pairs(syntax.Child(root, "services")), func(e syntax.Pair) bool {
		n := syntax.Deref(e.Value)
		return c.created[e.Key.Value] && len(n.Content) == 2 && n.Content[0].Value == "environment"
	})
}

// sameService compares two services without their environments; an empty one is one without fields.
func (c *comparison) sameService(a, b syntax.Pair) bool {
	x, y := syntax.Deref(a.Value), syntax.Deref(b.Value)
	if a.Key.Value != b.Key.Value || blockTag(x) != blockTag(y) {
		return false
	}
	if !isMappingOrEmpty(x) && blockTag(x) == "" || !isMappingOrEmpty(y) && blockTag(y) == "" {
		return c.sameData(x, y)
	}
	fields := func(n *yaml.Node) []syntax.Pair {
		return slices.DeleteFunc(syntax.Pairs(n), func(e syntax.Pair) bool { return e.Key.Value == "environment" })
	}
	return slices.EqualFunc(fields(x), fields(y), c.sameField)
}

// sameField compares two entries of a mapping whose keys compose knows. An extension means nothing to it by itself.
func (c *comparison) sameField(a, b syntax.Pair) bool {
	if strings.HasPrefix(a.Key.Value, "x-") && a.Key.Value != "x-develop" || syntax.IsMerge(a.Key) { // compose reads x-develop as develop
		return c.sameText(a.Key, b.Key) && c.sameText(a.Value, b.Value)
	}
	return c.sameText(a.Key, b.Key) && c.sameData(a.Value, b.Value)
}

// sameData compares nodes with all that their aliases and merge keys bring in.
func (c *comparison) sameData(a, b *yaml.Node) bool {
	a, b = syntax.Deref(a), syntax.Deref(b)
	if a == nil || b == nil {
		return a == b
	}
	if !sameScalar(a, b) {
		return false
	}
	pair := [2]*yaml.Node{a, b}
	if same, known := c.compared[pair]; known || len(a.Content) == 0 {
		return same || !known && len(b.Content) == 0
	}
	c.compared[pair] = true // until it is known better: an anchor may hold itself
	c.compared[pair] = slices.EqualFunc(syntax.Pairs(a), syntax.Pairs(b), func(x, y syntax.Pair) bool {
		return c.sameData(x.Key, y.Key) && c.sameData(x.Value, y.Value)
	}) && slices.EqualFunc(syntax.Items(a), syntax.Items(b), c.sameData)
	return c.compared[pair]
}

func sameScalar(a, b *yaml.Node) bool {
	return a.Kind == b.Kind && a.Value == b.Value && a.ShortTag() == b.ShortTag()
}

// sameText compares nodes as they are written, aliases by name. Quotes, comments, places and the names of anchors do not count.
func (c *comparison) sameText(a, b *yaml.Node) bool {
	return sameScalar(a, b) && slices.EqualFunc(c.written(a), c.written(b), c.sameText)
}

// written are the nodes that a node is made of, without touched keys.
func (c *comparison) written(n *yaml.Node) []*yaml.Node {
	skip := c.skipped[n]
	if len(skip) == 0 {
		return n.Content
	}
	var out []*yaml.Node
	for _, e := range syntax.Entries(n) {
		if !slices.Contains(skip, e.Key.Value) {
			out = append(out, e.Key, e.Value)
		}
	}
	if n.Kind == yaml.SequenceNode {
		out = slices.DeleteFunc(slices.Clone(n.Content), func(item *yaml.Node) bool { return slices.Contains(skip, keyOf(item)) })
	}
	return out
}
