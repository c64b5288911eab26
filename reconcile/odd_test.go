package reconcile

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/files"
	"github.com/composure-dev/composure/reconcile/plan"
)

// Beat restarts with app, and something that the files do not know any more lives in beat's network: it has to be restarted, too.
func TestRestartOfWhatTheFilesDoNotKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policyText := strings.Replace(withoutChecks(), "[app, beat]", "[app]", 1)
		w := newWorld(t, policyText)
		w.restart(composeFile+"    depends_on: {app: {condition: service_started, restart: true}}\n", func(map[string]string) enginetest.Behavior {
			return enginetest.Behavior{}
		}, "")
		beat := w.inspect("shop-beat-1")
		_, err := w.engine.AddService(t.Context(), enginetest.Service{
			Project: "shop", Name: "gone", Image: "shop:2",
			Edit: func(spec *engine.Spec) {
				spec.Host.NetworkMode, spec.Network = container.NetworkMode("container:"+beat.ID), nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		before := w.inspect("shop-gone-1")
		applied := w.apply()
		if applied.Result != ResultCommitted {
			t.Fatalf("result = %q: %s", applied.Result, w.told(applied))
		}
		after := w.inspect("shop-gone-1")
		if after.ID != before.ID || after.State.StartedAt == before.State.StartedAt || !after.Running() {
			t.Errorf("it was not restarted: %s, started %s, now %s", after.State.Status, before.State.StartedAt, after.State.StartedAt)
		}
	})
}

// An environment secret may be empty: docker compose has put no file into the container, and its replacement needs none.
func TestSwapOfEmptySecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.Replace(withoutChecks(), "[app, beat]", "[beat]", 1))
		w.source.Compose.Environ = []string{"BLANK="}
		text := composeFile + "    secrets: [blank]\nsecrets: {blank: {environment: BLANK}}\n"
		w.restart(text, func(map[string]string) enginetest.Behavior { return enginetest.Behavior{} }, "")
		if applied := w.apply(); applied.Result != ResultCommitted {
			t.Errorf("result = %q: %s", applied.Result, w.told(applied))
		}
	})
}

// A MAC address on a second network cannot be read from the container, and its replacement would have another.
func TestSwapOfSecondMACIsHeld(t *testing.T) {
	for api, held := range map[string]bool{"1.41": false, "1.44": true} {
		t.Run(api, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, strings.Replace(withoutChecks(), "[app, beat]", "[beat]", 1))
				text := composeFile + "    networks: {a: {}, b: {mac_address: '02:00:00:00:00:01'}}\nnetworks: {a: {}, b: {}}\n"
				w.restart(text, func(map[string]string) enginetest.Behavior { return enginetest.Behavior{} }, "")
				w.source.Reader = speaking{w.engine, api}
				p := w.propose().Plan
				if is := slices.ContainsFunc(p.Held, func(h plan.Hold) bool { return strings.Contains(h.Reason, "MAC address") }); is != held {
					t.Errorf("held: %+v", p.Held)
				}
				if swaps := len(p.Of(plan.VerbSwap)); (swaps == 0) != held {
					t.Errorf("%d swaps", swaps)
				}
			})
		})
	}
}

// speaking is an engine that negotiates another API version.
type speaking struct {
	engine.Reader
	api string
}

func (s speaking) Info(ctx context.Context) (engine.Info, error) {
	info, err := s.Reader.Info(ctx)
	info.APIVersion = s.api
	return info, err
}

// Files that nobody may read say nothing of services: their containers are compared, and held.
func TestUnreachableFilesAreNoCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.Replace(syncPolicy, "  rollout: {", "  rollout: {strategy: Compose, ", 1))
		w.source.Unreachable, w.source.Compose = "they lie outside of the allowed folders", compose.Options{Name: "shop"}
		w.source.ComposeReady = func(context.Context) error { return nil }
		if p := w.propose().Plan; len(p.Steps) > 0 || len(p.Held) == 0 {
			t.Errorf("plan: %+v", p)
		}
	})
}

// failingOnce fails the first restore, as a disk may that is full for a moment.
type failingOnce struct {
	Files
	failed *bool
}

func (f failingOnce) Restore(before []files.Before) error {
	if !*f.failed {
		*f.failed = true
		return errInjected
	}
	return f.Files.Restore(before)
}

func TestRestoreOfFilesIsTriedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.ReplaceAll(syncPolicy, ":-updates", ":-nobody"))
		failed := false
		w.executor.Files = failingOnce{disk{}, &failed}
		if applied := w.apply(); applied.Result != ResultRolledBack || !failed {
			t.Errorf("result = %q, failed %v: %s", applied.Result, failed, w.told(applied))
		}
		if w.file() != composeFile {
			t.Errorf("the file is\n%s", w.file())
		}
	})
}
