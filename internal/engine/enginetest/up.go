package enginetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"

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

// Up is docker compose up -d, which decides by the config hash alone: an active service without a container gets as many as it has
// replicas, with the environment, labels and hash of the files. edit, when not nil, has the last word on a new container, and may
// say "service:NAME" for a namespace and NAME in VolumesFrom as the files do: that service is started first. Decisions are by
// service.
func (e *Engine) Up(ctx context.Context, project *compose.Project, edit func(service string, spec *engine.Spec)) (map[string]Decision, error) {
	flavor, known := compose.FlavorOf(composeVersion)
	if !known {
		return nil, fmt.Errorf("docker compose %s is not known", composeVersion)
	}
	run := &up{engine: e, project: project, flavor: flavor, edit: edit, decisions: map[string]Decision{}}
	for _, name := range slices.Sorted(maps.Keys(project.Services)) {
		if err := run.service(ctx, name); err != nil {
			return nil, err
		}
	}
	return run.decisions, nil
}

// up is one docker compose up on its way.
type up struct {
	engine    *Engine
	project   *compose.Project
	flavor    compose.Flavor
	edit      func(service string, spec *engine.Spec)
	decisions map[string]Decision
}

// service brings one service up, after those that it shares something with. A circle of them ends where it began.
func (u *up) service(ctx context.Context, name string) error {
	service := u.project.Services[name]
	if _, decided := u.decisions[name]; decided || !service.Active {
		return nil
	}
	u.decisions[name] = Running
	hash, err := u.project.Hash(name, u.flavor)
	if err != nil {
		return err
	}
	existing, err := u.engine.List(ctx, engine.LabelProject+"="+u.project.Name, engine.LabelService+"="+name)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(existing, func(c engine.Container) bool { return c.Label(engine.LabelConfigHash) != hash }) {
		u.decisions[name] = Recreate
	}
	if len(existing) > 0 {
		return nil
	}
	for number := range service.Replicas {
		u.decisions[name] = Started
		if err := u.start(ctx, service, hash, number+1); err != nil {
			return fmt.Errorf("start service %q: %w", name, err)
		}
	}
	return nil
}

func (u *up) start(ctx context.Context, service *compose.Service, hash string, number int) error {
	added := started(u.project, service, hash)
	added.Number = number
	_, err := u.engine.addService(ctx, added, func(spec *engine.Spec) error {
		if u.edit != nil {
			u.edit(service.Name, spec)
		}
		return u.share(ctx, spec)
	})
	return err
}

// share puts ids in the place of the services that a container shares something with.
func (u *up) share(ctx context.Context, spec *engine.Spec) error {
	mode := func(mode string) (string, error) {
		name, found := strings.CutPrefix(mode, "service:")
		if !found {
			return mode, nil
		}
		id, err := u.first(ctx, name)
		return "container:" + id, err
	}
	network, networkErr := mode(string(spec.Host.NetworkMode))
	pid, pidErr := mode(string(spec.Host.PidMode))
	ipc, ipcErr := mode(string(spec.Host.IpcMode))
	if err := errors.Join(networkErr, pidErr, ipcErr); err != nil {
		return err
	}
	spec.Host.NetworkMode, spec.Host.PidMode, spec.Host.IpcMode = container.NetworkMode(network), container.PidMode(pid), container.IpcMode(ipc)
	if spec.Host.NetworkMode.IsContainer() {
		spec.Network = nil
	}
	for i, from := range spec.Host.VolumesFrom {
		name, access, _ := strings.Cut(from, ":")
		if u.project.Services[name] == nil {
			continue
		}
		id, err := u.first(ctx, name)
		if err != nil {
			return err
		}
		spec.Host.VolumesFrom[i] = strings.TrimSuffix(id+":"+access, ":")
	}
	return nil
}

// first is the id of a service's first container, which is started when there is none.
func (u *up) first(ctx context.Context, name string) (string, error) {
	if u.project.Services[name] == nil {
		return "", fmt.Errorf("there is no service %q", name)
	}
	if err := u.service(ctx, name); err != nil {
		return "", err
	}
	found, err := u.engine.List(ctx, engine.LabelProject+"="+u.project.Name, engine.LabelService+"="+name, engine.LabelContainerNumber+"=1")
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", fmt.Errorf("service %q has no container", name)
	}
	return found[0].ID, nil
}

func started(project *compose.Project, service *compose.Service, hash string) Service {
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
	}
}
