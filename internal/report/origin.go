package report

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/composure-dev/composure/internal/redact"
	"github.com/composure-dev/composure/policy"
)

// Origin is where a variable of a service comes from.
type Origin struct {
	Version   string // of composure
	Project   string
	Directory string
	Base      string // paths below it are printed relative to it; empty: Directory
	Service   string
	Variable  string
	Value     *string // nil: it has none
	Chain     []Link  // the one that counts first, then the others, the strongest first
	// Near are variables with a similar name, of one that nobody sets.
	Near []string
	// Sensitive are the variables that a policy calls sensitive.
	Sensitive []string
}

// Set reports whether somebody has the last word: sets it, be it without a value.
func (o Origin) Set() bool { return len(o.Chain) > 0 && o.Chain[0].Result == LinkWins }

// LinkResult is what became of a place that sets a variable.
type LinkResult string

// The results.
const (
	LinkWins       LinkResult = "wins"
	LinkRemoves    LinkResult = "removes"     // a !reset that counts
	LinkOverridden LinkResult = "overridden"  // a stronger place sets it, see Link.By
	LinkRemoved    LinkResult = "removed"     // a !reset takes it away, see Link.By
	LinkDropped    LinkResult = "dropped"     // a later !override or !reset drops its whole block
	LinkPassed     LinkResult = "passed over" // a !reset that has no effect
)

// Link is one place that sets the variable, or takes it away.
type Link struct {
	Result     LinkResult      `json:"result"`
	By         *policy.Origin  `json:"by,omitempty"`
	Layer      policy.Layer    `json:"layer"`
	Origin     *policy.Origin  `json:"origin,omitempty"`
	Image      string          `json:"image,omitempty"`
	Value      *string         `json:"value,omitempty"` // as this place alone would have it
	Text       string          `json:"text,omitempty"`  // as written
	Bare       bool            `json:"bare,omitempty"`
	References []LinkReference `json:"references,omitempty"`
	Fragment   *policy.Origin  `json:"broughtInAt,omitempty"` // of what stands in an anchor: the alias
	Extends    *LinkDefinition `json:"extends,omitempty"`
	Included   bool            `json:"included,omitempty"` // the file is included
	EnvFileOf  string          `json:"envFileOf,omitempty"`
}

// LinkDefinition is a base, and the file of the service that extends it.
type LinkDefinition struct {
	Service string `json:"service"`
	By      string `json:"by"`
}

// LinkReference is a variable that a value refers to.
type LinkReference struct {
	Name   string  `json:"name"`
	Value  *string `json:"value,omitempty"`
	Source string  `json:"source,omitempty"`
}

// OriginKind is the kind of a JSON origin.
const OriginKind = "Origin"

type originJSON struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Version    string   `json:"version"`
	Project    string   `json:"project"`
	Directory  string   `json:"directory"`
	Service    string   `json:"service"`
	Variable   string   `json:"variable"`
	Value      *string  `json:"value,omitempty"`
	Chain      []Link   `json:"chain"`
	Near       []string `json:"near,omitempty"`
}

// OriginJSON writes o as one object. Fields are added, never renamed; one that is left out is unset.
func OriginJSON(w io.Writer, o Origin) error {
	o = maskedOrigin(o)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(originJSON{
		APIVersion: APIVersion, Kind: OriginKind, Version: o.Version, Project: o.Project, Directory: o.Directory,
		Service: o.Service, Variable: o.Variable, Value: o.Value, Chain: append([]Link{}, o.Chain...), Near: o.Near,
	})
	if err != nil {
		return fmt.Errorf("write origin: %w", err)
	}
	return nil
}

// OriginText writes o for people.
func OriginText(w io.Writer, o Origin, options TextOptions) error {
	p := originPrinter{printer: &printer{w: bufio.NewWriter(w), TextOptions: options}, origin: maskedOrigin(o)}
	p.print()
	return p.w.Flush()
}

// pureReference is a text that gives nothing away, whatever the variable is.
var pureReference = regexp.MustCompile(`^\$(\w+|\{\w+\})$`)

// maskedOrigin is o as it may be shown.
func maskedOrigin(o Origin) Origin {
	isSecret := func(name string) bool { return redact.Key(name) || slices.Contains(o.Sensitive, name) }
	sensitive := isSecret(o.Variable)
	var secrets []string
	for _, link := range o.Chain {
		if link.Value != nil { // the password of a URL may stand alone elsewhere
			secrets = append(secrets, redact.Within(*link.Value)...)
		}
		for _, r := range link.References {
			if r.Value != nil && (sensitive || isSecret(r.Name)) {
				secrets = append(secrets, *r.Value)
			}
		}
	}
	redactor := redact.New(secrets...)
	show := func(value *string, hidden bool) *string {
		if value == nil {
			return nil
		}
		shown := redact.Value(*value, hidden)
		if slices.ContainsFunc(secrets, func(s string) bool { return s != "" && len(s) < 4 && strings.Contains(*value, s) }) {
			shown = redact.Mask // too short to be looked for
		}
		return new(redactor.String(shown))
	}
	o.Value = show(o.Value, sensitive)
	o.Chain = each(o.Chain, func(l Link) Link {
		l.Value = show(l.Value, sensitive)
		if !pureReference.MatchString(l.Text) {
			l.Text = *show(&l.Text, sensitive)
		}
		l.References = each(l.References, func(r LinkReference) LinkReference {
			r.Value = show(r.Value, sensitive || isSecret(r.Name))
			return r
		})
		return l
	})
	return o
}

