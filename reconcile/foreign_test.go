package reconcile

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

// upWith is docker compose up -d of a project that another tool labels.
func (w *world) upWith(labels map[string]string) {
	w.t.Helper()
	for name := range w.containers() {
		if err := w.engine.Remove(w.t.Context(), w.inspect(name).ID, true); err != nil {
			w.t.Fatal(err)
		}
	}
	project, err := compose.Load(w.t.Context(), w.source.Compose)
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = w.engine.Up(w.t.Context(), project, func(service string, spec *engine.Spec) {
		for label, value := range labels {
			if service == "beat" { // one is enough
				spec.Config.Labels[label] = value
			}
		}
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestAnotherToolsProjectIsOnlyAudited(t *testing.T) {
	doco := map[string]string{"cd.doco.metadata.manager": "doco-cd"}
	everything := []plan.Verb{plan.VerbPatch, plan.VerbSwap, plan.VerbCheck}
	tests := map[string]struct {
		reason  string
		labels  map[string]string
		image   string // of another container of the engine
		foreign []string
		asked   bool
		patched bool // the files are right, and the containers of before
		want    []plan.Verb
		owner   string // in the warning; empty: there is none
		held    string
	}{
		"Label":      {reason: "the label is proof", labels: doco, owner: "doco-cd manages", held: "doco-cd manages this project (label cd.doco.metadata.manager): it is only audited"},
		"Stale":      {reason: "containers are left as well", labels: doco, patched: true, owner: "doco-cd manages", held: "doco-cd manages"},
		"Folder":     {reason: "the place is a guess", labels: map[string]string{engine.LabelWorkingDir: "/data/compose/7"}, owner: "Portainer seems to manage", held: "Portainer seems to manage"},
		"Dockge":     {reason: "a container of it runs", labels: map[string]string{engine.LabelWorkingDir: "/opt/stacks/shop"}, image: "louislam/dockge:1", owner: "Dockge seems", held: "Dockge seems"},
		"OptStacks":  {reason: "it is a person's own folder", labels: map[string]string{engine.LabelWorkingDir: "/opt/stacks/shop"}, want: everything},
		"Asked":      {reason: "a person has the last word, and is warned", labels: doco, asked: true, want: everything, owner: "doco-cd manages"},
		"Told":       {reason: "the tool was named", labels: doco, foreign: []string{"DOCO-CD"}, want: everything, owner: "doco-cd manages"},
		"ToldBoth":   {reason: "the project was named", labels: doco, foreign: []string{"portainer", "shop"}, want: everything, owner: "doco-cd manages"},
		"ToldOther":  {reason: "another was named", labels: doco, foreign: []string{"portainer", "blog"}, owner: "doco-cd manages", held: "composure run --foreign doco-cd"},
		"NobodyElse": {reason: "docker compose by hand", want: everything},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, syncPolicy)
				w.upWith(tc.labels)
				if tc.image != "" {
					w.engine.AddImage(enginetest.Image{Name: tc.image})
					if _, err := w.engine.AddService(t.Context(), enginetest.Service{Project: "tools", Name: "ui", Image: tc.image}); err != nil {
						t.Fatal(err)
					}
				}
				for i := range w.source.Policies {
					w.source.Policies[i].Spec.Enforcement = policy.Enforcement{Files: policy.ModeEnforce, Containers: policy.ModeEnforce}
				}
				w.source.Unattended, w.source.Foreign = !tc.asked, tc.foreign
				if tc.patched {
					w.write(patchedFile)
				}
				p := w.propose()
				var got []plan.Verb
				for _, step := range p.Plan.Steps {
					got = append(got, step.Verb)
				}
				if got = slices.Compact(got); !slices.Equal(got, tc.want) {
					t.Errorf("%s: steps = %q, want %q; held: %+v", tc.reason, got, tc.want, p.Plan.Held)
				}
				var held []string
				for _, h := range p.Plan.Held {
					held = append(held, h.Reason+" "+h.Next)
				}
				if all := strings.Join(held, "\n"); (tc.held == "") != (all == "") || !strings.Contains(all, tc.held) {
					t.Errorf("%s: held:\n%s\nwant %q", tc.reason, all, tc.held)
				}
				warned := strings.Join(p.Snapshot.Warnings, "\n")
				if (tc.owner == "") != (warned == "") || !strings.Contains(warned, tc.owner) {
					t.Errorf("%s: warnings:\n%s\nwant %q", tc.reason, warned, tc.owner)
				}
			})
		})
	}
}

// Files that lie where another tool keeps its own are its, also before anything of them runs.
func TestAnotherToolsFolderTellsWithoutContainers(t *testing.T) {
	snap := Snapshot{Name: "shop", Directory: "/etc/komodo/stacks/shop"}
	if found := snap.findOwner(); found == nil || found.Name != "Komodo" || !found.Guess {
		t.Errorf("it is %+v", found)
	}
}
