package policy

import (
	"bytes"
	"encoding/json"

	sigsyaml "sigs.k8s.io/yaml"
)

// secondReading reads the document again with sigs.k8s.io/yaml, the reader of the Kubernetes tools, and wants the same policy.
// The two readers follow different YAML versions; a document that they understand differently (a plain 010, for one) is refused
// rather than enforced in the sense its author did not mean. p is as it was read, before defaults.
func (d *decoder) secondReading(p *Policy) *Problem {
	var other Policy
	err := sigsyaml.Unmarshal(d.text(), &other)
	if err == nil {
		first, errFirst := json.Marshal(p)
		second, errSecond := json.Marshal(other)
		if errFirst == nil && errSecond == nil && bytes.Equal(first, second) {
			return nil
		}
	}
	return &Problem{
		Origin{File: d.file, Line: d.above + 1, Column: 1},
		"the document means different things to readers of YAML 1.1 and 1.2",
		"quote strings, and write numbers in plain decimal form",
	}
}
