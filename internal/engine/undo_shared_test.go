package engine_test

import (
	"archive/tar"
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/engine/enginetest/conformance"
)

// swapPair swaps a service and then the one that lives in its network, and returns both swaps.
func swapPair(t *testing.T) (e *enginetest.Engine, parent, dependent engine.Swapped) {
	t.Helper()
	e, r := world(t)
	image := r.Image
	side, err := e.AddService(t.Context(), enginetest.Service{Project: "shop", Name: "aside", Image: "web:1", Edit: func(spec *engine.Spec) {
		spec.Host.NetworkMode, spec.Network = container.NetworkMode("container:"+r.Old.ID), nil
		spec.Host.RestartPolicy.Name = container.RestartPolicyAlways
	}})
	if err != nil {
		t.Fatal(err)
	}
	swapper := &engine.Swapper{Reader: e, Writer: e, APIVersion: engine.MinAPIVersion}
	parent, err = swapper.Swap(t.Context(), r, pace)
	if err != nil {
		t.Fatal(err)
	}
	dependent, err = swapper.Swap(t.Context(), engine.Replacement{
		Old: side, Image: image, Env: append(slices.Clone(side.Config.Env), "B=1"), ConfigHash: "after", Transaction: "tx",
		References: map[string]string{r.Old.ID: parent.NewID},
	}, pace)
	if err != nil {
		t.Fatal(err)
	}
	return e, parent, dependent
}

// wantPair checks that both services run, the one in the network of the other, and that nothing is left over.
func wantPair(t *testing.T, e *enginetest.Engine, parent, dependent string) {
	t.Helper()
	all := listed(t, e)
	if len(all) != 2 || all[0].ID != dependent || all[1].ID != parent || !all[0].Running() || !all[1].Running() {
		for _, c := range all {
			t.Logf("%s %s is %s", c.Name, engine.ShortID(c.ID), c.State.Status)
		}
		t.Fatalf("want %s and %s running", engine.ShortID(dependent), engine.ShortID(parent))
	}
	if got := string(all[0].HostConfig.NetworkMode); got != "container:"+parent {
		t.Errorf("the dependent's network is %s, want that of %s", got, parent)
	}
	if left := engine.Unfinished(all); len(left) > 0 {
		t.Errorf("leftovers: %+v", left)
	}
}

func TestInterruptedPairIsUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, parent, dependent := swapPair(t)
		wantIDs := []string{parent.Old.ID, dependent.Old.ID}
		var ids []string
		for _, swapped := range engine.Interrupted(listed(t, e)) {
			swapped.Pace = pace
			ids = append(ids, swapped.Old.ID)
			if err := (&engine.Swapper{Reader: e, Writer: e}).Undo(t.Context(), &swapped); err != nil {
				t.Error(err)
			}
		}
		if !slices.Equal(ids, wantIDs) {
			t.Errorf("undone in the order %q, want %q", ids, wantIDs)
		}
		wantPair(t, e, parent.Old.ID, dependent.Old.ID)
	})
}

// The old parent is gone, and what is rebuilt has another id: the old dependent, though it is there, can never start again.
func TestUndoRebuildsWhatHasMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, parent, dependent := swapPair(t)
		if err := e.Remove(t.Context(), parent.Old.ID, true); err != nil {
			t.Fatal(err)
		}
		swapper := &engine.Swapper{Reader: e, Writer: e, APIVersion: engine.MinAPIVersion}
		if err := swapper.Undo(t.Context(), &parent); err != nil {
			t.Fatal(err)
		}
		dependent.Moved = map[string]string{parent.Old.ID: parent.Rebuilt}
		for range 2 {
			if err := swapper.Undo(t.Context(), &dependent); err != nil {
				t.Fatal(err)
			}
			wantPair(t, e, parent.Rebuilt, dependent.Rebuilt)
		}
	})
}

// A dependent may end with the container that it lives in, or be unable to go on without it: that is the swap's own doing.
func TestSwapTakesADependentThatEndedWithItsParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, parent, dependent := swapPair(t)
		swapper := &engine.Swapper{Reader: e, Writer: e, APIVersion: engine.MinAPIVersion}
		if err := swapper.Undo(t.Context(), &dependent); err == nil {
			t.Fatal("it has started in a network that is not there")
		}
		if err := swapper.Undo(t.Context(), &parent); err != nil {
			t.Fatal(err)
		}
		if err := swapper.Undo(t.Context(), &dependent); err != nil {
			t.Fatal(err)
		}
		wantPair(t, e, parent.Old.ID, dependent.Old.ID)
		image, err := e.Image(t.Context(), dependent.Old.Image)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Stop(t.Context(), dependent.Old.ID); err != nil {
			t.Fatal(err)
		}
		r := engine.Replacement{
			Old: dependent.Old, Image: image, Env: dependent.Old.Config.Env, Transaction: "tx2",
			References: map[string]string{parent.Old.ID: parent.Old.ID},
		}
		swapped, err := swapper.Swap(t.Context(), r, pace)
		if err != nil {
			t.Fatal(err)
		}
		if err := swapper.Commit(t.Context(), swapped); err != nil {
			t.Fatal(err)
		}
		wantPair(t, e, parent.Old.ID, swapped.NewID)
	})
}

// What docker compose has put into the old container is, once that is gone, in its replacement alone.
func TestRebuildTakesFilesFromTheReplacement(t *testing.T) {
	const path = "/run/secrets/token"
	synctest.Test(t, func(t *testing.T) {
		e := enginetest.New(enginetest.Options{})
		e.AddImage(enginetest.Image{Name: "web:1", Program: conformance.Script})
		r := serviceIn(t, e, nil)
		r.Injected = []string{path}
		put(t, e, r.Old.ID, path, "s3cret")
		swapper := &engine.Swapper{Reader: e, Writer: e, APIVersion: engine.MinAPIVersion}
		swapped, err := swapper.Swap(t.Context(), r, pace)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Remove(t.Context(), r.Old.ID, true); err != nil {
			t.Fatal(err)
		}
		halfway := &faultyWriter{Writer: e, failAt: 1, after: true, crash: true} // created, and without the file
		survive(t, func() {
			_ = (&engine.Swapper{Reader: e, Writer: halfway, APIVersion: engine.MinAPIVersion}).Undo(t.Context(), &swapped)
		})
		if err := swapper.Undo(t.Context(), &swapped); err != nil {
			t.Fatal(err)
		}
		if got := take(t, e, swapped.Rebuilt, path); got != "s3cret" {
			t.Errorf("the rebuilt container has %q", got)
		}
	})
}

func put(t *testing.T, e *enginetest.Engine, id, path, content string) {
	t.Helper()
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	header := &tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(path, "/"), Size: int64(len(content)), Mode: 0o444}
	if err := writer.WriteHeader(header); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(writer, content); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if err := e.CopyTo(t.Context(), id, "/", &archive); err != nil {
		t.Fatal(err)
	}
}

func take(t *testing.T, e *enginetest.Engine, id, path string) string {
	t.Helper()
	stream, err := e.CopyFrom(t.Context(), id, path)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	archive := tar.NewReader(stream)
	if _, err := archive.Next(); err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(archive)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
