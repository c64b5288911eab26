package report

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/composure-dev/composure/internal/syntax"
)

// errPlaces tells that a file counts its lines in a way of its own.
var errPlaces = errors.New("places of its values cannot be told")

// token is the text of one scalar, without quotes or the header of a block.
type token struct {
	node       *yaml.Node
	start, end int
	secret     bool
	unsure     bool // where it ends cannot be told; it is taken to go on up to the next one
}

// tokens are the scalars that have a text, in the order of the file.
func tokens(f *syntax.File, scalars map[*yaml.Node]bool) []token {
	found := make([]token, 0, len(scalars))
	for node, secret := range scalars {
		if node.Value != "" || node.Style&^yaml.TaggedStyle != 0 {
			found = append(found, token{node: node, start: f.Offset(node), secret: secret})
		}
	}
	slices.SortFunc(found, func(a, b token) int { return cmp.Compare(a.start, b.start) })
	for i := range found {
		limit := len(f.Data)
		if i+1 < len(found) {
			limit = found[i+1].start
		}
		found[i] = measured(f, found[i], limit)
	}
	return found
}

// measured finds where t's text begins and ends; it ends at limit at the latest. What does not look as its style says is not trusted:
// too much of a secret is hidden rather than too little.
func measured(f *syntax.File, t token, limit int) token {
	start, end := f.Token(t.node)
	sure := end <= limit
	switch style := t.node.Style; {
	case !sure:
	case style&yaml.DoubleQuotedStyle != 0:
		start, end, sure = unwrapped(f.Data, start, end, '"')
	case style&yaml.SingleQuotedStyle != 0:
		start, end, sure = unwrapped(f.Data, start, end, '\'')
	case style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		start = min(f.NextLine(start), end)
	default:
		sure = slices.Equal(strings.Fields(string(f.Data[start:end])), strings.Fields(t.node.Value))
	}
	if !sure {
		t.start, t.end, t.unsure = min(f.Text(t.node), limit), limit, true
		return t
	}
	t.start, t.end = start, end
	return t
}

// unwrapped is a range without the quotes around it.
func unwrapped(data []byte, start, end int, quote byte) (from, to int, sure bool) {
	if end-start < 2 || data[start] != quote || data[end-1] != quote {
		return start, end, false
	}
	return start + 1, end - 1, true
}

// ownLine reports whether nothing stands before a place on its line.
func ownLine(f *syntax.File, at int) bool {
	return strings.TrimSpace(string(f.Data[f.LineStart(at):at])) == ""
}
