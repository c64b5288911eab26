package envfile

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"unicode"

	"github.com/compose-spec/compose-go/v2/dotenv"
)

// Statement is one KEY=VALUE of an env file. Its boundaries are found here; what it means is always asked of compose-go.
//
// compose-go reads a KEY that ends the file without a line break as the value of a variable without a name, and so does this:
// Key is empty then, and Text is what stands there.
type Statement struct {
	Key     string
	Text    string // the value as written, without its quotes and comment
	Bare    bool   // KEY alone
	Line    int    // from 1
	Raw     string // the whole statement
	Literal bool   // Text is not interpolated
	AsIs    bool   // of a file in the format raw: Text is the value

	// Start and End enclose the lines of the statement, without the line break that ends them. A line may hold several statements.
	Start, End int
	// ValueStart and ValueEnd enclose the value with its quotes. Both are behind the = of an empty value and behind a bare key.
	ValueStart, ValueEnd int
}

// Scan splits an env file into statements. They are those that compose-go reads; of a file that it cannot read, the lines that
// come nearest.
func Scan(content []byte) []Statement { return statements(scan(content)) }

// ScanRaw splits an env file of the format raw: one line, one variable.
func ScanRaw(content []byte) []Statement { return statements(scanRaw(content)) }

// Value is what the statement gives, by compose-go's own parser; ok is false when it gives nothing or cannot be read.
func (s Statement) Value(lookup dotenv.LookupFn) (value string, ok bool) {
	if s.AsIs && s.Bare {
		return lookup(s.Key)
	}
	if s.AsIs {
		return s.Text, true
	}
	text := s.Raw
	if s.Bare {
		text += "\n" // without it the key were taken for a value
	}
	values, err := parse([]byte(text), lookup)
	if err != nil {
		return "", false
	}
	value, ok = values[s.Key]
	return value, ok
}

var errGaveUp = errors.New("the env file parser gave up")

// parse is compose-go's parser, whose panics are errors.
func parse(content []byte, lookup dotenv.LookupFn) (values map[string]string, err error) {
	defer func() {
		if recover() != nil {
			values, err = nil, errGaveUp
		}
	}()
	return dotenv.ParseWithLookup(bytes.NewReader(content), lookup)
}

// token is a statement with the places that an edit needs beside the value's.
type token struct {
	Statement
	begin            int // where the statement itself begins on its line
	keyStart, keyEnd int
	style            style
}

func statements(tokens []token) []Statement {
	var out []Statement
	for _, t := range tokens {
		out = append(out, t.Statement)
	}
	return out
}

const byteOrderMark = "\ufeff"

// head is where the text behind a byte order mark begins.
func head(content string) int { return len(content) - len(strings.TrimPrefix(content, byteOrderMark)) }

var exportPrefix = regexp.MustCompile(`^export\s+`)

func scan(content []byte) []token {
	text := string(content)
	var out []token
	for at := statementStart(text, head(text)); at >= 0; {
		t, rest := statementAt(text, at)
		out = append(out, t)
		at = statementStart(text, rest)
	}
	place(out, text)
	return out
}

// statementStart is where the first statement from at on begins, or -1.
func statementStart(text string, at int) int {
	for {
		i := strings.IndexFunc(text[at:], func(r rune) bool { return !unicode.IsSpace(r) })
		if i < 0 {
			return -1
		}
		at += i
		if text[at] != '#' {
			return at
		}
		i = strings.IndexByte(text[at:], '\n')
		if i < 0 {
			return -1
		}
		at += i
	}
}

// statementAt reads the statement that begins at at, and tells where the parser would go on.
func statementAt(text string, at int) (t token, rest int) {
	t = token{begin: at, keyStart: at}
	if exportPrefix.MatchString(text[at:]) {
		t.keyStart = skip(text, at+len("export"))
	}
	i := strings.IndexAny(text[t.keyStart:], "=:\n")
	if i < 0 {
		t.keyEnd = t.keyStart
		return t.value(text, t.keyStart)
	}
	stop := t.keyStart + i
	t.Key = strings.TrimRightFunc(text[t.keyStart:stop], unicode.IsSpace)
	t.keyEnd = t.keyStart + len(t.Key)
	if text[stop] == '\n' {
		t.Bare = true
		t.ValueStart, t.ValueEnd = t.keyEnd, t.keyEnd
		return t, stop
	}
	return t.value(text, stop+1)
}

