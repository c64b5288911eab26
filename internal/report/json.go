package report

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

// APIVersion and Kind begin every JSON report. Fields are added, never renamed.
const (
	APIVersion = "composure/v1alpha1"
	Kind       = "Report"
)

// The document types are of their own: a plan's values and diffs are not its to marshal.
type document struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Version    string           `json:"version"`
	Command    Verb             `json:"command"`
	Projects   []projectJSON    `json:"projects"`
	Findings   []policy.Finding `json:"findings"`
	Plan       planJSON         `json:"plan"`
	Outcomes   []outcomeJSON    `json:"outcomes"`
	Summary    summaryJSON      `json:"summary"`
}

type projectJSON struct {
	Name      string      `json:"name"`
	Directory string      `json:"directory"`
	Files     []string    `json:"files"`
	Engine    string      `json:"engine,omitempty"`
	Result    Result      `json:"result"`
	Failure   string      `json:"failure,omitempty"`
	Restored  []string    `json:"restored,omitempty"`
	Recovered []string    `json:"recovered,omitempty"`
	Backup    string      `json:"backup,omitempty"`
	Commit    string      `json:"commit,omitempty"`
	Warnings  []string    `json:"warnings,omitempty"`
	Others    []otherJSON `json:"otherVariables,omitempty"`
}

// planJSON is what a saved plan is compared by: what would be done, and what that was computed from.
type planJSON struct {
	Steps []stepJSON  `json:"steps"`
	Held  []holdJSON  `json:"held"`
	Basis []basisJSON `json:"basis"`
}

type basisJSON struct {
	Project string `json:"project"`
	plan.Basis
}

type stepJSON struct {
	ID          string    `json:"id"`
	Project     string    `json:"project"`
	Verb        plan.Verb `json:"verb"`
	Object      string    `json:"object"`
	Cause       string    `json:"cause"`
	Requires    []string  `json:"requires,omitempty"`
	Destructive bool      `json:"destructive"`
	Diff        string    `json:"diff,omitempty"`
	Swap        *swapJSON `json:"swap,omitempty"`

	Compose *composeJSON  `json:"compose,omitempty"`
	Recover *plan.Recover `json:"recover,omitempty"`
	Restart *plan.Restart `json:"restart,omitempty"`
}

type swapJSON struct {
	Service     string       `json:"service"`
	Container   string       `json:"container"`
	ContainerID string       `json:"containerId"`
	ConfigHash  string       `json:"configHash"`
	Shares      []string     `json:"shares,omitempty"`
	StartFirst  bool         `json:"startFirst,omitempty"`
	Changes     []changeJSON `json:"changes"`
}

// changeJSON has the values as they may be shown; one that is left out is unset.
type changeJSON struct {
	plan.Change
	Old *string `json:"old,omitempty"`
	New *string `json:"new,omitempty"`
}

type otherJSON struct {
	Service string `json:"service"`
	changeJSON
}

type holdJSON struct {
	Project string `json:"project"`
	plan.Hold
}

type outcomeJSON struct {
	Project string `json:"project"`
	plan.Outcome
}

type summaryJSON struct {
	totals
	Text string `json:"text"`
}

// JSON writes r as one object. Paths are absolute, durations in milliseconds; lists are there even when empty.
func JSON(w io.Writer, r Report) error {
	doc := document{
		APIVersion: APIVersion, Kind: Kind, Version: r.Version, Command: r.Verb,
		Projects: []projectJSON{}, Findings: []policy.Finding{}, Outcomes: []outcomeJSON{},
		Plan:    planJSON{Steps: []stepJSON{}, Held: []holdJSON{}, Basis: []basisJSON{}},
		Summary: summaryJSON{totals: count(r.Projects...), Text: summary(r.Verb, r.Projects)},
	}
	for _, p := range r.Projects {
		doc.add(masked(p))
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(doc); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func (d *document) add(p Project) {
	d.Projects = append(d.Projects, projectOf(p))
	d.Findings = append(d.Findings, p.Findings...)
	d.Plan.Basis = append(d.Plan.Basis, basisJSON{Project: p.Name, Basis: basisOf(p.Plan.Basis)})
	for _, step := range p.Plan.Steps {
		d.Plan.Steps = append(d.Plan.Steps, stepOf(p.Name, step))
	}
	for _, hold := range p.Plan.Held {
		d.Plan.Held = append(d.Plan.Held, holdJSON{Project: p.Name, Hold: hold})
	}
	for _, outcome := range p.Outcomes {
		d.Outcomes = append(d.Outcomes, outcomeJSON{Project: p.Name, Outcome: outcome})
	}
}

// basisOf makes lists that are not there empty ones.
func basisOf(b plan.Basis) plan.Basis {
	b.Policies, b.Files, b.Containers = append([]string{}, b.Policies...), append([]string{}, b.Files...), append([]string{}, b.Containers...)
	return b
}

func projectOf(p Project) projectJSON {
	doc := projectJSON{
		Name: p.Name, Directory: p.Directory, Files: append([]string{}, p.Files...), Engine: p.Context,
		Result: p.Result, Failure: p.Failure, Restored: p.Restored, Recovered: p.Recovered, Backup: p.Backup, Commit: p.Commit,
		Warnings: p.Warnings,
	}
	for _, other := range p.Others {
		doc.Others = append(doc.Others, otherJSON{Service: other.Service, changeJSON: changeOf(other.Change)})
	}
	return doc
}

func stepOf(project string, step plan.Step) stepJSON {
	doc := stepJSON{
		ID: step.ID, Project: project, Verb: step.Verb, Object: step.Object, Cause: step.Cause,
		Requires: step.Requires, Destructive: step.Destructive, Diff: step.Diff,
		Compose: composeOf(step.Compose), Recover: step.Recover, Restart: step.Restart,
	}
	if step.Swap == nil {
		return doc
	}
	doc.Swap = &swapJSON{
		Service: step.Swap.Service, Container: step.Swap.Container, ContainerID: step.Swap.ContainerID,
		ConfigHash: step.Swap.ConfigHash, Shares: step.Swap.Shares, StartFirst: step.Swap.StartFirst, Changes: []changeJSON{},
	}
	for _, change := range step.Swap.Changes {
		doc.Swap.Changes = append(doc.Swap.Changes, changeOf(change))
	}
	return doc
}

func changeOf(c plan.Change) changeJSON { return changeJSON{Change: c, Old: c.Old, New: c.New} }
