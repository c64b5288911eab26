package reconcile

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/reconcile/plan"
)

var handPolicy = strings.Replace(syncPolicy, "rollout: {", "rollout: {strategy: Compose, ", 1)

// hooked is the shop with something that only docker compose can do.
func hooked(file string) string {
	return strings.Replace(file, "    image: shop:1\n", "    image: shop:1\n    post_start: [{command: [warm, up]}]\n", 1)
}

// composer is docker compose as far as the config hash tells it what to do.
type composer struct {
	w      *world
	before error // fails before it does anything
	after  error // fails when it has done everything
	idle   bool  // does nothing, and says that all is well
}

func (c *composer) Up(ctx context.Context, services ...string) error {
	if c.before != nil || c.idle {
		return c.before
	}
	project, err := compose.Load(ctx, c.w.source.Compose)
	if err != nil {
		return err
	}
	flavor, _ := compose.FlavorOf("2.40.3")
	for _, service := range services {
		hash, err := project.Hash(service, flavor)
		if err != nil {
			return err
		}
		now, err := c.w.engine.Inspect(ctx, "/shop-"+service+"-1")
		if err == nil && now.Label(engine.LabelConfigHash) != hash {
			err = c.w.engine.Remove(ctx, now.ID, true)
		}
		if err != nil && !errors.Is(err, engine.ErrNotFound) {
			return err
		}
	}
	if _, err := c.w.engine.Up(ctx, project, nil); err != nil {
		return err
	}
	return c.after
}

func newHandWorld(t *testing.T, policyText string) (*world, *composer) {
	t.Helper()
	w := newWorld(t, policyText)
	w.restart(hooked(composeFile), program, "")
	c := &composer{w: w}
	w.executor.Composer = c
	w.source.ComposeReady = func(context.Context) error { return nil }
	return w, c
}

func patchedHooked() string { return strings.ReplaceAll(hooked(patchedFile), "shop:1", "shop:2") }
func originalHooked() string {
	return strings.ReplaceAll(hooked(composeFile), "shop:1", "shop:2")
}

func TestHandedOverAndVerified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := newHandWorld(t, handPolicy)
		before := w.containers()
		planned := w.propose().Plan
		if len(planned.Held) > 0 || len(planned.Of(plan.VerbCompose)) != 2 || len(planned.Of(plan.VerbSwap)) > 0 {
			t.Fatalf("planned %+v", planned)
		}
		applied := w.apply()
		if applied.Result != ResultCommitted || w.file() != patchedHooked() {
			t.Fatalf("%q: %s\n%s", applied.Result, w.told(applied), w.file())
		}
		for name, state := range before {
			if now := w.containers()[name]; now == state || !strings.Contains(now, "running") {
				t.Errorf("%s is %q, was %q", name, now, state)
			}
		}
		w.wantNoSecrets(applied)
		w.wantClosed()
		if p := w.propose().Plan; !p.Empty() {
			t.Errorf("a second run would do %+v", p)
		}
	})
}

func TestHandedOverIsUndone(t *testing.T) {
	crash := strings.ReplaceAll(handPolicy, "-updates}", "-crash}")
	tests := map[string]struct {
		reason string
		policy string
		spoil  func(c *composer)
		say    string
	}{
		"Crash":       {"what docker compose has made crashes", crash, func(*composer) {}, "exited with code 2"},
		"Check":       {"a check fails", strings.Replace(handPolicy, "^Subscribed to", "no such line", 1), func(*composer) {}, "no line matches"},
		"FailsAfter":  {"docker compose fails, a hook say, when the new one runs", handPolicy, func(c *composer) { c.after = errInjected }, "injected"},
		"FailsBefore": {"docker compose does nothing and says so", handPolicy, func(c *composer) { c.before = errInjected }, "injected"},
		"Idle":        {"docker compose does nothing", handPolicy, func(c *composer) { c.idle = true }, "docker compose did not recreate it"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, c := newHandWorld(t, tc.policy)
				envs := []map[string]*string{w.env("shop-app-1"), w.env("shop-beat-1")}
				tc.spoil(c)
				applied := w.apply()
				c.after = nil
				if applied.Result != ResultRolledBack || !strings.Contains(applied.Failure, tc.say) {
					t.Errorf("%s: %q: %s", tc.reason, applied.Result, w.told(applied))
				}
				if w.file() != originalHooked() {
					t.Errorf("the file is\n%s", w.file())
				}
				for i, name := range []string{"shop-app-1", "shop-beat-1"} {
					if !w.inspect(name).Running() || len(otherwise(envs[i], w.env(name))) > 0 {
						t.Errorf("%s: %s is not as before", tc.reason, name)
					}
				}
				w.wantNoSecrets(applied)
				w.wantClosed()
			})
		})
	}
}

// Where the files do not give what the container had, docker compose cannot make it again: that is said before, and is exit 4 after.
func TestHandedOverThatCannotBeMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := newHandWorld(t, strings.ReplaceAll(handPolicy, "-updates}", "-crash}"))
		w.write(strings.Replace(w.file(), "POLL: \"60\"", "POLL: \"5\"", 1)) // edited, and no up since
		p := w.propose().Plan
		i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.ID == "compose:beat" })
		if i < 0 || !strings.Contains(p.Steps[i].Cause, "a failure could not be undone: the files as they are give another POLL") {
			t.Fatalf("planned %+v", p.Steps)
		}
		w.source.Policies[0].Spec.Rollout.Order = []string{"beat"}
		applied := w.apply()
		if told := w.told(applied); applied.Result != ResultRollbackFailed || !strings.Contains(told, "it differs from before in Config.Env.POLL") ||
			!strings.Contains(told, "docker compose up -d --no-deps beat") {
			t.Errorf("%q: %s", applied.Result, told)
		}
		w.wantNoSecrets(applied)
		if !w.inspect("shop-beat-1").Running() {
			t.Error("and beat is down")
		}
	})
}

