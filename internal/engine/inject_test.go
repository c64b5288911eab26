package engine_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/hint"
)

// distorting is an engine that stores a file other than it was sent: its content, mode and owner.
type distorting struct {
	engine.Writer
}

func (d distorting) CopyTo(ctx context.Context, id, path string, archive io.Reader) error {
	reader := tar.NewReader(archive)
	header, err := reader.Next()
	if err != nil {
		return err
	}
	return d.Writer.CopyTo(ctx, id, path, bytes.NewReader(packed(header.Name, 0o644, "other-secret")))
}

func packed(name string, mode int64, content string) []byte {
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	_ = writer.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content))})
	_, _ = writer.Write([]byte(content))
	_ = writer.Close()
	return archive.Bytes()
}

func TestInjectProvesTheCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, r := world(t)
		const path = "/run/secrets/token"
		if err := e.CopyTo(t.Context(), r.Old.ID, "/", bytes.NewReader(packed(path[1:], 0o400, "old-secret"))); err != nil {
			t.Fatal(err)
		}
		r.Injected = []string{path}
		swapper := &engine.Swapper{Reader: e, Writer: distorting{e}, APIVersion: engine.MinAPIVersion}
		_, err := swapper.Swap(t.Context(), r, pace)
		const want = "inject: the replacement would differ in " +
			"content of file /run/secrets/token: ******** -> ********, mode of file /run/secrets/token: 0400 -> 0644"
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
		wantRestored(t, e, r.Old)
		wantUntouched(t, e, r.Old)
	})
}

func TestInjectRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		path   string
		want   string
	}{
		"Missing": {"docker compose has put it there, so the container is not what its files say", "/run/secrets/other", "could not find the file"},
		"Folder":  {"docker compose puts files", "/run/secrets", "it is no regular file"},
		"Large":   {"it is held in memory", "/large", "it has more than 16777216 bytes"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, r := world(t)
				for _, file := range [][]byte{packed("run/secrets/token", 0o400, "x"), packed("large", 0o400, strings.Repeat("x", 16<<20+1))} {
					if err := e.CopyTo(t.Context(), r.Old.ID, "/", bytes.NewReader(file)); err != nil {
						t.Fatal(err)
					}
				}
				r.Injected = []string{tc.path}
				swapper := &engine.Swapper{Reader: e, Writer: e, APIVersion: engine.MinAPIVersion}
				_, err := swapper.Swap(t.Context(), r, pace)
				if err == nil || !strings.Contains(err.Error(), tc.want) || len(hint.Of(err)) != 1 {
					t.Errorf("%s\ngot %v with hints %q, want %q and what to do", tc.reason, err, hint.Of(err), tc.want)
				}
				wantUntouched(t, e, r.Old)
			})
		})
	}
}

// A file that was empty docker compose has not copied. One that has become so is copied on, in an undo as well.
func TestInjectWhatMayBeMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, r := world(t)
		if err := e.CopyTo(t.Context(), r.Old.ID, "/", bytes.NewReader(packed("run/secrets/emptied", 0o400, "x"))); err != nil {
			t.Fatal(err)
		}
		r.MayInject = []string{"/run/secrets/emptied", "/run/secrets/empty", "/run/secrets"}
		swapper := &engine.Swapper{Reader: e, Writer: e, APIVersion: engine.MinAPIVersion}
		swapped, err := swapper.Swap(t.Context(), r, pace)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"/run/secrets/emptied"}, swapped.Injected); diff != "" {
			t.Errorf("files that an undo copies back (-want +got):\n%s", diff)
		}
		if _, err := e.CopyFrom(t.Context(), swapped.NewID, "/run/secrets/emptied"); err != nil {
			t.Error(err)
		}
	})
}

// TestInjectLeavesVolumesAlone has a file on a volume of both containers, where the old one may be reading it.
func TestInjectLeavesVolumesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, plain := world(t)
		id, err := e.Create(t.Context(), engine.Spec{
			Name:   "web-with-volume",
			Config: &container.Config{Image: plain.Old.Config.Image, Labels: map[string]string{engine.LabelConfigHash: "before"}},
			Host:   &container.HostConfig{Binds: []string{"settings:/etc/app"}},
		})
		if err == nil {
			err = e.Start(t.Context(), id)
		}
		if err == nil {
			err = e.CopyTo(t.Context(), id, "/", bytes.NewReader(packed("etc/app/settings", 0o400, "x")))
		}
		var old engine.Container
		if err == nil {
			old, err = e.Inspect(t.Context(), id)
		}
		if err != nil {
			t.Fatal(err)
		}
		r := engine.Replacement{Old: old, Image: plain.Image, Env: []string{"A=2"}, Transaction: "tx", Injected: []string{"/etc/app/settings"}}
		swapper := &engine.Swapper{Reader: e, Writer: distorting{e}, APIVersion: engine.MinAPIVersion}
		if _, err := swapper.Swap(t.Context(), r, pace); err != nil {
			t.Errorf("the file was written once more: %v", err)
		}
	})
}

// bereave starts a container that shares the processes of another one, which is swapped then: old is how it ran before.
func bereave(t *testing.T, e *enginetest.Engine, parent engine.Replacement) (s *engine.Swapper, old engine.Container, swapped engine.Swapped) {
	t.Helper()
	id, err := e.Create(t.Context(), engine.Spec{
		Name:   "sidecar",
		Config: &container.Config{Image: parent.Old.Config.Image, Labels: map[string]string{engine.LabelConfigHash: "before"}},
		Host:   &container.HostConfig{PidMode: container.PidMode("container:" + parent.Old.ID)},
	})
	if err == nil {
		err = e.Start(t.Context(), id)
	}
	if err != nil {
		t.Fatal(err)
	}
	if old, err = e.Inspect(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	s = &engine.Swapper{Reader: e, Writer: e, APIVersion: engine.MinAPIVersion}
	if swapped, err = s.Swap(t.Context(), parent, pace); err != nil {
		t.Fatal(err)
	}
	return s, old, swapped
}

// TestSwapOfBereft swaps a container that has ended because the one whose processes it shares was swapped before.
func TestSwapOfBereft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, parent := world(t)
		swapper, old, swapped := bereave(t, e, parent)
		sidecar := engine.Replacement{Old: old, Image: parent.Image, Env: []string{"A=2"}, Transaction: "tx"}
		var failure *engine.SwapError
		if _, err := swapper.Swap(t.Context(), sidecar, pace); !errors.As(err, &failure) || failure.Stage != "recheck" {
			t.Errorf("a container that has ended for no known reason: got %v", err)
		}
		sidecar.References = map[string]string{parent.Old.ID: swapped.NewID}
		if _, err := swapper.Swap(t.Context(), sidecar, pace); err != nil {
			t.Error(err)
		}
	})
}
