package edit

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/aymanbagabas/go-udiff"
)

// contextLines is how many unchanged lines stand around a change, as git has it.
const contextLines = 3

// Unified is the unified diff from before to after with three lines of context, as `git apply` takes it; empty when they are
// equal. Before nil is a file that does not exist yet. path is relative to where the diff is to be applied. Values are shown as they are: masking is the caller's.
func Unified(path string, before, after []byte) string {
	return UnifiedContext(path, before, after, contextLines)
}

// UnifiedContext is [Unified] with another number of context lines. Without any it takes `git apply --unidiff-zero`.
//
// The hunks are the library's, their headers are not: it counts the lines of the new file wrongly behind a hunk in which changes
// were joined, and patch tools then change another place that looks the same.
func UnifiedContext(path string, before, after []byte, context int) string {
	edits := udiff.Lines(string(before), string(after))
	u, err := udiff.ToUnifiedDiff("", "", string(before), edits, context)
	if err != nil || len(u.Hunks) == 0 {
		return "" // the edits were computed from before: they cannot lie outside of it
	}
	var out strings.Builder
	path = strings.TrimPrefix(path, "/")
	old := diffLabel("a/" + path)
	if before == nil {
		old = "/dev/null"
	}
	fmt.Fprintf(&out, "--- %s\n+++ %s\n", old, diffLabel("b/"+path))
	shift := 0 // by how much the new file is longer so far
	for _, h := range u.Hunks {
		lines, removed, added := hunkLines(h)
		fmt.Fprintf(&out, "@@ -%s +%s @@\n%s", span(h.FromLine, removed), span(h.FromLine+shift, added), lines)
		shift += added - removed
	}
	return out.String()
}

// hunkLines renders a hunk's lines and counts those of the old and of the new file.
func hunkLines(h *udiff.Hunk) (text string, removed, added int) {
	var out strings.Builder
	for _, l := range h.Lines {
		sign := " "
		switch l.Kind {
		case udiff.Delete:
			sign, removed = "-", removed+1
		case udiff.Insert:
			sign, added = "+", added+1
		case udiff.Equal:
			removed, added = removed+1, added+1
		}
		out.WriteString(sign + l.Content)
		if !strings.HasSuffix(l.Content, "\n") {
			out.WriteString("\n\\ No newline at end of file\n")
		}
	}
	return out.String(), removed, added
}

// span is one side of a hunk's header. A side without lines is a count of 0 after the line before.
func span(start, count int) string {
	switch count {
	case 0:
		return fmt.Sprintf("%d,0", start-1)
	case 1:
		return strconv.Itoa(start)
	default:
		return fmt.Sprintf("%d,%d", start, count)
	}
}

// diffLabel writes a file name as git does: quoted where it must be, with a tab behind one with spaces.
func diffLabel(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return r == '"' || r == '\\' || unicode.IsControl(r) }) {
		return strconv.Quote(name)
	}
	if strings.Contains(name, " ") {
		return name + "\t"
	}
	return name
}
