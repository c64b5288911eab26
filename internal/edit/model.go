package edit

import (
	"fmt"
	"maps"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/composure-dev/composure/internal/syntax"
)

// document is a parsed file and what compose would read in it.
type document struct {
	*syntax.File
	model *model // nil: the file expands to too much
}

// parse reads a file. The error is the parser's, and may hold content of the file.
func parse(data []byte) (*document, error) {
	file, err := syntax.Parse(data)
	if err != nil {
		return nil, err
	}
	d := &document{File: file}
	if d.Exact() && bounded(file) {
		d.model = newModel(file) // nil as well when that is too much
	}
	return d, nil
}

// value is what a service has under a key, before interpolation.
type value struct {
	text    string
	bare    bool // no value
	removed bool // tagged !reset
}

// model is the environment that the file by itself gives each of its services.
type model struct {
	environments map[string]map[string]value
	// tags are !reset and !override on services and their environments, by document and service: they matter to what other files say.
	tags map[tagged]string
}

type tagged struct {
	document int
	service  string
}

// satisfies reports whether the service has in the file what the change asks for.
func (d *document) satisfies(change Change) bool {
	if d.model == nil {
		return false
	}
	environment, defined := d.model.environments[change.Service]
	v, set := environment[change.Key]
	switch {
	case change.Remove:
		return defined && (!set || v.removed)
	case change.Bare:
		return set && v.bare && !v.removed
	}
	return set && v == value{text: change.Text}
}

// has reports whether the service has the key.
func (m *model) has(change Change) bool {
	_, found := m.environments[change.Service][change.Key]
	return found
}

// maxEntries bounds the entries of all environments taken together, aliases and extends followed. Compose reads less.
const maxEntries = 200_000

// newModel returns nil for a file whose services have more than maxEntries.
func newModel(file *syntax.File) *model {
	m := &model{environments: map[string]map[string]value{}, tags: map[tagged]string{}}
	entries := 0
	for i, root := range file.Roots {
		services := syntax.Child(root, "services")
		if tag := blockTag(services); tag != "" {
			m.tags[tagged{i, ""}] = tag
			clear(m.environments)
		}
		d := newServices(services)
		for service := range d.nodes {
			m.add(i, d, service)
		}
		if entries += d.entries; entries > maxEntries {
			return nil
		}
	}
	return m
}

// add merges what one document says of a service over what the earlier ones said.
func (m *model) add(document int, services *services, service string) {
	node := services.nodes[service]
	block := syntax.Child(node, "environment")
	earlier := m.environments[service]
	if tag := blockTag(node) + blockTag(block); tag != "" {
		m.tags[tagged{document, service}] = tag
		earlier = nil
	}
	environment := services.environment(service)
	if len(earlier) > 0 {
		merged := maps.Clone(earlier)
		maps.Copy(merged, environment)
		environment = merged
	}
	m.environments[service] = environment
}

// services are those of one document, with their environments as far as they are known. These are shared: nobody changes them.
type services struct {
	nodes        map[string]*yaml.Node
	environments map[string]map[string]value
	blocks       map[*yaml.Node]map[string]value // of blocks by themselves: many services may use one
	entries      int
}

func newServices(mapping *yaml.Node) *services {
	s := &services{nodes: map[string]*yaml.Node{}, environments: map[string]map[string]value{}, blocks: map[*yaml.Node]map[string]value{}}
	for _, p := range syntax.Pairs(mapping) {
		s.nodes[p.Key.Value] = syntax.Deref(p.Value)
	}
	return s
}

// environment is that of a service in one document: its own over that of the service it extends in the same file.
func (s *services) environment(service string) map[string]value {
	if known, found := s.environments[service]; found {
		return known
	}
	s.environments[service] = nil // compose refuses a service that extends itself
	node := s.nodes[service]
	block := syntax.Child(node, "environment")
	environment := map[string]value{}
	if blockTag(node) != "!reset" && blockTag(block) != "!reset" {
		environment = s.block(block)
		if base := s.environment(extended(node)); len(base) > 0 && blockTag(block) == "" && s.entries <= maxEntries {
			merged := maps.Clone(base)
			maps.Copy(merged, environment)
			environment = merged
		}
	}
	s.entries += len(environment)
	s.environments[service] = environment
	return environment
}

// block reads an environment block. What is tagged !reset is no part of it, so that a merged value shows; where there is none, it
// takes the value of a base or of an earlier document away.
func (s *services) block(block *yaml.Node) map[string]value {
	if known, found := s.blocks[block]; found {
		return known
	}
	out := map[string]value{}
	reset := map[string]bool{}
	for _, m := range syntax.Lineage(block) {
		for _, e := range syntax.Own(m) {
			v := valueOf(syntax.Deref(e.Value))
			if _, set := out[e.Key.Value]; !set && !v.removed {
				out[e.Key.Value] = v
			}
			reset[e.Key.Value] = reset[e.Key.Value] || v.removed
		}
	}
	for key, is := range reset {
		if _, set := out[key]; is && !set {
			out[key] = value{removed: true}
		}
	}
	for _, item := range syntax.Items(block) {
		if !isReset(item) {
			key, text, assigned := strings.Cut(item.Value, "=")
			out[key] = value{text: text, bare: !assigned}
		}
	}
	s.blocks[block] = out
	return out
}

// extended is the name of the service that a service extends in the same file, or empty.
func extended(service *yaml.Node) string {
	extends := syntax.Child(service, "extends")
	switch {
	case extends == nil:
		return ""
	case extends.Kind == yaml.ScalarNode:
		return extends.Value
	case syntax.Child(extends, "file") != nil:
		return ""
	}
	return syntax.ScalarAt(extends, "service")
}

// blockTag is !reset or !override on a block, or empty.
func blockTag(block *yaml.Node) string {
	if block != nil && (block.Tag == "!reset" || block.Tag == "!override") {
		return block.Tag
	}
	return ""
}

// valueOf is what compose makes of a map's value. One that is not quoted is typed by YAML first: 022 is 18, and 1.10 is 1.1.
func valueOf(n *yaml.Node) value {
	switch {
	case n.Tag == "!reset":
		return value{removed: true}
	case n.Kind != yaml.ScalarNode || n.ShortTag() == "!!str" || n.Tag == "!override":
		return value{text: n.Value}
	case n.ShortTag() == "!!null":
		return value{bare: true}
	}
	var typed any
	if err := n.Decode(&typed); err != nil {
		return value{text: n.Value}
	}
	return value{text: fmt.Sprint(typed)}
}

// maxExpansion bounds the entries that merge keys may bring in, all mappings taken together. Compose stops at less.
const maxExpansion = 1_000_000

// bounded reports whether the merge keys of a file expand to a bearable size. They may nest; each mapping is counted once.
func bounded(file *syntax.File) bool {
	sizes := map[*yaml.Node]int{}
	total := 0
	var size func(n *yaml.Node) int
	size = func(n *yaml.Node) int {
		if known, found := sizes[n]; found {
			return known
		}
		sizes[n] = 0 // ends an anchor that holds itself
		sum := len(n.Content)
		for _, source := range syntax.Merged(n) {
			sum = min(sum+size(source), maxExpansion+1)
		}
		sizes[n] = sum
		total = min(total+sum, maxExpansion+1)
		return sum
	}
	var visit func(n *yaml.Node)
	visit = func(n *yaml.Node) {
		if n.Kind == yaml.MappingNode {
			size(n)
		}
		for _, c := range n.Content {
			visit(c)
		}
	}
	for _, root := range file.Roots {
		if root != nil {
			visit(root)
		}
	}
	return total <= maxExpansion
}
