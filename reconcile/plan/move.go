package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/composure-dev/composure/policy"
)

// move is what happens to one container: it is replaced, or stopped and started again.
type move struct {
	Container
	restart bool
}

// forCompose holds for one that docker compose replaces.
func (m move) forCompose() bool { return m.handed && !m.restart }

// moveSteps returns swaps and restarts in the order in which they happen. The services of one policy go together: when one of
// them is held the others wait, or the policy would be half applied.
func moveSteps(in Input) ([]Step, []Hold) {
	var due []Container
	for _, c := range in.Containers {
		if needsSwap(in, c) {
			due = append(due, c)
		}
	}
	slices.SortFunc(due, inOrder(in))
	held := directHolds(in, due)
	held = append(held, waitingHolds(in, due, held)...)
	due = slices.DeleteFunc(due, func(c Container) bool {
		return slices.ContainsFunc(held, func(h Hold) bool { return h.Object == c.Service })
	})
	moves := ordered(units(affected(in, due)), unit.after)
	var steps []Step
	for _, u := range moves {
		if u[0].forCompose() {
			steps = append(steps, u.compose(in, moves))
			continue
		}
		steps = append(steps, u.step(in, moves))
	}
	return steps, held
}

// inOrder compares containers by the rollout order, the ones it does not name by service, and replicas by their number.
func inOrder(in Input) func(a, b Container) int {
	rollout, _ := policy.Strictest(in.Policies) // only its order: the rest is each service's own
	return func(a, b Container) int {
		return cmp.Or(
			cmp.Compare(rank(rollout.Order, a.Service), rank(rollout.Order, b.Service)),
			cmp.Compare(a.Service, b.Service),
			cmp.Compare(a.Number, b.Number),
			cmp.Compare(a.Name, b.Name),
		)
	}
}

// affected are the containers that are due and those that have to go with them: what shares namespaces or volumes with a replaced
// one is replaced, what shares them with a restarted one, or restarts with a service, is restarted.
func affected(in Input, due []Container) []move {
	moves := map[string]move{}
	for _, c := range due {
		moves[c.ID] = move{Container: c}
	}
	for changed := true; changed; {
		changed = false
		for _, c := range in.Containers {
			m, goes := goesWith(c, moves)
			if known, found := moves[c.ID]; goes && (!found || known.restart && !m.restart) {
				moves[c.ID], changed = m, true
			}
		}
	}
	list := make([]move, 0, len(moves))
	for _, c := range in.Containers {
		if m, found := moves[c.ID]; found {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b move) int { return inOrder(in)(a.Container, b.Container) })
	return list
}

// goesWith tells what the moves so far make of a container.
func goesWith(c Container, moves map[string]move) (m move, goes bool) {
	m = move{Container: c, restart: true}
	for _, other := range moves {
		switch {
		case other.ID == c.ID:
		case m.shares(other):
			goes, m.restart = true, m.restart && other.restart
		case c.handed && other.forCompose() && other.Service == c.Service:
			goes, m.restart = true, false // it recreates a service, not one replica
		case slices.Contains(c.RestartsWith, other.Service):
			goes = true
		}
	}
	return m, goes
}

// ordered puts what an item comes after before it, and keeps the order otherwise.
func ordered[T any](list []T, after func(item, other T) bool) []T {
	var done []T
	for rest := slices.Clone(list); len(rest) > 0; {
		next := slices.IndexFunc(rest, func(item T) bool {
			return !slices.ContainsFunc(rest, func(other T) bool { return after(item, other) })
		})
		next = max(next, 0) // a circle, which neither compose nor the engine allows
		done = append(done, rest[next])
		rest = slices.Delete(rest, next, next+1)
	}
	return done
}

func (m move) after(other move) bool {
	return m.shares(other) || slices.Contains(m.RestartsWith, other.Service)
}

// companions are the containers that would be replaced together with c: those that share its namespaces or volumes, and so on.
func companions(in Input, c Container) []Container {
	var list []Container
	for _, m := range affected(in, []Container{c}) {
		if m.ID != c.ID && !m.restart {
			list = append(list, m.Container)
		}
	}
	return list
}

// step is that of a container that is swapped or restarted.
func (u unit) step(in Input, moves []unit) Step {
	m := u[0]
	rollout, _ := serviceRollout(in, m.Service)
	pace := Pace{StableFor: time.Duration(rollout.StableFor), Timeout: time.Duration(rollout.Timeout), OneShot: m.OneShot}
	step := Step{ID: u.id(), Object: fmt.Sprintf("%s (%s)", m.Service, m.Name), Destructive: true, Requires: u.requires(moves)}
	var shared, sharedNames, names []string
	for _, other := range slices.Concat(moves...) {
		if other.ID == m.ID || !m.after(other) {
			continue
		}
		names = append(names, other.Name)
		if !other.restart && m.shares(other) {
			shared, sharedNames = append(shared, other.ID), append(sharedNames, other.Name)
		}
	}
	if m.restart {
		step.Verb, step.Cause = VerbRestart, "it depends on "+strings.Join(names, ", ")
		step.Restart = &Restart{Service: m.Service, ContainerID: m.ID, Container: m.Name, Pace: pace}
		return step
	}
	changed := changes(in, m.Container)
	step.Verb, step.Cause = VerbSwap, swapCause(in, m.Container, changed, sharedNames)
	step.Requires = append(requiredPatches(in, m.Service), step.Requires...)
	step.Swap = &Swap{
		Service: m.Service, ContainerID: m.ID, Container: m.Name, Changes: changed, ConfigHash: m.NewHash, Shares: shared,
		StartFirst: rollout.Strategy == policy.StrategyStartFirst,
		Env:        slices.Sorted(slices.Values(m.NewEnv)), Pace: pace,
	}
	if len(shared) > 0 {
		step.Swap.ConfigHash = ""
	}
	return step
}
