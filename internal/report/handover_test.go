package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

func handedReport() Report {
	p := project()
	p.Result = ResultDifferences
	swaps := steps()
	handed := func(step plan.Step) plan.Handed {
		return plan.Handed{Service: step.Swap.Service, Container: step.Swap.Container, ContainerID: step.Swap.ContainerID, Changes: step.Swap.Changes}
	}
	kept := plan.Handed{Service: "beat", Container: "shop-beat-2", ContainerID: newID, Kept: true}
	p.Plan.Steps = []plan.Step{swaps[0], {
		ID: "compose:beat", Verb: plan.VerbCompose, Object: "beat, app", Destructive: true, Requires: []string{"patch:compose.yaml"},
		Cause:   "policy " + policyName + ": its environment differs from the files in 4 variables",
		Compose: &plan.Compose{Services: []string{"beat", "app"}, Containers: []plan.Handed{handed(swaps[1]), kept, handed(swaps[2])}},
	}}
	return Report{Verb: VerbDiff, Version: "test", Projects: []Project{p}}
}

func TestHandedOver(t *testing.T) {
	var text, document bytes.Buffer
	if err := Text(&text, handedReport(), TextOptions{Width: 120}); err != nil {
		t.Fatal(err)
	}
	golden(t, "handed-120", text.Bytes())
	if err := JSON(&document, handedReport()); err != nil {
		t.Fatal(err)
	}
	golden(t, "handed.json", document.Bytes())
	for _, secret := range []string{"old-secret", "new-secret", "token-secret"} {
		if strings.Contains(text.String()+document.String(), secret) {
			t.Errorf("%s is told", secret)
		}
	}
}

func TestHandedOverIsCounted(t *testing.T) {
	r := handedReport()
	r.Projects[0].Outcomes = []plan.Outcome{{Step: "compose:beat", Result: plan.ResultDone}}
	r.Projects[0].Result = ResultApplied
	want := "Applied: 0 files patched, 0 containers swapped, 2 containers recreated by docker compose; not verified: no check ran."
	if got := summary(VerbApply, r.Projects); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// What is masked is shown all the same: a cut-off transaction with its containers, a restart, and how a swap is made.
func TestMaskingKeepsEveryKindOfStep(t *testing.T) {
	p := Project{Name: "shop", Result: ResultDifferences, Findings: []policy.Finding{}, Plan: plan.Plan{Steps: []plan.Step{
		{ID: "recover:t1", Verb: plan.VerbRecover, Object: "transaction t1", Recover: &plan.Recover{Transaction: "t1", Containers: []string{"shop-app-1"}}},
		{ID: "swap:shop-app-1", Verb: plan.VerbSwap, Swap: &plan.Swap{Service: "app", Container: "shop-app-1", ContainerID: appID, StartFirst: true, Shares: []string{beatID}}},
		{ID: "restart:shop-beat-1", Verb: plan.VerbRestart, Restart: &plan.Restart{Service: "beat", Container: "shop-beat-1", ContainerID: beatID}},
	}}}
	var text, document bytes.Buffer
	r := Report{Verb: VerbDiff, Projects: []Project{p}}
	if err := Text(&text, r, TextOptions{Width: 120}); err != nil {
		t.Fatal(err)
	}
	if err := JSON(&document, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"container shop-app-1", "started before the old one stops", "restart shop-beat-1"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not told:\n%s", want, text.String())
		}
	}
	for _, want := range []string{`"recover": {`, `"shares": [`, `"startFirst": true`, `"restart": {`} {
		if !strings.Contains(document.String(), want) {
			t.Errorf("%s is not in\n%s", want, document.String())
		}
	}
}
