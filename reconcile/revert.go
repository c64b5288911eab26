package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/edit"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/files"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/internal/state"
	"github.com/composure-dev/composure/reconcile/plan"
)

// Revertible finds the transaction that can be taken back: the last one of the project that is committed and was not taken back
// since. id, when not empty, must mean that one, by its beginning at least. The error says what helps.
func Revertible(records []state.Record, id string) (state.Record, error) {
	const history = "see what was applied with: composure history"
	undone := map[string]bool{}
	for _, record := range slices.Backward(records) {
		switch {
		case open(record):
			return state.Record{}, hint.Wrap(fmt.Errorf("transaction %s is unfinished", record.Transaction), "have it put in order first: composure apply")
		case !record.Committed():
			continue
		case record.Undoes != "":
			undone[record.Undoes] = true
			continue
		case undone[record.Transaction]:
			continue
		case !strings.HasPrefix(record.Transaction, id):
			return state.Record{}, hint.Wrap(fmt.Errorf("only the last transaction can be taken back, which is %s", record.Transaction), history)
		case id != "" && id != record.Transaction && meaning(records, id) > 1:
			return state.Record{}, hint.Wrap(fmt.Errorf("more than one transaction begins with %s", id), history)
		}
		return record, nil
	}
	return state.Record{}, hint.Wrap(errors.New("there is no committed transaction to take back"), history)
}

// meaning counts the transactions that id is the beginning of.
func meaning(records []state.Record, id string) int {
	n := 0
	for _, record := range records {
		if strings.HasPrefix(record.Transaction, id) {
			n++
		}
	}
	return n
}

// ProposeRevert plans to take a transaction back: its files as they were, and its containers with the environment and the config
// hash that they had. The error says why that cannot be; what keeps containers from it is held, and then nothing is planned.
func ProposeRevert(ctx context.Context, src Source, record state.Record) (Proposal, error) {
	snap, err := Observe(ctx, src)
	if err != nil {
		return Proposal{}, err
	}
	if len(snap.cuts) > 0 {
		return Proposal{}, hint.Wrap(fmt.Errorf("transaction %s was cut off", snap.cuts[0].id), "have it put in order first: composure apply")
	}
	patches, err := revertedFiles(snap, record)
	if err != nil {
		return Proposal{}, err
	}
	after, err := reverted(ctx, src, snap, patches)
	if err != nil {
		return Proposal{}, err
	}
	input := plan.Input{
		Project: snap.Name, Directory: snap.Directory, Patches: patches, Reverts: record.Transaction,
		Diff:    func(name string, p plan.Patch) string { return edit.Unified(name, p.Before, p.After) },
		Running: snap.running(), Blocked: blocked(src, snap, nil), Basis: basis(src, snap),
	}
	if src.Reader != nil {
		input.Containers = revertedContainers(snap, after, record)
		input.Blocked = append(input.Blocked, replacedSince(snap, record)...)
	} else if len(record.Containers) > 0 {
		return Proposal{}, hint.Wrap(errors.New("the transaction has replaced containers"), "take it back without --files-only")
	}
	return Proposal{
		Snapshot: snap, Plan: plan.Revert(input), All: src.Policies, Others: map[string][]plan.Change{},
		after: after, unsure: src.Unsure, patched: environmentDigest(after), undoes: record.Transaction,
	}, nil
}

// revertedFiles wants each file to be as the transaction has left it.
func revertedFiles(snap Snapshot, record state.Record) ([]plan.Patch, error) {
	var patches []plan.Patch
	for _, image := range record.Files {
		now, err := files.Read(image.Path)
		if err != nil {
			return nil, hint.Wrap(fmt.Errorf("file %s is not as transaction %s has left it: %w", image.Path, record.Transaction, err), "put it back, or edit the files by hand and run: composure apply")
		}
		if now.Digest != image.DigestAfter {
			return nil, hint.Wrap(fmt.Errorf("file %s was edited after transaction %s: it is not as that has left it", image.Path, record.Transaction),
				"edit the files by hand instead, and run: composure apply")
		}
		patch := plan.Patch{
			File: image.Path, Digest: now.Digest, Before: now.Content, After: image.Before, Remove: image.Created,
			EnvFile: !slices.ContainsFunc(snap.Extended.Files, func(f compose.File) bool { return f.Path == image.Path }),
		}
		if patch.Remove {
			patch.After = nil
		}
		patches = append(patches, patch)
	}
	return patches, nil
}

