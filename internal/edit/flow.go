package edit

import (
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/composure-dev/composure/internal/syntax"
)

// extent is where an entry of a collection begins and ends, a list's item without its dash.
type extent struct{ start, end int }

// extents are those of a collection's entries, merge keys included.
func (d *document) extents(n *yaml.Node) []extent {
	var out []extent
	for _, e := range syntax.Entries(n) {
		out = append(out, extent{d.Offset(e.Key), d.entryEnd(e.Key, e.Value)})
	}
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			out = append(out, extent{d.Offset(item), d.End(item)})
		}
	}
	return out
}

// entryEnd is where an entry ends. A value that is not there, behind a key without a colon, has no place of its own.
func (d *document) entryEnd(key, value *yaml.Node) int {
	if value.Kind == yaml.ScalarNode && value.Value == "" && value.Style == 0 && value.Anchor == "" && key != value && d.colon(key) < 0 {
		return d.End(key)
	}
	return max(d.End(key), d.End(value))
}

// appendFlow adds an entry before the closing bracket: on a line of its own where the last entry has one.
func (d *document) appendFlow(n *yaml.Node, entry string) []splice {
	closing := d.End(n) - 1
	entries := d.extents(n)
	if len(entries) == 0 {
		return d.fillFlow(n, closing, entry)
	}
	last := entries[len(entries)-1]
	indent := string(d.Data[d.LineStart(last.start):last.start])
	if strings.Trim(indent, " ") != "" {
		return []splice{{last.end, last.end, ", " + entry}}
	}
	eol := d.LineBreak(d.LineEnd(last.start))
	comma := d.comma(last.end, closing)
	switch {
	case d.Line(last.end) == d.Line(closing):
		return []splice{{last.end, last.end, "," + eol + indent + entry}}
	case comma >= 0:
		at := d.LineEnd(comma)
		return []splice{{at, at, eol + indent + entry + ","}}
	}
	at := d.LineEnd(last.end)
	return []splice{{last.end, last.end, ","}, {at, at, eol + indent + entry}}
}

func (d *document) fillFlow(n *yaml.Node, closing int, entry string) []splice {
	opening := d.Text(n) + 1
	inner := string(d.Data[opening:closing])
	switch {
	case inner == "":
		return []splice{{opening, closing, entry}}
	case strings.Trim(inner, " ") == "":
		return []splice{{opening, closing, " " + entry + " "}}
	}
	return []splice{{closing, closing, entry + " "}}
}

// comma is where the next comma outside of comments stands between two places, or -1.
func (d *document) comma(from, to int) int {
	for at := from; at < to; at++ {
		switch d.Data[at] {
		case ',':
			return at
		case '#':
			at = d.LineEnd(at)
		}
	}
	return -1
}

// removeFlow takes the entry at an index out of a collection in flow style, with one comma.
func (d *document) removeFlow(n *yaml.Node, index int) []splice {
	entries := d.extents(n)
	closing := d.End(n) - 1
	gone := entries[index]
	end := gone.end
	if comma := d.comma(gone.end, d.next(entries, index, closing)); comma >= 0 {
		end = comma + 1
	}
	opening := d.Text(n) + 1
	if len(entries) == 1 && d.Line(opening) == d.Line(closing) {
		pad := ""
		if d.Data[opening] == ' ' {
			pad = " "
		}
		return []splice{{opening, closing, pad}}
	}
	var splices []splice
	isLast, hasComma := index == len(entries)-1, end > gone.end
	if isLast && !hasComma && index > 0 {
		// The comma before it would be a trailing one, which the author does not write.
		if comma := d.comma(entries[index-1].end, gone.start); comma >= 0 {
			splices = append(splices, splice{comma, comma + 1, ""})
		}
	}
	if d.alone(gone.start, end) {
		return append(splices, d.lines(gone.start, end, false))
	}
	if isLast && index > 0 && strings.Trim(string(d.Data[entries[index-1].end:gone.start]), " \r\n,") == "" {
		return []splice{{entries[index-1].end, gone.end, ""}}
	}
	return append(splices, d.cutFlow(entries, index, end))
}

// cutFlow takes an entry out of a line that it shares with others: with the blanks up to its neighbor, but with no comment and no
// line break.
func (d *document) cutFlow(entries []extent, index, end int) splice {
	gone := entries[index]
	if index < len(entries)-1 && strings.Trim(string(d.Data[end:entries[index+1].start]), " ") == "" {
		return splice{gone.start, entries[index+1].start, ""}
	}
	start := gone.start
	for start > 0 && d.Data[start-1] == ' ' {
		start--
	}
	switch {
	case index == 0:
		return splice{gone.start, end, ""} // what stands behind the bracket stays
	case start > d.LineStart(start):
		return splice{start, end, ""}
	}
	for start < gone.start && end < len(d.Data) && d.Data[end] == ' ' { // the indentation stays, and takes the place of these
		end++
	}
	return splice{gone.start, end, ""}
}

// next is where the entry behind the one at index begins, or the collection closes.
func (d *document) next(entries []extent, index, closing int) int {
	if index+1 < len(entries) {
		return entries[index+1].start
	}
	return closing
}

// alone reports whether the lines from start to end hold nothing else but a comment.
func (d *document) alone(start, end int) bool {
	before := strings.TrimSpace(string(d.Data[d.LineStart(start):start]))
	behind := strings.TrimSpace(string(d.Data[end:d.LineEnd(end)]))
	return before == "" && (behind == "" || strings.HasPrefix(behind, "#"))
}

// lines removes the whole lines from start to end; at the end of a file without a last line break, the line break before them, unless
// it is to be kept.
func (d *document) lines(start, end int, keepBreak bool) splice {
	from, to := d.LineStart(start), d.NextLine(end)
	if d.LineEnd(end) == len(d.Data) && from > 0 && !keepBreak {
		from = d.LineEnd(from - 1)
		if from > 0 && d.Data[from-1] == '\r' {
			from--
		}
		to = len(d.Data)
	}
	return splice{from, to, ""}
}
