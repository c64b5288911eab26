package enginetest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/mount"

	"github.com/composure-dev/composure/internal/engine"
)

// validName is what the engine takes for the name of a container.
var validName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`)

// Create implements engine.Writer.
func (e *Engine) Create(ctx context.Context, spec engine.Spec) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return "", err
	}
	b, err := e.create(spec)
	if err != nil {
		return "", fmt.Errorf("create container %q: %w", spec.Name, err)
	}
	return b.ID, nil
}

func (e *Engine) create(spec engine.Spec) (*box, error) {
	spec, err := ownSpec(spec)
	if err != nil {
		return nil, err
	}
	from, err := e.check(spec)
	if err != nil {
		return nil, err
	}
	mergeImage(spec.Config, from.Config)
	b := &box{program: from.Program, layer: make(files)}
	b.ID = e.nextID()
	b.Name = "/" + spec.Name
	b.Created = stamp(time.Now())
	b.Image = from.id
	b.Driver, b.Platform = "overlay2", "linux"
	b.Config, b.HostConfig = spec.Config, spec.Host
	if b.Config.Hostname == "" {
		b.Config.Hostname = engine.ShortID(b.ID)
	}
	if command := slices.Concat(b.Config.Entrypoint, b.Config.Cmd); len(command) > 0 {
		b.Path, b.Args = command[0], command[1:]
	}
	fillHost(b.HostConfig)
	if b.Mounts, err = e.mounts(b); err != nil {
		return nil, err
	}
	if b.links, err = e.linksTo(b.HostConfig); err != nil {
		return nil, err
	}
	if err := e.attach(b, spec); err != nil {
		return nil, err
	}
	e.containers[b.ID] = b
	e.tell(b, events.ActionCreate, time.Now())
	return b, nil
}

// ownSpec copies the spec through JSON, as sending it would, so that the caller keeps nothing of the container's.
func ownSpec(spec engine.Spec) (engine.Spec, error) {
	encoded, err := json.Marshal(spec)
	if err != nil {
		return engine.Spec{}, err
	}
	var own engine.Spec
	if err := json.Unmarshal(encoded, &own); err != nil {
		return engine.Spec{}, err
	}
	if own.Host == nil {
		own.Host = &container.HostConfig{}
	}
	return own, nil
}

func (e *Engine) check(spec engine.Spec) (*image, error) {
	if !validName.MatchString(spec.Name) {
		return nil, fmt.Errorf("invalid container name %q", spec.Name)
	}
	if taken := e.named("/" + spec.Name); taken != nil {
		return nil, fmt.Errorf("%w: the name is in use by container %q", engine.ErrConflict, taken.ID)
	}
	if err := checkOptions(spec); err != nil {
		return nil, err
	}
	if err := e.checkShared(spec.Host); err != nil {
		return nil, err
	}
	from := e.image(spec.Config.Image)
	if from == nil {
		return nil, fmt.Errorf("%w: no such image: %s", engine.ErrNotFound, spec.Config.Image)
	}
	return from, nil
}

// fillHost sets the defaults that inspect shows.
func fillHost(host *container.HostConfig) {
	if host.NetworkMode == "" {
		host.NetworkMode = "default"
	}
	if host.LogConfig.Type == "" {
		host.LogConfig.Type = "json-file"
	}
	if host.IpcMode == "" {
		host.IpcMode = "private"
	}
	if host.ShmSize == 0 {
		host.ShmSize = 64 << 20
	}
	if host.MaskedPaths == nil && !host.Privileged {
		host.MaskedPaths = []string{"/proc/acpi", "/proc/kcore", "/proc/keys"}
	}
	if host.ReadonlyPaths == nil && !host.Privileged {
		host.ReadonlyPaths = []string{"/proc/bus", "/proc/sys"}
	}
}

// mounts resolves volumes_from, binds, mounts and the volumes of the image, each of which yields to those before, save that a bind
// or mount takes the place of what is inherited. What names no volume gets a new, empty one.
func (e *Engine) mounts(b *box) ([]container.MountPoint, error) {
	points, err := ownMounts(b)
	if err != nil {
		return nil, err
	}
	inherited, err := e.inherited(b.HostConfig)
	if err != nil {
		return nil, err
	}
	for _, point := range inherited {
		if !mountedAt(points, point.Destination) {
			points = append(points, point)
		}
	}
	for _, destination := range slices.Sorted(maps.Keys(b.Config.Volumes)) {
		if !mountedAt(points, destination) && !isTmpfs(b, destination) {
			points = append(points, container.MountPoint{Type: mount.TypeVolume, Destination: destination, RW: true})
		}
	}
	for i, point := range points {
		if point.Type == mount.TypeVolume && point.Name == "" {
			points[i].Name = e.nextID()
		}
		if point.Type == mount.TypeVolume {
			points[i].Driver, points[i].Source = "local", "/var/lib/docker/volumes/"+points[i].Name+"/_data"
		}
	}
	return points, nil
}

// ownMounts are those that the host configuration names, the binds first.
func ownMounts(b *box) ([]container.MountPoint, error) {
	var own []container.MountPoint
	for _, bind := range b.HostConfig.Binds {
		own = append(own, bindPoint(bind))
	}
	for _, each := range b.HostConfig.Mounts {
		own = append(own, mountPoint(each))
	}
	for i, point := range own {
		if isBind := i < len(b.HostConfig.Binds); isBind && isTmpfs(b, point.Destination) || mountedAt(own[:i], point.Destination) {
			return nil, fmt.Errorf("duplicate mount point: %s", point.Destination)
		}
	}
	return own, nil
}

func isTmpfs(b *box, destination string) bool {
	_, found := b.HostConfig.Tmpfs[destination]
	return found
}

func mountedAt(points []container.MountPoint, destination string) bool {
	return slices.ContainsFunc(points, func(p container.MountPoint) bool { return p.Destination == destination })
}

func bindPoint(bind string) container.MountPoint {
	parts := strings.SplitN(bind, ":", 3)
	if len(parts) == 1 {
		return container.MountPoint{Type: mount.TypeVolume, Destination: bind, RW: true}
	}
	point := container.MountPoint{Destination: parts[1], RW: !strings.HasSuffix(bind, ":ro")}
	if strings.HasPrefix(parts[0], "/") {
		point.Type, point.Source, point.Propagation = mount.TypeBind, parts[0], "rprivate"
		return point
	}
	point.Type, point.Name, point.Mode = mount.TypeVolume, parts[0], "z"
	return point
}

func mountPoint(each mount.Mount) container.MountPoint {
	point := container.MountPoint{Type: each.Type, Destination: each.Target, RW: !each.ReadOnly}
	switch each.Type {
	case mount.TypeVolume:
		point.Name, point.Mode = each.Source, "z"
	case mount.TypeBind:
		point.Source, point.Propagation = each.Source, "rprivate"
	}
	return point
}

// Start implements engine.Writer.
func (e *Engine) Start(ctx context.Context, id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	b, err := e.find("start container", id)
	if err != nil {
		return err
	}
	e.settleAll()
	if b.running {
		return nil
	}
	err = e.join(b)
	if err == nil {
		err = e.acquire(b)
	}
	if err != nil {
		return fmt.Errorf("start container %q: %w", id, err)
	}
	b.RestartCount, b.backoff, b.stopping = 0, 0, false
	e.begin(b, time.Now())
	return nil
}

// Stop implements engine.Writer. As with the real engine, the container goes on stopping when the call is canceled.
func (e *Engine) Stop(ctx context.Context, id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	b, err := e.find("stop container", id)
	if err != nil {
		return err
	}
	e.settle(b)
	if !b.restartAt.IsZero() {
		e.tell(b, events.ActionStop, time.Now())
	}
	b.restartAt, b.stopping = time.Time{}, true
	if !b.running {
		return nil
	}
	if b.stopAt.IsZero() {
		delay, code := b.stopDelay()
		b.stopAt, b.stopCode = time.Now().Add(delay), code
		e.expect(b)
	}
	if err := e.sleep(ctx, time.Until(b.stopAt)); err != nil {
		return err
	}
	e.settle(b)
	return nil
}

func (b *box) stopDelay() (time.Duration, int) {
	grace := defaultGrace
	if b.Config.StopTimeout != nil {
		grace = time.Duration(*b.Config.StopTimeout) * time.Second
	}
	if after := b.last().behavior.StopAfter; after < grace {
		return after, 0
	}
	return grace, killedCode
}

// sleep lets others use the engine meanwhile.
func (e *Engine) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	e.mu.Unlock()
	defer e.mu.Lock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Rename implements engine.Writer.
func (e *Engine) Rename(ctx context.Context, id, name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	b, err := e.find("rename container", id)
	if err != nil {
		return err
	}
	if !validName.MatchString(name) {
		return fmt.Errorf("rename container %q: invalid container name %q", id, name)
	}
	if e.named("/"+name) != nil {
		return fmt.Errorf("rename container %q: %w: the name %q is in use", id, engine.ErrConflict, name)
	}
	b.Name = "/" + name
	e.tell(b, events.ActionRename, time.Now())
	return nil
}

// Remove implements engine.Writer.
func (e *Engine) Remove(ctx context.Context, id string, force bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	b, err := e.find("remove container", id)
	if err != nil {
		return err
	}
	e.settle(b)
	if (b.running || !b.restartAt.IsZero()) && !force {
		return fmt.Errorf("remove container %q: %w: it is running", id, engine.ErrConflict)
	}
	now := time.Now()
	e.killSharers(b, now)
	if b.running {
		e.tell(b, events.ActionDie, now)
	}
	delete(e.containers, id)
	e.tell(b, events.ActionDestroy, now)
	return nil
}

// SetRestartPolicy implements engine.Writer.
func (e *Engine) SetRestartPolicy(ctx context.Context, id string, policy container.RestartPolicy) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	b, err := e.find("update restart policy of container", id)
	if err != nil {
		return err
	}
	e.settle(b)
	b.HostConfig.RestartPolicy = policy
	e.tell(b, events.ActionUpdate, time.Now())
	return nil
}

// Update changes a container as somebody else's docker update would.
func (e *Engine) Update(ctx context.Context, id string, change func(*container.HostConfig)) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	b, err := e.find("update container", id)
	if err != nil {
		return err
	}
	change(b.HostConfig)
	return nil
}