// reverted is the project with the files as they were.
func reverted(ctx context.Context, src Source, snap Snapshot, patches []plan.Patch) (*compose.Project, error) {
	if snap.Project == nil {
		return nil, fmt.Errorf("the compose files are unreachable: %s", snap.Unreachable)
	}
	options, overlay, removed := src.Compose, map[string][]byte{}, false
	for _, patch := range patches {
		overlay[patch.File] = patch.After
		removed = removed || patch.Remove && !patch.EnvFile
	}
	if removed {
		options.Files = nil
		for _, file := range snap.Project.Files {
			if !slices.ContainsFunc(patches, func(p plan.Patch) bool { return p.Remove && p.File == file.Path }) {
				options.Files = append(options.Files, file.Path)
			}
		}
	}
	options.Overlay = overlay
	project, err := compose.Load(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("load the project with the files as they were: %w", err)
	}
	return project, nil
}

// revertedContainers are those that the transaction has replaced, with what they had before, and those that hang on others.
func revertedContainers(snap Snapshot, after *compose.Project, record state.Record) []plan.Container {
	then := snap
	then.Project = after
	parents := snap.parents()
	var list []plan.Container
	for _, name := range snap.ServiceNames() {
		for _, c := range snap.Containers[name] {
			was, due := recordedOf(record, c)
			hangs := len(parents[c.ID]) > 0 || len(snap.restartsWith(name)) > 0
			if !up(c) || !due && !hangs {
				continue
			}
			one := candidate(snap, then, name, c)
			one.Shares = parents[c.ID]
			if due && one.Held == "" {
				one = asItWas(one, was)
			}
			list = append(list, one)
		}
	}
	return list
}

// recordedOf is what was recorded of the container that c has replaced.
func recordedOf(record state.Record, c engine.Container) (state.Container, bool) {
	i := slices.IndexFunc(record.Containers, func(was state.Container) bool { return was.Replacement == c.ID })
	if i < 0 {
		return state.Container{}, false
	}
	return record.Containers[i], true
}

// asItWas gives a container what it had. The hash of one that hangs on another holds that one's id, so it is made anew from the
// files as they were; when these give something else, nobody can say what it should be.
func asItWas(c plan.Container, was state.Container) plan.Container {
	var old engine.Container
	if err := json.Unmarshal(was.Inspect, &old.InspectResponse); err != nil || old.Config == nil {
		c.Held, c.Next = "its record cannot be read", "docker compose up -d "+c.Service
		return c
	}
	env := slices.Sorted(slices.Values(old.Config.Env))
	if len(c.Shares) > 0 && !slices.Equal(env, slices.Sorted(slices.Values(c.NewEnv))) {
		c.Held, c.Next = "the files as they were do not give it the environment that it had", "docker compose up -d "+c.Service
		return c
	}
	c.Due, c.NewEnv, c.NewHash = true, env, old.Label(engine.LabelConfigHash)
	return c
}

// replacedSince holds what is not there any more as the transaction has left it.
func replacedSince(snap Snapshot, record state.Record) []plan.Hold {
	var held []plan.Hold
	for _, was := range record.Containers {
		var reason string
		switch there := slices.ContainsFunc(snap.Containers[was.Service], func(c engine.Container) bool { return c.ID == was.Replacement && up(c) }); {
		case was.Handed:
			reason = "docker compose had recreated it, and only docker compose can again"
		case !there:
			reason = fmt.Sprintf("container %s is not the one that transaction %s has left, or does not run", was.Name, record.Transaction)
		default:
			continue
		}
		held = append(held, plan.Hold{Object: was.Service, Reason: reason, Next: "put the files back by hand, then run: docker compose up -d " + was.Service})
	}
	return held
}

// Revert takes a transaction back as one transaction of its own: it is done and healthy, or everything is as before it. It refuses, like
// [Executor.Apply], when the plan is not the confirmed one any more.
func (e *Executor) Revert(ctx context.Context, src Source, record state.Record, confirmed plan.Plan) (Applied, error) {
	return e.carryOut(ctx, src, confirmed, func(ctx context.Context, src Source) (Proposal, error) { return ProposeRevert(ctx, src, record) })
}
