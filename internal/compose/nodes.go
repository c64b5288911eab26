package compose

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// document is one YAML document of a file. root is nil when the document is empty.
type document struct {
	file string
	root *yaml.Node
}

// parseFile reads every document of a file into nodes, which keep their places. Aliases are not expanded.
func parseFile(path string, content []byte) ([]document, error) {
	var docs []document
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var n yaml.Node
		err := decoder.Decode(&n)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, yamlError(path, err)
		}
		doc := document{file: path}
		if n.Kind == yaml.DocumentNode && len(n.Content) == 1 {
			doc.root = deref(n.Content[0])
		}
		if doc.root != nil && doc.root.Kind != yaml.MappingNode && doc.root.ShortTag() != "!!null" {
			return nil, &ParseError{
				File: path, Line: doc.root.Line, Column: doc.root.Column,
				Message: "a compose file is a mapping of keys such as services and volumes",
			}
		}
		docs = append(docs, doc)
	}
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

// pair is one entry of a mapping.
type pair struct {
	key, value *yaml.Node
}

// deref follows an alias. The parser refuses an alias to an alias.
func deref(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isMerge(key *yaml.Node) bool {
	return key.Kind == yaml.ScalarNode && key.Value == "<<" && (key.Tag == "" || key.ShortTag() == "!!merge")
}

// own are the entries that a mapping itself writes down, merge keys left out.
func own(mapping *yaml.Node) []pair {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return nil
	}
	var out []pair
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if key := mapping.Content[i]; !isMerge(key) {
			out = append(out, pair{key, mapping.Content[i+1]})
		}
	}
	return out
}

// merged are the mappings that the merge keys of a mapping bring in, in order of precedence.
func merged(mapping *yaml.Node) []*yaml.Node {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return nil
	}
	var out []*yaml.Node
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if !isMerge(mapping.Content[i]) {
			continue
		}
		source := deref(mapping.Content[i+1])
		if source.Kind == yaml.SequenceNode {
			out = append(out, items(source)...)
			continue
		}
		out = append(out, source)
	}
	return out
}

// pairs are the entries of a mapping with those that its merge keys bring in: an explicit key beats a merged one, the first
// of several merged ones wins.
func pairs(mapping *yaml.Node) []pair {
	var out []pair
	keys := map[string]bool{}
	seen := map[*yaml.Node]bool{}
	var visit func(*yaml.Node)
	visit = func(m *yaml.Node) {
		if m == nil || seen[m] { // seen also ends a bomb: taking a mapping twice changes nothing
			return
		}
		seen[m] = true
		for _, p := range own(m) {
			if !keys[p.key.Value] {
				keys[p.key.Value] = true
				out = append(out, p)
			}
		}
		for _, source := range merged(m) {
			visit(source)
		}
	}
	visit(deref(mapping))
	return out
}

// found is what a mapping has under a key.
type found struct {
	key, node *yaml.Node // both nil: nothing; node is not an alias
	aliased   bool       // the value is written as an alias
	merged    bool       // a merge key brings it in
}

func lookup(mapping *yaml.Node, key string) found {
	for i, p := range pairs(mapping) {
		if p.key.Value == key {
			return found{
				key: p.key, node: deref(p.value),
				aliased: p.value.Kind == yaml.AliasNode, merged: i >= len(own(deref(mapping))),
			}
		}
	}
	return found{}
}

func child(mapping *yaml.Node, key string) *yaml.Node { return lookup(mapping, key).node }

// items are the elements of a sequence, aliases followed.
func items(sequence *yaml.Node) []*yaml.Node {
	if sequence == nil || sequence.Kind != yaml.SequenceNode {
		return nil
	}
	out := make([]*yaml.Node, len(sequence.Content))
	for i, n := range sequence.Content {
		out[i] = deref(n)
	}
	return out
}

// at follows a dotted path as far as it goes and returns the last key found, for pointing at. Keys may hold dots themselves.
func at(root *yaml.Node, path string) *yaml.Node {
	var last *yaml.Node
	for n := root; path != ""; {
		p, ok := longestKey(n, path)
		if !ok {
			return last
		}
		last, n = p.key, deref(p.value)
		path = strings.TrimPrefix(strings.TrimPrefix(path, p.key.Value), ".")
	}
	return last
}

func longestKey(mapping *yaml.Node, path string) (pair, bool) {
	var best pair
	for _, p := range pairs(mapping) {
		rest, ok := strings.CutPrefix(path, p.key.Value)
		if !ok || (rest != "" && rest[0] != '.') {
			continue
		}
		if best.key == nil || len(p.key.Value) > len(best.key.Value) {
			best = p
		}
	}
	return best, best.key != nil
}
