package compose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"
)

// origins finds the place that set each variable. compose-go has none: the files are walked again as nodes, by the rules
// compose merges with, and every value found is held against the one compose-go resolved. Where they differ no place is given.
type origins struct {
	*load
	declared      types.Services // active and inactive, env_file not merged
	envFiles      []File
	selfReferring map[string]bool // filled on the way
}

// entry is one variable of an environment block.
type entry struct {
	Variable
	key     string
	removed bool // tagged !reset
}

func (o *origins) service(config types.ServiceConfig) *Service {
	s := &Service{
		Name: config.Name, Image: config.Image, Labels: config.Labels, Replicas: config.GetScale(),
		Environment: map[string]Variable{},
	}
	_, s.Active = o.model.Services[config.Name]
	written := o.written(config.Name)
	fromFiles := o.fromEnvFiles(config)
	unexplained := false
	for key, value := range config.Environment {
		v, ok := written[key]
		if !ok {
			v, ok = fromFiles[key]
		}
		if !ok || !sameValue(v.Value, value) {
			unexplained = true
			v = Variable{Layer: LayerEnvironment}
		}
		v.Value = value
		s.Environment[key] = v
	}
	for key := range written {
		if _, ok := config.Environment[key]; !ok {
			unexplained = true
		}
	}
	s.Definitions = o.definitions(config.Name)
	s.EditHeld = o.editHeld(config.Name, unexplained)
	s.SwapHeld = o.swapHeld(config)
	return s
}

func sameValue(a, b *string) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// written are the variables of the service's environment blocks, merged over all top-level files.
func (o *origins) written(service string) map[string]Variable {
	out := map[string]Variable{}
	for _, doc := range o.docs {
		block := environmentOf(doc, service)
		if block.node == nil {
			continue
		}
		if tag := block.node.Tag; tag == "!override" || tag == "!reset" {
			clear(out)
		}
		if block.node.Tag == "!reset" {
			continue
		}
		for _, e := range o.entries(doc.file, block.node) {
			if e.removed {
				delete(out, e.key)
				continue
			}
			out[e.key] = e.Variable
		}
	}
	return out
}

// environmentOf is the environment block that a document gives a service, its own or one that a merge key brings in.
func environmentOf(doc document, service string) found {
	return lookup(child(child(doc.root, "services"), service), "environment")
}

// entries reads an environment block; a later entry of the same key beats an earlier one.
func (o *origins) entries(file string, block *yaml.Node) []entry {
	var out []entry
	for _, p := range pairs(block) {
		out = append(out, o.mapEntry(file, p))
	}
	for i, item := range items(block) {
		if item.Kind == yaml.ScalarNode {
			out = append(out, o.listEntry(file, item, block.Content[i]))
		}
	}
	return out
}

func (o *origins) mapEntry(file string, p pair) entry {
	value := deref(p.value)
	e := entry{key: p.key.Value, removed: value.Tag == "!reset"}
	e.Layer = LayerEnvironment
	e.Position = Position{File: file, Line: p.key.Line, Column: p.key.Column}
	if value.Kind != yaml.ScalarNode {
		return e
	}
	if value.ShortTag() == "!!null" {
		e.Bare = true
		e.Value = o.fromProject(e.key)
		return e
	}
	e.Text = value.Value
	e.Value = o.typed(value)
	return e
}

func (o *origins) listEntry(file string, item, place *yaml.Node) entry {
	e := entry{}
	e.Layer = LayerEnvironment
	e.Position = Position{File: file, Line: place.Line, Column: place.Column}
	text := o.typed(item)
	if text == nil {
		return e
	}
	key, value, assigned := strings.Cut(*text, "=")
	e.key = key
	if !assigned {
		e.Bare = true
		e.Value = o.fromProject(key)
		return e
	}
	_, e.Text, _ = strings.Cut(item.Value, "=")
	e.Value = &value
	return e
}

// typed is the string that compose makes of a scalar: 022 is a number, 18, and so on; strings are interpolated.
func (o *origins) typed(scalar *yaml.Node) *string {
	var value any
	if err := scalar.Decode(&value); err != nil {
		return nil
	}
	text, isString := value.(string)
	if !isString {
		text = fmt.Sprint(value)
		return &text
	}
	text, err := o.env.substitute(text)
	if err != nil {
		return nil
	}
	return &text
}

func (o *origins) fromProject(key string) *string {
	if v, ok := o.env.lookup(key); ok {
		return &v
	}
	return nil
}

// fromEnvFiles are the variables that the env_file entries give, the last file winning.
func (o *origins) fromEnvFiles(config types.ServiceConfig) map[string]Variable {
	out := map[string]Variable{}
	declared := o.declared[config.Name]
	environment := declared.Environment.Resolve(types.Mapping(o.env.values).Resolve)
	earlier := map[string]string{}
	lookup := func(name string) (string, bool) {
		if v, ok := o.env.lookup(name); ok {
			return v, true
		}
		if v := environment[name]; v != nil {
			o.selfReferring[config.Name] = true
			return *v, true
		}
		v, ok := earlier[name]
		return v, ok
	}
	for _, envFile := range declared.EnvFiles {
		i := slices.IndexFunc(o.envFiles, func(f File) bool { return f.Path == envFile.Path })
		if i < 0 {
			continue
		}
		scan := scanEnvFile
		if envFile.Format == formatRaw {
			scan = scanRaw
		}
		for _, s := range scan(o.envFiles[i].Content) {
			value, ok := s.value(lookup)
			if !ok {
				continue
			}
			earlier[s.key] = value
			out[s.key] = envFileVariable(envFile.Path, s, value, config.Environment[s.key])
		}
	}
	return out
}

// envFileVariable gives a line only when the statement alone explains the value that compose-go resolved.
func envFileVariable(path string, s statement, value string, want *string) Variable {
	v := Variable{Value: want, Text: s.text, Bare: s.bare, Literal: s.literal, Layer: LayerEnvFile, Position: Position{File: path}}
	if sameValue(&value, want) {
		v.Line, v.Column = s.line, 1
	}
	return v
}

// definitions are what each top-level file says of the service.
func (o *origins) definitions(service string) []Definition {
	var out []Definition
	for _, doc := range o.docs {
		at := lookup(child(doc.root, "services"), service)
		if at.key == nil {
			continue
		}
		i := slices.IndexFunc(out, func(d Definition) bool { return d.File == doc.file })
		if i < 0 {
			i = len(out)
			out = append(out, Definition{
				File: doc.file, Declared: map[string]Variable{},
				Position: Position{File: doc.file, Line: at.key.Line, Column: at.key.Column},
			})
		}
		if block := environmentOf(doc, service); block.node != nil {
			for _, e := range o.entries(doc.file, block.node) {
				if !e.removed {
					out[i].Declared[e.key] = e.Variable
				}
			}
		}
	}
	return out
}
