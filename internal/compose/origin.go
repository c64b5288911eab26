package compose

import (
	"cmp"
	"maps"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"
)

// origins gives every variable the place that set it. compose-go has none: the files were walked again as nodes, and every value
// found is held against the one compose-go resolved. Where they differ no place is given.
type origins struct {
	*load
	env           environment
	resolver      *resolver
	services      model
	declared      types.Services  // active and inactive, env_file not merged
	selfReferring map[string]bool // filled on the way
	written       []writtenValue  // filled on the way
}

func (o *origins) service(config types.ServiceConfig) (*Service, error) {
	s := &Service{
		Name: config.Name, Image: config.Image, Labels: config.Labels, Replicas: config.GetScale(),
		Environment: map[string]Variable{},
	}
	_, s.Active = o.model.Services[config.Name]
	l := o.services[config.Name]
	if l == nil {
		l = &layer{gone: true}
	}
	var found outcome
	if o.broken[config.Name] == "" {
		var err error
		if found, err = o.resolver.outcome(l, o.env); err != nil {
			return nil, err
		}
	}
	if found.selfReferring {
		o.selfReferring[config.Name] = true
	}
	s.Settings = found.settings
	if s.Settings == nil {
		s.Settings = map[string][]Setting{}
	}
	o.settings(config.Name, l, s.Settings)
	for key, value := range config.Environment {
		won, _ := s.Winner(key)
		v := won.Variable
		if got, ok := found.values[key]; !ok || !sameValue(got, value) || !sameValue(v.Value, value) {
			v = Variable{Layer: cmp.Or(v.Layer, LayerEnvironment)}
		}
		v.Value = value
		s.Environment[key] = v
	}
	explained := l.exists() && maps.EqualFunc(found.values, config.Environment, sameValue)
	for _, f := range l.envFiles {
		if _, read := o.resolver.serviceReads[f.path]; read {
			s.EnvFiles = append(s.EnvFiles, EnvFile{Path: f.path, Format: f.format, Definition: f.definition, Extends: f.extends})
		}
	}
	o.place(s, l)
	s.EditHeld = o.editHeld(config.Name, explained)
	s.SwapHeld = o.swapHeld(config, l)
	s.Injected, s.MayInject = o.injected(config)
	s.MACs, s.Shares = macs(config), shares(config)
	s.RestartsWith, s.OneShot = o.restartsWith(config), o.oneShot(config.Name)
	return s, nil
}

func sameValue(a, b *string) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// settings adds the places in environment blocks.
func (o *origins) settings(service string, l *layer, out map[string][]Setting) {
	keys := make([]string, len(l.past))
	for i, st := range l.past {
		keys[i] = st.key
	}
	last := map[string]int{} // of each variable, the step that counts
	for _, it := range l.environment.items {
		keys[it.step], last[it.key] = it.key, it.step
	}
	removed := map[string]int{}
	for i, st := range l.past {
		if st.Removed && !st.dropped {
			removed[keys[i]] = i
		}
	}
	for i, st := range l.past {
		setting := o.setting(st)
		end, counts := last[keys[i]]
		if !counts {
			if end, counts = removed[keys[i]]; !counts {
				end = -1
			}
		}
		// Nothing behind the step that counts has a say: a !reset that found a list takes nothing away.
		setting.Dropped = st.dropped || i > end
		out[keys[i]] = append(out[keys[i]], setting)
		if st.place.written != nil {
			o.written = append(o.written, writtenValue{service: service, key: keys[i], node: st.place.written, file: st.Position.File, used: i == end && !st.Removed})
		}
	}
}

func (o *origins) setting(st step) Setting {
	setting := st.place.Setting
	setting.Definition, setting.Extends = st.definition, st.extends
	ref := st.given
	if ref == nil {
		ref = o.env.given(st.key)
	}
	if st.Bare && ref != nil {
		setting.Value, setting.References = ref.Value, []Reference{*ref}
	}
	return setting
}

// place fills in the definitions, and where a variable that is nowhere would go.
func (o *origins) place(s *Service, l *layer) {
	for _, d := range l.definitions {
		for key, v := range d.Declared {
			if ref := o.env.given(key); v.Bare && v.Value == nil && ref != nil {
				v.Value = ref.Value
				d.Declared[key] = v
			}
		}
		s.Definitions = append(s.Definitions, d.Definition)
		if d.Replaces || s.Place == "" && !d.also {
			s.Place = d.File
		}
	}
	if s.Place == "" && len(s.Definitions) > 0 {
		s.Place = s.Definitions[0].File
	}
}

// writtenValue is an unquoted value that a service has.
type writtenValue struct {
	service, key, file string
	node               *yaml.Node
	used               bool
}

// typed are the values that YAML turns into something else than their text, each place once.
func (o *origins) typed() []Typed {
	found := map[Position]Typed{}
	for _, w := range o.written {
		t, ok := typedOf(w)
		known, again := found[t.Position]
		better := cmp.Or(-cmpBool(t.Used, known.Used), cmp.Compare(t.Service, known.Service)) < 0
		if ok && (!again || better) {
			found[t.Position] = t
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b Typed) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

func cmpBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

func typedOf(w writtenValue) (Typed, bool) {
	const otherwise = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle | yaml.TaggedStyle
	kind := map[string]string{"!!int": "number", "!!float": "number", "!!bool": "boolean", "!!timestamp": "date"}[w.node.ShortTag()]
	if kind == "" || w.node.Style&otherwise != 0 {
		return Typed{}, false
	}
	value := reader{}.typed(w.node)
	if value == nil || *value == w.node.Value {
		return Typed{}, false
	}
	return Typed{
		Service: w.service, Key: w.key, Text: w.node.Value, Value: *value, Kind: kind, Used: w.used, Position: positionOf(w.file, w.node),
	}, true
}
