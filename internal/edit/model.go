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

func newDocument(file *syntax.File) *document {
	d := &document{File: file}
	if d.Exact() && bounded(file) {
		d.model = newModel(file)
	}
	return d
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
	// tags are !reset and !override on environment blocks, by document and service: they matter to what other files say.
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

func newModel(file *syntax.File) *model {
	m := &model{environments: map[string]map[string]value{}, tags: map[tagged]string{}}
	for i, root := range file.Roots {
		services := servicesOf{}
		for _, p := range syntax.Pairs(syntax.Child(root, "services")) {
			services[p.Key.Value] = syntax.Deref(p.Value)
		}
		for service := range services {
			m.add(i, services, service)
		}
	}
	return m
}

// servicesOf are the services of one document, by name.
type servicesOf map[string]*yaml.Node

// add merges what one document says of a service over what the earlier ones said.
func (m *model) add(document int, services servicesOf, service string) {
	block := syntax.Child(services[service], "environment")
	if tag := blockTag(block); tag != "" {
		m.tags[tagged{document, service}] = tag
		clear(m.environments[service])
	}
	if m.environments[service] == nil {
		m.environments[service] = map[string]value{}
	}
	maps.Copy(m.environments[service], services.environment(service, map[string]bool{}))
}

// environment is that of a service in one document: its own over that of the service it extends in the same file.
func (services servicesOf) environment(service string, seen map[string]bool) map[string]value {
	out := map[string]value{}
	if seen[service] {
		return out // compose refuses a service that extends itself
	}
	seen[service] = true
	block := syntax.Child(services[service], "environment")
	if base := extended(services[service]); base != "" && blockTag(block) == "" {
		out = services.environment(base, seen)
	}
	if blockTag(block) == "!reset" {
		return out
	}
	for _, p := range syntax.Pairs(block) {
		out[p.Key.Value] = valueOf(syntax.Deref(p.Value))
	}
	for _, item := range syntax.Items(block) {
		key, text, assigned := strings.Cut(item.Value, "=")
		out[key] = value{text: text, bare: !assigned}
	}
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
		sizes[n] = 0 // an anchor that holds itself: the parser refuses it
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
