package enginetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
)

// composeVersion is the docker compose that [Engine.Up] plays.
const composeVersion = "2.40.3"

// Decision is what docker compose up -d says of a service.
type Decision string

// The decisions. [Engine.Up] only says that a container would be recreated.
const (
	Started  Decision = "Started"
	Running  Decision = "Running"
	Recreate Decision = "Recreate"
)

// Up is docker compose up -d, which decides by the config hash alone: an active service without a container gets one with the
// environment, labels and hash of the files. edit, when not nil, has the last word on a new container. Decisions are by service.
func (e *Engine) Up(ctx context.Context, project *compose.Project, edit func(service string, spec *engine.Spec)) (map[string]Decision, error) {
	flavor, known := compose.FlavorOf(composeVersion)
	if !known {
		return nil, fmt.Errorf("docker compose %s is not known", composeVersion)
	}
	decisions := map[string]Decision{}
	for _, name := range slices.Sorted(maps.Keys(project.Services)) {
		service := project.Services[name]
		if !service.Active {
			continue
		}
		hash, err := project.Hash(name, flavor)
		if err != nil {
			return nil, err
		}
		running, err := e.List(ctx, engine.LabelProject+"="+project.Name, engine.LabelService+"="+name)
		if err != nil {
			return nil, err
		}
		switch {
		case len(running) == 0:
			decisions[name] = Started
			_, err = e.AddService(ctx, started(project, service, hash, edit))
		case running[0].Label(engine.LabelConfigHash) == hash:
			decisions[name] = Running
		default:
			decisions[name] = Recreate
		}
		if err != nil {
			return nil, fmt.Errorf("start service %q: %w", name, err)
		}
	}
	return decisions, nil
}

func started(project *compose.Project, service *compose.Service, hash string, edit func(string, *engine.Spec)) Service {
	var files []string
	for _, file := range project.Files {
		files = append(files, file.Path)
	}
	// A bare KEY without a value is left out: it matters only where the image sets KEY.
	env := make(map[string]string, len(service.Environment))
	for key, v := range service.Environment {
		if v.Value != nil {
			env[key] = *v.Value
		}
	}
	return Service{
		Project: project.Name, Name: service.Name, Image: service.Image, Version: composeVersion, ConfigHash: hash, Env: env,
		Labels: map[string]string{
			engine.LabelWorkingDir:  project.Directory,
			engine.LabelConfigFiles: strings.Join(files, ","),
		},
		Edit: func(spec *engine.Spec) {
			if edit != nil {
				edit(service.Name, spec)
			}
		},
	}
}
