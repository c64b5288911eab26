package report

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/composure-dev/composure/internal/redact"
	"github.com/composure-dev/composure/reconcile/plan"
)

// diff is a unified diff of a patch as it may be shown: signs, line counts and whatever is no secret stay.
//
// Where the secrets stand is read in the files, not in the diff: a hunk may begin inside one. A line that is not found where the
// hunk header puts it is hidden.
func (m masker) diff(diff string, p plan.Patch) string {
	var out strings.Builder
	removed, added := m.file(p.Before, p.EnvFile), m.file(p.After, p.EnvFile)
	var oldLine, newLine int
	inside := false // a hunk
	for line := range strings.Lines(diff) {
		switch {
		case hunkStart(line, &oldLine, &newLine):
			inside = true
			out.WriteString(line)
		case line[0] == '\\':
			out.WriteString(line)
		case !inside:
			out.WriteString(m.text(line))
		case line[0] == '-':
			out.WriteString("-" + removed.show(oldLine, line[1:]))
			oldLine++
		case line[0] == '+':
			out.WriteString("+" + added.show(newLine, line[1:]))
			newLine++
		default:
			// What is secret on one side only is secret.
			shown := removed.show(oldLine, line[1:])
			if other := added.show(newLine, line[1:]); other != line[1:] {
				shown = other
			}
			out.WriteString(line[:1] + shown)
			oldLine, newLine = oldLine+1, newLine+1
		}
	}
	return out.String()
}

var hunkHeader = regexp.MustCompile(`^@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@`)

func hunkStart(line string, oldStart, newStart *int) bool {
	if !hunkHeader.MatchString(line) {
		return false
	}
	ranges := strings.Fields(line)
	_, oldErr := fmt.Sscanf(ranges[1], "-%d", oldStart)
	_, newErr := fmt.Sscanf(ranges[2], "+%d", newStart)
	return oldErr == nil && newErr == nil
}

// maskedFile is a file and where its secrets stand.
type maskedFile struct {
	known   *redact.Redactor // what is secret wherever it stands
	lines   []string         // with their line breaks
	starts  []int            // the offset of each line
	secrets []secret         // sorted, none overlaps another
	opaque  bool             // where secrets stand cannot be told
}

// secret is a range of bytes. What is shown instead stands on its first line; each further line shows that it is masked.
type secret struct {
	start, end int
	shown      string
}

func (m masker) file(content []byte, envFile bool) maskedFile {
	f := maskedFile{known: m.redactor}
	at := 0
	for line := range strings.Lines(string(content)) {
		f.lines, f.starts = append(f.lines, line), append(f.starts, at)
		at += len(line)
	}
	find := m.secrets
	if envFile {
		find = m.envSecrets
	}
	secrets, err := find(content)
	f.secrets, f.opaque = secrets, err != nil
	return f
}

// show is line number (from 1) of the file as it may be shown; line is what the diff holds it to be.
func (f maskedFile) show(number int, line string) string {
	body := strings.TrimRight(line, "\r\n")
	lineBreak := line[len(body):]
	indent := len(body) - len(strings.TrimLeft(body, " \t"))
	if indent == len(body) {
		return line
	}
	if f.opaque || number < 1 || number > len(f.lines) || strings.TrimRight(f.lines[number-1], "\r\n") != body {
		return body[:indent] + redact.Mask + lineBreak
	}
	var out strings.Builder
	begin, at := f.starts[number-1], 0
	for _, s := range f.secrets {
		from, to := max(s.start-begin, indent), min(s.end-begin, len(body))
		if from >= to {
			continue
		}
		out.WriteString(body[at:from])
		if s.start >= begin {
			out.WriteString(s.shown)
		} else {
			out.WriteString(redact.Mask)
		}
		at = to
	}
	return f.known.Known(out.String()+body[at:]) + lineBreak
}
