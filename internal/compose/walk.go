package compose

import (
	"cmp"

	"go.yaml.in/yaml/v4"

	"github.com/composure-dev/composure/internal/syntax"
)

// spot is a node as compose reads it, and how the walk came to it.
type spot struct {
	node *yaml.Node // never an alias; nil: there is none
	at   *yaml.Node // the alias by which the walk left the text it began in, or nil
	// read are the mappings and lists of the document in which compose reads tags: it does not look below an !override, unless
	// an alias elsewhere leads there.
	read map[*yaml.Node][]tag
}

// slot is an entry of a mapping or an element of a list.
type slot struct {
	key   *yaml.Node // nil for an element
	place *yaml.Node // the key or the element, not followed
	at    *yaml.Node // as of the mapping or list that holds it
	value spot
}

func follow(n, at *yaml.Node) (*yaml.Node, *yaml.Node) {
	if n.Kind == yaml.AliasNode {
		return syntax.Deref(n), cmp.Or(at, n)
	}
	return n, at
}

// step goes to a node below. ok is false where a !reset leaves nothing.
func (s spot) step(n, at *yaml.Node) (next spot, ok bool) {
	next = spot{read: s.read}
	next.node, next.at = follow(n, at)
	_, read := s.read[s.node]
	return next, !read || next.node.Tag != tagReset
}

// lineage are the mappings whose entries a mapping has, as [syntax.Lineage] has them, with the alias that brought each in.
func (s spot) lineage() []spot {
	var out []spot
	seen := map[*yaml.Node]bool{}
	var visit func(spot)
	visit = func(m spot) {
		if m.node == nil || m.node.Kind != yaml.MappingNode || seen[m.node] {
			return
		}
		seen[m.node] = true
		out = append(out, m)
		for _, p := range syntax.Entries(m.node) {
			if !syntax.IsMerge(p.Key) {
				continue
			}
			source, ok := m.step(p.Value, m.at)
			if !ok {
				continue
			}
			visit(source)
			for _, element := range source.elements() {
				visit(element.value)
			}
		}
	}
	visit(s)
	return out
}

// slots are the entries of a mapping with those that its merge keys bring in; what a !reset takes away is none.
func (s spot) slots() []slot {
	var out []slot
	taken := map[string]bool{}
	for _, m := range s.lineage() {
		for _, p := range syntax.Own(m.node) {
			value, ok := m.step(p.Value, m.at)
			if ok && !taken[p.Key.Value] {
				taken[p.Key.Value] = true
				out = append(out, slot{key: p.Key, place: p.Key, at: m.at, value: value})
			}
		}
	}
	return out
}

// elements are those of a list.
func (s spot) elements() []slot {
	if s.node == nil || s.node.Kind != yaml.SequenceNode {
		return nil
	}
	out := make([]slot, 0, len(s.node.Content))
	for _, n := range s.node.Content {
		if value, ok := s.step(n, s.at); ok {
			out = append(out, slot{place: n, at: s.at, value: value})
		}
	}
	return out
}

// child is the entry under a key; its key is nil when there is none.
func (s spot) child(key string) slot {
	for _, m := range s.lineage() {
		for _, p := range syntax.Own(m.node) {
			if p.Key.Value != key {
				continue
			}
			if value, ok := m.step(p.Value, m.at); ok {
				return slot{key: p.Key, place: p.Key, at: m.at, value: value}
			}
		}
	}
	return slot{}
}

func (s spot) null() bool { return s.node == nil || s.node.ShortTag() == "!!null" }

func (s spot) scalar() bool { return s.node != nil && s.node.Kind == yaml.ScalarNode }

func positionOf(file string, n *yaml.Node) Position {
	if n == nil {
		return Position{}
	}
	return Position{File: file, Line: n.Line, Column: n.Column}
}
