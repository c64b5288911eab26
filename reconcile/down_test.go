package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/state"
)

// down is docker compose down.
func (w *world) down() {
	w.t.Helper()
	list, err := w.engine.List(w.t.Context(), engine.LabelProject+"=shop")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range list {
		if err := w.engine.Remove(w.t.Context(), c.ID, true); err != nil {
			w.t.Fatal(err)
		}
	}
}

// swapping is the call of the transaction after which the old container is stopped and the new one runs.
const swapping = 5

// crashed is a world in which a process has died in the middle of a swap.
func crashed(t *testing.T, call int) *world {
	t.Helper()
	w := newWorld(t, syncPolicy)
	w.die(call, true)
	_, _ = w.executor.Apply(t.Context(), w.source, w.propose().Plan)
	w.reborn()
	if !Recovers(w.propose().Plan) {
		t.Fatal("nothing was cut off")
	}
	return w
}

// settled recovers once and wants nothing to be left of it: no problem, no open record, no further recovery.
func (w *world) settled(want string) {
	w.t.Helper()
	applied := w.apply()
	if told := w.told(applied); applied.Result != ResultRecovered || !strings.Contains(told, want) {
		w.t.Errorf("result = %q, want recovered and %q:\n%s", applied.Result, want, told)
	}
	w.wantNoSecrets(applied)
	if w.wantClosed(); Recovers(w.propose().Plan) {
		w.t.Error("the next run is to put it in order once more")
	}
}

// Whoever takes the project down and up again after a crash has made his own containers: they are left, and it is over.
func TestProjectWasTakenDownAndUpAfterTheCrash(t *testing.T) {
	for call := 2; call < 12; call++ {
		t.Run(fmt.Sprint(call), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := crashed(t, call)
				w.down()
				w.up()
				before := w.containers()
				delete(before, "composure-lock-shop")
				w.settled("")
				w.wantServicesAre(before)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		w := crashed(t, swapping)
		w.down()
		w.up()
		w.settled("somebody else's container has its name now, it is left as it is")
	})
}

func (w *world) wantServicesAre(before map[string]string) {
	w.t.Helper()
	w.wantContainers(before, "they are somebody else's")
	if names := w.names(); len(names) != len(before) {
		w.t.Errorf("left are %v", names)
	}
}

func TestProjectWasTakenDownAfterTheCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := crashed(t, swapping)
		w.down()
		w.settled("the project was taken down since; left as it is")
		if names := w.names(); len(names) > 0 {
			t.Errorf("%v were made again", names)
		}
		if w.file() != composeFile {
			t.Errorf("the file is as the transaction wrote it:\n%s", w.file())
		}
	})
}

// One that is stopped may be what somebody still wants: that is for a person to say, and the next run goes by it.
func TestStoppedContainerWithTheNameIsForAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := crashed(t, swapping)
		w.down()
		w.up()
		name := w.interruptedName()
		stranger := w.inspect(name)
		if err := w.engine.Stop(t.Context(), stranger.ID); err != nil {
			t.Fatal(err)
		}
		applied := w.apply()
		if told := w.told(applied); applied.Result != ResultRollbackFailed || !strings.Contains(told, "docker rm "+engine.ShortID(stranger.ID)) {
			t.Errorf("result = %q, want a person to be told what to remove:\n%s", applied.Result, told)
		}
		if err := w.engine.Start(t.Context(), stranger.ID); err != nil {
			t.Fatal(err)
		}
		w.settled("is left as it is")
	})
}

// Somebody's container has the name, and the old one is there still: starting that beside it would double the service.
func TestOldContainerBesideAStrangersIsForAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := crashed(t, swapping)
		recorded := w.recorded().Containers[slices.IndexFunc(w.recorded().Containers, func(c state.Container) bool { return c.Stopping })]
		if err := w.engine.Remove(t.Context(), recorded.Replacement, true); err != nil {
			t.Fatal(err)
		}
		stranger, err := w.engine.AddService(t.Context(), enginetest.Service{Project: "shop", Name: recorded.Service, Image: "shop:1"})
		if err != nil {
			t.Fatal(err)
		}
		applied := w.apply()
		told := strings.Join(applied.Restored, "\n")
		if applied.Result != ResultRollbackFailed || strings.Contains(told, "docker start") ||
			!strings.Contains(told, "docker rm "+engine.ShortID(recorded.ID)) || !strings.Contains(told, engine.ShortID(stranger.ID)) {
			t.Errorf("result = %q:\n%s", applied.Result, told)
		}
		if err := w.engine.Remove(t.Context(), recorded.ID, true); err != nil {
			t.Fatal(err)
		}
		w.settled("is left as it is")
	})
}

// interruptedName is the name of the container whose swap was cut off.
func (w *world) interruptedName() string {
	w.t.Helper()
	for _, recorded := range w.recorded().Containers {
		if recorded.Stopping {
			return recorded.Name
		}
	}
	w.t.Fatal("no swap had begun")
	return ""
}

func TestOldContainerIsGoneAndCannotBeMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := crashed(t, swapping)
		for _, recorded := range w.recorded().Containers {
			for _, id := range []string{recorded.ID, recorded.Replacement} {
				if recorded.Stopping && id != "" {
					_ = w.engine.Remove(t.Context(), id, true) // the new one may not be there yet
				}
			}
		}
		w.executor.Writer = &faultyWriter{Writer: w.engine, fail: func(_ int, verb, name string) (bool, bool) {
			return verb == "create" && strings.HasSuffix(name, "-back"), false // its network is gone
		}}
		applied := w.apply()
		told := strings.Join(applied.Restored, "\n")
		if applied.Result != ResultRollbackFailed || !strings.Contains(told, "docker compose up -d") || strings.Contains(told, "docker rename") {
			t.Errorf("result = %q, want a person to be told what helps:\n%s", applied.Result, told)
		}
		w.up()
		w.settled("is left as it is")
	})
}
