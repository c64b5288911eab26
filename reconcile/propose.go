package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/edit"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

// Proposal is what was seen, what is wrong with it, and the plan that mends it. Making one changes nothing.
type Proposal struct {
	Snapshot Snapshot
	Findings []policy.Finding
	Plan     plan.Plan
	// Others are differences between files and containers that no policy speaks of, by service.
	Others map[string][]plan.Change
	// Policies are those of the source that select a service of the project.
	Policies []policy.Policy
}

// Propose observes and plans.
func Propose(ctx context.Context, src Source) (Proposal, error) {
	snap, err := Observe(ctx, src)
	if err != nil {
		return Proposal{}, err
	}
	d := drafter{src: src, snap: snap, findings: judged(src, snap)}
	drafted := draft{after: snap, findings: d.findings}
	if snap.Project != nil {
		if drafted, err = d.run(ctx); err != nil {
			return Proposal{}, err
		}
	}
	input := plan.Input{
		Project: snap.Name, Directory: snap.Directory,
		Policies: selecting(src.Policies, drafted.findings), Findings: drafted.findings, Patches: drafted.patches,
		Diff:       func(name string, p plan.Patch) string { return edit.Unified(name, p.Before, p.After) },
		Containers: candidates(snap, drafted),
		Blocked:    blocked(snap.Leftovers),
		Basis:      basis(src, snap),
	}
	proposal := Proposal{
		Snapshot: snap, Findings: drafted.findings, Plan: plan.Make(input), Policies: input.Policies,
		Others: map[string][]plan.Change{},
	}
	for _, c := range input.Containers {
		if c.Held == "" {
			proposal.Others[c.Service] = plan.Others(input, c)
		}
	}
	return proposal, nil
}

// judged are the findings on what was asked about: without a reader no container was looked at, so nothing is said of any.
func judged(src Source, snap Snapshot) []policy.Finding {
	findings := policy.Evaluate(src.Policies, snap.Facts())
	return slices.DeleteFunc(findings, func(f policy.Finding) bool {
		elsewhere := len(src.Services) > 0 && !slices.Contains(src.Services, f.Service)
		return elsewhere || (src.Reader == nil && f.Layer == policy.LayerContainer)
	})
}

// selecting returns the policies that a finding names.
func selecting(policies []policy.Policy, findings []policy.Finding) []policy.Policy {
	var selected []policy.Policy
	for _, p := range policies {
		if slices.ContainsFunc(findings, func(f policy.Finding) bool { return f.Policy == p.Metadata.Name }) {
			selected = append(selected, p)
		}
	}
	return selected
}

// candidates are the running containers of services that a finding speaks of, each with what would replace it.
func candidates(snap Snapshot, d draft) []plan.Container {
	var list []plan.Container
	for _, name := range snap.ServiceNames() {
		if !slices.ContainsFunc(d.findings, func(f policy.Finding) bool { return f.Service == name }) {
			continue
		}
		for _, c := range snap.Containers[name] {
			if c.Running() {
				list = append(list, candidate(snap, d.after, name, c))
			}
		}
	}
	return list
}

func candidate(snap, after Snapshot, service string, c engine.Container) plan.Container {
	candidate := plan.Container{
		Service: service, ID: c.ID, Name: c.CleanName(), OldEnv: c.Env(), OldHash: c.Label(engine.LabelConfigHash),
	}
	if reason := heldContainer(snap, service, c); reason != "" {
		candidate.Held, candidate.Next = reason, "docker compose up -d "+service
		return candidate
	}
	image := imageEnv(snap.Images[c.Image])
	env, err := after.Project.NewEnv(service, image, c.Env())
	if err == nil {
		candidate.NewEnv = env
		candidate.NewHash, err = snap.Project.Stamp(compose.StampQuestion{
			Service: service, After: after.Project, Env: c.Env(), ImageEnv: image,
			Hash: c.Label(engine.LabelConfigHash), Version: c.Label(engine.LabelVersion),
		})
	}
	if err != nil {
		candidate.Held, candidate.Next = unprovable(err), "docker compose up -d "+service
	}
	return candidate
}

func heldContainer(snap Snapshot, service string, c engine.Container) string {
	if snap.Project == nil {
		return "the compose files are unreachable: " + snap.Unreachable
	}
	own, found := snap.Project.Services[service]
	if !found {
		return "no compose file of the project defines this service"
	}
	if reason := engine.Supported(c, snap.Engine); reason != "" {
		return reason
	}
	if n := len(snap.Containers[service]); n > 1 {
		return fmt.Sprintf("it has %d containers; more than one replica is not supported yet", n)
	}
	return own.SwapHeld
}

func unprovable(err error) string {
	if reason, ok := errors.AsType[*compose.Unprovable](err); ok {
		return "the config hash that compose would stamp cannot be proved: " + reason.Reason
	}
	return firstLine(err)
}

func blocked(leftovers []engine.Leftover) []plan.Hold {
	var held []plan.Hold
	for _, l := range leftovers {
		held = append(held, plan.Hold{
			Object: "container " + l.Container,
			Reason: leftBehind(l) + "; finishing or undoing it is not supported yet",
			Next:   strings.Join(l.Commands, "\n"),
		})
	}
	return held
}

func leftBehind(l engine.Leftover) string {
	switch l.Kind {
	case engine.LeftoverReplacement:
		return "it is the replacement of an unfinished swap (transaction " + l.Transaction + ")"
	case engine.LeftoverKept:
		return "it is the original of an unfinished swap"
	case engine.LeftoverCompose:
		return "docker compose left it in an interrupted up"
	}
	return "an unfinished transaction left it"
}

func basis(src Source, snap Snapshot) plan.Basis {
	var b plan.Basis
	for _, p := range src.Policies {
		b.Policies = append(b.Policies, p.Metadata.Name+"@"+p.Digest)
	}
	for service, containers := range snap.Containers {
		for _, c := range containers {
			b.Containers = append(b.Containers, service+"="+c.ID)
		}
	}
	if snap.Project == nil {
		return b
	}
	for _, file := range slices.Concat(snap.Extended.Files, snap.Project.EnvFiles, snap.Project.ServiceEnvFiles) {
		b.Files = append(b.Files, file.Path+"@"+file.Digest)
	}
	b.Environment = environmentDigest(snap.Project)
	return b
}

// environmentDigest changes when any resolved variable of any service does, the shell's influence included.
func environmentDigest(project *compose.Project) string {
	sum := sha256.New()
	for _, service := range slices.Sorted(maps.Keys(project.Services)) {
		env := project.Services[service].Environment
		for _, key := range slices.Sorted(maps.Keys(env)) {
			value := "\x00"
			if v := env[key].Value; v != nil {
				value = *v
			}
			fmt.Fprintf(sum, "%q %q %q\n", service, key, value)
		}
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}

func joinOr(words []string, none string) string {
	if len(words) == 0 {
		return none
	}
	return strings.Join(words, ", ")
}
