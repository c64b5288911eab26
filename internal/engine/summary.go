package engine

import (
	"maps"
	"strings"

	"github.com/moby/moby/api/types/container"
)

// Summary is a container as the engine's list shows it: enough to tell whether it has changed since it was inspected. Its
// environment is not in it and need not be: that is fixed when a container is made, and another one has another ID. What
// `docker update` sets is not in it either: that is told by an event alone.
type Summary struct {
	ID     string
	Name   string // with its leading slash, as inspect has it
	Image  string // the image's id
	State  container.ContainerState
	Health container.HealthStatus // "" without a healthcheck, and of a container that is paused or does not run
	Labels map[string]string
	// Endpoints are the ids of its endpoints by network, "" while it does not run. Each start gives others.
	Endpoints map[string]string
}

// Summary is what the engine's list shows of a container that is as it was inspected.
func (c Container) Summary() Summary {
	summary := Summary{ID: c.ID, Name: c.Name, Image: c.Image, Endpoints: map[string]string{}}
	if c.Config != nil {
		summary.Labels = c.Config.Labels
	}
	if c.State != nil {
		summary.State = c.State.Status
	}
	if summary.State == container.StateRunning {
		summary.Health = healthOf(c)
	}
	if c.NetworkSettings != nil {
		for name, endpoint := range c.NetworkSettings.Networks {
			if endpoint != nil {
				summary.Endpoints[name] = endpoint.EndpointID
			}
		}
	}
	return summary
}

// Equal reports whether nothing that the list shows differs.
func (s Summary) Equal(other Summary) bool {
	return s.ID == other.ID && s.Name == other.Name && s.Image == other.Image && s.State == other.State && s.Health == other.Health &&
		maps.Equal(s.Labels, other.Labels) && maps.Equal(s.Endpoints, other.Endpoints)
}

// Label returns a label, or "".
func (s Summary) Label(key string) string { return s.Labels[key] }

// summaryOf reads an entry of the list.
func summaryOf(item container.Summary) Summary {
	summary := Summary{ID: item.ID, Name: ownName(item.Names), Image: item.ImageID, State: item.State, Labels: item.Labels, Endpoints: map[string]string{}}
	if item.State == container.StateRunning {
		summary.Health = healthIn(item.Status)
	}
	if item.NetworkSettings != nil {
		for name, endpoint := range item.NetworkSettings.Networks {
			if endpoint != nil {
				summary.Endpoints[name] = endpoint.EndpointID
			}
		}
	}
	return summary
}

// ownName is the one that is not the name of a link: those have the other container's before them, as in /other/alias.
func ownName(names []string) string {
	for _, name := range names {
		if strings.LastIndex(name, "/") <= 0 {
			return name
		}
	}
	return ""
}

// healthIn reads the text for people, "Up 3 minutes (health: starting)": until API 1.52 the list has the health nowhere else.
func healthIn(status string) container.HealthStatus {
	_, text, _ := strings.Cut(status, "(")
	switch health := container.HealthStatus(strings.TrimPrefix(strings.TrimSuffix(text, ")"), "health: ")); health {
	case container.Starting, container.Healthy, container.Unhealthy:
		return health
	}
	return ""
}