// value reads the value that follows from at on.
func (t token) value(text string, at int) (token, int) {
	t.ValueStart = skip(text, at)
	value := text[t.ValueStart:]
	if value != "" && (value[0] == '\'' || value[0] == '"') {
		t.style = styleDouble
		if value[0] == '\'' {
			t.style, t.Literal = styleSingle, true
		}
		end := closing(value)
		if end < 0 {
			t.Text, t.ValueEnd = value[1:], len(text)
			return t, len(text)
		}
		t.Text, t.ValueEnd = value[1:end], t.ValueStart+end+1
		return t, t.ValueEnd
	}
	value, _, _ = strings.Cut(value, "\n")
	rest := t.ValueStart + len(value)
	value, _, _ = strings.Cut(value, " #")
	t.Text = strings.TrimRightFunc(value, unicode.IsSpace)
	if t.Text == "" {
		t.ValueStart = at // what follows is no part of an empty value, but blanks at the end of the line
	}
	t.ValueEnd = t.ValueStart + len(t.Text)
	return t, rest
}

// closing is the index of the quote that ends a quoted value, or -1.
func closing(value string) int {
	for i := 1; i < len(value); i++ {
		switch value[i] {
		case '\\':
			i++
		case value[0]:
			return i
		}
	}
	return -1
}

// skip is where the blanks from at on end. What is a blank is compose-go's choice.
func skip(text string, at int) int {
	return len(text) - len(strings.TrimLeftFunc(text[at:], func(r rune) bool {
		return r != '\n' && (r == '\t' || r == '\v' || r == '\f' || r == '\r' || r == ' ' || r == 0x85 || r == 0xA0)
	}))
}

// place gives the tokens their lines.
func place(tokens []token, text string) {
	line, start, end, counted := 1, head(text), -1, 0
	for i := range tokens {
		t := &tokens[i]
		if passed := text[counted:t.begin]; strings.Contains(passed, "\n") {
			line += strings.Count(passed, "\n")
			start = counted + strings.LastIndexByte(passed, '\n') + 1
		}
		counted = t.begin
		t.Line, t.Start = line, start
		if t.End = end; max(t.ValueEnd, t.keyEnd) > end {
			end = lineEnd(text, max(t.ValueEnd, t.keyEnd))
			t.End = end
		}
	}
	for i := range tokens {
		t := &tokens[i]
		from, to := t.Start, t.End
		if i > 0 && tokens[i-1].End >= t.Start {
			from = t.begin
		}
		if i+1 < len(tokens) && tokens[i+1].Start <= t.End {
			to = tokens[i+1].begin
		}
		t.Raw = text[from:to]
	}
}

// lineEnd is where the line break behind at begins, or the text ends.
func lineEnd(text string, at int) int {
	i := strings.IndexByte(text[at:], '\n')
	if i < 0 {
		return len(text)
	}
	if at += i; i > 0 && text[at-1] == '\r' {
		at--
	}
	return at
}

func scanRaw(content []byte) []token {
	text := string(content)
	var out []token
	number, at := 0, head(text)
	for line := range strings.Lines(text[at:]) {
		number++
		start := at
		at += len(line)
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		end := start + len(line)
		line = strings.TrimLeftFunc(line, unicode.IsSpace)
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, assigned := strings.Cut(line, "=")
		t := token{begin: end - len(line), Statement: Statement{
			Key: key, Text: value, Bare: !assigned, Line: number, Raw: line, Literal: true, AsIs: true,
			Start: start, End: end, ValueStart: end - len(value), ValueEnd: end,
		}}
		t.keyStart, t.keyEnd = t.begin, t.begin+len(key)
		out = append(out, t)
	}
	return out
}
