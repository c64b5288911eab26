package envfile

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
)

// file is an env file, taken apart.
type file struct {
	data   []byte
	format string
	tokens []token
}

func open(data []byte, format string) *file {
	if format == FormatRaw {
		return &file{data, format, scanRaw(data)}
	}
	return &file{data, format, scan(data)}
}

// last is the index of the statement that gives key its value, or -1.
func (f *file) last(key string) int {
	for i, t := range slices.Backward(f.tokens) {
		if t.Key == key {
			return i
		}
	}
	return -1
}

// satisfies reports whether the file says already what the change wants it to.
func (f *file) satisfies(change Change) bool {
	i := f.last(change.Key)
	if i < 0 || change.Remove {
		return i < 0 && change.Remove
	}
	t := f.tokens[i]
	if t.Bare || f.format == FormatRaw {
		return !t.Bare && t.Text == change.Text
	}
	return sameText(t.template(), change.Text)
}

// edit returns the bytes of the file with the change made, or why it cannot be.
func (f *file) edit(change Change) ([]byte, Reason) {
	i := f.last(change.Key)
	switch {
	case change.Remove:
		return f.without(change.Key)
	case i >= 0:
		return f.replace(f.tokens[i], change.Text), ""
	case f.bareEnd():
		return nil, ReasonBareEnd
	}
	return f.add(change), ""
}

// bareEnd reports whether the file ends in a name without a line break.
func (f *file) bareEnd() bool {
	if f.format == FormatRaw || len(f.tokens) == 0 {
		return false
	}
	t := f.tokens[len(f.tokens)-1]
	return t.Key == "" && !t.Bare && t.ValueStart == t.keyStart
}

func (f *file) splice(start, end int, text string) []byte {
	return slices.Concat(f.data[:start], []byte(text), f.data[end:])
}

// replace puts text in the place of the statement's value.
func (f *file) replace(t token, text string) []byte {
	if f.format == FormatRaw {
		if t.Bare {
			text = "=" + text
		}
		return f.splice(t.ValueStart, t.ValueEnd, text)
	}
	q := quoting{
		kept: t.style, house: houseStyle(f.tokens), shell: bytes.Contains(f.lead(t), []byte("export")),
		lines: strings.Contains(t.Text, "\n") && !bytes.Contains(f.data, []byte("\r")),
		noted: len(bytes.TrimSpace(f.data[t.ValueEnd:t.End])) > 0,
	}
	if t.Bare {
		return f.splice(t.keyEnd, t.keyEnd, "="+q.quote(text))
	}
	gap := f.data[t.keyEnd:t.ValueStart]
	if strings.HasPrefix(t.Text, "# ") && t.style == stylePlain && !bytes.HasSuffix(gap, []byte("=")) && !bytes.HasSuffix(gap, []byte(":")) {
		// "KEY= # why": compose takes it for the value, but its author wrote a comment. It becomes one.
		q.noted = true
		return f.splice(t.ValueStart, t.ValueStart, q.quote(text)+" ")
	}
	at, value := t.ValueStart, q.quote(text)
	if t.ValueStart == t.ValueEnd && value != "" && string(gap) != "=" {
		// The blank of "KEY: value" and "KEY = value".
		if !bytes.HasPrefix(f.data[at:], []byte(" ")) {
			return f.splice(at, at, " "+value)
		}
		return f.splice(at+1, at+1, value)
	}
	return f.splice(at, t.ValueEnd, value)
}

// add puts a new statement below the last one.
func (f *file) add(change Change) []byte {
	entry, eol := f.entry(change), f.lineBreak()
	if len(f.tokens) > 0 {
		at := f.tokens[len(f.tokens)-1].End
		return f.splice(at, at, eol+entry)
	}
	end := len(f.data)
	if end == head(string(f.data)) || bytes.HasSuffix(f.data, []byte("\n")) {
		return f.splice(end, end, entry+eol)
	}
	return f.splice(end, end, eol+entry)
}

// lineBreak is what ends the line of the last statement, or else the file's first line.
func (f *file) lineBreak() string {
	rest := f.data
	if len(f.tokens) > 0 {
		rest = rest[f.tokens[len(f.tokens)-1].End:]
		if len(rest) == 0 {
			rest = f.data
		}
	}
	if i := bytes.IndexByte(rest, '\n'); i > 0 && rest[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

var (
	leadPattern      = regexp.MustCompile(`^[ \t]*(?:export[ \t]+)?$`)
	separatorPattern = regexp.MustCompile(`^[ \t]*[=:][ \t]*$`)
)

// lead is what stands before the statement's key on its line.
func (f *file) lead(t token) []byte { return f.data[t.Start:t.keyStart] }

// entry is the line that sets the change's key, in the manner of the file.
func (f *file) entry(change Change) string {
	if f.format == FormatRaw {
		return change.Key + "=" + change.Text
	}
	var leads, separators [][]byte
	for _, t := range f.tokens {
		leads = append(leads, f.lead(t))
		if t.ValueStart < t.ValueEnd {
			separators = append(separators, f.data[t.keyEnd:t.ValueStart])
		}
	}
	lead := agreed(leads, leadPattern, "")
	house := houseStyle(f.tokens)
	q := quoting{kept: house, house: house, shell: strings.Contains(lead, "export")}
	return lead + change.Key + agreed(separators, separatorPattern, "=") + q.quote(change.Text)
}

// agreed is what at least two have, all of them, or else the fallback.
func agreed(habits [][]byte, pattern *regexp.Regexp, fallback string) string {
	if len(habits) < 2 || len(slices.CompactFunc(habits, bytes.Equal)) > 1 || !pattern.Match(habits[0]) {
		return fallback
	}
	return string(habits[0])
}

// without takes the lines of every statement of key out.
func (f *file) without(key string) ([]byte, Reason) {
	var kept []byte
	at, others := 0, -1 // where what is kept goes on, and where the last line of another variable ends
	for i, t := range f.tokens {
		if t.Key != key {
			if others = t.End; t.Start < at {
				return nil, ReasonSameLine
			}
			continue
		}
		if t.Start <= others && i > 0 {
			return nil, ReasonSameLine
		}
		kept = append(kept, f.data[min(at, t.Start):t.Start]...)
		at = t.End + len(f.data[t.End:]) - len(trimBreak(f.data[t.End:]))
	}
	kept = append(kept, f.data[at:]...)
	if at < len(f.data) || bytes.HasSuffix(f.data, []byte("\n")) {
		return kept, ""
	}
	// The file had no line break at its end.
	cut := kept[:lastBreak(kept, head(string(f.data)))]
	if open(cut, f.format).bareEnd() {
		return kept, "" // a KEY alone would mean something else without one
	}
	return cut, ""
}

// trimBreak takes the line break off that data begins with.
func trimBreak(data []byte) []byte {
	return bytes.TrimPrefix(bytes.TrimPrefix(data, []byte("\r")), []byte("\n"))
}

// lastBreak is where the line break begins that ends data, but not before from.
func lastBreak(data []byte, from int) int {
	return max(len(bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))), from)
}
