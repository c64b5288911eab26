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
	// after is the project with the patched files, and patched the digest of what they give the services.
	after   *compose.Project
	patched string
	// Locked says that another transaction of the project is under way.
	Locked bool
	// undoes is the transaction that is taken back.
	undoes string
	// unsure says that every variable is taken for a sensitive one.
	unsure bool
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
		NoCompose:  noCompose(ctx, src),
		Foreign:    foreign(src, snap),
		Running:    snap.running(),
		Unattended: src.Unattended,
		Now:        src.Now,
		Blocked:    blocked(src, snap, d.findings),
		Recover:    recoveries(snap),
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
		Others: map[string][]plan.Change{}, Locked: holder(src, snap) != nil,
	}
	if drafted.after.Project != nil {
		proposal.after, proposal.patched = drafted.after.Project, environmentDigest(drafted.after.Project)
	}
	for _, c := range input.Containers {
		judged := slices.ContainsFunc(drafted.findings, func(f policy.Finding) bool { return f.Service == c.Service })
		if c.Held == "" && judged {
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

// candidates are the running containers that may have to be replaced or restarted, each with what would replace it: those of
// services that a finding speaks of, and those that hang on others.
func candidates(snap Snapshot, d draft) []plan.Container {
	var list []plan.Container
	parents := snap.parents()
	for _, name := range snap.ServiceNames() {
		judged := slices.ContainsFunc(d.findings, func(f policy.Finding) bool { return f.Service == name })
		for _, c := range snap.Containers[name] {
			hangs := len(parents[c.ID]) > 0 || len(snap.restartsWith(name)) > 0
			if up(c) && (judged || hangs) {
				candidate := candidate(snap, d.after, name, c)
				candidate.Shares = parents[c.ID]
				list = append(list, candidate)
			}
		}
	}
	return list
}

func (s *Snapshot) restartsWith(service string) []string { return s.ofFiles(service).RestartsWith }

// injected are the files that compose copies into the service's containers.
func (s *Snapshot) injected(service string) []string { return s.ofFiles(service).Injected }

// ofFiles is what the files say of a service, nothing when they do not know it: a container that is only restarted may be of one that
// they do not know any more.
func (s *Snapshot) ofFiles(name string) *compose.Service {
	if s.Project == nil || s.Project.Services[name] == nil {
		return &compose.Service{}
	}
	return s.Project.Services[name]
}

func candidate(snap, after Snapshot, service string, c engine.Container) plan.Container {
	candidate := plan.Container{
		Service: service, Number: number(c), ID: c.ID, Name: c.CleanName(), OldEnv: c.Env(), OldHash: c.Label(engine.LabelConfigHash),
		Touched: touched(snap.Project, after.Project, service), RestartsWith: snap.restartsWith(service),
		Overlap: engine.OverlapHeld(c, false), Forced: engine.OverlapHeld(c, true),
	}
	candidate.Keep, _ = snap.own.need(service, c)
	if candidate.Held, candidate.Next = heldContainer(snap, service, c); candidate.Held != "" {
		candidate.Handover.Held, candidate.Handover.Next = candidate.Held, candidate.Next
		return candidate
	}
	own := snap.Project.Services[service]
	candidate.OneShot, candidate.Handover = own.OneShot, handover(snap, after, service, c)
	if candidate.Held = cmp.Or(own.SwapHeld, engine.MACHeld(c, own.MACs, snap.Engine)); candidate.Held != "" {
		candidate.Next = "docker compose up -d"
		return candidate
	}
	replacement, err := successor(snap, after.Project, service, c, nil)
	if err != nil {
		candidate.Held, candidate.Next = unprovable(err), "docker compose up -d "+service
		return candidate
	}
	candidate.NewEnv, candidate.NewHash = replacement.Env, replacement.Hash
	return candidate
}

// successor is what compose would create in the place of a container. ids are those of the containers that were replaced before.
func successor(snap Snapshot, after *compose.Project, service string, c engine.Container, ids map[string]string) (compose.Replacement, error) {
	refers := shared(c)
	then := replaced(refers, ids)
	return snap.Project.Replace(compose.ReplaceQuestion{
		Service: service, After: after, Env: c.Env(), ImageEnv: imageEnv(snap.Images[c.Image]), Shared: refers, AfterShared: &then,
		Hash: c.Label(engine.LabelConfigHash), Version: c.Label(engine.LabelVersion),
	})
}

// touched reports whether the candidate files give the service another environment.
func touched(before, after *compose.Project, service string) bool {
	if before == nil || before.Services[service] == nil || after.Services[service] == nil {
		return false
	}
	return len(changedVariables(before.Services[service], after.Services[service])) > 0
}

// heldContainer says why a container is neither swapped nor handed to docker compose, and the command that brings it to what the
// files say all the same. Where others hang on the container it is for the whole project: compose then sees to them too.
func heldContainer(snap Snapshot, service string, c engine.Container) (reason, next string) {
	const project = "docker compose up -d"
	alone := project + " " + service
	if snap.Project == nil {
		return "the compose files are unreachable: " + snap.Unreachable, project
	}
	if _, found := snap.Project.Services[service]; !found {
		return "no compose file of the project defines this service", "define it in a compose file, or remove container " + c.CleanName()
	}
	if reason, next := snap.own.need(service, c); reason != "" {
		return reason, next
	}
	if c.State.Paused {
		return "it is paused", "docker compose unpause " + service
	}
	if reason := cmp.Or(engine.Supported(c, snap.Engine), snap.heldImage(c)); reason != "" {
		return reason, alone
	}
	if other, found := snap.outsider(c); found {
		return fmt.Sprintf("container %s, which is no service of this project, shares its namespaces or volumes", other.CleanName()), project
	}
	return "", ""
}

func unprovable(err error) string {
	if reason, ok := errors.AsType[*compose.Unprovable](err); ok {
		return "the config hash that compose would stamp cannot be proved: " + reason.Reason
	}
	return firstLine(err)
}

func recoveries(snap Snapshot) []plan.Recover {
	var list []plan.Recover
	for _, c := range snap.cuts {
		list = append(list, snap.recovery(c))
	}
	return list
}

// holder is the lock of another transaction than the one that looks.
func holder(src Source, snap Snapshot) *engine.LockedError {
	locker := src.locker()
	if holder := locker.Holder(snap.Name, snap.All); holder != nil && holder.Transaction != src.Transaction {
		return holder
	}
	return nil
}

// blocked holds the whole project while somebody changes it, and what this run cannot put in order.
func blocked(src Source, snap Snapshot, findings []policy.Finding) []plan.Hold {
	if holder := holder(src, snap); holder != nil {
		return []plan.Hold{{Object: "project " + snap.Name, Reason: holder.Error(), Next: waitFor(holder)}}
	}
	var held []plan.Hold
	for _, l := range snap.Leftovers {
		if l.Kind == engine.LeftoverCompose && !snap.recovers(l) {
			held = append(held, plan.Hold{
				Object: "container " + l.Container, Reason: "docker compose left it in an interrupted up", Next: strings.Join(l.Commands, "\n"),
			})
		}
	}
	for _, c := range snap.cuts {
		if reason := strangers(src, snap, c, findings); reason != "" {
			held = append(held, plan.Hold{
				Object: "transaction " + c.id, Reason: "it was cut off and is another operator's: there is no record of it here, and " + reason,
				Next: "composure apply, where it was begun",
			})
		}
		if reason := snap.endangered(c); reason != "" {
			held = append(held, plan.Hold{Object: "transaction " + c.id, Reason: reason, Next: "composure apply, from outside of that container"})
		}
		if src.Reader == nil && c.needsEngine() {
			held = append(held, plan.Hold{
				Object: "transaction " + c.id, Reason: "it was cut off, and has containers to put in order as well as files",
				Next: "composure apply",
			})
		}
	}
	return held
}

// strangers says why a transaction that was not begun here is left alone while nobody has asked: to undo it changes containers, which
// no policy that speaks of the project's files allows. Empty: it is not, or one does.
func strangers(src Source, snap Snapshot, c cut, findings []policy.Finding) string {
	if !src.Unattended || c.record != nil {
		return ""
	}
	selected := selecting(src.Policies, findings)
	if len(selected) == 0 || snap.Unreachable != "" {
		return "no policy that speaks of the project's files"
	}
	if foreign := foreign(src, snap); foreign.Reason != "" {
		return foreign.Reason
	}
	allows := func(p policy.Policy) bool { return p.ContainersHeld(src.Now) == "" }
	if slices.ContainsFunc(selected, allows) {
		return ""
	}
	return selected[0].ContainersHeld(src.Now)
}

// oldContents says, as a shell comment, what the commands around it do not put back.
func oldContents(record string) string {
	return "# files that it patched are as patched; what they held before is recorded in " + record
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
