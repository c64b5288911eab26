package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
)

const (
	backSuffix = ".composure-back"
	// undoSuffix marks the transaction label of a rebuilt container, which replaces the same one as the new container does.
	undoSuffix = "/undo"
)

// BackName is what a container that is rebuilt in an undo is called until it runs.
func BackName(name string) string { return name + backSuffix }

// RefersToAny reports whether the container lives in namespaces of one of the others, by full id, or uses their volumes.
func RefersToAny(c Container, others map[string]string) bool {
	return slices.ContainsFunc(references(c), func(id string) bool { return others[id] != "" })
}

// TakenDown reports whether the engine has no container of a compose project any more, not even a stopped one: that is what docker
// compose down leaves, and nothing that happens by itself.
func TakenDown(ctx context.Context, reader Reader, project string) (bool, error) {
	if project == "" {
		return false, nil
	}
	left, err := reader.List(ctx, LabelProject+"="+project)
	return err == nil && len(left) == 0, err
}

// rebuild makes a container that equals the old one and puts it in the place of what the swap has left. The new container is
// kept until the rebuilt one is as the old one was. Whoever has taken the whole project down wants none of it back.
func (s *Swapper) rebuild(ctx context.Context, swapped *Swapped, left []Container) error {
	rebuilt, err := s.halfRebuilt(ctx, *swapped)
	if err != nil {
		return err
	}
	if len(rebuilt) == 0 { // what was left a moment ago says nothing
		swapped.TakenDown, err = TakenDown(ctx, s.Reader, swapped.Old.Label(LabelProject))
		if err != nil || swapped.TakenDown {
			return err
		}
	}
	if len(rebuilt) == 0 && (swapped.Old.Config == nil || swapped.Old.HostConfig == nil) {
		return fmt.Errorf("container %q (%s): %w, and what it was like is not known", swapped.Name(), ShortID(swapped.Old.ID), ErrNotFound)
	}
	if err := s.claim(ctx, *swapped, ErrNotFound, append(slices.Clone(left), rebuilt...)); err != nil {
		return err
	}
	if len(rebuilt) == 0 {
		made, err := s.makeAgain(ctx, *swapped, left)
		if err != nil {
			return err
		}
		rebuilt = append(rebuilt, made)
	}
	return s.putBack(ctx, swapped, rebuilt[0], left)
}

// halfRebuilt finds the container that an earlier undo has made, if it came as far as starting it: what is only created may lack
// files and proof, and is removed.
func (s *Swapper) halfRebuilt(ctx context.Context, swapped Swapped) ([]Container, error) {
	for _, name := range []string{BackName(swapped.Name()), swapped.Name()} {
		c, err := s.Reader.Inspect(ctx, "/"+name)
		if errors.Is(err, ErrNotFound) || err == nil && !rebuiltFor(c, swapped) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if c.State == nil || c.State.Status == container.StateCreated {
			if err := s.discard(ctx, c.ID); err != nil {
				return nil, err
			}
			continue
		}
		return []Container{c}, nil
	}
	return nil, nil
}

func rebuiltFor(c Container, swapped Swapped) bool {
	return c.Label(LabelReplaces) == swapped.Old.ID && c.Label(LabelTransaction) == swapped.Transaction+undoSuffix
}

// makeAgain creates the old container once more and proves that it equals what was recorded of it. The files that docker compose
// has put into it are in what the swap has left.
func (s *Swapper) makeAgain(ctx context.Context, swapped Swapped, left []Container) (Container, error) {
	old := swapped.Old
	image, err := s.Reader.Image(ctx, old.Image)
	if err != nil {
		return Container{}, err
	}
	r := Replacement{
		Old: old, Image: image, Env: old.Config.Env, Transaction: swapped.Transaction + undoSuffix, References: swapped.Moved,
		Injected: swapped.Injected,
	}
	run := &swap{Swapper: s, replacement: r, name: BackName(swapped.Name()), swapped: Swapped{Old: old}}
	if len(left) > 0 {
		run.source = left[0].ID
	}
	for _, stage := range []func(context.Context) error{run.create, run.inject, run.prove} {
		err := stage(ctx)
		if err != nil && run.swapped.NewID != "" {
			err = errors.Join(err, s.discard(ctx, run.swapped.NewID))
		}
		if err != nil {
			return Container{}, err
		}
	}
	return s.Reader.Inspect(ctx, run.swapped.NewID)
}

// putBack runs the rebuilt container, and then removes what it replaces and gives it the name.
func (s *Swapper) putBack(ctx context.Context, swapped *Swapped, rebuilt Container, left []Container) error {
	for _, c := range left {
		if err := s.setAside(ctx, c, *swapped); err != nil {
			return err
		}
	}
	swapped.Rebuilt = rebuilt.ID
	if err := s.Writer.Start(ctx, rebuilt.ID); err != nil {
		return err
	}
	if err := s.waitAsBefore(ctx, rebuilt.ID, *swapped); err != nil {
		return err
	}
	if err := s.remove(ctx, left); err != nil {
		return err
	}
	if rebuilt.Name == swapped.Old.Name {
		return nil
	}
	return s.Writer.Rename(ctx, rebuilt.ID, swapped.Name())
}

// undoneTransaction is the transaction by whose undo a container was rebuilt.
func undoneTransaction(c Container) (id string, rebuilt bool) {
	return strings.CutSuffix(c.Label(LabelTransaction), undoSuffix)
}
