package controller

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A second policy of one name is left out, and nothing else suffers for it, now or after a restart.
func TestPolicyNameThatIsTaken(t *testing.T) {
	run(t, enforced, nil, func(t *testing.T, d *daemon) {
		d.after(10 * time.Second)
		d.edit("composure/a-copy.yaml", strings.Replace(enforced, `"true"`, `"copied"`, 1))
		d.edit("composure/other.yaml", strings.NewReplacer("SYNC", "OTHER", "name: sync", "name: other").Replace(enforced))
		d.after(10 * time.Second)
		d.want("beside a copy", ReasonCompliant, 2)
		check := func(what string) {
			t.Helper()
			if got := names(d.loop.policies.inForce()); !slices.Equal(got, []string{"other", "sync"}) || d.loop.policies.problems() != 1 {
				t.Errorf("%s: in force: %q, %d problems", what, got, d.loop.policies.problems())
			}
			if env := d.app().Env(); env["SYNC"] == nil || *env["SYNC"] != "true" || env["OTHER"] == nil {
				t.Errorf("%s: environment %v", what, env)
			}
		}
		check("beside a copy")
		d.remove("composure/other.yaml")
		d.after(10 * time.Second)
		if got := names(d.loop.policies.inForce()); !slices.Equal(got, []string{"sync"}) {
			t.Errorf("after a removal: in force: %q", got)
		}
	})
}

func TestPolicyNameThatIsTakenAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := prepareDaemon(t, enforced, nil)
		d.write(filepath.Join(d.dir, "composure", "z-copy.yaml"), strings.Replace(enforced, `"true"`, `"copied"`, 1))
		d.start()
		d.after(10 * time.Second)
		d.want("with a copy", ReasonCompliant, 1)
		d.stop()
	})
}

// A policy that only audits must not lose its caution because its file was broken when the daemon was started.
func TestLastGoodPolicyOutlivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := prepareDaemon(t, enforced, nil)
		d.write(filepath.Join(d.dir, "composure", "audit.yaml"), strings.NewReplacer("name: sync", "name: cautious", "Enforce", "Audit").Replace(enforced))
		d.start()
		d.after(time.Minute)
		d.want("while one policy only audits", ReasonHeld, 0)
		d.stop()
		d.write(filepath.Join(d.dir, "composure", "audit.yaml"), "kind: [")
		var n told
		d.options.Notify = n.notify
		d.start()
		d.after(time.Minute)
		d.want("when that one is broken at the start", ReasonHeld, 0)
		if got := n.since(); !slices.Contains(got, policyInvalid) {
			t.Errorf("told: %q", got)
		}
		if err := os.Remove(filepath.Join(d.dir, "composure", "audit.yaml")); err != nil {
			t.Fatal(err)
		}
		d.stop()
		d.start()
		d.after(time.Minute)
		d.want("when it was removed", ReasonCompliant, 1)
		d.stop()
	})
}
