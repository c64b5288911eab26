package plan

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/composure-dev/composure/policy"
)

// Input is what a plan is computed from. Everything in it was read before; nothing is read now.
type Input struct {
	Project   string
	Directory string // absolute; paths below it are named relative to it
	Policies  []policy.Policy
	Findings  []policy.Finding
	// Patches are the proved new contents of the files that the findings' fixes touch.
	Patches []Patch
	// Diff renders one patch as a unified diff with the given name.
	Diff func(name string, p Patch) string
	// Containers are the running containers of the project's services, with what would replace them.
	Containers []Container
	// NoCompose says why nothing can be handed to docker compose here, and what helps; its Reason is empty when something can.
	NoCompose Hold
	// Foreign says why no container is replaced while nobody has asked, whatever the policies enforce, and what helps: another tool
	// manages the project. Its Reason is empty otherwise.
	Foreign Hold
	// Running are the services that have a running container, those that no policy selects included.
	Running []string
	// Unattended says that nobody has asked: containers are replaced only where every policy on them enforces it.
	Unattended bool
	// Now is the instant by which maintenance windows are judged; they count only while Unattended.
	Now time.Time
	// Blocked, when not empty, holds the whole project: nothing is planned.
	Blocked []Hold
	// Recover, when not empty, are transactions that were cut off: until they are in order, nothing else is planned.
	Recover []Recover
	// Reverts is the transaction that [Revert] takes back.
	Reverts string
	Basis   Basis
}

// Container is a running container and the environment that the patched files would give it.
type Container struct {
	Service string
	Number  int // of the replica
	ID      string
	Name    string
	OldEnv  map[string]*string
	NewEnv  []string
	OldHash string
	NewHash string
	// Due says that it is replaced, whatever the findings say.
	Due bool
	// Touched holds when the patches change what the files give the service.
	Touched bool
	// Held says why it cannot be swapped, and Next what helps; empty when it can.
	Held, Next string
	// Keep says why it is neither replaced nor restarted, not even along with another one; empty when it may be.
	Keep string
	// Shares are the ids of the containers whose namespaces or volumes it uses: it is replaced after each of them.
	Shares []string
	// RestartsWith are the services after whose replacement it is restarted.
	RestartsWith []string
	// OneShot says that the service is one that ends by itself.
	OneShot bool
	// Overlap says why it cannot run beside its replacement, Forced why not even when the policy insists; empty when it can.
	Overlap, Forced string
	// Handover counts when a policy wants docker compose to recreate it.
	Handover Handover

	handed bool // Handover counts
}

// Make computes the plan. It is pure: the order of the input's lists does not change a byte of the result.
func Make(in Input) Plan {
	in.Findings = slices.SortedFunc(slices.Values(in.Findings), compareFindings)
	in.Containers = handOver(in)
	p := Plan{Project: in.Project, Steps: []Step{}, Basis: in.Basis.sorted()}
	p.Held = append(p.Held, in.Blocked...)
	p.Held = append(p.Held, heldFindings(in)...)
	if len(in.Blocked) > 0 {
		return p
	}
	if len(in.Recover) > 0 {
		p.Steps, p.Held = recoverSteps(in), nil
		return p
	}
	p.Steps = append(p.Steps, patchSteps(in)...)
	moves, held := moveSteps(in)
	p.Steps = append(p.Steps, moves...)
	p.Held = append(p.Held, held...)
	p.Steps = append(p.Steps, checkSteps(in, moves)...)
	p.Held = sortedHolds(p.Held)
	return p
}

// Replaces are the services of which the step replaces containers.
func (s Step) Replaces() []string {
	switch {
	case s.Swap != nil:
		return []string{s.Swap.Service}
	case s.Compose != nil:
		return s.Compose.Services
	}
	return nil
}

// Recreates are the services whose containers the plan replaces, sorted, each once. Restarts and what is put in order do not count.
func (p Plan) Recreates() []string {
	var services []string
	for _, step := range p.Steps {
		services = append(services, step.Replaces()...)
	}
	slices.Sort(services)
	return slices.Compact(services)
}

// Empty reports whether there is nothing to do and nothing held.
func (p Plan) Empty() bool { return len(p.Steps) == 0 && len(p.Held) == 0 }

// Of returns the steps of one verb, in order.
func (p Plan) Of(verb Verb) []Step {
	var steps []Step
	for _, step := range p.Steps {
		if step.Verb == verb {
			steps = append(steps, step)
		}
	}
	return steps
}

func (b Basis) sorted() Basis {
	b.Policies = slices.Sorted(slices.Values(b.Policies))
	b.Files = slices.Sorted(slices.Values(b.Files))
	b.Containers = slices.Sorted(slices.Values(b.Containers))
	return b
}

