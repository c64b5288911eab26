package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/composure-dev/composure/policy"
)

// Handover is what docker compose would make of a container, and why it may not.
type Handover struct {
	// Env is what files and image give, as far as can be known: docker compose may add to it.
	Env []string
	// Held says why docker compose is not to recreate it, and Next what helps; empty when it may.
	Held, Next string
	// Lossy says why docker compose could not make it again as it is, should a check fail; empty when it could.
	Lossy string
}

// Compose is the handing of services to docker compose, in one call: one that a policy's strategy says it of, and those that share
// its namespaces or volumes.
type Compose struct {
	Services   []string `json:"services"`
	Containers []Handed `json:"containers"`

	Pace Pace `json:"-"`
}

// Handed is one container that docker compose is to recreate.
type Handed struct {
	Service     string   `json:"service"`
	ContainerID string   `json:"containerId"`
	Container   string   `json:"container"` // its name
	Changes     []Change `json:"changes"`   // as far as they are known
	// Kept says that docker compose may leave it as it is: a replica that does not differ.
	Kept bool `json:"kept,omitempty"`

	OneShot bool `json:"-"`
}

// handOver makes what a policy wants docker compose to recreate, and what shares namespaces or volumes with that, a matter of
// docker compose: what keeps a swap from being made does not count for it.
func handOver(in Input) []Container {
	list := slices.Clone(in.Containers)
	handed := map[string]bool{}
	for changed := true; changed; {
		changed = false
		for _, c := range list {
			rollout, _ := serviceRollout(in, c.Service)
			shares := slices.ContainsFunc(c.Shares, func(id string) bool { return handed[id] })
			sibling := slices.ContainsFunc(list, func(other Container) bool { return other.Service == c.Service && handed[other.ID] })
			if !handed[c.ID] && (rollout.Strategy == policy.StrategyCompose || shares || sibling) {
				handed[c.ID], changed = true, true
			}
		}
	}
	for i, c := range list {
		if !handed[c.ID] {
			continue
		}
		list[i].handed = true
		list[i].Held, list[i].Next = c.Handover.Held, c.Handover.Next
		if list[i].Held == "" && in.NoCompose.Reason != "" {
			list[i].Held, list[i].Next = in.NoCompose.Reason, in.NoCompose.Next
		}
		if c.NewEnv == nil {
			list[i].NewEnv = c.Handover.Env
		}
	}
	return list
}

// unit is what moves as one: a container, or all that go to docker compose in one call.
type unit []move

// units puts the replicas of a service that is handed over together, and with them what shares namespaces or volumes with them.
func units(moves []move) []unit {
	var list []unit
	for _, m := range moves {
		var joined unit
		var rest []unit
		home := -1
		for _, u := range list {
			if !slices.ContainsFunc(u, m.together) {
				rest = append(rest, u)
				continue
			}
			if home < 0 {
				home = len(rest)
			}
			joined = append(joined, u...)
		}
		if home < 0 {
			home = len(rest)
		}
		list = slices.Insert(rest, home, append(joined, m))
	}
	for i := range list {
		list[i] = ordered(list[i], move.shares) // what others share with comes first
	}
	return list
}

// together holds for containers that one call of docker compose has to recreate.
func (m move) together(other move) bool {
	if !m.forCompose() || !other.forCompose() {
		return false
	}
	return m.Service == other.Service || m.shares(other) || other.shares(m)
}

// shares reports whether the container uses the namespaces or volumes of the other one.
func (m move) shares(other move) bool { return slices.Contains(m.Shares, other.ID) }

// after reports whether the unit comes after the other one, which is not itself.
func (u unit) after(other unit) bool {
	return other.id() != u.id() && slices.ContainsFunc(u, func(m move) bool { return slices.ContainsFunc(other, m.after) })
}

// services are those of the unit, in its order.
func (u unit) services() []string {
	var names []string
	for _, m := range u {
		if !slices.Contains(names, m.Service) {
			names = append(names, m.Service)
		}
	}
	return names
}

// compose is the step that hands the unit over.
func (u unit) compose(in Input, moves []unit) Step {
	made := &Compose{Services: u.services()}
	step := Step{ID: u.id(), Verb: VerbCompose, Object: strings.Join(made.Services, ", "), Destructive: true, Compose: made}
	var causes, lossy []string
	for _, service := range made.Services {
		rollout, _ := serviceRollout(in, service)
		made.Pace.StableFor = max(made.Pace.StableFor, time.Duration(rollout.StableFor))
		made.Pace.Timeout = max(made.Pace.Timeout, time.Duration(rollout.Timeout))
		step.Requires = append(step.Requires, requiredPatches(in, service)...)
	}
	for _, m := range u {
		changed, due := changes(in, m.Container), needsSwap(in, m.Container)
		shares := slices.ContainsFunc(u, m.shares)
		made.Containers = append(made.Containers, Handed{
			Service: m.Service, ContainerID: m.ID, Container: m.Name, Changes: changed, Kept: !due && !shares, OneShot: m.OneShot,
		})
		if cause := swapCause(in, m.Container, changed, nil); due && !slices.Contains(causes, cause) {
			causes = append(causes, cause)
		}
		if m.Handover.Lossy != "" && !slices.Contains(lossy, m.Handover.Lossy) {
			lossy = append(lossy, m.Handover.Lossy)
		}
	}
	slices.Sort(step.Requires)
	step.Requires = append(slices.Compact(step.Requires), u.requires(moves)...)
	step.Cause = strings.Join(causes, "; ")
	if len(lossy) > 0 {
		step.Cause += "; a failure could not be undone: " + strings.Join(lossy, ", ")
	}
	return step
}

func (u unit) id() string {
	first := u[0]
	switch {
	case first.forCompose():
		return "compose:" + first.Service
	case first.restart:
		return "restart:" + first.Name
	default:
		return "swap:" + first.Name
	}
}

// requires are the steps of the other units that it comes after.
func (u unit) requires(all []unit) []string {
	var ids []string
	for _, other := range all {
		if u.after(other) {
			ids = append(ids, other.id())
		}
	}
	return ids
}

// heldAlong says why a companion cannot go with c in the way that both have to go.
func heldAlong(c, companion Container) (reason, next string) {
	if c.handed || !companion.handed {
		return "", ""
	}
	return fmt.Sprintf("%s, which shares namespaces or volumes with it, is for docker compose by its policy, and this one is not", companion.Name),
		fmt.Sprintf("say rollout.strategy Compose for service %s too", c.Service)
}
