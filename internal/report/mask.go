package report

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/composure-dev/composure/internal/redact"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

// masked returns p as it may be shown. It is the one place where secrets are hidden: a [plan.Step] holds its diff and its values
// as they are, since apply needs them, and every form of a report begins here.
func masked(p Project) Project {
	m := newMasker(p)
	p.Context, p.Failure = m.text(p.Context), m.text(p.Failure)
	p.Restored, p.Warnings = each(p.Restored, m.text), each(p.Warnings, m.text)
	p.Findings = each(p.Findings, m.finding)
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
	keys     map[string]bool // variables that a policy or their name calls sensitive
	redactor *redact.Redactor
}

// shortestSecret is the length in bytes below which a sensitive value is masked only where its key stands: looking for "true"
// or "5" in free text would blot out what is no secret.
const shortestSecret = 8

func newMasker(p Project) masker {
	m := masker{keys: map[string]bool{}}
	for _, f := range p.Findings {
		if f.Sensitive {
			m.keys[f.Variable] = true
		}
	}
	var secrets []string
	for _, change := range allChanges(p) {
		if !change.Sensitive && !m.sensitive(change.Key) {
			continue
		}
		m.keys[change.Key] = true
		for _, value := range []*string{change.Old, change.New} {
			if value != nil && len(*value) >= shortestSecret {
				secrets = append(secrets, *value)
			}
		}
	}
	m.redactor = redact.New(secrets...)
	return m
}

func allChanges(p Project) []plan.Change {
	var all []plan.Change
	for _, step := range p.Plan.Of(plan.VerbSwap) {
		all = append(all, step.Swap.Changes...)
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
	var before, after []byte
	if s.Patch != nil {
		before, after = s.Patch.Before, s.Patch.After
	}
	shown := plan.Step{
		ID: s.ID, Verb: s.Verb, Object: m.text(s.Object), Cause: m.text(s.Cause), Requires: s.Requires, Destructive: s.Destructive,
		Diff: m.diff(s.Diff, before, after),
	}
	if s.Swap != nil {
		shown.Swap = &plan.Swap{
			Service: s.Swap.Service, ContainerID: s.Swap.ContainerID, Container: s.Swap.Container, ConfigHash: s.Swap.ConfigHash,
			Changes: each(s.Swap.Changes, m.change),
		}
	}
	return shown
}

// diff is a unified diff of before and after as it may be shown.
func (m masker) diff(diff string, before, after []byte) string {
	return m.text(maskDiff(diff, m.keys, before, after))
}

// maskDiff returns a unified diff of compose or env files with the values of secret keys masked, those that go on over several
// lines included. Signs, line counts and everything else stay. Keys that look secret are masked without being in sensitive.
// The lines above each hunk are read in before and after, where they are given: a hunk may begin inside a secret.
func maskDiff(diff string, sensitive map[string]bool, before, after []byte) string {
	var out strings.Builder
	var removed, added *lineMasker
	for line := range strings.Lines(diff) {
		var oldStart, newStart int
		switch {
		case hunkStart(line, &oldStart, &newStart):
			removed = newLineMasker(sensitive, before, oldStart)
			added = newLineMasker(sensitive, after, newStart)
			out.WriteString(line)
		case removed == nil || line[0] == '\\':
			out.WriteString(line)
		case line[0] == '-':
			out.WriteString("-" + removed.line(line[1:]))
		case line[0] == '+':
			out.WriteString("+" + added.line(line[1:]))
		default:
			masked := removed.line(line[1:])
			if other := added.line(line[1:]); other != line[1:] {
				masked = other
			}
			out.WriteString(line[:1] + masked)
		}
	}
	return out.String()
}

var hunkHeader = regexp.MustCompile(`^@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@`)

func hunkStart(line string, oldStart, newStart *int) bool {
	if !hunkHeader.MatchString(line) {
		return false
	}
	ranges := strings.Fields(line)
	_, oldErr := fmt.Sscanf(ranges[1], "-%d", oldStart)
	_, newErr := fmt.Sscanf(ranges[2], "+%d", newStart)
	return oldErr == nil && newErr == nil
}

// lineMasker masks the lines of one file in order. It remembers an open secret, one whose value may go on in deeper lines:
// a block scalar, a quoted or plain scalar over several lines, or one that begins below its key.
type lineMasker struct {
	sensitive map[string]bool
	open      bool
	indent    int  // of the line with the key
	below     bool // the value, if any, has yet to begin
}

// newLineMasker is ready for line start (from 1) of content.
func newLineMasker(sensitive map[string]bool, content []byte, start int) *lineMasker {
	l := &lineMasker{sensitive: sensitive}
	number := 1
	for line := range strings.Lines(string(content)) {
		if number >= start {
			break
		}
		l.line(line)
		number++
	}
	return l
}

var (
	assignment = regexp.MustCompile(`["']?([A-Za-z_][A-Za-z0-9_.-]*)["']?\s*[:=]`)
	// structure is a line that begins a mapping entry or a list item: no continuation of a scalar below its key.
	structure = regexp.MustCompile(`^\s*(?:-(?:\s|$)|["']?[A-Za-z_][A-Za-z0-9_.-]*["']?\s*:(?:\s|$))`)
	// properties are an anchor and a tag, which stand before a value.
	properties = regexp.MustCompile(`^(?:[&!]\S*\s*)+`)
)

func (l *lineMasker) line(line string) string {
	body := strings.TrimRight(line, "\r\n")
	end := line[len(body):]
	text := strings.TrimLeft(body, " \t")
	if text == "" {
		return line
	}
	indent := len(body) - len(text)
	if l.continues(indent, body) {
		l.below = false
		return body[:indent] + redact.Mask + end
	}
	l.open = false
	masked := body
	for _, at := range assignment.FindAllStringSubmatchIndex(body, -1) {
		name, value := body[at[2]:at[3]], withoutComment(body[at[1]:])
		if !l.sensitive[name] && !redact.Key(name) {
			continue
		}
		l.open, l.indent, l.below = text[0] != '#', indent, value == ""
		if l.sensitive[name] && value != "" && !isBlockHeader(value) {
			masked = assigned(body[:at[1]]) + redact.Mask
		}
		break
	}
	return redact.Line(masked) + end
}

// assigned is a key and its separator with what belongs between them and a value.
func assigned(key string) string {
	if strings.HasSuffix(key, ":") {
		return key + " "
	}
	return key
}

// continues reports whether a line is part of the secret that is open.
func (l *lineMasker) continues(indent int, body string) bool {
	if !l.open || indent <= l.indent {
		return false
	}
	return !l.below || !structure.MatchString(body)
}

// withoutComment is what a value is apart from an anchor, a tag and a comment.
func withoutComment(value string) string {
	value = properties.ReplaceAllString(strings.TrimSpace(value), "")
	if i := strings.Index(" "+value, " #"); i >= 0 {
		value = value[:i]
	}
	return strings.TrimSpace(value)
}

// isBlockHeader reports whether a value only announces the lines to come.
func isBlockHeader(value string) bool {
	return strings.Trim(value, "|>+-0123456789") == "" && strings.ContainsAny(value[:1], "|>")
}