// compareFindings puts file findings, which carry the place in a file, before those of containers.
func compareFindings(a, b policy.Finding) int {
	return cmp.Or(
		cmp.Compare(a.Service, b.Service),
		cmp.Compare(a.Variable, b.Variable),
		compareBool(a.Layer == policy.LayerContainer, b.Layer == policy.LayerContainer),
		cmp.Compare(a.Policy, b.Policy),
		cmp.Compare(a.Layer, b.Layer),
		cmp.Compare(a.Container, b.Container),
		cmp.Compare(a.Verdict, b.Verdict),
		cmp.Compare(a.Message, b.Message),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

func patchSteps(in Input) []Step {
	patches := slices.SortedFunc(slices.Values(in.Patches), func(a, b Patch) int { return cmp.Compare(a.File, b.File) })
	steps := make([]Step, 0, len(patches))
	for _, patch := range patches {
		name := relative(in.Directory, patch.File)
		steps = append(steps, Step{
			ID:     "patch:" + name,
			Verb:   VerbPatch,
			Object: name,
			Cause:  "declares " + strings.Join(patch.Keys, ", "),
			Diff:   in.Diff(name, patch),
			Patch:  &patch,
		})
	}
	return steps
}

// needsSwap reports whether c is stale by a finding, or would be by the patch of a file that the project loads. A patch that
// repeats what another layer already gives changes neither the environment nor the hash, and then nothing has to be swapped.
func needsSwap(in Input, c Container) bool {
	if c.Due {
		return true
	}
	stale := slices.ContainsFunc(in.Findings, func(f policy.Finding) bool {
		return f.Verdict == policy.ContainerStale && f.Container == c.ID && f.Service == c.Service && f.Held == ""
	})
	return stale || c.Touched && (c.Held != "" || c.OldHash != c.NewHash || len(changes(in, c)) > 0)
}

// serviceRollout joins what the policies of one service say of its swap; those of other services have no say in it.
func serviceRollout(in Input, service string) (policy.Rollout, []policy.Check) {
	names := policiesOf(in.Findings, service)
	var own []policy.Policy
	var checks []policy.Check
	for _, p := range in.Policies {
		if slices.Contains(names, p.Metadata.Name) {
			own = append(own, p)
			checks = append(checks, p.Spec.Verify...)
		}
	}
	rollout, _ := policy.Strictest(own)
	return rollout, checks
}

func policiesOf(findings []policy.Finding, service string) []string {
	var names []string
	for _, f := range findings {
		if f.Service == service && !slices.Contains(names, f.Policy) {
			names = append(names, f.Policy)
		}
	}
	return names
}

func swapCause(in Input, c Container, changed []Change, parents []string) string {
	if c.Due {
		return "as it was before transaction " + in.Reverts
	}
	if !needsSwap(in, c) {
		return "it shares namespaces or volumes with " + strings.Join(parents, ", ")
	}
	names := policiesOf(slices.DeleteFunc(slices.Clone(in.Findings), func(f policy.Finding) bool {
		return !f.Difference() || f.Held != ""
	}), c.Service)
	cause := "policy " + strings.Join(slices.Sorted(slices.Values(names)), ", ")
	if len(changed) == 0 {
		return cause + ": the file declares what the container already has; only its config hash changes"
	}
	return fmt.Sprintf("%s: its environment differs from the files in %s", cause, count(len(changed), "variable"))
}

// requiredPatches are the patches of files that declare something for the service: a failed write must not be followed by its swap.
func requiredPatches(in Input, service string) []string {
	var ids []string
	for _, patch := range in.Patches {
		if slices.ContainsFunc(patch.Keys, func(key string) bool { return strings.HasPrefix(key, service+".") }) {
			ids = append(ids, "patch:"+relative(in.Directory, patch.File))
		}
	}
	return slices.Sorted(slices.Values(ids))
}

// checkSteps are the checks of every policy of which a service is swapped; where nothing is swapped there is nothing to verify.
func checkSteps(in Input, moves []Step) []Step {
	var requires []string
	swapped := map[string]bool{}
	for _, step := range moves {
		requires = append(requires, step.ID)
		for _, service := range step.Replaces() {
			for _, name := range policiesOf(in.Findings, service) {
				swapped[name] = true
			}
		}
	}
	policies := slices.SortedFunc(slices.Values(in.Policies), func(a, b policy.Policy) int {
		return cmp.Compare(a.Metadata.Name, b.Metadata.Name)
	})
	var steps []Step
	for _, pol := range policies {
		if !swapped[pol.Metadata.Name] {
			continue
		}
		for i, check := range pol.Spec.Verify {
			steps = append(steps, Step{
				ID:       fmt.Sprintf("check:%s/%d", pol.Metadata.Name, i+1),
				Verb:     VerbCheck,
				Object:   Describe(check),
				Cause:    "policy " + pol.Metadata.Name,
				Requires: slices.Sorted(slices.Values(requires)),
				Check:    &Check{Policy: pol.Metadata.Name, Check: check},
			})
		}
	}
	return steps
}

// Describe names a check in words.
func Describe(c policy.Check) string {
	switch {
	case c.Healthy:
		return "healthy"
	case c.Redis != nil && c.Redis.Channel != "":
		return fmt.Sprintf("redis from %s: at least %s on %s", c.Redis.Service, count(int(c.Redis.Subscribers), "subscriber"), c.Redis.Channel)
	case c.Redis != nil:
		return fmt.Sprintf("redis from %s: ping", c.Redis.Service)
	case c.Log != nil:
		return fmt.Sprintf("log of %s: a line matching %q", c.Log.Service, c.Log.Pattern)
	case c.Exec != nil:
		return fmt.Sprintf("exec in %s: %s", c.Exec.Service, strings.Join(c.Exec.Command, " "))
	case c.HTTP != nil:
		return fmt.Sprintf("http from %s: status %d", c.HTTP.Service, c.HTTP.Status)
	default:
		return "nothing"
	}
}

func rank(order []string, service string) int {
	if i := slices.Index(order, service); i >= 0 {
		return i
	}
	return len(order)
}

func relative(directory, file string) string {
	if rest, found := strings.CutPrefix(path.Clean(file), path.Clean(directory)+"/"); found {
		return rest
	}
	return file
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
