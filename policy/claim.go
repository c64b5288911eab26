package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/composure-dev/composure/internal/redact"
)

// claim is one rule of one policy, ready to be asked.
type claim struct {
	policy *Policy
	*Rule
	services  []*Service              // those that the policy selects
	accepts   func(value string) bool // the rule alone, without agreement between services
	sensitive bool                    // by this rule, or by another that a question is about too
	agreement *agreement              // nil unless services have to agree
}

func newClaim(p *Policy, r *Rule) *claim {
	c := &claim{policy: p, Rule: r, accepts: acceptor(r), sensitive: redact.Key(r.Name)}
	if r.Sensitive != nil {
		c.sensitive = *r.Sensitive
	}
	return c
}

// acceptor returns what a set value is judged by. An absent rule accepts none.
func acceptor(r *Rule) func(string) bool {
	switch {
	case r.Absent:
		return func(string) bool { return false }
	case r.Value != nil:
		return func(value string) bool { return value == *r.Value }
	case len(r.Values) > 0:
		return func(value string) bool { return slices.Contains(r.Values, value) }
	case r.Pattern != "":
		whole, err := regexp.Compile(`\A(?:` + r.Pattern + `)\z`)
		return func(value string) bool { return err == nil && whole.MatchString(value) }
	case r.Minimum != nil || r.Maximum != nil:
		return func(value string) bool { return inRange(value, r.Minimum, r.Maximum) }
	}
	return func(value string) bool { return value != "" || r.AllowEmpty || !r.Present }
}

// inRange reports whether value is a decimal number within the bounds; what ParseFloat reads besides is not.
func inRange(value string, minimum, maximum *float64) bool {
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || strings.ContainsAny(value, "xXpP_iInN") {
		return false
	}
	return (minimum == nil || n >= *minimum) && (maximum == nil || n <= *maximum)
}

// finite returns the only values that the rule accepts, or nil when there is no such list.
func (c *claim) finite() []string {
	if c.Value != nil {
		return []string{*c.Value}
	}
	return c.Values
}

// text is what the rule would have written into a file; ok is false when it does not say.
func (c *claim) text() (text string, ok bool) {
	switch {
	case c.Declare != nil:
		return *c.Declare, true
	case c.Value != nil:
		return escapeDollar(*c.Value), true
	}
	return "", false
}

// want says the rule in words: `must be "true"`.
func (c *claim) want() string {
	switch {
	case c.Absent:
		return "must not be set"
	case c.Value != nil:
		return "must be " + c.quote(*c.Value)
	case len(c.Values) > 0:
		return "must be one of " + c.quoteAll(c.Values)
	case c.Pattern != "" && c.sensitive:
		return "must match the pattern of its rule"
	case c.Pattern != "":
		return fmt.Sprintf("must match %q", redact.Value(c.Pattern, false))
	case c.Minimum != nil && c.Maximum != nil:
		return fmt.Sprintf("must be between %s and %s", number(*c.Minimum), number(*c.Maximum))
	case c.Minimum != nil:
		return "must be at least " + number(*c.Minimum)
	case c.Maximum != nil:
		return "must be at most " + number(*c.Maximum)
	case c.Present && !c.AllowEmpty:
		return "must be set and not empty"
	}
	return "must be set"
}

// quote returns a value as a message may show it.
func (c *claim) quote(value string) string { return strconv.Quote(redact.Value(value, c.sensitive)) }

func (c *claim) quoteAll(values []string) string {
	quoted := make([]string, len(values))
	for i, value := range values {
		quoted[i] = c.quote(value)
	}
	return strings.Join(slices.Compact(quoted), ", ")
}

func number(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// unsupported says which part of the policy this release cannot carry out; empty when it can.
func (c *claim) unsupported() string {
	return Unsupported(c.policy.Spec.Verify)
}

// Unsupported says which of the checks after a swap this release cannot carry out. Empty: none.
func Unsupported(checks []Check) string {
	for _, check := range checks {
		if check.Exec != nil {
			return "verify exec is not supported yet"
		}
	}
	return ""
}
