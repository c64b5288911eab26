package controller

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/composure-dev/composure/internal/engine/enginetest"
)

// What is remembered of a project goes with it.
func TestRunForgetsWhatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.engine.AddImage(enginetest.Image{Name: "app:1"})
		d := &daemon{host: h, dir: h.project("shop"), watcher: newFakeWatcher()}
		policies := filepath.Join(t.TempDir(), "sync.yaml")
		h.write(policies, enforced)
		d.config = h.config("")
		d.config.All, d.config.Policies, d.config.AllowRoots = true, []string{policies}, []string{d.dir}
		d.start()
		d.after(time.Minute)
		d.want("at the start", ReasonCompliant, 1)
		d.loop.stuck.note("shop", false)
		if err := d.engine.Remove(t.Context(), d.app().ID, true); err != nil {
			t.Fatal(err)
		}
		d.after(time.Minute)
		l := d.loop
		if left := len(l.statuses.list()) + len(l.loads.loaded) + len(l.touched) + len(l.stuck.failed) + len(l.working) + len(l.view.Projects()); left > 0 {
			t.Errorf("of a project that is gone is left: statuses %v, loads %v, touched %v, failed %v", l.statuses.list(), l.loads.loaded, l.touched, l.stuck.failed)
		}
		d.stop()
	})
}
