package controller

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/report"
	"github.com/composure-dev/composure/internal/state"
	"github.com/composure-dev/composure/reconcile/plan"
)

// rollback goes some time after what was before: records are told apart by when they began.
func rollback(t *testing.T, c Config, o ApplyOptions) (report.Report, error) {
	t.Helper()
	<-time.After(time.Minute)
	o.Progress = func(string) {}
	return Rollback(t.Context(), c, "", o)
}

// applied is a project to which the policy was applied.
func (h *host) applied(policyText string) (c Config, dir string) {
	h.t.Helper()
	dir = h.project("shop")
	h.write(filepath.Join(dir, "composure", "p.yaml"), policyText)
	c = h.config(dir)
	if r, err := apply(h.t, c, ApplyOptions{}); err != nil || r.Projects[0].Result != report.ResultApplied {
		h.t.Fatalf("apply: %v, %+v", err, r)
	}
	return c, dir
}

func (h *host) env(name string) string {
	h.t.Helper()
	container, err := h.engine.Inspect(h.t.Context(), "/"+name)
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.Join(container.Config.Env, " ")
}

// wantMark wants the project to be suspended because of the transaction; empty: not to be.
func wantMark(t *testing.T, c Config, transaction string) {
	t.Helper()
	mark, err := state.Store{Dir: c.StateDir}.Suspension("shop")
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	if mark != nil {
		got = mark.Transaction
	}
	if got != transaction {
		t.Errorf("suspended because of %q, want %q", got, transaction)
	}
}

// suspensions are the warnings of it.
func suspensions(r report.Report) (found []string) {
	for _, warning := range r.Projects[0].Warnings {
		if strings.Contains(warning, "suspended since") {
			found = append(found, warning)
		}
	}
	return found
}

func transactions(t *testing.T, c Config) []state.Record {
	t.Helper()
	records, err := state.Store{Dir: c.StateDir}.List("shop")
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func TestRollbackSuspendsAndApplyLiftsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		c, _ := h.applied(policyNamed("p"))
		applied := transactions(t, c)[0].Transaction
		r, err := rollback(t, c, ApplyOptions{})
		if err != nil || r.Verb != report.VerbRollback || r.Projects[0].Result != report.ResultApplied || len(suspensions(r)) != 1 {
			t.Fatalf("rollback: %v, %+v", err, r)
		}
		if got := h.env("shop-app-1"); strings.Contains(got, "SYNC") {
			t.Errorf("the container has %s", got)
		}
		wantMark(t, c, applied)
		if r, err = Check(t.Context(), c); err != nil || len(suspensions(r)) != 1 {
			t.Errorf("check does not warn: %v, %q", err, r.Projects[0].Warnings)
		}
		if r, err = Diff(t.Context(), c); err != nil || len(suspensions(r)) != 1 {
			t.Errorf("diff does not warn: %v, %q", err, r.Projects[0].Warnings)
		}
		<-time.After(time.Minute)
		no := func(report.Report) (bool, error) { return false, nil }
		if _, err = apply(t, c, ApplyOptions{Confirm: no}); err != nil {
			t.Fatal(err)
		}
		wantMark(t, c, applied) // nothing was applied
		if r, err = apply(t, c, ApplyOptions{}); err != nil || r.Projects[0].Result != report.ResultApplied || len(suspensions(r)) > 0 {
			t.Errorf("apply: %v, %+v", err, r)
		}
		wantMark(t, c, "")
	})
}

// An older mark is replaced, and told of once.
func TestRollbackTwiceIsOneMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		dir := h.project("shop")
		c := h.config(dir)
		for _, value := range []string{"true", "yes"} {
			<-time.After(time.Minute)
			h.write(filepath.Join(dir, "composure", "p.yaml"), strings.Replace(policyNamed("p"), "true", value, 1))
			if _, err := apply(t, c, ApplyOptions{FilesOnly: true}); err != nil {
				t.Fatal(err)
			}
		}
		records := transactions(t, c)
		for _, wanted := range []string{records[1].Transaction, records[0].Transaction} {
			r, err := rollback(t, c, ApplyOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if told := suspensions(r); len(told) != 1 || !strings.Contains(told[0], wanted) {
				t.Errorf("told: %q, want one of %s", told, wanted)
			}
			wantMark(t, c, wanted)
		}
	})
}

