package policy

import (
	"fmt"
	"strings"

	"github.com/composure-dev/composure/internal/redact"
)

// remedy is the text that mends a variable for all claims on it, or why there is none.
type remedy struct {
	text string // with overriding: what would be written
	// held says why nothing can be written; hint what to do about it.
	held, hint string
	// overriding are the interpolation variables that would make the text resolve to something else.
	overriding []string
}

// remedy picks the text of the first policy by name that satisfies every claim once it is resolved.
func (q *question) remedy() remedy {
	var first *claim
	var overriding []string
	var overridden string
	for _, c := range q.claims {
		text, ok := c.text()
		if !ok {
			continue
		}
		if first == nil {
			first = c
		}
		value, used, err := interpolate(text, q.facts.Environment)
		if err == nil && q.refusing(value) == nil {
			return remedy{text: text}
		}
		if value, _, err = interpolate(text, nil); err == nil && overriding == nil && allAccept(q.claims, value) {
			overriding, overridden = used, text
		}
	}
	switch {
	case first == nil:
		return remedy{held: "say what to declare", hint: fmt.Sprintf("add declare: to the rule at %s", q.claims[0].Rule.Origin)}
	case len(overriding) > 0:
		return remedy{text: overridden, overriding: overriding}
	}
	return q.rivals(first)
}

// rivals says which claim stands against what the first one would write.
func (q *question) rivals(first *claim) remedy {
	text, _ := first.text()
	value, _, err := interpolate(text, q.facts.Environment)
	rival := q.refusing(value)
	if err != nil || rival == nil || rival == first {
		return remedy{held: "what the rule declares does not satisfy it", hint: fmt.Sprintf("change declare in the rule at %s", first.Rule.Origin)}
	}
	return remedy{
		held: fmt.Sprintf("what policy %q declares does not satisfy policy %q", first.policy.Metadata.Name, rival.policy.Metadata.Name),
		hint: fmt.Sprintf("change declare in the rule at %s, or the rule at %s", first.Rule.Origin, rival.Rule.Origin),
	}
}

// refusing returns the first claim that value would not satisfy.
func (q *question) refusing(value string) *claim {
	for _, c := range q.claims {
		if !c.fits(value) {
			return c
		}
	}
	return nil
}

func allAccept(claims []*claim, value string) bool {
	for _, c := range claims {
		if !c.accepts(value) {
			return false
		}
	}
	return true
}

// overriding are the names from outside the files that make a text wrong, which is, or would be, written.
type overriding struct {
	text        string
	names       []string
	environment map[string]EnvironmentValue
}

// override fills in f for a variable that names from outside the files make wrong.
func (q *question) override(f *Finding, c *claim, o overriding) {
	because := make([]string, len(o.names))
	places := make([]string, len(o.names))
	for i, name := range o.names {
		v := o.environment[name]
		shown := redact.Value(v.Value, c.sensitive || redact.Key(name))
		because[i] = fmt.Sprintf("%s is %q in %s", name, shown, v.Source)
		places[i] = fmt.Sprintf("%s in %s", name, v.Source)
	}
	f.Verdict = OverriddenByEnvironment
	f.Message = fmt.Sprintf("%s because %s, %s", f.Message, strings.Join(because, " and "), c.want())
	if fix := q.fixOverriding(c, o); fix != nil {
		f.Fix = fix
		return
	}
	f.Held = "the value comes from outside the compose files"
	f.Hint = "change or remove " + strings.Join(places, " and ")
	f.Fix = nil
}
