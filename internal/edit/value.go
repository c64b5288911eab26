package edit

import (
	"bytes"
	"cmp"
	"regexp"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"

	"github.com/composure-dev/composure/internal/syntax"
)

// keyOf is the key of a list item.
func keyOf(item *yaml.Node) string {
	key, _, _ := strings.Cut(syntax.Deref(item).Value, "=")
	return key
}

// canonical is a number or bool that reads as it is written, so that it may stand without quotes.
var canonical = regexp.MustCompile(`^(true|false|0|-?[1-9][0-9]{0,17})$`)

// replaceValue replaces the value of a map's entry and nothing around it: its anchor and comment stay, an explicit tag goes.
func (p *planner) replaceValue(m *yaml.Node, e syntax.Pair) splice {
	n := e.Value
	start, end := p.valueRange(n)
	colon := p.colon(e.Key)
	flow := m.Style&yaml.FlowStyle != 0
	if p.change.Bare {
		if flow || colon < 0 {
			return splice{start, end, spaced(start, end, "null")}
		}
		comment := strings.TrimRight(string(p.Data[colon:start]), " \t\r\n")
		return splice{colon + len(comment), end, ""}
	}
	preferred := cmp.Or(styleOf(n), majority(values(m)))
	text := quote(p.change.Text, preferred, form{lead: "k: ", flow: flow})
	if bareNumber(n) && canonical.MatchString(p.change.Text) {
		text = p.change.Text
	}
	if isBlockScalar(n) {
		text = p.blockScalar(n, start, end, text)
	}
	if n.Style&yaml.TaggedStyle != 0 && n.Anchor != "" {
		text = "&" + n.Anchor + " " + text
	}
	if flow && colon < 0 {
		at := p.End(e.Key)
		return splice{at, at, ": " + text}
	}
	return splice{start, end, spaced(start, end, text)}
}

// spaced puts a blank before a value where there was none.
func spaced(start, end int, text string) string {
	if start == end {
		return " " + text
	}
	return text
}

// valueRange is what a new value takes the place of: the old one's own text, with its tag.
func (p *planner) valueRange(n *yaml.Node) (start, end int) {
	if n.Kind == yaml.ScalarNode || n.Kind == yaml.AliasNode {
		start, end = p.Token(n)
	} else {
		start, end = p.Text(n), p.End(n)
	}
	if n.Style&yaml.TaggedStyle != 0 {
		start = p.Offset(n)
	}
	return start, end
}

// colon is behind the colon that follows a key, or -1: in flow style a key may stand alone.
func (d *document) colon(key *yaml.Node) int {
	end := d.End(key)
	rest := bytes.TrimLeft(d.Data[end:], " \t\r\n")
	if len(rest) == 0 || rest[0] != ':' {
		return -1
	}
	return len(d.Data) - len(rest) + 1
}

func isBlockScalar(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0
}

// bareNumber reports whether n is a number or bool without quotes.
func bareNumber(n *yaml.Node) bool {
	switch n.ShortTag() {
	case "!!int", "!!float", "!!bool":
		return n.Kind == yaml.ScalarNode && n.Style == 0
	}
	return false
}

// blockScalar is what takes the place of a literal or folded scalar: the new value as a literal of the same indentation where it
// has several lines, else quoted in one line. The header's comment stays.
func (p *planner) blockScalar(n *yaml.Node, start, end int, quoted string) string {
	header := string(p.Data[start:p.LineEnd(start)])
	comment := strings.TrimLeft(header, "|>+-0123456789")
	lines, atEnd := strings.CutSuffix(p.change.Text, "\n")
	body := p.NextLine(start)
	if n.Style&yaml.LiteralStyle == 0 || body >= end || !literal(lines) || !strings.Contains(p.change.Text, "\n") || p.LineEnd(end) == len(p.Data) {
		return quoted + comment
	}
	chomp := "-"
	if atEnd {
		chomp = ""
	}
	first := string(p.Data[body:end])
	indent := first[:len(first)-len(strings.TrimLeft(first, " "))]
	eol := p.LineBreak(p.LineEnd(start))
	var out strings.Builder
	out.WriteString("|" + chomp + comment)
	for line := range strings.SplitSeq(lines, "\n") {
		out.WriteString(eol)
		if line != "" {
			out.WriteString(indent + line)
		}
	}
	return out.String()
}

// literal reports whether lines read back from a literal scalar as they are.
func literal(lines string) bool {
	for line := range strings.SplitSeq(lines, "\n") {
		if line != "" && strings.TrimSpace(line) == "" { // parsers do not agree on blanks alone
			return false
		}
	}
	return lines != "" && !strings.HasPrefix(lines, " ") && !strings.HasPrefix(lines, "\n") && !strings.HasSuffix(lines, "\n") &&
		!strings.ContainsFunc(lines, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) })
}

// replaceItem replaces an item of a list and nothing around it.
func (p *planner) replaceItem(block, item *yaml.Node) splice {
	start, end := p.valueRange(item)
	preferred := cmp.Or(styleOf(item), majority(values(block)))
	text := listItemIn(p.change, preferred, block.Style&yaml.FlowStyle != 0)
	if isBlockScalar(item) {
		text += strings.TrimLeft(string(p.Data[start:p.LineEnd(start)]), "|>+-0123456789")
	}
	return splice{start, end, text}
}

// values are what the entries' quotes stand around: the items of a list, the values of a map but for merges.
func values(block *yaml.Node) []*yaml.Node {
	if block.Kind == yaml.SequenceNode {
		return block.Content
	}
	var nodes []*yaml.Node
	for _, e := range syntax.Own(block) {
		nodes = append(nodes, e.Value)
	}
	return nodes
}