type originPrinter struct {
	*printer
	origin Origin
}

func (p originPrinter) print() {
	o := p.origin
	p.line(p.paint(bold, "project "+o.Project) + "  " + printable(o.Directory))
	p.line("")
	p.line(p.paint(bold, "service "+o.Service))
	p.text("  ", o.Variable+" "+p.state())
	column := 0
	for _, link := range o.Chain {
		column = max(column, width(p.where(link)))
	}
	for _, link := range o.Chain {
		p.line("")
		p.link(link, min(column, p.Width/2))
	}
	if len(o.Near) > 0 {
		p.text("  similar: ", strings.Join(o.Near, ", "))
	}
}

// state is what the variable is in the end.
func (p originPrinter) state() string {
	o := p.origin
	switch {
	case len(o.Chain) == 0:
		return "is set by nobody"
	case o.Value != nil:
		return "is " + showValue(o.Value)
	case o.Set():
		return "is unset: it is declared without a value and nothing gives it one, which also hides what the image sets"
	default:
		return "is set by nobody: what the files say of it does not count"
	}
}

// where is the place of a link, in a few words.
func (p originPrinter) where(l Link) string {
	if l.Origin == nil {
		return printable("image " + l.Image)
	}
	return p.at(*l.Origin)
}

func (p originPrinter) link(l Link, column int) {
	sign, shade := "-", plain
	if l.Result == LinkWins || l.Result == LinkRemoves {
		sign, shade = signCompliant, green
	}
	head := "  " + sign + " " + pad(p.where(l), column) + "  " + pad(string(l.Layer), len(policy.LayerEnvironment)) + "  "
	p.block(block{head: head, color: shade, hang: 6, words: words(p.says(l))})
	p.text("      ", p.why(l))
	if l.Text != "" && (l.Value == nil || l.Text != *l.Value) {
		p.text("      written  ", showValue(&l.Text))
	}
	for _, r := range l.References {
		p.reference(r, l.Text)
	}
	if l.Fragment != nil {
		p.text("      ", "in an anchor, brought in by the alias at "+p.at(*l.Fragment))
	}
	if l.EnvFileOf != "" {
		p.text("      ", "an env_file in "+p.file(l.EnvFileOf))
	}
	if l.Extends != nil {
		p.text("      ", "of service "+l.Extends.Service+", through extends in "+p.file(l.Extends.By))
	}
	if l.Included {
		p.text("      ", "the file is included")
	}
}

// says is what a place makes of the variable.
func (p originPrinter) says(l Link) string {
	switch {
	case l.Result == LinkRemoves || l.Result == LinkPassed:
		return "!reset"
	case l.Value == nil:
		return "no value"
	}
	return showValue(l.Value)
}

func (p originPrinter) why(l Link) string {
	by := ""
	if l.By != nil {
		by = p.at(*l.By)
	}
	switch l.Result {
	case LinkWins:
		return "sets it"
	case LinkRemoves:
		return "takes it away"
	case LinkOverridden:
		return "loses to " + by
	case LinkRemoved:
		return "taken away by the !reset at " + by
	case LinkDropped:
		return "does not count: a later !override or !reset drops the whole block"
	default:
		return "has no effect: compose takes a variable out of a mapping only, and this one is in a list by then"
	}
}

func (p originPrinter) reference(r LinkReference, text string) {
	what := "is not set"
	if r.Value != nil {
		what = "is " + showValue(r.Value) + ", from " + p.file(r.Source)
	}
	fallback := regexp.MustCompile(`\$\{` + regexp.QuoteMeta(r.Name) + `(:?)-`).FindStringSubmatch(text)
	if fallback != nil && (r.Value == nil || *r.Value == "" && fallback[1] != "") {
		what += ": the default counts"
	}
	p.text("      $"+r.Name+"  ", what)
}

func (p originPrinter) at(o policy.Origin) string { return printable(location(p.base(), o)) }

func (p originPrinter) file(path string) string { return printable(relative(p.base(), path)) }

func (p originPrinter) base() Project {
	return Project{Directory: p.origin.Directory, Base: p.origin.Base}
}
