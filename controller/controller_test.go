package controller

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/internal/report"
	"github.com/composure-dev/composure/internal/state"
)

const syncPolicy = `apiVersion: composure/v1alpha1
kind: EnvironmentPolicy
metadata: {name: NAME}
spec:
  selector: {services: [app]}
  variables:
  - {name: SYNC, value: "true"}
`

func policyNamed(name string) string { return strings.ReplaceAll(syncPolicy, "NAME", name) }

// host is a machine with projects in folders and an engine.
type host struct {
	t      *testing.T
	engine *enginetest.Engine
	live   LiveEngine // in the place of engine, when not nil
	opened int
}

func newHost(t *testing.T) *host {
	h := &host{t: t, engine: enginetest.New(enginetest.Options{})}
	h.engine.AddImage(enginetest.Image{Name: "app:1"})
	return h
}

// project makes a folder with a project of one service, app, that lacks SYNC, and brings it up.
func (h *host) project(name string) string {
	h.t.Helper()
	dir := h.t.TempDir()
	h.write(filepath.Join(dir, "compose.yaml"), "name: "+name+"\nservices:\n  app:\n    image: app:1\n    environment:\n      - A=1\n")
	project, err := compose.Load(h.t.Context(), compose.Options{Directory: dir})
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.engine.Up(h.t.Context(), project, nil); err != nil {
		h.t.Fatal(err)
	}
	return dir
}

func (h *host) write(path, content string) {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) config(dir string) Config {
	return Config{
		Project: compose.Options{Directory: dir}, StateDir: filepath.Join(h.t.TempDir(), "state"), Log: logr.Discard(),
		Open: func(context.Context) (Engine, error) { h.opened++; return h.engine, nil },
	}
}

func apply(t *testing.T, c Config, o ApplyOptions) (report.Report, error) {
	t.Helper()
	o.Progress = func(string) {}
	return Apply(t.Context(), c, o)
}

func TestCheckReadsThePoliciesBesideTheComposeFileAndNoEngine(t *testing.T) {
	h := newHost(t)
	dir := h.project("shop")
	h.write(filepath.Join(dir, "composure", "b.yaml"), policyNamed("b"))
	h.write(filepath.Join(dir, "composure", "a.yml"), policyNamed("a"))
	h.write(filepath.Join(dir, "composure", "notes.txt"), "not a policy")
	r, err := Check(t.Context(), h.config(dir))
	if err != nil {
		t.Fatal(err)
	}
	if h.opened != 0 {
		t.Error("check opened an engine")
	}
	if got := r.Projects[0].Result; got != report.ResultDifferences {
		t.Errorf("result = %q, want differences", got)
	}
	if n := len(r.Projects[0].Findings); n != 2 {
		t.Errorf("%d findings, want one of each policy", n)
	}
}

func TestPoliciesThatCannotBeReadAreErrorsThatSayWhatToDo(t *testing.T) {
	h := newHost(t)
	dir := h.project("shop")
	h.write(filepath.Join(dir, "empty", "readme.md"), "")
	h.write(filepath.Join(dir, "twice", "a.yaml"), policyNamed("same"))
	h.write(filepath.Join(dir, "twice", "b.yaml"), policyNamed("same"))
	h.write(filepath.Join(dir, "broken.yaml"), strings.Replace(policyNamed("x"), `"true"`, "true", 1))
	tests := map[string]struct {
		reason   string
		policies []string
		say      string
	}{
		"NoneAtAll":     {"the default folder is not there", nil, "does not exist"},
		"NoSuchFile":    {"a slip in the path", []string{"nowhere.yaml"}, "nowhere.yaml does not exist"},
		"EmptyFolder":   {"a run that judges nothing must not look clean", []string{filepath.Join(dir, "empty")}, "holds no .yaml file"},
		"SameNameTwice": {"a finding could not say which one it means", []string{filepath.Join(dir, "twice")}, "same"},
		"WrongType":     {"the place is named", []string{filepath.Join(dir, "broken.yaml")}, "broken.yaml:7:"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := h.config(dir)
			c.Policies = tc.policies
			_, err := Check(t.Context(), c)
			if err == nil || !strings.Contains(err.Error(), tc.say) {
				t.Fatalf("%s: error = %v, want it to say %q", tc.reason, err, tc.say)
			}
			if len(hint.Of(err)) == 0 && !strings.Contains(err.Error(), "hint") {
				t.Errorf("%s: the error gives no hint: %v", tc.reason, err)
			}
		})
	}
}

