package engine

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
)

// Interrupted finds the swaps that were cut off, read from labels, names and states alone. Each can be undone, or committed when
// its new container has the name; Pace and Injected are the caller's to fill in. Of one whose old container is gone, Old has a
// name and an id, and no Config: it is undone with the record of it in Old, else settled. Touched and Stopped are what cannot be
// excluded, and Moved tells of containers that an undo has rebuilt. Swaps that came to their end are not listed. Those whose
// namespaces others share come before them, as with [UndoOrder].
func Interrupted(containers []Container) []Swapped {
	world := newCensus(containers)
	var found []Swapped
	for _, c := range containers {
		if swapped, is := world.interrupted(c); is {
			swapped.Moved = world.moved()
			found = append(found, swapped)
		}
	}
	return world.undoOrder(found)
}

// UndoOrder sorts swaps that were cut off as they are to be undone: what others hang on first, and before the rest what does not
// run, so that no further service is down while that one waits for its turn.
func UndoOrder(containers []Container, swaps []Swapped) []Swapped {
	return newCensus(containers).undoOrder(swaps)
}

// Committed reports whether a swap of the transaction is beyond undoing: its old container is gone and the new one has the name.
// It cannot tell whether the commit or somebody else has removed the old one, but one that is being rebuilt was not committed.
func Committed(containers []Container, transaction string) bool {
	world := newCensus(containers)
	return slices.ContainsFunc(containers, func(c Container) bool {
		replaced := c.Label(LabelReplaces)
		undone := world.has(world.byID, replaced) || world.has(world.rebuilt, replaced)
		return replaced != "" && c.Label(LabelTransaction) == transaction && !undone && !Temporary(c)
	})
}

// Temporary holds for a container with a name that it has only during a swap.
func Temporary(c Container) bool {
	name := c.CleanName()
	return slices.ContainsFunc([]string{tempSuffix, keptSuffix, backSuffix}, func(suffix string) bool { return strings.HasSuffix(name, suffix) })
}

// interrupted gives a swap once: for its new container if there is one, else for what else is left of it.
func (w census) interrupted(c Container) (Swapped, bool) {
	replaced := c.Label(LabelReplaces)
	original, exists := w.byID[replaced]
	switch {
	case strings.HasSuffix(c.Name, backSuffix):
		return w.backOnly(c, original)
	case replaced != "" && exists:
		return w.cutOff(original, c), true
	case strings.HasSuffix(c.Name, keptSuffix) && !w.has(w.replacement, c.ID) && !w.rebuilding(c.ID):
		return begun(asBefore(c, c), Swapped{}), true
	case replaced != "" && (strings.HasSuffix(c.Name, tempSuffix) || w.rebuilding(replaced)):
		return begun(gone(replaced, finalName(c)), Swapped{NewID: c.ID, Transaction: c.Label(LabelTransaction)}), true
	}
	return Swapped{}, false
}

// backOnly is for a rebuilt container: the new one tells of the swap while it is there. original is empty when it is gone.
func (w census) backOnly(c, original Container) (Swapped, bool) {
	undone, rebuilt := undoneTransaction(c)
	replaced := c.Label(LabelReplaces)
	if !rebuilt || w.has(w.replacement, replaced) {
		return Swapped{}, false
	}
	old := gone(replaced, finalName(c))
	if original.ID != "" {
		old = asBefore(original, c)
	}
	return begun(old, Swapped{Transaction: undone}), true
}

// begun is a swap that may have stopped its old container.
func begun(old Container, swapped Swapped) Swapped {
	swapped.Old, swapped.Touched, swapped.Stopped, swapped.Inferred = old, true, true, true
	return swapped
}

// cutOff knows a swap that has not touched the old container by the restart policy: it is taken before a stop, and in an undo
// it is given back after one.
func (w census) cutOff(original, replacement Container) Swapped {
	swapped := Swapped{Old: asBefore(original, replacement), NewID: replacement.ID, Transaction: replacement.Label(LabelTransaction)}
	swapped.RanFor = ranFor(original, replacement)
	policy := original.HostConfig.RestartPolicy
	if up(original) && !policy.IsNone() && original.Name == swapped.Old.Name {
		return swapped
	}
	return begun(swapped.Old, swapped)
}

