package compose

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/template"
	"go.yaml.in/yaml/v4"

	"github.com/composure-dev/composure/internal/envfile"
	"github.com/composure-dev/composure/internal/syntax"
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

// envFileError gives an error of the env file parser its line and drops its text, which quotes that line.
func envFileError(f File, err error) error {
	e := &ParseError{File: f.Path, Message: "not an env file", Hint: "a line is KEY=VALUE, a comment or empty"}
	if m := regexp.MustCompile(`line (\d+): (unexpected character|unterminated quoted value|key cannot contain a space)`).FindStringSubmatch(err.Error()); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		e.Message = m[2]
	}
	required, isRequired := errors.AsType[*template.MissingRequiredError](err)
	_, isTemplate := errors.AsType[*template.InvalidTemplateError](err)
	switch {
	case isRequired:
		e.Message, e.Hint = fmt.Sprintf("required variable %s is missing a value", required.Variable), setHint(required)
	case isTemplate:
		e.Message, e.Hint = "invalid interpolation", "write a literal $ as $$"
	}
	for _, s := range envfile.Scan(f.Content) {
		if breaks(s, required) {
			e.Line = s.Line
			break
		}
	}
	return e
}

// breaks tells whether the statement by itself is one that cannot be read or, if required is not nil, that requires the same.
func breaks(s envfile.Statement, required *template.MissingRequiredError) bool {
	_, err := dotenv.UnmarshalWithLookup(s.Raw+"\n", nil)
	own, isRequired := errors.AsType[*template.MissingRequiredError](err)
	if required != nil {
		return isRequired && own.Variable == required.Variable
	}
	return err != nil && !isRequired
}

func setHint(required *template.MissingRequiredError) string {
	return fmt.Sprintf("set %s in the shell, in .env or with --env-file", required.Variable)
}

// loadError gives an error of compose-go its place and leaves out what it quotes of the files.
func (l *load) loadError(err error) error {
	placed := l.placed(err)
	if IsUnreadable(readError(err)) {
		return unreadable{placed} // it has looked for a file itself
	}
	return placed
}

func (l *load) placed(err error) error {
	if parse, ok := errors.AsType[*ParseError](err); ok {
		return parse
	}
	file := l.fileOf(err)
	if _, ok := errors.AsType[*yaml.LoadError](err); ok {
		return yamlError(file, err)
	}
	text := err.Error()
	if strings.HasPrefix(text, fmt.Sprintf("failed to read %s: ", file)) { // the env file parser's words, for label files too
		content, _ := l.read(file) // it has just been read; without its text there is no line
		return envFileError(newFile(file, content), err)
	}
	if strings.Contains(text, "json: unsupported value: ") {
		return l.infinite(file)
	}
	if m := regexp.MustCompile(`invalid interpolation format for ([^\n]+)\.\n`).FindStringSubmatch(text); m != nil {
		e := &ParseError{File: file, Message: "invalid interpolation in " + m[1], Hint: "write a literal $ as $$"}
		return l.pointAt(e, m[1])
	}
	message, path := cause(strings.TrimPrefix(text, fmt.Sprintf("validating %s: ", file)))
	e := &ParseError{File: file, Message: message}
	if required, ok := errors.AsType[*template.MissingRequiredError](err); ok {
		e.Hint = setHint(required)
		return l.pointAt(e, path)
	}
	e.Message = withoutContent(message)
	return l.pointAt(e, path)
}

var (
	decodingCause = regexp.MustCompile(`^'([^']+)' (.*)`)
	unknownKey    = regexp.MustCompile(`^(\S*?) ?(?:false schema|additional properties '([^']+)'.* not allowed)$`)
)

// cause is the line of an error of compose-go that says what is wrong, and the place in the model that it speaks of.
func cause(text string) (message, path string) {
	message = text
	if _, below, ok := strings.Cut(text, "decoding failed due to the following error(s):"); ok {
		message = below
	}
	message, _, _ = strings.Cut(strings.TrimSpace(message), "\n")
	message = strings.Join(strings.Fields(message), " ")
	if m := decodingCause.FindStringSubmatch(message); m != nil {
		path = strings.NewReplacer("[", ".", "]", "").Replace(m[1])
		return path + ": " + m[2], path
	}
	if m := unknownKey.FindStringSubmatch(message); m != nil {
		path = strings.Trim(m[1]+"."+m[2], ".")
		return path + " is not a key that compose knows", path
	}
	return message, pathIn(message)
}

var (
	quoted    = regexp.MustCompile("(\\w+ )?(\"(?:[^\"\\\\]|\\\\.)*\"|'[^']*'|`[^`]*`)")
	bareValue = regexp.MustCompile(`(invalid [a-zA-Z ]+:|missing IP:|(?:invalid|unsupported)(?: expose)? value) .*`)
	named     = regexp.MustCompile(`^(service|network|volume|config|secret|model|job|pattern|key|by|in) $`)
)

// withoutContent leaves out of a message what it repeats of a file's values. Names stay, and so does what the schema wants.
func withoutContent(message string) string {
	if strings.Contains(message, " must ") {
		return message
	}
	message = quoted.ReplaceAllStringFunc(message, func(match string) string {
		word := quoted.FindStringSubmatch(match)[1]
		if named.MatchString(word) {
			return match
		}
		return word + "…"
	})
	return strings.TrimSuffix(bareValue.ReplaceAllString(message, "$1"), ":")
}

// infinite is the error for a number that compose-go cannot validate: JSON has none for it.
func (l *load) infinite(file string) error {
	e := &ParseError{File: file, Message: "an unquoted infinite or not-a-number value is not supported yet", Hint: "quote it"}
	for _, doc := range l.docs {
		if n := infinity(doc.root, map[*yaml.Node]bool{}); n != nil {
			e.File, e.Line, e.Column = doc.file, n.Line, n.Column
			break
		}
	}
	return e
}

// infinity finds the first scalar that YAML reads as infinite or as no number.
func infinity(n *yaml.Node, seen map[*yaml.Node]bool) *yaml.Node {
	var number float64
	if n == nil || seen[n] {
		return nil
	}
	seen[n] = true
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!float" && n.Decode(&number) == nil && (number-number != 0) {
		return n
	}
	for _, child := range n.Content {
		if found := infinity(child, seen); found != nil {
			return found
		}
	}
	return nil
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
		n = syntax.Deref(p.Value)
		path = strings.TrimPrefix(strings.TrimPrefix(path, p.Key.Value), ".")
	}
	return depth
}
