package edit

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

const bom = "\ufeff"

// document is a parsed file. Its nodes carry the line and column (in runes, from 1) where they begin; where they end is found
// by scanning the bytes.
type document struct {
	data  []byte
	lines []int        // byte offset of each line
	roots []*yaml.Node // the value of each YAML document
}

func parse(data []byte) (*document, error) {
	d := &document{data: data, lines: []int{0}}
	for i, b := range data {
		if b == '\n' {
			d.lines = append(d.lines, i+1)
		}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return d, nil
		}
		if err != nil {
			return nil, err
		}
		if len(node.Content) == 1 {
			d.roots = append(d.roots, node.Content[0])
		}
	}
}

// positioned reports whether the parser's lines are those of [parse]: it also counts lone CR, NEL, LS and PS as line breaks.
func (d *document) positioned() bool {
	if !utf8.Valid(d.data) || bytes.ContainsAny(d.data, "\u0085\u2028\u2029\x00") {
		return false
	}
	return bytes.Count(d.data, []byte("\r")) == bytes.Count(d.data, []byte("\r\n"))
}

// offset is the byte where n begins, its anchor and tag included.
func (d *document) offset(n *yaml.Node) int {
	at := d.lines[min(n.Line, len(d.lines))-1]
	if at == 0 && bytes.HasPrefix(d.data, []byte(bom)) {
		at = len(bom)
	}
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(d.data[at:])
		at += size
	}
	return at
}

// lineAt is the number of the line that holds the byte at offset.
func (d *document) lineAt(offset int) int {
	i, found := slices.BinarySearch(d.lines, offset)
	if found {
		return i + 1
	}
	return i
}

// lineEnd is where the line that holds offset ends, before its line break.
func (d *document) lineEnd(offset int) int {
	i := bytes.IndexByte(d.data[offset:], '\n')
	if i < 0 {
		return len(d.data)
	}
	if i > 0 && d.data[offset+i-1] == '\r' {
		i--
	}
	return offset + i
}

// lineBreak is the line break of the line that ends at offset; at the end of the file that of the line before.
func (d *document) lineBreak(offset int) string {
	if offset == len(d.data) {
		offset = max(d.lines[d.lineAt(offset)-1]-1, 0)
		if offset > 0 && d.data[offset-1] == '\r' {
			offset--
		}
	}
	if bytes.HasPrefix(d.data[offset:], []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

// before is the text of n's line up to n.
func (d *document) before(n *yaml.Node) string {
	at := d.offset(n)
	start := d.lines[n.Line-1]
	return strings.TrimPrefix(string(d.data[start:at]), bom)
}

// token is the range of a scalar's or alias's own text, without anchor and tag.
// indent is the column, from 0, of the key or dash that n belongs to.
func (d *document) token(n *yaml.Node, indent int) (start, end int) {
	start = d.skipProperties(n)
	rest := d.data[start:]
	switch {
	case n.Kind == yaml.AliasNode:
		return start, start + 1 + len(n.Value)
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return start, start + quotedLen(rest, '"', '\\')
	case n.Style&yaml.SingleQuotedStyle != 0:
		return start, start + quotedLen(rest, '\'', '\'')
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return start, d.blockEnd(start, indent)
	}
	return start, start + plainLen(rest, n.Value)
}

// skipProperties is where n's own text begins, behind its anchor and tag.
func (d *document) skipProperties(n *yaml.Node) int {
	at := d.offset(n)
	if n.Kind == yaml.AliasNode {
		return at
	}
	behind := at
	for at < len(d.data) && (d.data[at] == '&' || d.data[at] == '!') {
		behind = at + len(d.data[at:])
		if i := bytes.IndexAny(d.data[at:], " \t\r\n"); i >= 0 {
			behind = at + i
		}
		at = len(d.data) - len(bytes.TrimLeft(d.data[behind:], " \t\r\n"))
	}
	if n.Kind == yaml.ScalarNode && n.Value == "" && n.Style&^yaml.TaggedStyle == 0 {
		return behind
	}
	return at
}

// quotedLen is the length of a quoted scalar. In double quotes a backslash escapes, in single ones a quote does.
func quotedLen(text []byte, quote, escape byte) int {
	for i := 1; i < len(text); i++ {
		if text[i] == escape && (escape != quote || i+1 < len(text) && text[i+1] == quote) {
			i++
			continue
		}
		if text[i] == quote {
			return i + 1
		}
	}
	return len(text)
}

// plainLen is the length of a plain scalar that reads as value: the same bytes but for folded line breaks.
func plainLen(text []byte, value string) int {
	at := 0
	for i := 0; i < len(value) && at < len(text); i++ {
		if value[i] != ' ' && value[i] != '\n' {
			at++
			continue
		}
		for i+1 < len(value) && strings.IndexByte(" \n", value[i+1]) >= 0 {
			i++
		}
		at = len(text) - len(bytes.TrimLeft(text[at:], " \t\r\n"))
	}
	return at
}

// blockEnd is the end of the last line of the literal or folded scalar whose header is at start. The blank lines below it
// are content if the header says keep (+).
func (d *document) blockEnd(start, indent int) int {
	end := d.lineEnd(start)
	header, _, _ := bytes.Cut(d.data[start:end], []byte("#"))
	keep := bytes.Contains(header, []byte("+"))
	for _, at := range d.lines[d.lineAt(start):] {
		stop := d.lineEnd(at)
		text := d.data[at:stop]
		blank := len(bytes.TrimLeft(text, " \t")) == 0
		if !blank && len(text)-len(bytes.TrimLeft(text, " ")) <= indent {
			break
		}
		if !blank || keep && stop < len(d.data) {
			end = stop
		}
	}
	return end
}

// end is where n ends; indent as for [document.token].
func (d *document) end(n *yaml.Node, indent int) int {
	switch n.Kind {
	case yaml.ScalarNode, yaml.AliasNode:
		_, end := d.token(n, indent)
		return end
	}
	if len(n.Content) == 0 {
		return d.closing(d.skipProperties(n) + 1)
	}
	last := n.Content[len(n.Content)-1]
	switch {
	case n.Style&yaml.FlowStyle != 0:
		return d.closing(d.end(last, indent))
	case n.Kind == yaml.MappingNode:
		indent = n.Content[len(n.Content)-2].Column - 1
	default:
		indent = n.Column - 1
	}
	return d.end(last, indent)
}

// closing is behind the next closing bracket; only white space, commas and comments can stand before it.
func (d *document) closing(at int) int {
	for at < len(d.data) {
		switch d.data[at] {
		case ']', '}':
			return at + 1
		case '#':
			at = d.lineEnd(at)
		default:
			at++
		}
	}
	return at
}
