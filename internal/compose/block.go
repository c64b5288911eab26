package compose

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// reader reads the blocks of one document in the environment of the file it is in.
type reader struct {
	document
	env  environment
	also bool
}

// service reads one entry of services.
func (r reader) service(at slot) *layer {
	name := at.key.Value
	l := &layer{}
	l.extends = r.extension(at.value.child("extends").value)
	l.pastFiles = r.envFiles(name, at.value.child("env_file").value)
	l.envFiles = mergedFiles(nil, l.pastFiles)
	l.past = r.removals(name)
	d := definition{also: r.also, Definition: Definition{File: r.file, Declared: map[string]Variable{}, Position: positionOf(r.file, at.key)}}
	for _, s := range l.past {
		d.removed = append(d.removed, s.key)
	}
	d.Replaces = slices.ContainsFunc(r.tags, func(t tag) bool {
		return t.path == servicesPath || t.path == servicePath(name) || t.path == servicePath(name, "environment")
	})
	r.environment(name, at.value.child("environment"), l)
	for _, it := range l.environment.items {
		v := l.past[it.step].Variable
		if ref := r.env.given(it.key); v.Bare && l.environment.list && ref != nil {
			v.Value = ref.Value
		}
		d.Declared[it.key] = v
	}
	l.define(d)
	return l
}

// removals are the variables that the document takes away with !reset.
func (r reader) removals(service string) []step {
	var out []step
	for _, t := range r.tags {
		parts := t.path.Parts()
		if !t.reset || t.key == nil || len(parts) != 4 || t.path != servicePath(service, "environment", t.key.Value) {
			continue
		}
		p := r.place(service, t.key.Value, slot{place: t.key, at: t.at})
		p.Removed = true
		out = append(out, step{place: p, definition: r.file})
	}
	return out
}

func (r reader) place(service, key string, at slot) *place {
	p := &place{key: key}
	p.Service, p.Layer, p.Definition = service, LayerEnvironment, r.file
	p.Position = positionOf(r.file, at.place)
	p.Fragment, p.At = at.at != nil, positionOf(r.file, at.at)
	return p
}

// environment reads a block into the layer.
func (r reader) environment(service string, at slot, l *layer) {
	if at.key == nil {
		return
	}
	block := at.value
	l.environment.given = true
	add := func(key string, value *string, p *place) {
		l.environment.items = append(l.environment.items, item{key: key, value: value, step: len(l.past)})
		l.past = append(l.past, step{place: p, definition: r.file})
	}
	for _, s := range block.slots() {
		p := r.mapEntry(service, s)
		add(p.key, p.Value, p)
	}
	elements := block.elements()
	if block.scalar() && !block.null() {
		elements = []slot{{place: block.node, at: block.at, value: block}}
	}
	for _, s := range elements {
		if p := r.listEntry(service, s); p != nil {
			add(p.key, p.Value, p)
		}
	}
	if block.node.Kind == yaml.SequenceNode {
		l.environment.list = true
		l.environment.items = unique(l.environment.items)
	}
}

func (r reader) mapEntry(service string, s slot) *place {
	p := r.place(service, s.key.Value, s)
	if s.value.node.Kind != yaml.ScalarNode {
		p.Value = r.lastOf(s.value)
		return p
	}
	if s.value.null() {
		p.Bare = true
		return p
	}
	p.written = s.value.node
	p.Text = s.value.node.Value
	p.Value = r.typed(s.value.node)
	p.References = r.env.references(p.Text)
	return p
}

// lastOf is what compose-go makes of a list below a variable, which a base that is extended may have.
func (r reader) lastOf(list spot) *string {
	elements := list.elements()
	if len(elements) == 0 || !elements[len(elements)-1].value.scalar() {
		return nil
	}
	return r.typed(elements[len(elements)-1].value.node)
}

func (r reader) listEntry(service string, s slot) *place {
	if !s.value.scalar() {
		return nil
	}
	text := r.typed(s.value.node)
	if text == nil {
		return nil
	}
	key, value, assigned := strings.Cut(*text, "=")
	p := r.place(service, key, s)
	if !assigned {
		p.Bare = true
		return p
	}
	p.Text, p.Value = assignedText(s.value.node.Value), &value
	p.References = r.env.references(p.Text)
	return p
}

// assignedText is what stands behind the = of KEY=VALUE. Where the whole of it comes from a reference that is the text.
func assignedText(text string) string {
	depth := 0
	for i := range len(text) {
		switch {
		case text[i] == '{' && i > 0 && text[i-1] == '$':
			depth++
		case text[i] == '}' && depth > 0:
			depth--
		case text[i] == '=' && depth == 0:
			return text[i+1:]
		}
	}
	return text
}

// typed is the string that compose makes of a scalar: 022 is a number, 18, and so on; strings are interpolated.
func (r reader) typed(scalar *yaml.Node) *string {
	var value any
	if err := scalar.Decode(&value); err != nil {
		return nil
	}
	text, isString := value.(string)
	if !isString {
		text = fmt.Sprint(value)
		return &text
	}
	text, err := r.env.substitute(text)
	if err != nil {
		return nil
	}
	return &text
}

// text is an interpolated string, with ~ expanded as in every path; empty for anything else.
func (r reader) text(s spot) string {
	if !s.scalar() || s.null() {
		return ""
	}
	text := r.typed(s.node)
	if text == nil {
		return ""
	}
	return r.env.expandHome(*text)
}

// texts reads a string or a list of strings.
func (r reader) texts(s spot) []string {
	if s.scalar() {
		return []string{r.text(s)}
	}
	var out []string
	for _, e := range s.elements() {
		out = append(out, r.text(e.value))
	}
	return out
}

// given is what a bare key takes from the environment that the file is read in.
func (e environment) given(key string) *Reference {
	if value, ok := e.lookup(key); ok {
		return &Reference{Name: key, Value: &value, Source: e.sources[key]}
	}
	return nil
}

func (r reader) extension(s spot) *extension {
	switch {
	case s.node == nil || s.null():
		return nil
	case s.scalar():
		return &extension{service: *orEmpty(r.typed(s.node))}
	}
	return &extension{service: *orEmpty(r.plain(s.child("service").value)), file: r.text(s.child("file").value)}
}

func (r reader) plain(s spot) *string {
	if !s.scalar() {
		return nil
	}
	return r.typed(s.node)
}

func orEmpty(text *string) *string {
	if text == nil {
		return new(string)
	}
	return text
}

func (r reader) envFiles(service string, s spot) []envFile {
	var out []envFile
	add := func(f envFile) {
		f.definition, f.service = r.file, service
		out = append(out, f)
	}
	if s.scalar() && !s.null() {
		add(envFile{path: r.text(s), required: true})
	}
	for _, e := range s.elements() {
		if e.value.scalar() {
			add(envFile{path: r.text(e.value), required: true})
			continue
		}
		required := r.plain(e.value.child("required").value)
		add(envFile{
			path: r.text(e.value.child("path").value), format: *orEmpty(r.plain(e.value.child("format").value)),
			required: required == nil || *required != "false",
		})
	}
	return out
}
