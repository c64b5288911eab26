package reconcile

import (
	"cmp"
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
	"github.com/composure-dev/composure/internal/state"
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
	// patched is the digest of what the patched files give the services.
	patched string
	// Policies are those of the source that select a service of the project; All is every one of them.
	Policies, All []policy.Policy
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
		Running:    snap.running(),
		Blocked:    blocked(src, snap),
		Basis:      basis(src, snap),
	}
	made := plan.Make(input)
	advise := adviser(src.Compose)
	for i := range made.Held {
		made.Held[i].Next = advise(made.Held[i].Next)
	}
	for i := range drafted.findings {
		drafted.findings[i].Hint = advise(drafted.findings[i].Hint)
	}
	proposal := Proposal{
		Snapshot: snap, Findings: drafted.findings, Plan: made, Policies: input.Policies, All: src.Policies,
		Others: map[string][]plan.Change{},
	}
	if drafted.after.Project != nil {
		proposal.patched = environmentDigest(drafted.after.Project)
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
			if up(c) {
				list = append(list, candidate(snap, d.after, name, c))
			}
		}
	}
	return list
}

func candidate(snap, after Snapshot, service string, c engine.Container) plan.Container {
	candidate := plan.Container{
		Service: service, ID: c.ID, Name: c.CleanName(), OldEnv: c.Env(), OldHash: c.Label(engine.LabelConfigHash),
		Touched: touched(snap.Project, after.Project, service),
	}
	if candidate.Held, candidate.Next = heldContainer(snap, service, c); candidate.Held != "" {
		return candidate
	}
	replacement, err := snap.Project.Replace(compose.ReplaceQuestion{
		Service: service, After: after.Project, Env: c.Env(), ImageEnv: imageEnv(snap.Images[c.Image]),
		Hash: c.Label(engine.LabelConfigHash), Version: c.Label(engine.LabelVersion),
	})
	if err != nil {
		candidate.Held, candidate.Next = unprovable(err), "docker compose up -d "+service
		return candidate
	}
	candidate.NewEnv, candidate.NewHash = replacement.Env, replacement.Hash
	return candidate
}

// touched reports whether the candidate files give the service another environment.
func touched(before, after *compose.Project, service string) bool {
	if before == nil || before.Services[service] == nil || after.Services[service] == nil {
		return false
	}
	return len(changedVariables(before.Services[service], after.Services[service])) > 0
}

// heldContainer says why a container cannot be swapped, and the command that brings it to what the files say all the same. Where
// others hang on the container it is for the whole project: compose then sees to them too.
func heldContainer(snap Snapshot, service string, c engine.Container) (reason, next string) {
	const project = "docker compose up -d"
	alone := project + " " + service
	if snap.Project == nil {
		return "the compose files are unreachable: " + snap.Unreachable, project
	}
	own, found := snap.Project.Services[service]
	if !found {
		return "no compose file of the project defines this service", "define it in a compose file, or remove container " + c.CleanName()
	}
	if c.State.Paused {
		return "it is paused", "docker compose unpause " + service
	}
	if reason := cmp.Or(engine.Supported(c, snap.Engine), snap.heldImage(c)); reason != "" {
		return reason, alone
	}
	if dependents := engine.Dependents(c, snap.All); len(dependents) > 0 {
		return fmt.Sprintf("container %s shares its namespaces or volumes, which is not supported yet", dependents[0].CleanName()), project
	}
	if n := len(snap.Containers[service]); n > 1 {
		return fmt.Sprintf("it has %d containers; more than one replica is not supported yet", n), alone
	}
	return own.SwapHeld, project
}

func unprovable(err error) string {
	if reason, ok := errors.AsType[*compose.Unprovable](err); ok {
		return "the config hash that compose would stamp cannot be proved: " + reason.Reason
	}
	return firstLine(err)
}

// blocked holds the whole project while somebody changes it, and after a change that was cut off.
func blocked(src Source, snap Snapshot) []plan.Hold {
	locker := engine.Locker{Host: src.Host, Alive: src.Alive}
	if holder := locker.Holder(snap.Name, snap.All); holder != nil && holder.Transaction != src.Transaction {
		return []plan.Hold{{Object: "project " + snap.Name, Reason: holder.Error(), Next: waitFor(holder)}}
	}
	var held []plan.Hold
	for _, l := range snap.Leftovers {
		held = append(held, plan.Hold{
			Object: "container " + l.Container,
			Reason: leftBehind(l) + "; finishing or undoing it is not supported yet",
			Next:   wayOut(src, snap, l),
		})
	}
	return held
}

// wayOut gives the commands that put things back. A kept original may also be what a finished transaction could not remove.
func wayOut(src Source, snap Snapshot, l engine.Leftover) string {
	undo := strings.Join(l.Commands, "\n")
	if l.Transaction != "" {
		undo += "\n" + oldContents(src.Journal.Path(state.Record{Project: snap.Name, Transaction: l.Transaction}))
	}
	if l.Kind != engine.LeftoverKept {
		return undo
	}
	return "# to keep the replacement, if it is the one that should run:\ndocker rm " + engine.ShortID(l.ID) + "\n# to put the original back:\n" + undo
}

// oldContents says, as a shell comment, what the commands around it do not put back.
func oldContents(record string) string {
	return "# files that it patched are as patched; what they held before is recorded in " + record
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
	for _, file := range slices.Concat(snap.Extended.Files, snap.Extended.Reached, snap.Project.EnvFiles, snap.Project.ServiceEnvFiles) {
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
