package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/composure-dev/composure/policy"
)

func heldFindings(in Input) []Hold {
	var held []Hold
	inFiles := map[string]bool{}
	for _, f := range in.Findings {
		key := f.Policy + "/" + f.Service + "/" + f.Variable
		if f.Held == "" || !f.Difference() || f.Layer == policy.LayerContainer && inFiles[key] {
			continue // what keeps the file from being mended keeps the container as well: it is said once
		}
		inFiles[key] = true
		object := f.Service + "." + f.Variable
		if f.Origin != nil && f.Origin.Line > 0 {
			object += fmt.Sprintf(" (%s:%d)", relative(in.Directory, f.Origin.File), f.Origin.Line)
		}
		held = append(held, Hold{Object: object, Reason: f.Held, Next: f.Hint, Severity: f.Severity})
	}
	return held
}

func directHolds(in Input, due []Container) []Hold {
	var held []Hold
	for _, c := range due {
		reason, next := heldContainer(in, c)
		if reason == "" {
			reason, next = heldCompanion(in, c)
		}
		if reason == "" {
			reason, next = heldByKept(in, c)
		}
		if reason != "" {
			held = append(held, Hold{Object: c.Service, Reason: reason, Next: next})
			continue
		}
		held = append(held, doomed(in, c.Service)...)
	}
	return held
}

// heldContainer says why a container cannot be replaced, whatever it is replaced for.
func heldContainer(in Input, c Container) (reason, next string) {
	rollout, checks := serviceRollout(in, c.Service)
	up := "docker compose up -d " + c.Service
	audited, unsupported := audited(in, c.Service), policy.Unsupported(checks)
	switch {
	case c.Held != "":
		return c.Held, c.Next
	case in.Foreign.Reason != "":
		return in.Foreign.Reason, in.Foreign.Next
	case audited != "":
		return audited, "composure apply"
	case rollout.Strategy == policy.StrategyNever:
		return "the policy's rollout strategy is Never", up
	case unsupported != "":
		return unsupported, up
	case rollout.Strategy != policy.StrategyStartFirst || c.handed:
		return "", ""
	case c.Forced != "":
		return "it cannot be started beside itself: " + c.Forced, "take rollout.strategy StartFirst out of the policy"
	case c.Overlap != "" && !rollout.Force:
		return "it should not run beside itself: " + c.Overlap, "take rollout.strategy StartFirst out of the policy, or say rollout.force: true"
	}
	return "", ""
}

// audited says which policy only wants to know of the service's containers, or only wants to know now, while nobody has asked.
func audited(in Input, service string) string {
	if !in.Unattended {
		return ""
	}
	names := policiesOf(in.Findings, service)
	for _, p := range in.Policies {
		if !slices.Contains(names, p.Metadata.Name) {
			continue
		}
		if reason := p.ContainersHeld(in.Now); reason != "" {
			return reason
		}
	}
	return ""
}

// heldCompanion says why a container that has to be replaced together with c cannot be.
func heldCompanion(in Input, c Container) (reason, next string) {
	for _, companion := range companions(in, c) {
		if reason, next := heldAlong(c, companion); reason != "" {
			return reason, next
		}
		if reason, _ := heldContainer(in, companion); reason != "" {
			return fmt.Sprintf("%s, which shares namespaces or volumes with it, cannot be replaced: %s", companion.Name, reason), "docker compose up -d"
		}
	}
	return "", ""
}

// heldByKept says why a container cannot be replaced although it could by itself: one that has to be kept would be stopped along with
// it.
func heldByKept(in Input, c Container) (reason, next string) {
	for _, m := range affected(in, []Container{c}) {
		if m.Keep != "" && m.ID != c.ID {
			return fmt.Sprintf("%s would be stopped along with it, and is kept: %s", m.Name, m.Keep), "docker compose up -d " + c.Service
		}
	}
	return "", ""
}

