package compose

import (
	"io"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"github.com/compose-spec/compose-go/v2/dotenv"
)

// statement is one KEY=VALUE of an env file. Its boundaries are found here; what it means is always asked of compose-go.
type statement struct {
	key     string
	text    string // the value as written, without its quotes and comment
	bare    bool   // KEY alone
	line    int    // from 1
	raw     string // the whole statement
	literal bool   // text is not interpolated
	asIs    bool   // of a file in the format raw: text is the value
}

// formatRaw is the env_file format without quotes, comments behind values and interpolation.
const formatRaw = "raw"

// registerRaw teaches compose-go the format, as docker compose does at its start. compose-go keeps formats for the process.
var registerRaw = sync.OnceFunc(func() { dotenv.RegisterFormat(formatRaw, parseRaw) }) //nolint:gochecknoglobals // compose-go keeps formats for the process

func parseRaw(r io.Reader, filename string, vars map[string]string, lookup func(string) (string, bool)) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	for _, s := range scanRaw(content) {
		if s.key == "" || strings.ContainsAny(s.key, " \t") {
			return &ParseError{File: filename, Line: s.line, Message: "not a variable", Hint: "a line is KEY=VALUE, a comment or empty"}
		}
		if value, ok := s.value(lookup); ok {
			vars[s.key] = value
		}
	}
	return nil
}

// scanRaw splits an env file of the format raw: one line, one variable.
func scanRaw(content []byte) []statement {
	var out []statement
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(string(content), "\ufeff")) {
		number++
		line = strings.TrimLeftFunc(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), unicode.IsSpace)
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, assigned := strings.Cut(line, "=")
		out = append(out, statement{key: key, text: value, bare: !assigned, line: number, raw: line, literal: true, asIs: true})
	}
	return out
}

var exportPrefix = regexp.MustCompile(`^export[ \t]+`)

// scanEnvFile splits an env file into statements. A line that is none is passed over.
func scanEnvFile(content []byte) []statement {
	lines := strings.Split(strings.TrimPrefix(string(content), "\ufeff"), "\n")
	var out []statement
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		if line == "" || line[0] == '#' {
			continue
		}
		line = exportPrefix.ReplaceAllString(line, "")
		end := strings.IndexAny(line, "=:")
		if end < 0 {
			out = append(out, statement{key: line, bare: true, line: i + 1, raw: lines[i]})
			continue
		}
		s := statement{key: strings.TrimSpace(line[:end]), line: i + 1, raw: lines[i]}
		value := strings.TrimLeft(line[end+1:], " \t")
		if value == "" || (value[0] != '\'' && value[0] != '"') {
			value, _, _ = strings.Cut(value, " #")
			s.text = strings.TrimSpace(value)
			out = append(out, s)
			continue
		}
		for !closed(value) && i+1 < len(lines) {
			i++
			value += "\n" + lines[i]
			s.raw += "\n" + lines[i]
		}
		s.text, s.literal = unquoted(value), value[0] == '\''
		out = append(out, s)
	}
	return out
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

func closed(value string) bool { return closing(value) > 0 }

func unquoted(value string) string {
	if end := closing(value); end > 0 {
		return value[1:end]
	}
	return value[1:]
}

// value is what the statement gives, by compose-go's own parser; ok is false when it gives nothing or cannot be read.
func (s statement) value(lookup dotenv.LookupFn) (string, bool) {
	if s.asIs && s.bare {
		return lookup(s.key)
	}
	if s.asIs {
		return s.text, true
	}
	values, err := dotenv.UnmarshalWithLookup(s.raw+"\n", lookup)
	if err != nil {
		return "", false
	}
	v, ok := values[s.key]
	return v, ok
}
