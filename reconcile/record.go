package reconcile

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/files"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/internal/state"
	"github.com/composure-dev/composure/reconcile/plan"
)

// begin writes the record: what the next run, or a person, needs to undo everything.
func (t *transaction) begin() error {
	planned, err := json.Marshal(t.proposal.Plan)
	if err != nil {
		return fmt.Errorf("encode the plan: %w", err)
	}
	t.record = state.Record{
		Transaction: t.id, Project: t.proposal.Plan.Project, Host: t.src.Host, PID: os.Getpid(), Process: t.src.born(os.Getpid()), Engine: t.proposal.Snapshot.Engine.Host, Began: time.Now().UTC(), Plan: planned,
		Phase: state.PhasePrepared, Undoes: t.proposal.undoes,
	}
	for _, step := range t.proposal.Plan.Of(plan.VerbPatch) {
		image, err := fileImage(step.Patch)
		if err != nil {
			return err
		}
		t.record.Files = append(t.record.Files, image)
	}
	for _, step := range t.proposal.Plan.Steps {
		if err := errors.Join(t.note(step), t.noteHanded(step)); err != nil {
			return err
		}
	}
	if err := t.src.Journal.Save(t.record); err != nil {
		return hint.Wrap(err, "say where records may be kept with --state-dir")
	}
	return nil
}

func fileImage(p *plan.Patch) (state.FileImage, error) {
	image := state.FileImage{Path: p.File, Created: p.Create, DigestBefore: p.Digest, Before: p.Before, After: p.After}
	if !p.Remove {
		image.DigestAfter = files.Digest(p.After)
		return image, nil
	}
	file, err := files.Read(p.File)
	image.Removed, image.Mode, image.UID, image.GID = true, file.Mode, file.UID, file.GID
	return image, err
}

// note adds the container that a step is about to the record.
func (t *transaction) note(step plan.Step) error {
	switch {
	case step.Swap != nil:
		entry, err := t.entry(step.Swap.Service, step.Swap.ContainerID, step.Swap.Pace)
		t.record.Containers = append(t.record.Containers, entry)
		return err
	case step.Restart != nil:
		entry, err := t.entry(step.Restart.Service, step.Restart.ContainerID, step.Restart.Pace)
		t.record.Restarts = append(t.record.Restarts, entry)
		return err
	}
	return nil
}

func (t *transaction) entry(service, id string, pace plan.Pace) (state.Container, error) {
	c, found := t.container(service, id)
	if !found {
		return state.Container{}, fmt.Errorf("container %q of service %q is not in the snapshot", engine.ShortID(id), service)
	}
	inspect := c.Raw // what InspectResponse has no field for is missed when the container has to be built again from the record
	if inspect == nil {
		encoded, err := json.Marshal(c.InspectResponse)
		if err != nil {
			return state.Container{}, fmt.Errorf("encode container %q: %w", c.CleanName(), err)
		}
		inspect = encoded
	}
	return state.Container{
		Injected: t.proposal.Snapshot.injected(service),
		ID:       c.ID, Name: c.CleanName(), Inspect: inspect, Service: service, Number: c.Label(engine.LabelContainerNumber),
		Pace: state.Pace{StableForMs: pace.StableFor.Milliseconds(), TimeoutMs: pace.Timeout.Milliseconds(), OneShot: pace.OneShot},
	}, nil
}

// noteHanded adds the containers that docker compose is to replace to the record.
func (t *transaction) noteHanded(step plan.Step) error {
	if step.Compose == nil {
		return nil
	}
	for _, h := range step.Compose.Containers {
		pace := step.Compose.Pace
		pace.OneShot = h.OneShot
		entry, err := t.entry(h.Service, h.ContainerID, pace)
		if err != nil {
			return err
		}
		entry.Handed = true
		t.record.Containers = append(t.record.Containers, entry)
	}
	return nil
}

// handing notes that docker compose is about to replace the containers of a step: from then on an undo has to have it make them again.
func (t *transaction) handing(step plan.Step) error {
	for _, h := range step.Compose.Containers {
		for i := range t.record.Containers {
			if t.record.Containers[i].ID == h.ContainerID {
				t.record.Containers[i].Stopping = true
			}
		}
	}
	return t.src.Journal.Save(t.record)
}

// stopping notes a swap right before the first write to its old container: from then on an undo has to put that one back.
func (t *transaction) stopping(swapped engine.Swapped) error {
	for i := range t.record.Containers {
		entry := &t.record.Containers[i]
		if entry.ID != swapped.Old.ID {
			continue
		}
		entry.Replacement, entry.Stopping, entry.Injected = swapped.NewID, true, swapped.Injected
		entry.RanForMs = max(swapped.RanFor.Milliseconds(), min(1, int64(swapped.RanFor)))
		if swapped.Old.Raw != nil {
			entry.Inspect = swapped.Old.Raw // as it is now, and not when the plan was made
		}
	}
	return t.src.Journal.Save(t.record)
}

// decide notes that everything is verified. From here on the transaction can only be finished, also by another process.
func (t *transaction) decide() *stepError {
	t.record.Phase = state.PhaseCommitting
	if err := t.src.Journal.Save(t.record); err != nil {
		t.record.Phase = state.PhasePrepared
		return &stepError{object: "the record", err: err}
	}
	return nil
}

func (t *transaction) close(result Result) {
	ended := time.Now().UTC()
	t.record.Ended, t.record.Outcome = &ended, recorded(result)
	if t.leftover {
		t.record.Outcome = state.OutcomeLeftover
	}
	if err := t.src.Journal.Save(t.record); err != nil {
		t.Progress("the record could not be closed: " + err.Error())
	}
}

func recorded(result Result) state.Outcome {
	switch result {
	case ResultRolledBack:
		return state.OutcomeRolledBack
	case ResultRollbackFailed:
		return state.OutcomeRollbackFailed
	case ResultNothing, ResultCommitted, ResultKept, ResultRecovered:
	}
	return state.OutcomeCommitted
}
