package engine

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/moby/moby/api/types/container"
)

// LeftoverKind is what an unfinished transaction has left.
type LeftoverKind string

// The kinds of leftovers.
const (
	LeftoverReplacement LeftoverKind = "replacement" // a new container whose old one was not removed yet
	LeftoverKept        LeftoverKind = "kept"        // an old container that was put aside
	LeftoverCompose     LeftoverKind = "compose"     // docker compose's own, from an interrupted up
)

// Leftover is a container of an unfinished transaction, and the commands that end it by hand.
type Leftover struct {
	Container   string // its name
	ID          string
	Kind        LeftoverKind
	Transaction string // "" when the container does not tell
	Commands    []string
}

// RecoveryCommands are shell commands that put the old container back by hand, whatever stage its swap has reached before the
// commit. A command that has nothing to do at that stage fails harmlessly. old is the container as it was before the swap.
func RecoveryCommands(old Container) []string {
	return recoveryCommands(old.ID, old.CleanName(), old.HostConfig.RestartPolicy)
}

// recoveryCommands finds the replacement by its label: its name may be the old container's.
func recoveryCommands(oldID, name string, policy container.RestartPolicy) []string {
	id := ShortID(oldID)
	return []string{
		fmt.Sprintf("docker rm -f $(docker ps -aq --filter label=%s=%s)", LabelReplaces, oldID),
		fmt.Sprintf("docker rename %s %s", id, name),
		fmt.Sprintf("docker update --restart=%s %s", policyFlag(policy), id),
		fmt.Sprintf("docker start %s", id),
	}
}

// policyFlag is a restart policy as docker's --restart takes it.
func policyFlag(policy container.RestartPolicy) string {
	if policy.Name == "" {
		return string(container.RestartPolicyDisabled)
	}
	if policy.Name == container.RestartPolicyOnFailure && policy.MaximumRetryCount > 0 {
		return fmt.Sprintf("%s:%d", policy.Name, policy.MaximumRetryCount)
	}
	return string(policy.Name)
}

// Unfinished finds the containers of transactions that were cut off, in the order given. A replacement whose original is gone is
// committed and none of them, unless it still has its temporary name.
func Unfinished(containers []Container) []Leftover {
	world := newCensus(containers)
	var leftovers []Leftover
	for _, c := range containers {
		kind, commands := world.judge(c)
		if kind == "" {
			continue
		}
		leftovers = append(leftovers, Leftover{
			Container:   c.CleanName(),
			ID:          c.ID,
			Kind:        kind,
			Transaction: strings.TrimSuffix(c.Label(LabelTransaction), undoSuffix),
			Commands:    commands,
		})
	}
	return leftovers
}

// census finds containers by what refers to them.
type census struct {
	byID        map[string]Container
	byShortID   map[string]Container
	byName      map[string]Container
	replacement map[string]Container // by the id of what it replaces
	rebuilt     map[string]Container // likewise, of those that an undo has made
}

func newCensus(containers []Container) census {
	world := census{
		byID:        map[string]Container{},
		byShortID:   map[string]Container{},
		byName:      map[string]Container{},
		replacement: map[string]Container{},
		rebuilt:     map[string]Container{},
	}
	for _, c := range containers {
		world.byID[c.ID] = c
		world.byShortID[ShortID(c.ID)] = c
		world.byName[c.CleanName()] = c
		if replaced := c.Label(LabelReplaces); replaced != "" {
			if _, rebuilt := undoneTransaction(c); rebuilt {
				world.rebuilt[replaced] = c
				continue
			}
			world.replacement[replaced] = c
		}
	}
	return world
}

// composeTemporary is the name that docker compose gives a replacement until it has removed the original: the original's short
// id and the final name.
var composeTemporary = regexp.MustCompile(`^([0-9a-f]{12})_(.+)$`)

// composeLeftover tells the final name of a replacement that docker compose has not finished. A name alone is no proof, since a
// container_name may look like a temporary one: what it replaces, or would replace, must be known as well.
func (w census) composeLeftover(c Container) (final string, found bool) {
	match := composeTemporary.FindStringSubmatch(c.CleanName())
	if match == nil {
		return "", false
	}
	prefix, final := match[1], match[2]
	if _, found := w.byShortID[prefix]; found {
		return final, true
	}
	if other, found := w.byName[final]; found && sameInstance(c, other) {
		return final, true
	}
	// Depending on its version, docker compose notes the id, the container_name, or the name without the project.
	replaced := c.Label(LabelReplace)
	return final, replaced != "" && (ShortID(replaced) == prefix && fullID(replaced) || strings.HasSuffix(final, replaced))
}

// sameInstance holds for two containers of one place in one service.
func sameInstance(a, b Container) bool {
	for _, label := range []string{LabelProject, LabelService, LabelContainerNumber} {
		if a.Label(label) != b.Label(label) {
			return false
		}
	}
	return a.Label(LabelService) != ""
}

func (w census) judge(c Container) (LeftoverKind, []string) {
	name := c.CleanName()
	if original, found := w.byID[c.Label(LabelReplaces)]; found {
		return LeftoverReplacement, recoveryCommands(original.ID, finalName(original), policyBefore(c))
	}
	if strings.HasSuffix(name, tempSuffix) || strings.HasSuffix(name, backSuffix) {
		return LeftoverReplacement, w.takeOver(c, finalName(c))
	}
	if replaced := c.Label(LabelReplaces); w.rebuilding(replaced) && w.replacement[replaced].ID == c.ID {
		return LeftoverReplacement, []string{"docker start " + ShortID(c.ID)} // what was to replace it is too many
	}
	if final, found := strings.CutSuffix(name, keptSuffix); found {
		return LeftoverKept, w.restore(c, final)
	}
	if _, found := w.replacement[c.ID]; found {
		return "", nil // it still has its name; its replacement is listed
	}
	if final, found := w.composeLeftover(c); found {
		return LeftoverCompose, w.takeOver(c, final)
	}
	return "", nil
}

// restore puts an old container back, with the restart policy that only its replacement still knows.
func (w census) restore(c Container, name string) []string {
	if replacement, found := w.replacement[c.ID]; found {
		return recoveryCommands(c.ID, name, policyBefore(replacement))
	}
	return w.takeOver(c, name)
}

// takeOver gives the container the name if that is free, and else removes it as superfluous.
func (w census) takeOver(c Container, name string) []string {
	id := ShortID(c.ID)
	if _, taken := w.byName[name]; taken {
		return []string{"docker rm -f " + id}
	}
	return []string{fmt.Sprintf("docker rename %s %s", id, name), "docker start " + id}
}
