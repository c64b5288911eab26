package engine

import (
	"context"
	"slices"
	"time"
)

// Remade compares a running container with the one that docker compose is to have made again, value by value as [Prove] does.
// Besides what belongs to one container, labels may differ that tell of who made it and when. references are the containers that
// are in the place of others, by full id. An empty result says that they are equal.
func Remade(old, now Container, references map[string]string) []Difference {
	return compared(&proof{
		old: old, new: now, replacement: Replacement{Old: old, Env: old.Config.Env, References: references},
		allowances: slices.Concat(remakersAllowances(), allowances()),
	})
}

// remakersAllowances are what else may differ: labels that say nothing of how a container runs, and what is not its own.
func remakersAllowances() []allowance {
	const maker = "another release of docker compose, or Composure, may have made the first one; with --no-deps no dependency is noted"
	list := []allowance{{path: "Config/Hostname", cause: "that of the container whose network is shared", accepts: hostnameOfOther}}
	for _, label := range []string{LabelConfigHash, LabelDependsOn, LabelVersion, LabelReplace, LabelTransaction, LabelReplaces, LabelRestart} {
		list = append(list, allowance{path: "Config/Labels/" + label, cause: maker})
	}
	return list
}

func hostnameOfOther(p *proof, path []string, old, new any) bool {
	return p.sharesNetwork() || defaultHostname(p, path, old, new)
}

// Await waits until a container that somebody else has just started is as it should be. An error is a *[SwapError] without an undo.
func (s *Swapper) Await(ctx context.Context, c Container, pace Pace) error {
	err := s.wait(ctx, c.ID, waitFor{pace: pace, limit: pace.Limit(c), health: true})
	if err == nil {
		return nil
	}
	watched := swap{Swapper: s, swapped: Swapped{NewID: c.ID}}
	return &SwapError{Stage: "wait", Err: err, Logs: watched.lastLogs(context.WithoutCancel(ctx))}
}

// RecreateWithin is how long somebody else may take to recreate the containers, one after the other.
func RecreateWithin(containers []Container, pace Pace) time.Duration {
	within := writeTimeout
	for _, c := range containers {
		within += grace(c) + pace.Timeout
	}
	return within
}