func TestRollbackThatIsNotDoneSuspendsNothing(t *testing.T) {
	tests := map[string]struct {
		reason string
		meddle func(h *host)
		answer bool
		result report.Result
	}{
		"Declined":  {"a person said no", func(*host) {}, false, report.ResultDifferences},
		"Recreated": {"held as a whole", func(h *host) { h.recreate("shop-app-1") }, true, report.ResultDifferences},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t)
				c, dir := h.applied(policyNamed("p"))
				tc.meddle(h)
				path := filepath.Join(dir, "compose.yaml")
				left, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				r, err := rollback(t, c, ApplyOptions{Confirm: func(report.Report) (bool, error) { return tc.answer, nil }})
				if err != nil || r.Projects[0].Result != tc.result || report.ExitCode(r, "error") != 1 {
					t.Errorf("%s: %v, %+v", tc.reason, err, r.Projects)
				}
				if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, left) {
					t.Errorf("%s: the file is %v\n%s", tc.reason, err, now)
				}
				wantMark(t, c, "")
			})
		})
	}
}

// Where no policy can be read, nobody knows what is sensitive: also of what only comes back.
func TestRollbackWithoutPoliciesShowsNoValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		dir := t.TempDir()
		h.write(filepath.Join(dir, "compose.yaml"), "name: shop\nservices:\n  app:\n    image: app:1\n    environment:\n      - A=known-to-nobody\n      - B=1\n")
		project, err := compose.Load(t.Context(), compose.Options{Directory: dir})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.engine.Up(t.Context(), project, nil); err != nil {
			t.Fatal(err)
		}
		c := h.config(dir)
		c.Policies = []string{filepath.Join(t.TempDir(), "p.yaml")}
		h.write(c.Policies[0], strings.Replace(policyNamed("p"), `{name: SYNC, value: "true"}`, "{name: A, absent: true}", 1))
		if r, err := apply(t, c, ApplyOptions{}); err != nil || r.Projects[0].Result != report.ResultApplied {
			t.Fatalf("apply: %v, %+v", err, r)
		}
		c.Policies = nil
		var shown bytes.Buffer
		show := func(r report.Report) (bool, error) {
			if err := report.JSON(&shown, r); err != nil {
				return false, err
			}
			return true, report.Text(&shown, r, report.TextOptions{Width: 100})
		}
		r, err := rollback(t, c, ApplyOptions{Confirm: show})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := show(r); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(shown.String(), "known-to-nobody") || !strings.Contains(shown.String(), "+ A") {
			t.Errorf("shown:\n%s", shown.String())
		}
		if got := h.env("shop-app-1"); !strings.Contains(got, "A=known-to-nobody") {
			t.Errorf("the container has %s", got)
		}
	})
}

// A process that dies after the last check has decided: the next one finishes it, and the person's wish holds.
func TestRollbackThatIsFinishedByTheNextRunSuspends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		c, _ := h.applied(policyNamed("p"))
		applied := transactions(t, c)[0].Transaction
		if _, err := rollback(t, c, ApplyOptions{}); err != nil {
			t.Fatal(err)
		}
		store := state.Store{Dir: c.StateDir}
		cut := transactions(t, c)[1]
		cut.Ended, cut.Outcome, cut.Phase = nil, "", state.PhaseCommitting
		if err := errors.Join(store.Save(cut), store.Resume("shop")); err != nil {
			t.Fatal(err)
		}
		onlyRecover := func(r report.Report) (bool, error) { return r.Projects[0].Plan.Steps[0].Verb == plan.VerbRecover, nil }
		if _, err := apply(t, c, ApplyOptions{Confirm: onlyRecover}); err != nil {
			t.Fatal(err)
		}
		if got := transactions(t, c)[1].Outcome; got != state.OutcomeRecoveredFinished {
			t.Errorf("recorded %q", got)
		}
		wantMark(t, c, applied)
	})
}
