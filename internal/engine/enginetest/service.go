package enginetest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/composure-dev/composure/internal/engine"
)

// Service is a container as docker compose would have started it.
type Service struct {
	Project    string
	Name       string
	Image      string
	Number     int    // 0 means 1
	Version    string // of docker compose; "" means 2.40.3
	ConfigHash string // "" means one that no configuration has
	Env        map[string]string
	Labels     map[string]string // further ones
	// Edit, when set, has the last word on the container.
	Edit func(*engine.Spec)
}

// AddService creates and starts a container of a compose project, on the project's default network, and returns it as inspect does.
func (e *Engine) AddService(ctx context.Context, service Service) (engine.Container, error) {
	return e.addService(ctx, service, func(spec *engine.Spec) error {
		if service.Edit != nil {
			service.Edit(spec)
		}
		return nil
	})
}

func (e *Engine) addService(ctx context.Context, service Service, edit func(*engine.Spec) error) (engine.Container, error) {
	created, err := e.Image(ctx, service.Image)
	if err != nil {
		return engine.Container{}, err
	}
	spec := service.spec(created.ID)
	e.ensureNetwork(string(spec.Host.NetworkMode))
	if err := edit(&spec); err != nil {
		return engine.Container{}, err
	}
	id, err := e.Create(ctx, spec)
	if err != nil {
		return engine.Container{}, err
	}
	if err := e.Start(ctx, id); err != nil {
		return engine.Container{}, err
	}
	return e.Inspect(ctx, id)
}

// Recreate puts another container in the place of the named one, as somebody else's docker compose would.
func (e *Engine) Recreate(ctx context.Context, name string) error {
	c, err := e.Inspect(ctx, "/"+name)
	if err != nil {
		return err
	}
	if err := e.Remove(ctx, c.ID, true); err != nil {
		return err
	}
	_, err = e.AddService(ctx, Service{
		Project: c.Label(engine.LabelProject), Name: c.Label(engine.LabelService), Image: c.Config.Image,
	})
	return err
}

func (s Service) spec(imageID string) engine.Spec {
	number := strconv.Itoa(max(s.Number, 1))
	name := s.Project + "-" + s.Name + "-" + number
	defaultNetwork := s.Project + "_default"
	labels := map[string]string{
		engine.LabelProject:         s.Project,
		engine.LabelService:         s.Name,
		engine.LabelContainerNumber: number,
		engine.LabelOneoff:          "False",
		engine.LabelVersion:         cmp.Or(s.Version, "2.40.3"),
		engine.LabelImage:           imageID,
		engine.LabelConfigHash:      cmp.Or(s.ConfigHash, strings.Repeat("0", 64)),
	}
	maps.Copy(labels, s.Labels)
	return engine.Spec{
		Name:   name,
		Config: &container.Config{Image: s.Image, Env: entries(s.Env), Labels: labels},
		Host:   &container.HostConfig{NetworkMode: container.NetworkMode(defaultNetwork)},
		Network: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			defaultNetwork: {Aliases: []string{name, s.Name}},
		}},
	}
}

func entries(env map[string]string) []string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(env)) {
		list = append(list, key+"="+env[key])
	}
	return list
}

// ensureNetwork adds the network when it is missing, each with a subnet of its own.
func (e *Engine) ensureNetwork(name string) {
	e.mu.Lock()
	_, found := e.networks[name]
	subnet := fmt.Sprintf("172.%d.0.0/16", 17+len(e.networks))
	e.mu.Unlock()
	if !found {
		e.AddNetwork(name, subnet)
	}
}
