package report

import (
	"bytes"
	"errors"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/composure-dev/composure/internal/redact"
)

// secrets finds what must not be shown of a YAML file: the values of sensitive keys, in mappings and as KEY=value, all that
// stands below such a key, secrets inside other values, and what is commented out.
func (m masker) secrets(content []byte) ([]secret, error) {
	w := &walker{masker: m, scalars: map[*yaml.Node]bool{}, visited: map[visit]bool{}}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		for _, root := range document.Content {
			w.walk(root, "", false)
		}
	}
	s, err := newSource(content)
	if err != nil {
		return nil, err
	}
	return m.hide(s, s.tokens(w.scalars)), nil
}

// walker collects the scalars of a file and whether a key above makes them secret.
type walker struct {
	masker
	scalars map[*yaml.Node]bool
	visited map[visit]bool // an alias may be used very often
}

type visit struct {
	node   *yaml.Node
	secret bool
}

func (w *walker) walk(n *yaml.Node, at string, secret bool) {
	if w.visited[visit{n, secret}] {
		return
	}
	w.visited[visit{n, secret}] = true
	switch n.Kind {
	case yaml.ScalarNode:
		w.scalars[n] = w.scalars[n] || secret
	case yaml.AliasNode:
		// What it stands for is judged where it stands, and here only when here makes it secret.
		if secret {
			w.walk(n.Alias, at, secret)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			name := key
			if key.Kind == yaml.AliasNode {
				name = key.Alias
			}
			below := strings.TrimPrefix(at+"/"+name.Value, "/")
			hidden := secret || name.Kind != yaml.ScalarNode || w.sensitive(name.Value) && (value.Kind == yaml.ScalarNode || !named(below))
			w.walk(key, at, secret || name.Kind != yaml.ScalarNode)
			w.walk(value, below, hidden)
		}
	default:
		for _, child := range n.Content {
			w.walk(child, at, secret)
		}
	}
}

// named reports whether the key at a path is one that somebody chose for a part of the project, or Compose's own "secrets", which
// lists such names: a service called "auth" is no secret.
func named(at string) bool {
	return slices.ContainsFunc([]string{
		"secrets", "services/*", "networks/*", "volumes/*", "configs/*", "secrets/*", "models/*",
		"services/*/secrets", "services/*/build/secrets", "services/*/networks/*", "services/*/depends_on/*",
	}, func(pattern string) bool {
		matched, err := path.Match(pattern, at)
		return err == nil && matched
	})
}

// assigned is a name and what parts it from a value: NAME=, NAME: and "NAME": .
var assigned = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_.-]*)["']?[ \t]*(?:=|:(?:\s|$))`)

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// mentions returns where in text, which is a shell command, a file of its own or a comment, the first value of a sensitive name
// begins, or -1.
func (m masker) mentions(text string) int {
	for _, at := range assigned.FindAllStringSubmatchIndex(text, -1) {
		if m.sensitive(text[at[2]:at[3]]) {
			return at[1]
		}
	}
	return -1
}

// hide returns what is secret of the tokens and of the comments between them.
func (m masker) hide(s source, tokens []token) []secret {
	var found []secret
	comments := commentMasker{masker: m, source: s, open: -2}
	at := 0
	for _, t := range tokens {
		found = append(found, comments.between(at, t.start)...)
		if hidden, ok := m.token(s, t); ok {
			found = append(found, hidden)
		}
		at = t.end
	}
	found = append(found, comments.between(at, len(s.content))...)
	return found
}

// token is what is secret of one scalar.
func (m masker) token(s source, t token) (hidden secret, ok bool) {
	text, value := s.content[t.start:t.end], t.node.Value
	whole := secret{t.start, t.end, redact.Mask}
	key, assigned, isPair := strings.Cut(value, "=")
	switch {
	case t.start == t.end:
		return secret{}, false
	case t.secret || t.unsure:
		return whole, true
	case isPair && variable.MatchString(key) && m.sensitive(key):
		if strings.HasPrefix(text, key+"=") {
			whole.start += len(key) + 1
		}
		return whole, assigned != ""
	case m.mentions(value) >= 0:
		return whole, true
	}
	shown := redact.Value(value, false)
	if shown != value && text == value {
		whole.shown = shown
	}
	return whole, shown != value
}

var comment = regexp.MustCompile(`(?m)(?:^|[ \t])(#.*)$`)

// commentMasker masks comments in order: a value that is commented out may go on in the comments below.
type commentMasker struct {
	masker
	source
	open int // the line, from 0, up to which one goes on
}

func (c *commentMasker) between(start, end int) []secret {
	var found []secret
	for _, at := range comment.FindAllStringSubmatchIndex(c.content[start:end], -1) {
		from, to := start+at[2], start+at[3]
		line := c.lineAt(from)
		text := c.content[from:to]
		own := strings.TrimSpace(c.content[c.lines[line]:from]) == ""
		value := c.mentions(text)
		shown := redact.Value(text, false)
		switch {
		case own && line > 0 && c.open == line-1 && len(text) > 1:
			found = append(found, secret{from + 1, to, redact.Mask})
			c.open = line
		case value >= 0:
			found = append(found, secret{from + value, to, redact.Mask})
			c.open = line
		case shown != text:
			found = append(found, secret{from, to, shown})
		}
	}
	return found
}
