package report

import (
	"slices"
	"strings"
	"unicode"

	"github.com/composure-dev/composure/internal/redact"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

// masked returns p as it may be shown. It is the one place where secrets are hidden: a [plan.Step] holds its diff and its values
// as they are, since apply needs them, and every form of a report begins here.
func masked(p Project) Project {
	m := newMasker(p)
	p.Context, p.Failure = m.text(p.Context), m.text(p.Failure)
	p.Restored, p.Recovered, p.Warnings = each(p.Restored, m.text), each(p.Recovered, m.text), each(p.Warnings, m.text)
	p.Findings = each(p.Findings, m.finding)
	if p.Remaining != nil {
		p.Remaining = each(p.Remaining, m.finding)
	}
	p.Outcomes = each(p.Outcomes, m.outcome)
	p.Plan.Steps = each(p.Plan.Steps, m.step)
	p.Plan.Held = each(p.Plan.Held, m.hold)
	p.Others = each(p.Others, func(o Other) Other { return Other{Service: o.Service, Change: m.change(o.Change)} })
	return p
}

// each maps a list into a new one, so that the caller's stays as it is.
func each[T any](list []T, f func(T) T) []T {
	mapped := make([]T, len(list))
	for i, item := range list {
		mapped[i] = f(item)
	}
	return mapped
}

// masker knows a project's secrets: by the key before them, and by themselves.
type masker struct {
	keys     map[string]bool // variables that a policy calls sensitive
	redactor *redact.Redactor
}

func newMasker(p Project) masker {
	m := masker{keys: map[string]bool{}}
	for _, key := range p.Sensitive {
		m.keys[key] = true
	}
	for _, f := range p.Findings {
		if f.Sensitive {
			m.keys[f.Variable] = true
		}
	}
	changes := allChanges(p)
	for _, change := range changes {
		if change.Sensitive {
			m.keys[change.Key] = true
		}
	}
	secrets := slices.Clone(p.Secrets)
	for _, change := range changes {
		for _, value := range []*string{change.Old, change.New} {
			switch {
			case value == nil:
			case m.sensitive(change.Key):
				secrets = append(secrets, *value)
			default:
				secrets = append(secrets, redact.Within(*value)...)
			}
		}
	}
	names := publicNames(p)
	m.redactor = redact.New(secrets...).Without(func(secret string) bool { return !telling(secret) || strings.Contains(names, secret) })
	return m
}

// shortestWord is the length in bytes below which a value of nothing but letters, or nothing but digits, is not searched for.
const shortestWord = 8

// telling reports whether a secret can be searched for in free text: looking for "true" or "5432" would blot out what is none.
func telling(secret string) bool {
	word := strings.TrimFunc(secret, unicode.IsLetter) == ""
	number := strings.TrimFunc(secret, unicode.IsDigit) == ""
	return len(secret) >= shortestWord || !word && !number
}

// publicNames are the names that a report cannot do without, one a line. A database whose password is its service's name would
// make every command that a person is told useless, and hide nothing.
func publicNames(p Project) string {
	names := []string{p.Name, p.Directory}
	for _, f := range p.Findings {
		names = append(names, f.Service, f.Variable)
	}
	for _, c := range replaced(p.Plan.Steps...) {
		names = append(names, c.Service, c.Container)
	}
	for _, step := range p.Plan.Of(plan.VerbPatch) {
		if step.Patch != nil {
			names = append(names, step.Patch.File)
		}
	}
	return strings.Join(append(names, p.Files...), "\n")
}

func allChanges(p Project) []plan.Change {
	var all []plan.Change
	for _, c := range replaced(p.Plan.Steps...) {
		all = append(all, c.Changes...)
	}
	for _, other := range p.Others {
		all = append(all, other.Change)
	}
	return all
}

func (m masker) sensitive(key string) bool { return m.keys[key] || redact.Key(key) }

// text is free text without the secrets that are known.
func (m masker) text(s string) string { return m.redactor.String(s) }

// value is a variable's value as it may be shown; unset stays unset.
func (m masker) value(key string, value *string) *string {
	if value == nil {
		return nil
	}
	return new(m.text(redact.Value(*value, m.sensitive(key))))
}

func (m masker) change(c plan.Change) plan.Change {
	c.Old, c.New, c.Cause = m.value(c.Key, c.Old), m.value(c.Key, c.New), m.text(c.Cause)
	return c
}

func (m masker) finding(f policy.Finding) policy.Finding {
	f.Message, f.Held, f.Hint = m.text(f.Message), m.text(f.Held), m.text(f.Hint)
	if f.Fix != nil {
		fix := *f.Fix
		fix.Text = *m.value(fix.Key, &fix.Text)
		f.Fix = &fix
	}
	return f
}

func (m masker) outcome(o plan.Outcome) plan.Outcome {
	o.Error, o.Detail = m.text(o.Error), m.text(o.Detail)
	return o
}

func (m masker) hold(h plan.Hold) plan.Hold {
	h.Object, h.Reason, h.Next = m.text(h.Object), m.text(h.Reason), m.text(h.Next)
	return h
}

// step keeps only what is shown of a step.
func (m masker) step(s plan.Step) plan.Step {
	var patch plan.Patch
	if s.Patch != nil {
		patch = *s.Patch
	}
	shown := plan.Step{
		ID: s.ID, Verb: s.Verb, Object: m.text(s.Object), Cause: m.text(s.Cause), Requires: s.Requires, Destructive: s.Destructive,
		Diff: m.diff(s.Diff, patch), Recover: s.Recover, Restart: s.Restart,
	}
	if s.Compose != nil {
		shown.Compose = &plan.Compose{Services: s.Compose.Services, Containers: each(s.Compose.Containers, func(h plan.Handed) plan.Handed {
			h.Changes = each(h.Changes, m.change)
			return h
		})}
	}
	if s.Swap != nil {
		shown.Swap = &plan.Swap{
			Service: s.Swap.Service, ContainerID: s.Swap.ContainerID, Container: s.Swap.Container, ConfigHash: s.Swap.ConfigHash,
			Shares: s.Swap.Shares, StartFirst: s.Swap.StartFirst, Changes: each(s.Swap.Changes, m.change),
		}
	}
	return shown
}