func TestNotHandedOver(t *testing.T) {
	tests := map[string]struct {
		reason string
		make   func(w *world)
		say    string
	}{
		"Missing": {"there is nothing to hand it to", func(w *world) {
			w.source.ComposeReady = func(context.Context) error { return hint.Wrap(errors.New("there is no docker compose"), "install it") }
		}, "there is no docker compose"},
		"TagMoved": {"an environment policy is no word on images", func(w *world) {
			w.engine.AddImage(enginetest.Image{Name: "shop:2", Program: program})
		}, "shop:2 is another one now"},
		"Stranger": {"what nobody would see to hangs on it", func(w *world) {
			w.addStranger("container:" + w.inspect("shop-app-1").ID)
		}, "sidecar"},
		"Replicas": {"docker compose would start more", func(w *world) {
			w.write(strings.Replace(w.file(), "    post_start", "    scale: 2\n    post_start", 1))
		}, "1 containers of it run, and the files say 2"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, _ := newHandWorld(t, handPolicy)
				tc.make(w)
				p := w.propose().Plan
				held := ""
				for _, h := range p.Held {
					held += h.Reason + "\n"
				}
				if len(p.Of(plan.VerbCompose)) > 0 || !strings.Contains(held, tc.say) {
					t.Errorf("%s: held = %q, want %q said", tc.reason, held, tc.say)
				}
			})
		})
	}
}

// Wherever the process dies around docker compose, the next run has it make the old containers again, and goes on.
func TestCrashWhileHandedOver(t *testing.T) {
	for name, after := range map[string]bool{"before its effect": false, "after its effect": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, c := newHandWorld(t, handPolicy)
				env := w.env("shop-app-1")
				dead := false
				w.executor.Composer = mortalComposer{c, &dead, after}
				w.executor.Writer = &faultyWriter{Writer: w.engine, fail: func(int, string, string) (bool, bool) { return dead, false }}
				w.executor.Files, w.source.Journal = mortalFiles{&dead}, mortalJournal{w.source.Journal, &dead}
				_, _ = w.executor.Apply(t.Context(), w.source, w.propose().Plan)
				w.reborn()
				w.executor.Composer = c
				if proposal := w.propose(); !Recovers(proposal.Plan) {
					t.Fatalf("planned %+v", proposal.Plan)
				}
				applied := w.apply()
				if applied.Result != ResultRecovered || w.file() != originalHooked() || len(otherwise(env, w.env("shop-app-1"))) > 0 {
					t.Fatalf("%q: %s\n%s", applied.Result, w.told(applied), w.file())
				}
				w.wantNoSecrets(applied)
				if applied := w.apply(); applied.Result != ResultCommitted || w.file() != patchedHooked() {
					t.Errorf("afterwards: %q: %s", applied.Result, w.told(applied))
				}
				w.wantClosed()
			})
		})
	}
}

// mortalComposer is one whose caller dies with it.
type mortalComposer struct {
	*composer
	dead  *bool
	after bool
}

func (m mortalComposer) Up(ctx context.Context, services ...string) error {
	if *m.dead {
		return errDead
	}
	if m.after {
		if err := m.composer.Up(ctx, services...); err != nil {
			return err
		}
	}
	*m.dead = true
	return errDead
}

// What somebody edited after the crash is theirs: docker compose makes what the files say now, and that is no failure for ever.
func TestRecoveryOfWhatWasHandedOverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := newHandWorld(t, handPolicy)
		w.dieHanding(c)
		w.write(strings.Replace(w.file(), "# the shop", "# my shop", 1))
		applied := w.apply()
		if told := w.told(applied); applied.Result != ResultRecovered || !strings.Contains(told, "differs from before in Config.Env.SYNC_CHANNEL") {
			t.Errorf("%q: %s", applied.Result, told)
		}
		w.wantClosed()
	})
}

// A machine that goes down takes docker compose with it: what that leaves halfway is put in order too, and holds nobody up.
func TestWhatDockerComposeLeftHalfwayHoldsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := newHandWorld(t, handPolicy)
		dead := false
		w.executor.Composer = mortalComposer{c, &dead, false}
		w.executor.Writer = &faultyWriter{Writer: w.engine, fail: func(int, string, string) (bool, bool) { return dead, false }}
		w.executor.Files, w.source.Journal = mortalFiles{&dead}, mortalJournal{w.source.Journal, &dead}
		_, _ = w.executor.Apply(t.Context(), w.source, w.propose().Plan)
		old := w.inspect("shop-app-1")
		_, err := w.engine.AddService(t.Context(), enginetest.Service{Project: "shop", Name: "app", Image: "shop:2", Edit: func(spec *engine.Spec) {
			spec.Name = engine.ShortID(old.ID) + "_shop-app-1"
		}})
		if err != nil {
			t.Fatal(err)
		}
		w.reborn()
		if p := w.propose().Plan; !Recovers(p) {
			t.Errorf("planned %+v", p)
		}
	})
}
