package reconcile

import (
	"strings"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/policy"
)

// Facts is the snapshot in the policy package's own words.
func (s *Snapshot) Facts() policy.Facts {
	facts := policy.Facts{Project: s.Name, Directory: s.Directory, FilesUnreachable: s.Unreachable}
	if s.Project != nil {
		facts.Environment = make(map[string]policy.EnvironmentValue, len(s.Project.Environment))
		for name, value := range s.Project.Environment {
			facts.Environment[name] = policy.EnvironmentValue(value)
		}
	}
	for _, name := range s.ServiceNames() {
		facts.Services = append(facts.Services, s.service(name))
	}
	return facts
}

func (s *Snapshot) service(name string) policy.Service {
	service := policy.Service{Name: name}
	if s.Project != nil {
		if own, found := s.Project.Services[name]; found {
			service.Image, service.Labels, service.Held = own.Image, own.Labels, own.EditHeld
			service.Resolved = variables(own.Environment)
		}
		if extended, found := s.Extended.Services[name]; found {
			service.Definitions = s.definitions(extended)
			if service.Held == "" {
				service.Held = extended.EditHeld
			}
		}
	}
	for _, c := range s.Containers[name] {
		if service.Image == "" {
			service.Image = c.Config.Image
		}
		service.Containers = append(service.Containers, s.container(c))
	}
	return service
}

func (s *Snapshot) definitions(service *compose.Service) []policy.Definition {
	loaded := map[string]bool{}
	for _, file := range s.Project.Files {
		loaded[file.Path] = true
	}
	definitions := make([]policy.Definition, 0, len(service.Definitions))
	for _, d := range service.Definitions {
		definitions = append(definitions, policy.Definition{
			File: d.File, Loaded: loaded[d.File], Declared: variables(d.Declared), Service: origin(d.Position),
		})
	}
	return definitions
}

func (s *Snapshot) container(c engine.Container) policy.Container {
	seen := policy.Container{
		ID: c.ID, Name: c.CleanName(), Running: c.Running(), Env: c.Env(), ImageEnv: imageEnv(s.Images[c.Image]),
	}
	if c.State != nil {
		seen.State = string(c.State.Status)
	}
	return seen
}

func imageEnv(image engine.Image) map[string]string {
	env := make(map[string]string, len(image.Env))
	for _, entry := range image.Env {
		key, value, _ := strings.Cut(entry, "=")
		env[key] = value
	}
	return env
}

func variables(resolved map[string]compose.Variable) map[string]policy.Variable {
	out := make(map[string]policy.Variable, len(resolved))
	for key, v := range resolved {
		out[key] = policy.Variable{
			Value: v.Value, Text: v.Text, Bare: v.Bare, Layer: policy.Layer(v.Layer), Origin: origin(v.Position),
		}
	}
	return out
}

func origin(p compose.Position) policy.Origin {
	return policy.Origin{File: p.File, Line: p.Line, Column: p.Column}
}