// asBefore gives an old container the name and the restart policy that it had before the swap.
func asBefore(old, replacement Container) Container {
	host := *old.HostConfig
	if host.RestartPolicy.IsNone() {
		host.RestartPolicy = policyBefore(replacement)
	}
	old.Name, old.HostConfig = "/"+finalName(old), &host
	old.Raw = rawAsBefore(old.Raw, old.Name, host.RestartPolicy)
	return old
}

// policyBefore is the restart policy that a new container had before an undo took it.
func policyBefore(c Container) container.RestartPolicy {
	policy := c.HostConfig.RestartPolicy
	if !policy.IsNone() {
		return policy
	}
	name, times, _ := strings.Cut(c.Label(LabelRestart), ":")
	retries, err := strconv.Atoi(times)
	if name == "" || err != nil && times != "" {
		return policy
	}
	return container.RestartPolicy{Name: container.RestartPolicyMode(name), MaximumRetryCount: retries}
}

// rawAsBefore keeps what this program has no fields for. An answer that cannot be read is left out: the fields stand for it.
func rawAsBefore(raw json.RawMessage, name string, policy container.RestartPolicy) json.RawMessage {
	var answer, host map[string]json.RawMessage
	if json.Unmarshal(raw, &answer) != nil || json.Unmarshal(answer["HostConfig"], &host) != nil {
		return nil
	}
	set := func(fields map[string]json.RawMessage, key string, value any) (err error) {
		fields[key], err = json.Marshal(value)
		return err
	}
	if set(host, "RestartPolicy", policy) != nil || set(answer, "HostConfig", host) != nil || set(answer, "Name", name) != nil {
		return nil
	}
	changed, err := json.Marshal(answer)
	if err != nil {
		return nil
	}
	return changed
}

func gone(id, name string) Container {
	return Container{InspectResponse: container.InspectResponse{ID: id, Name: "/" + name}}
}

// finalName is the name that a container has outside of a swap.
func finalName(c Container) string {
	for _, suffix := range []string{tempSuffix, keptSuffix, backSuffix} {
		if name, found := strings.CutSuffix(c.CleanName(), suffix); found {
			return name
		}
	}
	return c.CleanName()
}

func (w census) has(containers map[string]Container, id string) bool {
	_, found := containers[id]
	return found
}

// rebuilding reports whether an undo was cut off that makes the container again.
func (w census) rebuilding(id string) bool {
	c, found := w.rebuilt[id]
	return found && strings.HasSuffix(c.Name, backSuffix)
}

// moved are the containers that an undo has made again, by the ids of those that are gone.
func (w census) moved() map[string]string {
	moved := map[string]string{}
	for replaced, c := range w.rebuilt {
		if !w.has(w.byID, replaced) {
			moved[replaced] = c.ID
		}
	}
	return moved
}

func (w census) undoOrder(swaps []Swapped) []Swapped {
	down := func(s Swapped) bool { return !w.byID[s.Old.ID].Running() && !w.byID[s.NewID].Running() }
	ordered := slices.Clone(swaps)
	slices.SortStableFunc(ordered, func(a, b Swapped) int {
		switch {
		case down(a) == down(b):
			return 0
		case down(a):
			return -1
		}
		return 1
	})
	return w.parentsFirst(ordered)
}

// parentsFirst keeps the order but where a swap needs another one's container.
func (w census) parentsFirst(swaps []Swapped) []Swapped {
	var ordered []Swapped
	placed := make([]bool, len(swaps))
	var place func(int)
	place = func(i int) {
		if placed[i] {
			return
		}
		placed[i] = true
		for j := range swaps {
			if w.lives(swaps[i], swaps[j]) {
				place(j)
			}
		}
		ordered = append(ordered, swaps[i])
	}
	for i := range swaps {
		place(i)
	}
	return ordered
}

// lives reports whether a container of one swap refers to a container of the other.
func (w census) lives(dependent, parent Swapped) bool {
	shared := append(references(dependent.Old), references(w.byID[dependent.NewID])...)
	return slices.ContainsFunc(shared, func(reference string) bool {
		return reference == parent.Old.ID || reference == parent.Name() || parent.NewID != "" && reference == parent.NewID
	})
}
