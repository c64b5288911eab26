package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
)

// meddled is an apply during which somebody acts right before one of the calls to the engine.
type meddled struct {
	*world
	applied Applied
	before  string // the file
	call    string
	acted   bool
}

// meddleAt applies with somebody who acts before that call, counted from 0.
func (w *world) meddleAt(call int, act func()) meddled {
	w.t.Helper()
	m := meddled{world: w, before: w.file()}
	faults := enginetest.NewFaults(enginetest.Fault{Call: call, Mode: enginetest.Stranger, Act: func() error {
		m.acted = true
		act()
		return nil
	}})
	faulty := &enginetest.Faulty{Faults: faults, Engine: w.engine}
	confirmed := w.propose().Plan
	w.source.Reader, w.executor.Writer, w.executor.Prober = faulty, faulty, faulty
	m.applied, _ = w.executor.Apply(w.t.Context(), w.source, confirmed) // it may refuse, since the project has changed
	if m.acted {
		m.call = faults.Trace()[call]
	}
	return m
}

// left are the names of the project's containers.
func (w *world) left() []string {
	w.t.Helper()
	list, err := w.engine.List(w.t.Context(), engine.LabelProject+"=shop")
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, c := range list {
		names = append(names, c.CleanName())
	}
	return names
}

// takenDown is a way of carrying a transaction out during which the project is taken down.
type takenDown struct {
	reason string
	policy string
	setup  func(w *world)
}

func waysToBeTakenDown() map[string]takenDown {
	passing := strings.NewReplacer("stableFor: 2s", "stableFor: 500ms", "within: 10s", "within: 2s").Replace(syncPolicy) // fewer looks
	failing := strings.ReplaceAll(passing, ":-updates", nobody)
	strategy := func(name, policy string) string {
		return strings.Replace(policy, "rollout: {", "rollout: {strategy: "+name+", ", 1)
	}
	return map[string]takenDown{
		"StopFirst": {"the old container is gone when it is to be stopped, or put back", passing, func(*world) {}},
		"StartFirst": {"the old one runs, without its restart policy, while the new one is watched", strategy("StartFirst", passing), func(w *world) {
			w.restart(composeFile, program, container.RestartPolicyAlways)
		}},
		"Namespaces": {"one container lives in another's, and both are being put back", failing, (*world).share},
		"Dependents": {"one service is restarted with another", strings.Replace(failing, "[app, beat]", "[app]", 1), func(w *world) {
			w.restart(composeFile+"    depends_on: {app: {condition: service_started, restart: true}}\n", program, "")
		}},
		"Compose": {"docker compose would make all of it again", strategy("Compose", failing), func(w *world) {
			w.restart(hooked(composeFile), program, "")
			w.executor.Composer = &composer{w: w}
			w.source.ComposeReady = func(context.Context) error { return nil }
		}},
	}
}

// each has somebody act right before each call of the transaction in turn, and looks then.
func (way takenDown) each(t *testing.T, act func(w *world), look func(m meddled)) {
	t.Helper()
	acted := true
	for call := 0; acted; call++ {
		acted = false
		t.Run(fmt.Sprintf("call %d", call), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, way.policy)
				way.setup(w)
				m := w.meddleAt(call, func() { act(w) })
				if acted = m.acted; acted {
					look(m)
				}
			})
		})
	}
}

// Whoever takes the project down in the midst of a transaction wants none of it to come back, and nobody has to be called for it.
func TestProjectIsTakenDownDuringATransaction(t *testing.T) {
	for name, way := range waysToBeTakenDown() {
		t.Run(name, func(t *testing.T) {
			way.each(t, (*world).down, func(m meddled) {
				m.t.Helper()
				if left := m.left(); len(left) > 0 {
					m.t.Errorf("%s: %v are back after %q: %s", way.reason, left, m.call, m.told(m.applied))
				}
				if m.applied.Result == ResultRollbackFailed {
					m.t.Errorf("%s: after %q a person is called: %s", way.reason, m.call, m.told(m.applied))
				}
				if m.applied.Result == ResultRolledBack && m.file() != m.before {
					m.t.Errorf("the file is as the transaction wrote it:\n%s", m.file())
				}
				if m.wantClosed(); Recovers(m.propose().Plan) {
					m.t.Errorf("after %q the next run is to put it in order once more", m.call)
				}
			})
		})
	}
}

