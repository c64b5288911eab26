package compose

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/composure-dev/composure/internal/syntax"
)

// document is one YAML document of a file. root is nil when the document is empty.
type document struct {
	file string
	root *yaml.Node
	tags []tag
	read map[*yaml.Node][]tag // see spot
}

func (d document) top() spot { return spot{node: d.root, read: d.read} }

// parseFile reads every document of a file into nodes, which keep their places. Aliases are not expanded.
func parseFile(path string, content []byte) ([]document, error) {
	parsed, err := syntax.Parse(content)
	if err != nil {
		return nil, yamlError(path, err)
	}
	docs := make([]document, 0, len(parsed.Roots))
	for _, root := range parsed.Roots {
		if root != nil && root.Kind != yaml.MappingNode && root.ShortTag() != "!!null" {
			return nil, &ParseError{
				File: path, Line: root.Line, Column: root.Column,
				Message: "a compose file is a mapping of keys such as services and volumes",
			}
		}
		found := tagsOf(root)
		docs = append(docs, document{file: path, root: root, tags: found.tags, read: found.known})
	}
	return docs, nil
}

var linePrefix = regexp.MustCompile(`^line (\d+): (.*)`)

// yamlError turns an error of the YAML parser into one with a place. Text in backquotes and the names of anchors are content
// and are left out.
func yamlError(path string, err error) *ParseError {
	e := &ParseError{File: path, Message: "invalid YAML"}
	if load, ok := errors.AsType[*yaml.LoadError](err); ok {
		e.Line, e.Column, e.Message = load.Mark.Line, load.Mark.Column, withoutQuoted(load.Message)
	}
	if m := linePrefix.FindStringSubmatch(e.Message); m != nil { // nearer than the mark, which is the document's
		e.Line, _ = strconv.Atoi(m[1])
		e.Column, e.Message = 0, m[2]
	}
	if strings.HasPrefix(e.Message, "unknown anchor ") {
		e.Message, e.Hint = "no such anchor", "quote a value that begins with *"
	}
	if strings.HasPrefix(e.Message, "anchor ") {
		e.Message = "an anchor holds itself"
	}
	if strings.Contains(e.Message, "cannot start any token") {
		e.Hint = "indent with spaces, not tabs, and quote values that begin with a special character"
	}
	return e
}

func withoutQuoted(s string) string {
	for {
		before, rest, ok := strings.Cut(s, "`")
		if !ok {
			return s
		}
		_, after, ok := strings.Cut(rest, "`")
		if !ok {
			return before + "…"
		}
		s = before + "…" + after
	}
}

// at follows a dotted path as far as it goes and returns the last key found, for pointing at. Keys may hold dots themselves.
func at(root *yaml.Node, path string) *yaml.Node {
	var last *yaml.Node
	for n := root; path != ""; {
		p, ok := longestKey(n, path)
		if !ok {
			return last
		}
		last, n = p.Key, syntax.Deref(p.Value)
		path = strings.TrimPrefix(strings.TrimPrefix(path, p.Key.Value), ".")
	}
	return last
}

func longestKey(mapping *yaml.Node, path string) (syntax.Pair, bool) {
	var best syntax.Pair
	for _, p := range syntax.Pairs(mapping) {
		rest, ok := strings.CutPrefix(path, p.Key.Value)
		if !ok || (rest != "" && rest[0] != '.') {
			continue
		}
		if best.Key == nil || len(p.Key.Value) > len(best.Key.Value) {
			best = p
		}
	}
	return best, best.Key != nil
}
