package wire

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"

	"github.com/composure-dev/composure/internal/engine"
)

// filtersOf reads the filters of a request. Those beside what is served are an error, as a real engine refuses what it does not know.
func filtersOf(r *http.Request, served ...string) (client.Filters, error) {
	filters := client.Filters{}
	if text := r.FormValue("filters"); text != "" {
		if err := json.Unmarshal([]byte(text), &filters); err != nil {
			return nil, &refusal{http.StatusBadRequest, "invalid filter: " + err.Error()}
		}
	}
	for name := range filters {
		if !slices.Contains(served, name) {
			return nil, &refusal{http.StatusNotImplemented, "filter " + name + " is not served"}
		}
	}
	return filters, nil
}

func values(filters client.Filters, name string) []string {
	var list []string
	for value, wanted := range filters[name] {
		if wanted {
			list = append(list, value)
		}
	}
	return list
}

// list answers as docker ps asks: the newest first, and only what runs unless all are wanted.
func (s *server) list(w http.ResponseWriter, r *http.Request) error {
	filters, err := filtersOf(r, "label")
	if err != nil {
		return err
	}
	listed, err := s.engine.List(r.Context(), values(filters, "label")...)
	if err != nil {
		return err
	}
	links, err := s.linkNames(r, listed)
	if err != nil {
		return err
	}
	all, _ := strconv.ParseBool(r.FormValue("all"))
	summaries := make([]container.Summary, 0, len(listed))
	for _, c := range listed {
		if all || c.Running() || c.State.Restarting {
			summaries = append(summaries, s.summary(c, links[c.CleanName()]))
		}
	}
	slices.SortStableFunc(summaries, func(a, b container.Summary) int { return cmp.Compare(b.Created, a.Created) })
	answer(w, http.StatusOK, summaries)
	return nil
}

// linkNames are the names that a container has by the links of others, /other/alias, by its own name.
func (s *server) linkNames(r *http.Request, listed []engine.Container) (map[string][]string, error) {
	names := map[string][]string{}
	if r.FormValue("filters") != "" { // the linking ones may be others
		var err error
		if listed, err = s.engine.List(r.Context()); err != nil {
			return nil, err
		}
	}
	for _, c := range listed {
		for _, link := range c.HostConfig.Links {
			linked, alias, _ := strings.Cut(link, ":")
			linked = strings.TrimPrefix(linked, "/")
			names[linked] = append(names[linked], alias)
		}
	}
	return names, nil
}

func (s *server) summary(c engine.Container, links []string) container.Summary {
	summary := container.Summary{
		ID: c.ID, Names: append([]string{c.Name}, links...), Image: c.Config.Image, ImageID: c.Image, Command: command(c),
		Created: moment(c.Created).Unix(), Ports: ports(c.NetworkSettings.Ports), Labels: c.Config.Labels,
		State: c.State.Status, Status: status(c.State), Mounts: c.Mounts,
		NetworkSettings: &container.NetworkSettingsSummary{Networks: c.NetworkSettings.Networks},
	}
	if summary.Labels == nil {
		summary.Labels = map[string]string{}
	}
	if summary.Mounts == nil {
		summary.Mounts = []container.MountPoint{}
	}
	summary.HostConfig.NetworkMode = string(c.HostConfig.NetworkMode)
	if versions.GreaterThanOrEqualTo(s.info.APIVersion, "1.52") {
		summary.Health = &container.HealthSummary{Status: container.NoHealthcheck}
		if c.State.Health != nil {
			summary.Health.Status = c.State.Health.Status
		}
	}
	return summary
}

// command is the program with its arguments, those with a space in quotes.
func command(c engine.Container) string {
	words := []string{c.Path}
	for _, argument := range c.Args {
		if strings.Contains(argument, " ") {
			argument = "'" + argument + "'"
		}
		words = append(words, argument)
	}
	return strings.Join(words, " ")
}

func moment(text string) time.Time {
	at, _ := time.Parse(time.RFC3339Nano, text) // the engine in memory writes no other
	return at
}

func ports(published network.PortMap) []container.PortSummary {
	list := []container.PortSummary{}
	for port, bindings := range published {
		if len(bindings) == 0 {
			list = append(list, container.PortSummary{PrivatePort: port.Num(), Type: string(port.Proto())})
		}
		for _, binding := range bindings {
			public, _ := strconv.ParseUint(binding.HostPort, 10, 16)
			list = append(list, container.PortSummary{IP: binding.HostIP, PrivatePort: port.Num(), PublicPort: uint16(public), Type: string(port.Proto())})
		}
	}
	return list
}

// status is the text for people, from which clients read the health, too.
func status(state *container.State) string {
	since := func(text string) string { return units.HumanDuration(time.Since(moment(text))) }
	switch {
	case state.Restarting:
		return fmt.Sprintf("Restarting (%d) %s ago", state.ExitCode, since(state.FinishedAt))
	case state.Running && state.Health == nil:
		return "Up " + since(state.StartedAt)
	case state.Running && state.Health.Status == container.Starting:
		return fmt.Sprintf("Up %s (health: starting)", since(state.StartedAt))
	case state.Running:
		return fmt.Sprintf("Up %s (%s)", since(state.StartedAt), state.Health.Status)
	case state.Status == container.StateCreated:
		return "Created"
	}
	return fmt.Sprintf("Exited (%d) %s ago", state.ExitCode, since(state.FinishedAt))
}
