package controller

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/report"
)

// upBy brings the project up as another tool does that labels what it deploys.
func (d *daemon) upBy(label string) {
	d.t.Helper()
	project, err := compose.Load(d.t.Context(), compose.Options{Directory: d.dir})
	if err != nil {
		d.t.Fatal(err)
	}
	if err := d.engine.Remove(d.t.Context(), d.app().ID, true); err != nil {
		d.t.Fatal(err)
	}
	if _, err := d.engine.Up(d.t.Context(), project, func(_ string, spec *engine.Spec) { spec.Config.Labels[label] = "true" }); err != nil {
		d.t.Fatal(err)
	}
}

// Two who mend the same project would fight.
func TestRunOnlyAuditsWhatAnotherToolManages(t *testing.T) {
	run(t, enforced, nil, func(t *testing.T, d *daemon) {
		d.stop()
		file := d.file()
		d.upBy("coolify.managed")
		before := d.containers()
		d.start()
		d.after(time.Hour)
		d.want("a project of Coolify", ReasonHeld, 0)
		if held := fmt.Sprint(d.status().Held); !strings.Contains(held, "Coolify manages this project") {
			t.Errorf("held: %s", held)
		}
		if d.file() != file {
			t.Errorf("the file was changed:\n%s", d.file())
		}
		d.wantContainers("a project of Coolify", before)
		d.stop()

		d.config.Foreign = []string{"coolify"}
		d.start()
		d.after(time.Minute)
		d.want("when it was told to", ReasonCompliant, 1)
	})
}

func TestDiffAndApplyWarnOfAnotherTool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := prepareDaemon(t, enforced, nil)
		d.upBy("coolify.managed")
		r, err := Diff(t.Context(), d.config)
		if err != nil || !strings.Contains(strings.Join(r.Projects[0].Warnings, "\n"), "Coolify manages this project") {
			t.Errorf("diff: %v, warnings: %q", err, r.Projects[0].Warnings)
		}
		r, err = apply(t, d.config, ApplyOptions{})
		if err != nil || r.Projects[0].Result != report.ResultApplied || len(r.Projects[0].Warnings) == 0 {
			t.Errorf("apply: %v, %s, warnings: %q", err, r.Projects[0].Result, r.Projects[0].Warnings)
		}
	})
}
