package compose

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/tree"
	"go.yaml.in/yaml/v4"
)

// maxTags bounds what aliases can make of the tags of one document.
const maxTags = 100_000

// tag is a !reset or !override. compose-go takes the value at its path away from what was merged before.
type tag struct {
	path  tree.Path  // as compose-go records it, with its peculiarities
	key   *yaml.Node // what the tagged value stands under; nil for an element of a list
	at    *yaml.Node // the first alias on the way to it, or nil
	reset bool
}

// tagsOf are the tags of a document in the order, and with the paths, of loader.ResetProcessor.
func tagsOf(root *yaml.Node) *tagger {
	t := &tagger{known: map[*yaml.Node][]tag{}}
	if root != nil {
		t.visit(root, tag{})
	}
	return t
}

type tagger struct {
	tags  []tag
	known map[*yaml.Node][]tag // of a mapping or sequence; paths are relative to it
}

// visit takes where it is as a tag that is still to be read.
func (t *tagger) visit(n *yaml.Node, here tag) {
	// The merge key counts for nothing in a path. Where it stood, compose-go loses which dots belonged to a name.
	if text := here.path.String(); strings.Contains(text, ".<<") {
		here.path = tree.NewPath(strings.Replace(text, ".<<", "", 1))
	}
	n, here.at = follow(n, here.at)
	switch {
	case len(t.tags) > maxTags:
	case tagged(n):
		here.reset = n.Tag == tagReset
		t.tags = append(t.tags, here)
	case n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode:
		t.container(n, here)
	}
}

func (t *tagger) container(n *yaml.Node, here tag) {
	if below, ok := t.known[n]; ok {
		for _, b := range below {
			b.path, b.at = joined(here.path, b.path), cmp.Or(here.at, b.at)
			t.tags = append(t.tags, b)
		}
		return
	}
	t.known[n] = nil // ends an anchor that holds itself
	first := len(t.tags)
	for i, child := range n.Content {
		switch {
		case n.Kind == yaml.SequenceNode:
			t.visit(child, tag{path: here.path.Next(strconv.Itoa(i)), at: here.at})
		case i%2 == 1:
			key := n.Content[i-1]
			t.visit(child, tag{path: here.path.Next(key.Value), at: here.at, key: key})
		}
	}
	below := slices.Clone(t.tags[first:])
	for i, b := range below {
		below[i].path = tree.Path(strings.TrimPrefix(strings.TrimPrefix(string(b.path), string(here.path)), "."))
	}
	t.known[n] = below
}

func joined(base, below tree.Path) tree.Path {
	if base == "" {
		return below
	}
	return tree.Path(string(base) + "." + string(below))
}

const (
	tagReset    = "!reset"
	tagOverride = "!override"
)

func tagged(n *yaml.Node) bool { return n != nil && (n.Tag == tagReset || n.Tag == tagOverride) }

// takes reports whether one of the tags takes the value at path away.
func takes(tags []tag, path tree.Path) bool {
	return slices.ContainsFunc(tags, func(t tag) bool { return path.Matches(t.path) })
}

const servicesPath = tree.Path("services")

// servicePath is the path of something in a service.
func servicePath(service string, below ...string) tree.Path {
	path := tree.NewPath("services").Next(service)
	for _, part := range below {
		path = path.Next(part)
	}
	return path
}
