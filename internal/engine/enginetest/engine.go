// Package enginetest is a Docker Engine in memory. Its conformance suite holds it and the real one to the same behavior.
//
// It is honest where a swap could go wrong: names are unique, ids are looked up whole, an environment is merged
// with the image's, one network fits into a create below API 1.44, fixed addresses and ports collide at start, a crashed container
// follows its restart policy. Its containers run programs that are plain data over time, computed when looked at: there is no
// goroutine in it (a subscription to its events sets timers), so it runs on the virtual clock of testing/synctest as well as on the real one.
package enginetest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client/pkg/versions"

	"github.com/composure-dev/composure/internal/engine"
)

// Options of an engine. The zero value speaks the oldest API that is served.
type Options struct {
	APIVersion string
}

// Engine is a Docker Engine in memory. It is safe for concurrent use.
type Engine struct {
	mu         sync.Mutex
	api        string
	ids        int
	images     map[string]*image // by id
	tags       map[string]string // image id by name:tag
	networks   map[string]*subnet
	containers map[string]*box  // by id
	volumes    map[string]files // by where they lie on the host
	probe      ProbeHandler
	feeds      []*engine.Feed // of the subscriptions
}

// ProbeHandler answers a probe in place of the program that would run in the target's network.
type ProbeHandler func(target engine.Container, job []byte) ([]byte, error)

var (
	_ engine.Reader = (*Engine)(nil)
	_ engine.Writer = (*Engine)(nil)
	_ engine.Prober = (*Engine)(nil)
)

// New is an engine without images and containers, with the default bridge.
func New(options Options) *Engine {
	e := &Engine{
		api:        cmp.Or(options.APIVersion, engine.MinAPIVersion),
		images:     make(map[string]*image),
		tags:       make(map[string]string),
		networks:   make(map[string]*subnet),
		containers: make(map[string]*box),
		volumes:    make(map[string]files),
	}
	e.AddNetwork("bridge", "172.17.0.0/16")
	return e
}

// HandleProbe sets what answers probes.
func (e *Engine) HandleProbe(handler ProbeHandler) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.probe = handler
}

// nextID is deterministic and looks like the engine's: 64 hex digits whose first 12 differ.
func (e *Engine) nextID() string {
	e.ids++
	return fmt.Sprintf("%012x%052x", e.ids*0x9e3779b1&0xffffffffffff, e.ids)
}

func (e *Engine) atLeast(api string) bool { return versions.GreaterThanOrEqualTo(e.api, api) }

// Info implements engine.Reader.
func (e *Engine) Info(context.Context) (engine.Info, error) {
	return engine.Info{
		APIVersion:    e.api,
		ServerVersion: "in memory",
		OSType:        "linux",
		Architecture:  "amd64",
		Host:          "memory://",
	}, nil
}

// List implements engine.Reader.
func (e *Engine) List(ctx context.Context, labels ...string) ([]engine.Container, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var found []engine.Container
	for _, b := range e.containers {
		if !engine.HasLabels(b.Config.Labels, labels) {
			continue
		}
		inspected, err := e.inspect(b)
		if err != nil {
			return nil, err
		}
		found = append(found, inspected)
	}
	slices.SortFunc(found, func(a, b engine.Container) int { return cmp.Compare(a.Name, b.Name) })
	return found, ctx.Err()
}

// Inspect implements engine.Reader.
func (e *Engine) Inspect(ctx context.Context, id string) (engine.Container, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return engine.Container{}, err
	}
	b := e.containers[id]
	if strings.HasPrefix(id, "/") {
		b = e.named(id)
	}
	if b == nil {
		return engine.Container{}, fmt.Errorf("inspect container %q: %w", id, engine.ErrNotFound)
	}
	return e.inspect(b)
}

// inspect gives a copy: what a caller does to it does not reach the engine.
func (e *Engine) inspect(b *box) (engine.Container, error) {
	e.settle(b)
	b.State = b.state(time.Now())
	b.HostConfig.Links = e.shownLinks(b)
	raw, err := json.Marshal(b.shown())
	if err != nil {
		return engine.Container{}, err
	}
	var copied container.InspectResponse
	if err := json.Unmarshal(raw, &copied); err != nil {
		return engine.Container{}, err
	}
	return engine.Container{InspectResponse: copied, Raw: raw}, nil
}

// shown is an inspect answer with what its type has no field for.
func (b *box) shown() any {
	type config struct {
		*container.Config
		MacAddress string `json:",omitempty"`
	}
	return struct {
		container.InspectResponse
		Config config
	}{InspectResponse: b.InspectResponse, Config: config{Config: b.Config, MacAddress: b.macs[modeNetwork(b.HostConfig.NetworkMode)].String()}}
}

// named takes a name with its leading slash.
func (e *Engine) named(name string) *box {
	for _, b := range e.containers {
		if b.Name == name {
			return b
		}
	}
	return nil
}

// Logs implements engine.Reader.
func (e *Engine) Logs(ctx context.Context, id string, since time.Time, tail int) (io.ReadCloser, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	b, err := e.find("read logs of container", id)
	if err != nil {
		return nil, err
	}
	e.settle(b)
	lines := b.logs(since, time.Now())
	if tail >= 0 && len(lines) > tail {
		lines = lines[len(lines)-tail:]
	}
	return io.NopCloser(strings.NewReader(strings.Join(lines, ""))), ctx.Err()
}

// find takes full ids only, as everything that changes a container does.
func (e *Engine) find(action, id string) (*box, error) {
	b := e.containers[id]
	if b == nil {
		return nil, fmt.Errorf("%s %q: %w", action, id, engine.ErrNotFound)
	}
	return b, nil
}

// EnsureImage implements engine.Prober.
func (e *Engine) EnsureImage(ctx context.Context) (string, error) {
	const ref = "composure-probe:memory"
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, found := e.tags[ref]; !found {
		e.addImage(Image{Name: ref, Config: container.Config{Labels: map[string]string{engine.LabelRole: engine.RoleProbe}}})
	}
	return ref, ctx.Err()
}

// Probe implements engine.Prober.
func (e *Engine) Probe(ctx context.Context, target string, job []byte) ([]byte, error) {
	e.mu.Lock()
	handler := e.probe
	e.mu.Unlock()
	inspected, err := e.Inspect(ctx, target)
	if err != nil {
		return nil, err
	}
	if !inspected.Running() {
		return nil, fmt.Errorf("probe from container %q: cannot join network of a non running container", engine.ShortID(target))
	}
	if handler == nil {
		return nil, fmt.Errorf("probe from container %q: no probe handler is set", engine.ShortID(target))
	}
	stdout, err := handler(inspected, job)
	if err != nil {
		return nil, fmt.Errorf("probe from container %q: %w", engine.ShortID(target), err)
	}
	return stdout, nil
}
