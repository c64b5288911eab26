package controller

import (
	"strings"
	"testing"
	"time"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
)

// Whoever brings the project up anew in the midst of a transaction is no reason to call for a person: what was removed did not fail.
func TestRunTriesAgainWhatSomebodyHasRemoved(t *testing.T) {
	slow := strings.Replace(enforced, "stableFor: 1s, timeout: 10s", "stableFor: 30s, timeout: 60s", 1)
	run(t, slow, nil, func(t *testing.T, d *daemon) {
		d.after(10 * time.Second)
		d.want("under way", ReasonRepairing, 1)
		all, err := d.engine.List(t.Context(), engine.LabelProject+"=shop")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			if err := d.engine.Remove(t.Context(), c.ID, true); err != nil {
				t.Fatal(err)
			}
		}
		project, err := compose.Load(t.Context(), compose.Options{Directory: d.dir})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.engine.Up(t.Context(), project, nil); err != nil {
			t.Fatal(err)
		}
		d.after(time.Hour)
		d.want("after somebody has made all anew", ReasonCompliant, 2)
	})
}
