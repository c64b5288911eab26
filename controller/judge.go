package controller

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/composure-dev/composure/internal/api"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile"
)

// waitAgain is when to look again at a project that nothing can be done for now: what holds it may end without an event, a maintenance
// window that opens for one.
func waitAgain(status Status, window time.Time) time.Duration {
	switch {
	case status.Reason == ReasonLocked:
		return lockedPause
	case !status.Ready && !window.IsZero():
		return max(time.Until(window), time.Millisecond)
	}
	return 0
}

// judgeStatus tells how a project is, before anything is done.
func judgeStatus(name string, src reconcile.Source, p reconcile.Proposal) Status {
	status := Status{Project: name, Ready: true, Reason: ReasonCompliant, Observed: basisDigest(p.Plan.Basis)}
	unreachable := p.Snapshot.Unreachable
	// A project that was named is looked after: its policies may have gone with its files.
	gone := src.Name != "" && unreachable != ""
	if len(p.Policies) == 0 && len(p.Plan.Steps) == 0 && !gone {
		status.Reason = ReasonNotSelected
		return status
	}
	for _, f := range p.Findings {
		if differs(f) {
			status.Differences++
		}
	}
	status.Findings, status.Policies, status.Held = differing(p.Findings), selections(p), heldOf(p)
	switch {
	case unreachable != "":
		status.Ready, status.Stalled, status.Reason, status.Message = false, true, ReasonUnreachable, unreachable
	case p.Locked:
		status.Ready, status.Reconciling, status.Reason = false, true, ReasonLocked
	case len(p.Plan.Steps) > 0:
		status.Ready, status.Reconciling, status.Reason = false, true, ReasonRepairing
	case pendingRecreate(p):
		status.Ready, status.Stalled, status.Reason = false, true, ReasonPending
	case status.Differences > 0 || len(p.Plan.Held) > 0:
		status.Ready, status.Stalled, status.Reason = false, true, ReasonHeld
	case !slices.ContainsFunc(p.Findings, func(f policy.Finding) bool { return f.Layer == policy.LayerContainer && f.Verdict == policy.Compliant }):
		status.Message = "no container of the selected services runs: the files alone were judged"
	}
	return status
}

// vanishing is said of files that can be read no more, until a second look has found them so: whoever saves one may take it away for
// a moment.
const vanishing = "its files cannot be read now: "

func (l *loop) vanishes(status Status) bool {
	was, known := l.statuses.get(status.Project)
	again := was.Reason == ReasonUnreachable || strings.HasPrefix(was.Message, vanishing)
	return known && status.Reason == ReasonUnreachable && !again
}

// differs leaves out what says of no variable how it is.
func differs(f policy.Finding) bool { return f.Difference() && f.Verdict != policy.FilesUnreachable }

// heldOf is what is left to a person, sorted; one thing when that is the files of the whole project.
func heldOf(p reconcile.Proposal) []api.Held {
	if p.Snapshot.Unreachable != "" {
		return []api.Held{{Object: "project " + p.Snapshot.Name, Reason: p.Snapshot.Unreachable}}
	}
	var held []api.Held
	for _, h := range p.Plan.Held {
		held = append(held, api.Held{Object: h.Object, Reason: h.Reason, Next: h.Next})
	}
	slices.SortFunc(held, func(a, b api.Held) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Reason, b.Reason))
	})
	return held
}

// pendingRecreate reports whether the files are as they should be, by a policy that enforces files alone, and nothing is missing but that
// the containers are recreated.
func pendingRecreate(p reconcile.Proposal) bool {
	filesAlone := map[string]bool{}
	for _, p := range p.Policies {
		filesAlone[p.Metadata.Name] = p.Spec.Enforcement.Files == policy.ModeEnforce && p.Spec.Enforcement.Containers != policy.ModeEnforce
	}
	pending := false
	for _, f := range p.Findings {
		if !f.Difference() {
			continue
		}
		if pending = f.Verdict == policy.ContainerStale && filesAlone[f.Policy]; !pending {
			return false
		}
	}
	return pending
}
