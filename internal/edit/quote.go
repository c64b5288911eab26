package edit

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"
)

// style is how a scalar is quoted.
type style int

const (
	styleAny style = iota
	stylePlain
	styleSingle
	styleDouble
)

func styleOf(n *yaml.Node) style {
	switch {
	case n.Kind != yaml.ScalarNode || n.Tag == "!!null":
		return styleAny
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return styleDouble
	case n.Style&yaml.SingleQuotedStyle != 0:
		return styleSingle
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return styleAny
	}
	return stylePlain
}

// majority is the style of more than half of the nodes, if these are at least two.
func majority(nodes []*yaml.Node) style {
	counts := map[style]int{}
	for _, n := range nodes {
		counts[styleOf(n)]++
	}
	for s, count := range counts {
		if s != styleAny && count >= 2 && 2*count > len(nodes) {
			return s
		}
	}
	return styleAny
}

// form is where a scalar is to stand: behind a key or a dash, and whether in flow style, where brackets and commas end it.
type form struct {
	lead string
	flow bool
}

// mapEntry is the line of a mapping that sets the change's key, without indentation.
func mapEntry(change Change, preferred style) string { return mapEntryIn(change, preferred, false) }

func mapEntryIn(change Change, preferred style, flow bool) string {
	in := form{"k: ", flow}
	key := quote(change.Key, styleAny, in) + ":"
	switch {
	case change.Bare && flow:
		return key + " null"
	case change.Bare:
		return key
	}
	return key + " " + quote(change.Text, preferred, in)
}

// listItem is the item of a list that sets the change's key, without the dash.
func listItem(change Change, preferred style) string { return listItemIn(change, preferred, false) }

func listItemIn(change Change, preferred style, flow bool) string {
	text := change.Key
	if !change.Bare {
		text += "=" + change.Text
	}
	return quote(text, preferred, form{"- ", flow})
}

// quote writes text as a scalar that every YAML parser, of 1.1 or 1.2, reads as that string; in the preferred style if that
// can.
func quote(text string, preferred style, in form) string {
	plain, single := plainSafe(text, in), singleSafe(text)
	switch {
	case preferred == styleSingle && single:
		return singleQuote(text)
	case preferred == styleDouble:
		return doubleQuote(text)
	case plain:
		return text
	case single && strings.ContainsAny(text, `\"`) && !strings.Contains(text, "'"):
		return singleQuote(text)
	}
	return doubleQuote(text)
}

// notString matches what a YAML 1.1 parser may take for a bool, null, number, date, time or merge key. It is wider than need
// be: quotes do no harm.
var notString = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off|true|false|null|nil|~|=|<<|` +
	`[-+]?\.(inf|nan)|[-+]?[0-9.][0-9._,]*(e[-+]?[0-9]+)?|[-+]?0[xob][0-9a-f_]+|[-+]?[0-9][0-9_]*(:[0-9.]+)+|[0-9]{4}-[0-9]{1,2}-[0-9].*)$`)

func plainSafe(text string, in form) bool {
	if in.flow && strings.ContainsAny(text, ",[]{}:#'\"") {
		return false
	}
	if !singleSafe(text) || notString.MatchString(text) || strings.HasPrefix(text, "---") || strings.HasPrefix(text, "...") {
		return false
	}
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(in.lead+text+"\n"), &n); err != nil || len(n.Content) != 1 || len(n.Content[0].Content) == 0 {
		return false
	}
	content := n.Content[0].Content
	read := content[len(content)-1]
	return len(content) <= 2 && read.Kind == yaml.ScalarNode && read.Style == 0 && read.Anchor == "" && read.Tag == "!!str" && read.Value == text
}

// singleSafe reports whether text needs no escape: a line of printable characters without blanks at its ends.
func singleSafe(text string) bool {
	return strings.TrimSpace(text) == text && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

func singleQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func doubleQuote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08X`, r)
		default:
			fmt.Fprintf(&b, `\u%04X`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
