package controller

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Files that are wrong need a person, who is told once; what was known of the project is not forgotten meanwhile.
func TestBrokenFilesNeedAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n told
		d := prepareDaemon(t, strings.ReplaceAll(enforced, "Enforce", "Audit"), nil)
		d.options.Notify = n.notify
		d.start()
		d.after(time.Minute)
		before := d.status()
		good := d.file()
		d.edit("compose.yaml", "services: [")
		d.after(3 * time.Hour)
		status := d.status()
		if !status.Stalled || status.Reconciling || status.Reason != ReasonFailed || status.Differences != before.Differences || len(status.Held) != len(before.Held) {
			t.Errorf("while it is broken: %+v", status)
		}
		d.edit("compose.yaml", good)
		d.after(time.Minute)
		if diff := cmp.Diff([]string{"Held", "Failed", "Held"}, n.since()); diff != "" {
			t.Error(diff)
		}
		d.stop()
	})
}
