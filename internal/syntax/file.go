// Package syntax is a YAML file as its author wrote it: its nodes, and the bytes that each of them occupies.
//
// The parser tells where a node begins, in lines and characters; where it ends is found here by scanning the bytes. The package
// is pure, and what it does costs no more than the file is long, whatever its aliases expand to.
package syntax

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

// File is a parsed file.
type File struct {
	Data  []byte
	Roots []*yaml.Node // the value of each YAML document; nil for an empty one

	lines []int              // byte offset of each line
	ascii []bool             // of each line: it has no other characters
	below map[*yaml.Node]int // of each literal or folded scalar: the column, from 0, of the key or dash that it belongs to
}

// Open is a file that is not parsed: it has lines and no nodes.
func Open(data []byte) *File {
	f := &File{Data: data, lines: []int{0}, ascii: []bool{true}, below: map[*yaml.Node]int{}}
	for i, b := range data {
		if b >= utf8.RuneSelf {
			f.ascii[len(f.ascii)-1] = false
		}
		if b == '\n' {
			f.lines, f.ascii = append(f.lines, i+1), append(f.ascii, true)
		}
	}
	return f
}

// Parse reads every document of a file. Aliases are not expanded. The error is the parser's, and may hold content of the file.
func Parse(data []byte) (*File, error) {
	f := Open(data)
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var n yaml.Node
		err := decoder.Decode(&n)
		if errors.Is(err, io.EOF) {
			return f, nil
		}
		if err != nil {
			return nil, err
		}
		var root *yaml.Node
		if n.Kind == yaml.DocumentNode && len(n.Content) == 1 {
			root = n.Content[0]
			f.measure(root, -1)
		}
		f.Roots = append(f.Roots, root)
	}
}

// measure notes below which column each block scalar stands.
func (f *File) measure(n *yaml.Node, below int) {
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			f.below[n] = below
		}
	case yaml.MappingNode, yaml.SequenceNode:
		for _, c := range n.Content {
			f.measure(c, f.Column(n)-1)
		}
	}
}

// Column is where the entries of a mapping or sequence in block style stand, from 1. A node with an anchor or a tag begins at that,
// its entries do not.
func (f *File) Column(n *yaml.Node) int {
	if len(n.Content) == 0 || n.Style&yaml.FlowStyle != 0 || n.Anchor == "" && n.Style&yaml.TaggedStyle == 0 {
		return n.Column
	}
	first := n.Content[0]
	if n.Kind == yaml.MappingNode && !f.explicit(first) {
		return first.Column
	}
	return f.mark(first)
}

// explicit reports whether a key is written as "? key".
func (f *File) explicit(key *yaml.Node) bool {
	return strings.HasPrefix(strings.TrimLeft(f.Before(key), " "), "?")
}

// mark is the column, from 1, of the dash or question mark before n.
func (f *File) mark(n *yaml.Node) int {
	at := f.Mark(n)
	return utf8.RuneCount(f.Data[f.LineStart(at):at]) + 1
}

// Mark is where the dash or question mark before n stands, be it on a line above; where n begins if there is none.
func (f *File) Mark(n *yaml.Node) int {
	at := f.Offset(n)
	for start, end := f.LineStart(at), at; ; {
		text := string(f.Data[start:end])
		if end != at { // a line above: there may be a comment
			text, _, _ = strings.Cut(text, " #")
			if strings.HasPrefix(strings.TrimSpace(text), "#") {
				text = ""
			}
		}
		text = strings.TrimRight(text, " \t\r\n")
		switch {
		case strings.HasSuffix(text, "-"), strings.HasSuffix(text, "?"):
			return start + len(text) - 1
		case text != "" || start == 0:
			return at
		}
		end = start
		start = f.LineStart(start - 1)
	}
}

// Exact reports whether places in the file can be told: the parser also counts lone CR, NEL, LS and PS as line breaks.
func (f *File) Exact() bool {
	if bytes.Contains(f.Data, []byte("\n"+bom)) { // before a later document
		return false
	}
	if !utf8.Valid(f.Data) || bytes.ContainsAny(f.Data, "\u0085\u2028\u2029\x00") {
		return false
	}
	return bytes.Count(f.Data, []byte("\r")) == bytes.Count(f.Data, []byte("\r\n"))
}

// Offset is the byte where n begins, its anchor and tag included.
func (f *File) Offset(n *yaml.Node) int {
	at := f.lines[max(min(n.Line, len(f.lines)), 1)-1]
	if at == 0 && bytes.HasPrefix(f.Data, []byte(bom)) {
		at = len(bom)
	}
	if f.ascii[max(min(n.Line, len(f.lines)), 1)-1] {
		return min(at+n.Column-1, len(f.Data))
	}
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(f.Data[at:])
		at += size
	}
	return at
}

// Line is the number, from 1, of the line that holds the byte at offset.
func (f *File) Line(offset int) int {
	i, found := slices.BinarySearch(f.lines, offset)
	if found {
		return i + 1
	}
	return i
}

// LineStart is where the line that holds offset begins, behind a byte order mark.
func (f *File) LineStart(offset int) int {
	at := f.lines[f.Line(offset)-1]
	if at == 0 && bytes.HasPrefix(f.Data, []byte(bom)) {
		at = len(bom)
	}
	return at
}

// LineEnd is where the line that holds offset ends, before its line break.
func (f *File) LineEnd(offset int) int {
	i := bytes.IndexByte(f.Data[offset:], '\n')
	if i < 0 {
		return len(f.Data)
	}
	if i > 0 && f.Data[offset+i-1] == '\r' {
		i--
	}
	return offset + i
}

// NextLine is where the line behind the one that holds offset begins; the end of the file if there is none.
func (f *File) NextLine(offset int) int {
	if line := f.Line(offset); line < len(f.lines) {
		return f.lines[line]
	}
	return len(f.Data)
}

// LineBreak is the line break of the line that ends at offset; at the end of the file that of the line before.
func (f *File) LineBreak(offset int) string {
	if offset == len(f.Data) {
		offset = max(f.lines[f.Line(offset)-1]-1, 0)
		if offset > 0 && f.Data[offset-1] == '\r' {
			offset--
		}
	}
	if bytes.HasPrefix(f.Data[offset:], []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

// Before is the text of n's line up to n.
func (f *File) Before(n *yaml.Node) string {
	at := f.Offset(n)
	return string(f.Data[f.LineStart(at):at])
}
