package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

// noCompose says why nothing can be handed to docker compose, where a policy wants that. Nobody asks otherwise.
func noCompose(ctx context.Context, src Source) plan.Hold {
	wanted := func(p policy.Policy) bool { return p.Spec.Rollout.Strategy == policy.StrategyCompose }
	if src.Reader == nil || !slices.ContainsFunc(src.Policies, wanted) {
		return plan.Hold{}
	}
	if err := src.ComposeReady(ctx); err != nil {
		return plan.Hold{Reason: err.Error(), Next: strings.Join(hint.Of(err), "\n")}
	}
	return plan.Hold{}
}

// handover is what docker compose would make of a container that nothing but a swap may be kept from.
func handover(snap, after Snapshot, service string, c engine.Container) plan.Handover {
	image := imageEnv(snap.Images[c.Image])
	h := plan.Handover{Env: filesEnv(after.Project.Services[service], image)}
	if given := otherwise(c.Env(), engine.EnvMap(filesEnv(snap.Project.Services[service], image))); len(given) > 0 {
		h.Lossy = "the files as they are give another " + strings.Join(given, ", ") + " than the container has"
	}
	containers, want := snap.Containers[service], snap.Project.Services[service].Replicas
	stopped := slices.IndexFunc(containers, func(other engine.Container) bool { return !up(other) })
	_, tagged := snap.Images[c.Config.Image]
	switch {
	case stopped >= 0:
		h.Held, h.Next = fmt.Sprintf("container %s does not run, and docker compose would start it", containers[stopped].CleanName()), "docker compose up -d "+service
	case len(containers) != want:
		h.Held = fmt.Sprintf("%d containers of it run, and the files say %d", len(containers), want)
		h.Next = "docker compose up -d " + service
	case !tagged:
		h.Held, h.Next = "its image "+c.Config.Image+" is not there any more, and docker compose would not find it", "docker compose up -d "+service
	}
	return h
}

// filesEnv is the environment, sorted, that docker compose gives a container by the files and the image. It may add to it.
func filesEnv(service *compose.Service, image map[string]string) []string {
	env := map[string]string{}
	for key, value := range image {
		env[key] = key + "=" + value
	}
	if service != nil {
		for key, v := range service.Environment {
			env[key] = key
			if v.Value != nil {
				env[key] += "=" + *v.Value
			}
		}
	}
	return slices.Sorted(maps.Values(env))
}
