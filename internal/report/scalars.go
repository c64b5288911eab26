package report

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/composure-dev/composure/internal/envfile"
	"github.com/composure-dev/composure/internal/redact"
	"github.com/composure-dev/composure/internal/syntax"
)

// secrets finds what must not be shown of a YAML file: the values of sensitive keys, in mappings and as KEY=value, all that
// stands below such a key, secrets inside other values, and what is commented out.
func (m masker) secrets(content []byte) ([]secret, error) {
	f, err := syntax.Parse(content)
	switch {
	case err != nil:
		return nil, err
	case !f.Exact():
		return nil, errPlaces
	}
	w := &walker{masker: m, scalars: map[*yaml.Node]bool{}, visited: map[visit]bool{}}
	for _, root := range f.Roots {
		if root != nil {
			w.walk(root, "", false)
		}
	}
	return m.hide(f, tokens(f, w.scalars)), nil
}

// envSecrets is secrets for an env file. What follows a secret value on its line may be part of it: that depends on the format.
func (m masker) envSecrets(content []byte) ([]secret, error) {
	f := syntax.Open(content)
	if !f.Exact() {
		return nil, errPlaces
	}
	var found []secret
	comments := commentMasker{masker: m, file: f, open: -2}
	at := 0
	for _, s := range envfile.Scan(content) {
		if s.ValueStart < at {
			continue // on the line of one that is hidden
		}
		found = append(found, comments.between(at, s.ValueStart)...)
		at = s.ValueEnd
		if m.sensitive(s.Key) || redact.Value(s.Text, false) != s.Text {
			found = append(found, secret{s.ValueStart, s.End, redact.Mask})
			at = s.End
		}
	}
	return append(found, comments.between(at, len(content))...), nil
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
func (m masker) hide(f *syntax.File, tokens []token) []secret {
	var found []secret
	comments := commentMasker{masker: m, file: f, open: -2}
	at := 0
	for _, t := range tokens {
		found = append(found, comments.between(at, t.start)...)
		if hidden, ok := m.token(f, t); ok {
			found = append(found, hidden)
		}
		at = t.end
	}
	found = append(found, comments.between(at, len(f.Data))...)
	return found
}

// token is what is secret of one scalar.
func (m masker) token(f *syntax.File, t token) (hidden secret, ok bool) {
	text, value := string(f.Data[t.start:t.end]), t.node.Value
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
	file *syntax.File
	open int // the line up to which one goes on
}

func (c *commentMasker) between(start, end int) []secret {
	var found []secret
	for _, at := range comment.FindAllSubmatchIndex(c.file.Data[start:end], -1) {
		from, to := start+at[2], start+at[3]
		line := c.file.Line(from)
		text := string(c.file.Data[from:to])
		own := ownLine(c.file, from)
		value := c.mentions(text)
		shown := redact.Value(text, false)
		switch {
		case own && c.open == line-1 && len(text) > 1:
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
