package controller

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/report"
)

// upBy brings the project up as another tool does that labels what it deploys.
func (d *daemon) upBy(label, value string) {
	d.t.Helper()
	project, err := compose.Load(d.t.Context(), compose.Options{Directory: d.dir})
	if err != nil {
		d.t.Fatal(err)
	}
	if err := d.engine.Remove(d.t.Context(), d.app().ID, true); err != nil {
		d.t.Fatal(err)
	}
	if _, err := d.engine.Up(d.t.Context(), project, func(_ string, spec *engine.Spec) { spec.Config.Labels[label] = value }); err != nil {
		d.t.Fatal(err)
	}
}

// Two who mend the same project would fight.
func TestRunOnlyAuditsWhatAnotherToolManages(t *testing.T) {
	run(t, enforced, nil, func(t *testing.T, d *daemon) {
		d.stop()
		file := d.file()
		d.upBy("coolify.managed", "true")
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

// The tool's own container is of another project, of which the daemon otherwise reads nothing to judge this one.
func TestRunSeesTheToolThatAFolderTellsOf(t *testing.T) {
	for image, want := range map[string]Reason{"louislam/dockge:1": ReasonHeld, "redis:7": ReasonCompliant} {
		synctest.Test(t, func(t *testing.T) {
			d := prepareDaemon(t, enforced, nil)
			d.upBy(engine.LabelWorkingDir, "/opt/stacks/shop")
			d.engine.AddImage(enginetest.Image{Name: image})
			if _, err := d.engine.AddService(t.Context(), enginetest.Service{Project: "tools", Name: "ui", Image: image}); err != nil {
				t.Fatal(err)
			}
			d.start()
			d.after(time.Minute)
			if status := d.status(); status.Reason != want || (want == ReasonHeld) != strings.Contains(fmt.Sprint(status.Held), "Dockge seems to manage this project") {
				t.Errorf("beside %s: %s, held: %v, want %s", image, status.Reason, status.Held, want)
			}
			d.stop()
		})
	}
}

func TestDiffAndApplyWarnOfAnotherTool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := prepareDaemon(t, enforced, nil)
		d.upBy("coolify.managed", "true")
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
