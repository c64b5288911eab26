package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
)

// shortIDLength is the number of characters people know a container by.
const shortIDLength = 12

// ShortID is the 12 characters people know a container by.
func ShortID(id string) string {
	if len(id) > shortIDLength {
		return id[:shortIDLength]
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

// HasLabels reports whether all the wanted labels, each a key or key=value as [Reader.List] takes them, are there.
func HasLabels(labels map[string]string, wanted []string) bool {
	for _, want := range wanted {
		key, value, exact := strings.Cut(want, "=")
		got, found := labels[key]
		if !found || exact && got != value {
			return false
		}
	}
	return true
}

// Running reports whether process 1 runs; a paused container runs, a restarting one does not.
func (c Container) Running() bool { return c.State != nil && c.State.Running && !c.State.Restarting }

// up also holds for a crash loop between two runs.
func up(c Container) bool { return c.State != nil && (c.State.Running || c.State.Restarting) }

// Healthy tells what keeps the container from being as it should be: running and, with a healthcheck, healthy. Nil: nothing. It
// takes a crash loop between two crashes for running; [Swapper.Alive] does not.
func Healthy(c Container) error {
	if !c.Running() {
		return fmt.Errorf("it is %s", condition(c))
	}
	if health := healthOf(c); health != "" && health != container.Healthy {
		return fmt.Errorf("its health is %s", health)
	}
	return nil
}

// RunSince is an instant before the first log line of the present run and after the last one of the run before. StartedAt is not
// that: the engine takes it when the process runs already, and a quick one has logged by then.
func (c Container) RunSince() time.Time {
	if c.State != nil {
		if ended, err := time.Parse(time.RFC3339Nano, c.State.FinishedAt); err == nil && ended.Year() > 1 {
			return ended
		}
	}
	created, err := time.Parse(time.RFC3339Nano, c.Created)
	if err != nil {
		return time.Time{}
	}
	return created
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
