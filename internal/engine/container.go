package engine

import (
	"fmt"
	"strings"

	"github.com/moby/moby/api/types/container"
)

// ShortID is the 12 characters people know a container by.
func ShortID(id string) string {
	if len(id) > 12 {
		return id[:12]
	}
	return id
}

// CleanName is the container's name without the leading slash.
func (c Container) CleanName() string { return strings.TrimPrefix(c.Name, "/") }

// Label returns a label, or "".
func (c Container) Label(key string) string {
	if c.Config == nil {
		return ""
	}
	return c.Config.Labels[key]
}

// Running reports whether process 1 runs; a paused container runs, a restarting one does not.
func (c Container) Running() bool { return c.State != nil && c.State.Running && !c.State.Restarting }

// Healthy tells what keeps the container from being as it should be: running and, with a healthcheck, healthy. Nil: nothing.
func Healthy(c Container) error {
	if !c.Running() {
		return fmt.Errorf("it is %s", condition(c))
	}
	if health := healthOf(c); health != "" && health != container.Healthy {
		return fmt.Errorf("its health is %s", health)
	}
	return nil
}

// Env is Config.Env as a map; a nil value is a bare KEY, which hides the image's.
func (c Container) Env() map[string]*string { return EnvMap(c.Config.Env) }

// EnvMap splits KEY=VALUE entries; the last entry of a key wins.
func EnvMap(entries []string) map[string]*string {
	env := make(map[string]*string, len(entries))
	for _, entry := range entries {
		key, value, found := strings.Cut(entry, "=")
		if !found {
			env[key] = nil
			continue
		}
		env[key] = &value
	}
	return env
}
