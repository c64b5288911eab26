package policy

import (
	"bytes"
	"fmt"
	"reflect"
	"unicode/utf8"
)

// maxSize is the largest policy file read, in bytes.
const maxSize = 1 << 20

// Parse reads every policy of one file, fills in the defaults and validates it. name is what messages call the file.
// A file may hold several documents; empty ones are skipped, and a file without any policy is an error.
// The error is [Problems], with everything that is wrong with the file; the policies are then nil.
func Parse(name string, data []byte) ([]Policy, error) {
	top := Origin{File: name, Line: 1, Column: 1}
	if len(data) > maxSize {
		return nil, Problems{{top, fmt.Sprintf("the file is larger than %d KiB", maxSize>>10), "split it"}}
	}
	if !utf8.Valid(data) {
		return nil, Problems{{top, "the file is not UTF-8 text", "save it as UTF-8"}}
	}
	var policies []Policy
	var problems Problems
	for _, doc := range splitDocuments(name, bytes.TrimPrefix(data, []byte("\uFEFF"))) {
		p, found := parseDocument(doc)
		problems = append(problems, found...)
		if p != nil {
			policies = append(policies, *p)
		}
	}
	if len(policies) == 0 && len(problems) == 0 {
		problems = Problems{{top, "the file holds no policy", fmt.Sprintf("begin with apiVersion: %s and kind: %s", APIVersion, Kind)}}
	}
	if err := problems.errorOrNil(); err != nil {
		return nil, err
	}
	return policies, nil
}

// parseDocument returns nil and no problems for an empty document.
func parseDocument(doc document) (*Policy, Problems) {
	root, problem := doc.root()
	if problem != nil {
		return nil, Problems{*problem}
	}
	if root == nil {
		return nil, nil
	}
	d := newDecoder(doc)
	p := &Policy{}
	d.decode(root, reflect.ValueOf(p).Elem(), "")
	p.Digest = doc.digest()
	v := &validator{decoder: d}
	if foreign := v.header(p); foreign != nil {
		return nil, foreign
	}
	v.policy(p)
	if len(d.problems) == 0 {
		if problem := d.secondReading(p); problem != nil {
			return nil, Problems{*problem}
		}
	}
	setDefaults(p)
	return p, d.problems
}
