package reconcile

import (
	"cmp"
	"slices"
	"strings"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/policy"
)

// Facts is the snapshot in the policy package's own words.
func (s *Snapshot) Facts() policy.Facts {
	facts := policy.Facts{Project: s.Name, Directory: s.Directory, FilesUnreachable: s.Unreachable,
		Override: policy.Override{File: s.Override.Path, Held: s.Override.Held, Hint: s.Override.Hint},
	}
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
	known := s.describe(&service)
	for _, c := range s.Containers[name] {
		if !known {
			// The labels and the image of the container are what files nobody can read would say.
			service.Image, service.Labels = c.Config.Image, c.Config.Labels
		}
		service.Containers = append(service.Containers, s.container(c))
	}
	return service
}

// describe fills in what the files say. It reports whether they know the service.
func (s *Snapshot) describe(service *policy.Service) bool {
	if s.Project == nil {
		return false
	}
	extended, found := s.Extended.Services[service.Name]
	if !found {
		return false
	}
	service.Image, service.Labels, service.Held = extended.Image, extended.Labels, extended.EditHeld
	service.Definitions = s.definitions(extended)
	if own, found := s.Project.Services[service.Name]; found {
		service.Image, service.Labels, service.Held = own.Image, own.Labels, cmp.Or(own.EditHeld, extended.EditHeld)
		service.Resolved = resolved(own)
		service.Place, service.Places = own.Place, places(own)
		for _, f := range own.EnvFiles {
			if !f.Extends {
				service.EnvFiles = append(service.EnvFiles, policy.EnvFile{Path: f.Path, Format: f.Format})
			}
		}
	}
	return true
}

// resolved are a service's variables as all files together give them, each with the base that it comes from and with what its text
// refers to.
func resolved(service *compose.Service) map[string]policy.Variable {
	out := variables(service.Environment)
	for key, v := range out {
		won, ok := service.Winner(key)
		if !ok || origin(won.Position) != v.Origin {
			continue // its place is not known
		}
		v.References = references(won)
		if won.Extends {
			v.Base = "service " + won.Service
			if won.File != won.Definition {
				v.Base += " of " + won.File
			}
		}
		out[key] = v
	}
	return out
}

func references(setting compose.Setting) map[string]policy.EnvironmentValue {
	out := map[string]policy.EnvironmentValue{}
	for _, r := range setting.References {
		if r.Value != nil {
			out[r.Name] = policy.EnvironmentValue{Value: *r.Value, Source: r.Source}
		}
	}
	return out
}

// places are the files in which variables are put right that another file than the service's own takes away.
func places(service *compose.Service) map[string]string {
	out := map[string]string{}
	for key := range service.Settings {
		out[key] = service.PlaceOf(key)
	}
	return out
}

func (s *Snapshot) definitions(service *compose.Service) []policy.Definition {
	loaded := map[string]bool{}
	for _, file := range slices.Concat(s.Project.Files, s.Project.Reached) {
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
		ID: c.ID, Name: c.CleanName(), Running: up(c), Env: c.Env(), ImageEnv: imageEnv(s.Images[c.Image]),
		ComposeVersion: c.Label(engine.LabelVersion),
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
			Value: v.Value, Text: v.Text, Bare: v.Bare, Literal: v.Literal, Layer: policy.Layer(v.Layer), Origin: origin(v.Position),
			Definition: v.Definition,
		}
	}
	return out
}

func origin(p compose.Position) policy.Origin {
	return policy.Origin{File: p.File, Line: p.Line, Column: p.Column}
}