// actBefore has somebody act right before the first such call of the transaction, and applies.
func (w *world) actBefore(verb, object string, act func()) Applied {
	w.t.Helper()
	acted := false
	w.executor.Writer = &faultyWriter{Writer: w.engine, fail: func(_ int, called, id string) (bool, bool) {
		if !acted && called == verb && strings.HasPrefix(id, object) {
			acted = true
			act()
		}
		return false, false
	}}
	applied := w.apply()
	if !acted {
		w.t.Fatalf("there is no %s", verb)
	}
	return applied
}

// A project that was taken down says nothing against the change: once it is up again, the change is tried again.
func TestWhatIsToldOfAProjectThatWasTakenDown(t *testing.T) {
	const gone = "was taken down with the project, and is not made again"
	tests := map[string]struct {
		reason       string
		verb, object string
		say          string
	}{
		"Create": {"the old container is not touched yet", "create", "shop-app-1", "was left as it is"},
		"Stop":   {"the swap that fails undoes itself", "stop", "", gone},
		"Start":  {"likewise, with the old one stopped", "start", "", gone},
		"Second": {"another swap is done already", "create", "shop-beat-1", gone},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, syncPolicy)
				applied := w.actBefore(tc.verb, tc.object, w.down)
				told := strings.Join(applied.Restored, "\n")
				if applied.Result != ResultRolledBack || !strings.Contains(told, tc.say) || !strings.Contains(told, "the project was taken down meanwhile") {
					t.Errorf("%s: result = %q, want rolled back and %q:\n%s", tc.reason, applied.Result, tc.say, told)
				}
				if strings.Contains(told, "check ") || !w.recorded().Inconclusive {
					t.Errorf("inconclusive = %t, want no check to be judged:\n%s", w.recorded().Inconclusive, told)
				}
				w.wantNoSecrets(applied)
			})
		})
	}
}

// Whoever takes the project down and up again has made his own containers, which stay; those of the transaction go.
func TestProjectIsTakenDownAndUpDuringATransaction(t *testing.T) {
	for _, name := range []string{"StopFirst", "Dependents"} {
		t.Run(name, func(t *testing.T) {
			var before map[string]string
			waysToBeTakenDown()[name].each(t, func(w *world) {
				w.down()
				w.up()
				before = w.containers()
				delete(before, "composure-lock-shop")
			}, func(m meddled) { m.wantServicesAre(before) })
		})
	}
}

// upAgain is a reader after whose answer that nothing is left somebody brings the project up again.
type upAgain struct {
	engine.Reader
	up func()
}

func (u upAgain) List(ctx context.Context, labels ...string) ([]engine.Container, error) {
	list, err := u.Reader.List(ctx, labels...)
	if err == nil && len(list) == 0 {
		u.up()
	}
	return list, err
}

// What is up again while the rollback goes on is no reason to put anything back beside it.
func TestProjectIsUpAgainBeforeTheRollbackEnds(t *testing.T) {
	for _, object := range []string{"shop-app-1", "shop-beat-1"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, syncPolicy)
			w.source.Reader = upAgain{w.engine, w.up}
			applied := w.actBefore("stop", w.inspect(object).ID, w.down)
			if applied.Result != ResultRolledBack || w.file() != composeFile {
				t.Errorf("%s: result = %q: %s", object, applied.Result, w.told(applied))
			}
			for name := range w.containers() {
				if c := w.inspect(name); !c.Running() || c.Label(engine.LabelTransaction) != "" {
					t.Errorf("%s: %s is %s, of transaction %q", object, name, c.State.Status, c.Label(engine.LabelTransaction))
				}
			}
			w.wantOneRunningEach()
		})
	}
}

// One container that is left, even a stopped one, may be all that was not to be removed: that is no docker compose down.
func TestProjectOfWhichSomethingIsLeftIsNotTakenDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.Replace(syncPolicy, "[app, beat]", "[app]", 1))
		before := w.env("shop-app-1")
		applied := w.actBefore("start", "", func() {
			err := w.engine.Stop(t.Context(), w.inspect("shop-beat-1").ID)
			for name := range w.containers() {
				if strings.HasPrefix(name, "shop-app-1") {
					err = errors.Join(err, w.engine.Remove(t.Context(), w.inspect(name).ID, true))
				}
			}
			if err != nil {
				t.Fatal(err)
			}
		})
		if diff := cmp.Diff(before, w.env("shop-app-1")); diff != "" || !w.inspect("shop-app-1").State.Running {
			t.Errorf("it is not made again as it was: %s\n%s", w.told(applied), diff)
		}
	})
}
