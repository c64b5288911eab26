package controller

import (
	"strings"
	"testing"
	"time"

	"github.com/composure-dev/composure/internal/state"
)

// Whoever suspends a project while it is mended wants it to be left alone from then on.
func TestRunDoesNotLiftASuspensionThatItDidNotKnowOf(t *testing.T) {
	slow := strings.Replace(enforced, "stableFor: 1s, timeout: 10s", "stableFor: 30s, timeout: 60s", 1)
	run(t, slow, nil, func(t *testing.T, d *daemon) {
		d.after(10 * time.Second)
		d.want("under way", ReasonRepairing, 1)
		if err := (state.Store{Dir: d.config.StateDir}).Suspend("shop", state.Suspension{Since: time.Now(), Reason: "maintenance"}); err != nil {
			t.Fatal(err)
		}
		d.after(time.Minute)
		d.want("when it is mended", ReasonCompliant, 1)
		d.edit("compose.yaml", strings.Replace(d.file(), "SYNC=true", "SYNC=no", 1))
		d.after(time.Hour)
		d.want("after an edit", ReasonSuspended, 1)
	})
}
