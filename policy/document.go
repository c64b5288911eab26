package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// document is one YAML document of a file, before it is looked into.
type document struct {
	file  string
	data  []byte
	above int // lines of the file above it
}

// splitDocuments cuts a file at its document markers. YAML forbids a marker at the start of a line inside any scalar, so a
// line is enough to tell. Directives stay with the document below them.
func splitDocuments(file string, data []byte) []document {
	var documents []document
	start, above, line := 0, 0, 0
	cut := func(end, lines int) {
		documents = append(documents, document{file: file, data: data[start:end], above: above})
		start, above = end, lines
	}
	for at := 0; at < len(data); line++ {
		end := len(data)
		if n := bytes.IndexByte(data[at:], '\n'); n >= 0 {
			end = at + n + 1
		}
		switch {
		case isMarker(data[at:end], "---") && at > start && len(directives.Find(data[start:at])) < at-start:
			cut(at, line)
		case isMarker(data[at:end], "..."):
			cut(end, line+1)
		}
		at = end
	}
	cut(len(data), line)
	return documents
}

var (
	// directives matches what a document begins with above its marker: at least one directive among comments and blank lines.
	directives = regexp.MustCompile(`\A([ \t]*(#.*)?\r?\n)*%.*\n([ \t]*(#.*)?\r?\n|%.*\n)*`)
	// versionDirective is a version of YAML that may be named. The parsers refuse any but 1.1, and read 1.2 all the same.
	versionDirective = regexp.MustCompile(`(?m)^%(YAML[ \t]+1\.\d+[ \t\r]*(#.*)?)$`)
)

// text is the document as the parsers take it: with its version directive as a comment.
func (d document) text() []byte {
	above := directives.Find(d.data)
	return slices.Concat(versionDirective.ReplaceAll(above, []byte("#$1")), d.data[len(above):])
}

func isMarker(line []byte, marker string) bool {
	rest, found := bytes.CutPrefix(line, []byte(marker))
	return found && (len(rest) == 0 || strings.ContainsRune(" \t\r\n", rune(rest[0])))
}

// root returns the document's top node, or nil when the document is empty.
func (d document) root() (*yaml.Node, *Problem) {
	decoder := yaml.NewDecoder(bytes.NewReader(d.text()))
	var node, more yaml.Node
	err := decoder.Decode(&node)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, d.syntaxProblem(err)
	}
	if !errors.Is(decoder.Decode(&more), io.EOF) {
		return nil, &Problem{d.origin(&more), "text follows the end of the document", `begin another document with "---" on a line of its own`}
	}
	if len(node.Content) == 0 || node.Content[0].ShortTag() == "!!null" {
		return nil, nil
	}
	return node.Content[0], nil
}

func (d document) syntaxProblem(err error) *Problem {
	origin, message := Origin{File: d.file, Line: d.above + 1, Column: 1}, err.Error()
	if load, ok := errors.AsType[*yaml.LoadError](err); ok {
		origin, message = Origin{File: d.file, Line: d.above + max(load.Mark.Line, 1), Column: max(load.Mark.Column, 1)}, load.Message
	}
	if strings.HasPrefix(message, "unknown anchor ") { // what follows may be a secret that begins with *
		return &Problem{origin, "not valid YAML: no such anchor", "quote a value that begins with *"}
	}
	return &Problem{origin, "not valid YAML: " + message, ""}
}

func (d document) origin(node *yaml.Node) Origin {
	return Origin{File: d.file, Line: d.above + node.Line, Column: node.Column}
}

func (d document) digest() string {
	sum := sha256.Sum256(d.data)
	return fmt.Sprintf("sha256:%s", hex.EncodeToString(sum[:]))
}
