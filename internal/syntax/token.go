package syntax

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Token is the range of a scalar's or alias's own text, without anchor and tag. That of a literal or folded scalar begins with its
// header.
func (f *File) Token(n *yaml.Node) (start, end int) {
	start = f.Text(n)
	rest := f.Data[start:]
	switch {
	case n.Kind == yaml.AliasNode:
		return start, start + 1 + len(n.Value)
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return start, start + quotedLen(rest, '"', '\\')
	case n.Style&yaml.SingleQuotedStyle != 0:
		return start, start + quotedLen(rest, '\'', '\'')
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return start, f.blockEnd(n, start)
	}
	return start, start + plainLen(rest, n.Value)
}

// Text is where n's own text begins, behind its anchor and tag.
func (f *File) Text(n *yaml.Node) int {
	behind, text := f.properties(n)
	if n.Kind == yaml.ScalarNode && n.Value == "" && n.Style&^yaml.TaggedStyle == 0 {
		return behind
	}
	return text
}

// Properties is where n's anchor and tag end; where n begins if it has none.
func (f *File) Properties(n *yaml.Node) int {
	behind, _ := f.properties(n)
	return behind
}

// properties are the ends of n's anchor and tag, and of the white space behind them.
func (f *File) properties(n *yaml.Node) (behind, text int) {
	at := f.Offset(n)
	behind = at
	if n.Kind == yaml.AliasNode {
		return at, at
	}
	// The first key of a block may have properties of its own right behind those of the block.
	open := map[byte]bool{'&': n.Anchor != "", '!': n.Style&yaml.TaggedStyle != 0}
	for at < len(f.Data) && open[f.Data[at]] {
		open[f.Data[at]] = false
		behind = len(f.Data)
		if i := bytes.IndexAny(f.Data[at:], " \t\r\n,[]{}"); i >= 0 {
			behind = at + i
		}
		if f.Data[at] == '!' && bytes.HasPrefix(f.Data[at:], []byte("!<")) {
			if i := bytes.IndexByte(f.Data[at:], '>'); i >= 0 {
				behind = at + i + 1
			}
		}
		at = f.skipSpace(behind)
	}
	return behind, at
}

// skipSpace is the next byte that is no white space and in no comment. Between a node's properties and the node there may be both.
func (f *File) skipSpace(at int) int {
	for {
		at = len(f.Data) - len(bytes.TrimLeft(f.Data[at:], " \t\r\n"))
		if at == len(f.Data) || f.Data[at] != '#' {
			return at
		}
		at = f.LineEnd(at)
	}
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
		if value[i] != ' ' && value[i] != '\n' && value[i] != '\t' {
			at++
			continue
		}
		for i+1 < len(value) && strings.IndexByte(" \n\t", value[i+1]) >= 0 {
			i++
		}
		at = len(text) - len(bytes.TrimLeft(text[at:], " \t\r\n"))
	}
	return at
}

// blockEnd is the end of the last line of the literal or folded scalar n, whose header is at start. The blank lines below it
// are content if the header says keep (+).
func (f *File) blockEnd(n *yaml.Node, start int) int {
	end := f.LineEnd(start)
	header, _, _ := bytes.Cut(f.Data[start:end], []byte("#"))
	keep := bytes.Contains(header, []byte("+"))
	indent, below := -1, f.below[n]
	if i := bytes.IndexAny(header, "123456789"); i >= 0 {
		indent = max(below, 0) + int(header[i]-'0')
	}
	for _, at := range f.lines[f.Line(start):] {
		stop := f.LineEnd(at)
		text := f.Data[at:stop]
		blank := len(bytes.TrimLeft(text, " \t")) == 0
		depth := len(text) - len(bytes.TrimLeft(text, " "))
		if !blank && indent < 0 && depth > below {
			indent = depth
		}
		if !blank && (indent < 0 || depth < indent) {
			break
		}
		if !blank || keep && stop < len(f.Data) || indent >= 0 && depth > indent {
			end = stop
		}
	}
	return end
}

// End is where n ends, its closing bracket included.
func (f *File) End(n *yaml.Node) int {
	switch n.Kind {
	case yaml.ScalarNode, yaml.AliasNode:
		_, end := f.Token(n)
		return end
	}
	if len(n.Content) == 0 {
		return f.closing(f.Text(n) + 1)
	}
	last := f.End(n.Content[len(n.Content)-1])
	if n.Style&yaml.FlowStyle != 0 {
		return f.closing(last)
	}
	return last
}

// closing is behind the next closing bracket; only white space, commas and comments can stand before it.
func (f *File) closing(at int) int {
	for at < len(f.Data) {
		switch f.Data[at] {
		case ']', '}':
			return at + 1
		case '#':
			at = f.LineEnd(at)
		default:
			at++
		}
	}
	return at
}