// doomed holds a service that a policy selects which cannot come to hold whatever is swapped: a variable of it is held, or a check
// asks for what will not be there. Its checks could only fail, and undo everything.
func doomed(in Input, service string) []Hold {
	var held []Hold
	names := policiesOf(in.Findings, service)
	for _, f := range in.Findings {
		if f.Held != "" && f.Difference() && slices.Contains(names, f.Policy) {
			held = append(held, Hold{
				Object: service,
				Reason: fmt.Sprintf("policy %s cannot hold while %s.%s is held", f.Policy, f.Service, f.Variable),
				Next:   "mend that first",
			})
			break
		}
	}
	for _, p := range in.Policies {
		if !slices.Contains(names, p.Metadata.Name) {
			continue
		}
		for _, check := range p.Spec.Verify {
			if reason := unaskable(in, check); reason != "" {
				held = append(held, Hold{
					Object: service,
					Reason: fmt.Sprintf("the check %q of policy %s cannot pass: %s", Describe(check), p.Metadata.Name, reason),
					Next:   fmt.Sprintf("correct the policy at %s:%d", p.Origin.File, max(check.Origin.Line, p.Origin.Line)),
				})
			}
		}
	}
	return held
}

// unaskable says why a check cannot pass in the environment that the containers will have.
func unaskable(in Input, check policy.Check) string {
	var service string
	var texts []string
	switch {
	case check.Redis != nil:
		service, texts = check.Redis.Service, []string{check.Redis.URL, check.Redis.Channel}
	case check.Log != nil:
		service = check.Log.Service
	case check.HTTP != nil:
		service, texts = check.HTTP.Service, []string{check.HTTP.URL}
	default:
		return ""
	}
	if !slices.Contains(in.Running, service) {
		return "service " + service + " has no running container"
	}
	i := slices.IndexFunc(in.Containers, func(c Container) bool { return c.Service == service })
	if i < 0 {
		return "" // no policy selects it, so its environment was not looked at
	}
	env := in.Containers[i].OldEnv
	if needsSwap(in, in.Containers[i]) {
		env = environment(in.Containers[i].NewEnv)
	}
	for _, text := range texts {
		expanded, err := policy.Expand(text, env)
		if err != nil {
			return err.Error()
		}
		if check.HTTP == nil {
			continue
		}
		if problem, hint := check.HTTP.ProblemWith(expanded); problem != "" {
			return "its URL " + problem + ": " + hint
		}
	}
	return ""
}

// waitingHolds holds what would go together with something that is held.
func waitingHolds(in Input, due []Container, held []Hold) []Hold {
	services := map[string]bool{}
	for _, h := range held {
		services[h.Object] = true
	}
	var waiting []Hold
	for changed := true; changed; {
		changed = false
		for _, c := range due {
			partner, why := heldPartner(in, c, services)
			if services[c.Service] || partner == "" {
				continue
			}
			services[c.Service], changed = true, true
			waiting = append(waiting, Hold{
				Object: c.Service,
				Reason: fmt.Sprintf("waits for %s, %s and which is held", partner, why),
				Next:   "docker compose up -d " + c.Service + " " + partner,
			})
		}
	}
	return waiting
}

// heldPartner names a held service that would go together with c, and why it would.
func heldPartner(in Input, c Container, held map[string]bool) (partner, why string) {
	policies := policiesOf(in.Findings, c.Service)
	for _, other := range slices.Sorted(maps.Keys(held)) {
		if other == c.Service {
			continue
		}
		for _, name := range policiesOf(in.Findings, other) {
			if slices.Contains(policies, name) {
				return other, "which the same policy selects"
			}
		}
		if slices.ContainsFunc(companions(in, c), func(companion Container) bool { return companion.Service == other }) {
			return other, "which shares its namespaces or volumes"
		}
	}
	return "", ""
}

func sortedHolds(held []Hold) []Hold {
	slices.SortFunc(held, func(a, b Hold) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Next, b.Next), cmp.Compare(a.Severity, b.Severity))
	})
	return slices.Compact(held)
}