func TestAllFindsRunningProjectsAndStaysInsideTheAllowedRoots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		inside, outside := h.project("inside"), h.project("outside")
		h.write(filepath.Join(inside, "sync.yaml"), policyNamed("sync"))
		c := h.config(t.TempDir())
		c.All, c.AllowRoots, c.Policies = true, []string{inside}, []string{filepath.Join(inside, "sync.yaml")}
		r, err := apply(t, c, ApplyOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Projects) != 2 || r.Projects[0].Name != "inside" || r.Projects[1].Name != "outside" {
			t.Fatalf("projects = %+v, want inside and outside", r.Projects)
		}
		if got := r.Projects[0].Result; got != report.ResultApplied {
			t.Errorf("inside: result = %q, want applied: %+v", got, r.Projects[0].Plan.Held)
		}
		if got := r.Projects[1].Result; got != report.ResultDifferences {
			t.Errorf("outside: result = %q, want differences, held", got)
		}
		for _, f := range r.Projects[1].Findings {
			if f.Difference() && f.Held == "" {
				t.Errorf("outside: %s %s is not held although its files may not be read", f.Verdict, f.Variable)
			}
		}
		content, err := os.ReadFile(filepath.Join(outside, "compose.yaml"))
		if err != nil || strings.Contains(string(content), "SYNC") {
			t.Errorf("outside was written: %s, %v", content, err)
		}
	})
}

func TestAllNeedsPoliciesAndAnEngine(t *testing.T) {
	h := newHost(t)
	c := h.config(t.TempDir())
	c.All = true
	if _, err := Diff(t.Context(), c); err == nil || len(hint.Of(err)) == 0 {
		t.Errorf("error = %v, want one that names --policy", err)
	}
	if _, err := Check(t.Context(), c); err == nil || len(hint.Of(err)) == 0 {
		t.Errorf("error = %v, want one that names diff", err)
	}
}

func TestSavedPlanIsAppliedOnlyWhileItHolds(t *testing.T) {
	tests := map[string]struct {
		reason string
		change func(h *host, dir string)
		stale  bool
	}{
		"Same": {"nothing moved", func(*host, string) {}, false},
		"File": {"the file was edited", func(h *host, dir string) {
			h.write(filepath.Join(dir, "compose.yaml"), "name: shop\nservices: {app: {image: app:1}}\n")
		}, true},
		"Policy":  {"the policy was edited", func(h *host, dir string) { h.write(filepath.Join(dir, "composure", "p.yaml"), policyNamed("q")) }, true},
		"NoPlan":  {"not a report", nil, true},
		"Another": {"the engine's containers were recreated", func(h *host, _ string) { h.recreate("shop-app-1") }, true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t)
				dir := h.project("shop")
				h.write(filepath.Join(dir, "composure", "p.yaml"), policyNamed("p"))
				saved := []byte("{}")
				if tc.change != nil {
					saved = h.diffJSON(dir)
					tc.change(h, dir)
				}
				before, err := os.ReadFile(filepath.Join(dir, "compose.yaml"))
				if err != nil {
					t.Fatal(err)
				}
				_, err = apply(t, h.config(dir), ApplyOptions{SavedPlan: saved})
				if (err != nil) != tc.stale {
					t.Fatalf("%s: error = %v, want stale: %v", tc.reason, err, tc.stale)
				}
				after, err := os.ReadFile(filepath.Join(dir, "compose.yaml"))
				if err != nil {
					t.Fatal(err)
				}
				if tc.stale && !bytes.Equal(before, after) {
					t.Errorf("%s: a stale plan was applied", tc.reason)
				}
			})
		})
	}
}

func (h *host) diffJSON(dir string) []byte {
	h.t.Helper()
	r, err := Diff(h.t.Context(), h.config(dir))
	if err != nil {
		h.t.Fatal(err)
	}
	var out bytes.Buffer
	if err := report.JSON(&out, r); err != nil {
		h.t.Fatal(err)
	}
	return out.Bytes()
}

func (h *host) recreate(name string) {
	h.t.Helper()
	if err := h.engine.Recreate(h.t.Context(), name); err != nil {
		h.t.Fatal(err)
	}
}

func TestApplyAsksOnlyWhenThereIsSomethingToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		dir := h.project("shop")
		h.write(filepath.Join(dir, "composure", "p.yaml"), policyNamed("p"))
		asked, answer := 0, false
		ask := func(report.Report) (bool, error) { asked++; return answer, nil }
		r, err := apply(t, h.config(dir), ApplyOptions{Confirm: ask})
		if err != nil || asked != 1 || r.Projects[0].Result != report.ResultDifferences || len(r.Projects[0].Outcomes) != 0 {
			t.Fatalf("after no: %+v, %v, asked %d times; want the differences and nothing done", r, err, asked)
		}
		answer = true
		if r, err = apply(t, h.config(dir), ApplyOptions{Confirm: ask}); err != nil || r.Projects[0].Result != report.ResultApplied {
			t.Fatalf("after yes: %+v, %v", r, err)
		}
		if r, err = apply(t, h.config(dir), ApplyOptions{Confirm: ask}); err != nil || r.Projects[0].Result != report.ResultCompliant {
			t.Fatalf("with nothing to do: %+v, %v", r, err)
		}
		if asked != 2 {
			t.Errorf("asked %d times, want 2: there was nothing to ask the third time", asked)
		}
	})
}

