package compose

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
)

// Differs names the first thing, besides the environments of services, that another version of the project has otherwise: a field of
// a service, a network, the project's name. It is empty when there is none. It never holds a value.
func (p *Project) Differs(other *Project) string {
	if p == other || p == nil || other == nil {
		return ""
	}
	if p.Name != other.Name {
		return "the project's name"
	}
	if changed := differing("services", servicesOf(p), servicesOf(other)); changed != "" {
		return changed
	}
	a, b := p.resources(), other.resources()
	for _, kind := range slices.Sorted(maps.Keys(a)) {
		if changed := differing(kind, fields(a[kind]), fields(b[kind])); changed != "" {
			return changed
		}
	}
	return ""
}

// servicesOf are the services, field by field, without their environments.
func servicesOf(p *Project) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for name, config := range p.configs {
		config.Environment, config.EnvFiles = nil, nil
		for field, value := range fields(config) {
			out[name+"."+field] = value
		}
	}
	return out
}

// resources are the project's other parts. What a secret or config takes from a variable of the environment is a part of it.
func (p *Project) resources() map[string]any {
	fromEnvironment := map[string]string{}
	for name, s := range p.model.Secrets {
		fromEnvironment["secret "+name] = p.Environment[types.FileObjectConfig(s).Environment].Value
	}
	for name, c := range p.model.Configs {
		fromEnvironment["config "+name] = p.Environment[types.FileObjectConfig(c).Environment].Value
	}
	return map[string]any{
		"networks": p.model.Networks, "volumes": p.model.Volumes, "secrets": p.model.Secrets, "configs": p.model.Configs, "the content of": fromEnvironment,
	}
}

// fields are the parts of a value as compose would write them down. One that cannot be written is held to be another each time.
func fields(value any) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	text, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		return map[string]json.RawMessage{"": json.RawMessage(fmt.Sprintf("%p", &out))}
	}
	return out
}

func differing(kind string, a, b map[string]json.RawMessage) string {
	names := maps.Clone(a)
	maps.Copy(names, b)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if string(a[name]) != string(b[name]) {
			return kind + "." + name
		}
	}
	return ""
}
