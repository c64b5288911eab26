package report

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// errPlaces tells that a file counts its lines in a way of its own.
var errPlaces = errors.New("places of its values cannot be told")

// source is the text of a YAML file; its nodes say where they begin, and the text says where they end.
type source struct {
	content string
	lines   []int // the offset of each line
}

// newSource refuses what the parser counts as a line break or a column and other readers do not.
func newSource(content []byte) (source, error) {
	s := source{content: string(content), lines: []int{0}}
	if !utf8.Valid(content) || strings.ContainsAny(s.content, "\u0085\u2028\u2029\x00") || strings.Count(s.content, "\r") != strings.Count(s.content, "\r\n") {
		return source{}, errPlaces
	}
	for i, b := range content {
		if b == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s, nil
}

func (s source) lineAt(offset int) int {
	i, found := slices.BinarySearch(s.lines, offset)
	if found {
		return i
	}
	return i - 1
}

// lineEnd is where the line that holds offset ends, before its line break.
func (s source) lineEnd(offset int) int {
	if i := strings.IndexByte(s.content[offset:], '\n'); i >= 0 {
		return offset + i
	}
	return len(s.content)
}

// token is the text of one scalar, without quotes or the header of a block.
type token struct {
	node       *yaml.Node
	start, end int
	secret     bool
	unsure     bool // where it ends cannot be told; it is taken to go on up to the next one
}

// tokens are the scalars that have a text, in the order of the file.
func (s source) tokens(scalars map[*yaml.Node]bool) []token {
	tokens := make([]token, 0, len(scalars))
	for node, secret := range scalars {
		if node.Value != "" || node.Style&^yaml.TaggedStyle != 0 {
			tokens = append(tokens, token{node: node, start: s.offset(node), secret: secret})
		}
	}
	slices.SortFunc(tokens, func(a, b token) int { return cmp.Compare(a.start, b.start) })
	for i := range tokens {
		limit := len(s.content)
		if i+1 < len(tokens) {
			limit = tokens[i+1].start
		}
		tokens[i] = s.measured(tokens[i], limit)
	}
	return tokens
}

// offset is the byte where n begins, its anchor and tag included. The parser counts lines and characters from 1, and leaves out
// a byte order mark.
func (s source) offset(n *yaml.Node) int {
	at := s.lines[max(min(n.Line, len(s.lines)), 1)-1]
	if at == 0 && strings.HasPrefix(s.content, "\ufeff") {
		at = len("\ufeff")
	}
	for range n.Column - 1 {
		_, size := utf8.DecodeRuneInString(s.content[at:])
		at += size
	}
	return at
}

// properties are an anchor and a tag, which stand before a value.
var properties = regexp.MustCompile(`^(?:[&!][^\s]*\s+)*`)

// measured finds where t's text begins and ends; it ends at limit at the latest.
func (s source) measured(t token, limit int) token {
	start := t.start + len(properties.FindString(s.content[t.start:limit]))
	text := s.content[start:limit]
	length, sure := 0, false
	switch style := t.node.Style; {
	case style&yaml.DoubleQuotedStyle != 0 && strings.HasPrefix(text, `"`):
		start++
		length, sure = quoted(text[1:], '"')
	case style&yaml.SingleQuotedStyle != 0 && strings.HasPrefix(text, "'"):
		start++
		length, sure = quoted(text[1:], '\'')
	case style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		body := min(s.lineEnd(start)+1, limit)
		// A header that gives the indentation itself allows a first line that is indented more.
		length, sure = blockLength(s.content[body:limit]), !strings.ContainsAny(s.content[start:body], "123456789")
		start = body
	case style&^yaml.TaggedStyle == 0:
		length, sure = unquoted(text, t.node.Value)
	}
	if !sure {
		t.end, t.unsure = limit, true
		return t
	}
	t.start, t.end = start, start+length
	return t
}

// quoted is the length of a text up to the quote that closes it.
func quoted(text string, quote byte) (length int, sure bool) {
	for i := 0; i < len(text); i++ {
		switch {
		case quote == '"' && text[i] == '\\', quote == '\'' && strings.HasPrefix(text[i:], "''"):
			i++
		case text[i] == quote:
			return i, true
		}
	}
	return 0, false
}

// unquoted is the length of a plain scalar that reads as value: the same characters, with other white space between them.
func unquoted(text, value string) (length int, sure bool) {
	for i := range len(value) {
		if value[i] == ' ' || value[i] == '\n' || value[i] == '\t' {
			continue
		}
		length = len(text) - len(strings.TrimLeft(text[length:], " \t\r\n"))
		if length == len(text) || text[length] != value[i] {
			return 0, false
		}
		length++
	}
	return length, true
}

// blockLength is the length of a block scalar whose first line begins text: up to the first line that is indented less. The blank
// lines and comments behind it may be counted in.
func blockLength(text string) int {
	length, least := 0, -1
	for line := range strings.Lines(text) {
		content := strings.TrimLeft(line, " ")
		switch indent := len(line) - len(content); {
		case strings.TrimSpace(content) == "":
		case least < 0:
			least = indent
		case indent < least:
			return length
		}
		length += len(line)
	}
	return length
}