func TestApplyFilesOnlyOpensNoEngine(t *testing.T) {
	h := newHost(t)
	dir := h.project("shop")
	h.write(filepath.Join(dir, "composure", "p.yaml"), policyNamed("p"))
	r, err := apply(t, h.config(dir), ApplyOptions{FilesOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if h.opened != 0 || r.Projects[0].Result != report.ResultApplied {
		t.Errorf("opened = %d, result = %q; want no engine and applied", h.opened, r.Projects[0].Result)
	}
}

func TestPolicyThatSelectsNothingIsSaid(t *testing.T) {
	h := newHost(t)
	dir := h.project("shop")
	h.write(filepath.Join(dir, "composure", "p.yaml"), strings.Replace(policyNamed("p"), "[app]", "[ap]", 1))
	if _, err := Check(t.Context(), h.config(dir)); err == nil || len(hint.Of(err)) == 0 {
		t.Errorf("error = %v: a run that judged nothing looks like one that found nothing wrong", err)
	}
}

func TestEngineThatCannotBeOpenedIsAnError(t *testing.T) {
	h := newHost(t)
	c := h.config(h.project("shop"))
	broken := errors.New("no engine")
	c.Open = func(context.Context) (Engine, error) { return nil, broken }
	if _, err := Diff(t.Context(), c); !errors.Is(err, broken) {
		t.Errorf("diff: error = %v", err)
	}
	if _, err := apply(t, c, ApplyOptions{}); !errors.Is(err, broken) {
		t.Errorf("apply: error = %v", err)
	}
}

// brokenEngine starts no container anew, and has a person press Ctrl-C at the first stop.
type brokenEngine struct {
	*enginetest.Engine
	interrupt func()
}

func (b brokenEngine) Stop(ctx context.Context, id string) error {
	b.interrupt()
	return b.Engine.Stop(ctx, id)
}

func (b brokenEngine) Start(ctx context.Context, id string) error {
	c, err := b.Inspect(ctx, id)
	if err == nil && c.State.Status == container.StateExited {
		err = errors.New("no space left on device")
	}
	return errors.Join(err, b.Engine.Start(ctx, id))
}

func TestAllStopsAfterCtrlCAlsoWhenTheRollbackFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		c := h.config(h.project("blog"))
		shop := h.project("shop")
		policies := filepath.Join(t.TempDir(), "policy.yaml")
		h.write(policies, policyNamed("sync"))
		ctx, cancel := context.WithCancel(t.Context())
		c.All, c.Policies, c.AllowRoots = true, []string{policies}, []string{c.Project.Directory, shop}
		c.Open = func(context.Context) (Engine, error) { return brokenEngine{h.engine, cancel}, nil }
		r, err := Apply(ctx, c, ApplyOptions{Progress: func(string) {}})
		if err != nil || len(r.Projects) != 1 || r.Projects[0].Result != report.ResultRollbackFailed {
			t.Errorf("error %v, want the report of the one project that needs a person: %+v", err, r.Projects)
		}
		if content, err := os.ReadFile(filepath.Join(shop, "compose.yaml")); err != nil || strings.Contains(string(content), "SYNC") {
			t.Errorf("the other project was begun after Ctrl-C: %v\n%s", err, content)
		}
	})
}

func TestApplyRemovesOldRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		dir := h.project("shop")
		h.write(filepath.Join(dir, DefaultPolicies, "sync.yaml"), policyNamed("sync"))
		c := h.config(dir)
		ended := time.Now()
		for i := range 120 {
			old := state.Record{
				Transaction: fmt.Sprintf("old-%03d", i), Project: "shop", Began: ended, Ended: &ended, Outcome: state.OutcomeRolledBack, Plan: []byte("{}"),
			}
			if err := (state.Store{Dir: c.StateDir}).Save(old); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := apply(t, c, ApplyOptions{}); err != nil {
			t.Fatal(err)
		}
		if left := len(transactions(t, c)); left != 101 {
			t.Errorf("%d records are left, want the last 100 and the new one", left)
		}
	})
}
