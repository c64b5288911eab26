package enginetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"

	"github.com/composure-dev/composure/internal/engine"
)

// Image is an image to be put into an engine. Config holds its defaults: Env, Cmd, Entrypoint, Labels, Volumes, Healthcheck.
type Image struct {
	Name    string // name:tag
	Config  container.Config
	Program Program
}

type image struct {
	id string
	Image
}

// AddImage adds an image and returns its id. A name that another image has moves to this one.
func (e *Engine) AddImage(added Image) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.addImage(added)
}

func (e *Engine) addImage(added Image) string {
	id := "sha256:" + e.nextID()
	e.images[id] = &image{id: id, Image: added}
	e.tags[withTag(added.Name)] = id
	e.emit(engine.Event{Type: events.ImageEventType, Action: events.ActionTag, ID: id, Name: added.Name, Time: time.Now()})
	return id
}

func withTag(name string) string {
	if strings.Contains(name[strings.LastIndex(name, "/")+1:], ":") {
		return name
	}
	return name + ":latest"
}

// Image implements engine.Reader.
func (e *Engine) Image(ctx context.Context, ref string) (engine.Image, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := e.image(ref)
	if found == nil {
		return engine.Image{}, fmt.Errorf("inspect image %q: %w", ref, engine.ErrNotFound)
	}
	var names []string
	for name, id := range e.tags {
		if id == found.id {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return engine.Image{
		ID:     found.id,
		Env:    slices.Clone(found.Config.Env),
		Labels: maps.Clone(found.Config.Labels),
		Names:  names,
	}, ctx.Err()
}

// image takes an id or a name, and returns nil for one that is unknown.
func (e *Engine) image(ref string) *image {
	if found := e.images[ref]; found != nil {
		return found
	}
	return e.images[e.tags[withTag(ref)]]
}

// mergeImage fills a container's configuration from its image as the engine does.
func mergeImage(config *container.Config, defaults container.Config) {
	own := engine.EnvMap(config.Env)
	for _, entry := range defaults.Env {
		key, _, _ := strings.Cut(entry, "=")
		if _, found := own[key]; !found {
			config.Env = append(config.Env, entry)
		}
	}
	if len(config.Entrypoint) == 0 {
		if len(config.Cmd) == 0 {
			config.Cmd = slices.Clone(defaults.Cmd)
		}
		if config.Entrypoint == nil {
			config.Entrypoint = slices.Clone(defaults.Entrypoint)
		}
	}
	config.Labels = mergeMap(defaults.Labels, config.Labels)
	config.Volumes = mergeMap(defaults.Volumes, config.Volumes)
	config.ExposedPorts = mergeMap(defaults.ExposedPorts, config.ExposedPorts)
	if config.Healthcheck == nil {
		config.Healthcheck = defaults.Healthcheck
	}
	if config.User == "" {
		config.User = defaults.User
	}
	if config.WorkingDir == "" {
		config.WorkingDir = defaults.WorkingDir
	}
	if config.StopSignal == "" {
		config.StopSignal = defaults.StopSignal
	}
}

func mergeMap[M ~map[K]V, K comparable, V any](defaults, own M) M {
	merged := make(M, len(defaults)+len(own))
	maps.Copy(merged, defaults)
	maps.Copy(merged, own)
	return merged
}
