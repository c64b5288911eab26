package compose

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/template"
	"go.yaml.in/yaml/v4"
)

// ParseError is a file that does not parse or does not validate. Line and Column count from 1; 0 is unknown.
type ParseError struct {
	File         string
	Line, Column int
	Message      string
	Hint         string // what to do about it, or empty
}

func (e *ParseError) Error() string {
	place := e.File
	if e.Line > 0 {
		place += ":" + strconv.Itoa(e.Line)
	}
	if e.Line > 0 && e.Column > 0 {
		place += ":" + strconv.Itoa(e.Column)
	}
	return place + ": " + e.Message
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// envFileError keeps the line of an error of the env file parser and drops its text, which quotes the line.
func envFileError(path string, err error) error {
	if required, ok := errors.AsType[*template.MissingRequiredError](err); ok {
		return &ParseError{File: path, Message: required.Error()}
	}
	e := &ParseError{File: path, Message: "not an env file", Hint: "a line is KEY=VALUE, a comment or empty"}
	if m := regexp.MustCompile(`line (\d+): (unexpected character|unterminated quoted value|key cannot contain a space)`).FindStringSubmatch(err.Error()); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		e.Message = m[2]
	}
	return e
}

// loadError gives an error of compose-go its place and leaves out what it quotes of the files.
func (l *load) loadError(err error) error {
	if parse, ok := errors.AsType[*ParseError](err); ok {
		return parse
	}
	file := l.fileOf(err)
	if _, ok := errors.AsType[*yaml.LoadError](err); ok {
		return yamlError(file, err)
	}
	text := err.Error()
	if m := regexp.MustCompile(`invalid interpolation format for ([^\n]+)\.\n`).FindStringSubmatch(text); m != nil {
		e := &ParseError{File: file, Message: "invalid interpolation in " + m[1], Hint: "write a literal $ as $$"}
		return l.pointAt(e, m[1])
	}
	message := strings.TrimPrefix(text, fmt.Sprintf("validating %s: ", file))
	e := &ParseError{File: file, Message: firstLine(message)}
	if key, ok := strings.CutSuffix(e.Message, " false schema"); ok { // the schema validator's words for an unknown key
		e.Message = key + " is not a key that compose knows"
	}
	if required, ok := errors.AsType[*template.MissingRequiredError](err); ok {
		e.Hint = fmt.Sprintf("set %s in the shell, in .env or with --env-file", required.Variable)
	}
	return l.pointAt(e, pathIn(message))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// fileOf finds the file an error is about in its text; the first compose file when it names none.
func (l *load) fileOf(err error) string {
	m := regexp.MustCompile(`(?:failed to parse|validating|failed to read) (/[^\n]*?): `).FindStringSubmatch(err.Error())
	if m == nil {
		return l.files[0].Path
	}
	return m[1]
}

// pathIn is the place in the model that a message names: services.app.ports.
func pathIn(message string) string {
	if m := regexp.MustCompile(`(?:service|service:) "([^"]+)"`).FindStringSubmatch(message); m != nil {
		return "services." + m[1]
	}
	return regexp.MustCompile(`(?:services|networks|volumes|secrets|configs|include)\.[^\s:]+`).FindString(message)
}

// pointAt adds the line of the deepest key on path that a top-level file has.
func (l *load) pointAt(e *ParseError, path string) error {
	path = strings.TrimRight(strings.ReplaceAll(path, ".[]", ""), ".")
	depth := 0
	for _, doc := range l.docs {
		key := at(doc.root, path)
		if key == nil {
			continue
		}
		named := strings.Contains(e.Message, "interpolat") || doc.file == e.File
		if d := depthOf(doc.root, path); d > depth && named {
			depth = d
			e.File, e.Line, e.Column = doc.file, key.Line, key.Column
		}
	}
	return e
}

func depthOf(root *yaml.Node, path string) int {
	depth := 0
	for n := root; path != ""; depth++ {
		p, ok := longestKey(n, path)
		if !ok {
			return depth
		}
		n = deref(p.value)
		path = strings.TrimPrefix(strings.TrimPrefix(path, p.key.Value), ".")
	}
	return depth
}
