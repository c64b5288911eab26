// Package envfile reads an env file (.env, --env-file, a service's env_file) as its author wrote it, its statements with the
// bytes they occupy, and changes single statements byte by byte: what is not the intended statement stays as it is.
//
// Every edit is proved before it is returned: compose-go reads the result in several environments, and it must differ from the
// original in exactly the intended keys. What cannot be proved is refused with a reason; nothing is guessed.
// The package is pure: bytes in, bytes out.
package envfile

import (
	"fmt"
	"maps"
)

// FormatRaw is the env_file format without quotes, comments behind values and interpolation.
const FormatRaw = "raw"

// Change sets one key to Text, or takes it out.
type Change struct {
	Key string
	// Text is the value before interpolation: ${X:-true} depends on the environment, $$ is a dollar. In the format raw it is the
	// value itself.
	Text string
	// Remove takes every statement of the key out, with the comments on its lines.
	Remove bool
	// Sensitive text is never shown: a refusal's hint has a mask in its place.
	Sensitive bool
}

// Result is the edited file. Applied and Refused together hold every change, each in the given order;
// a change that the file satisfied already is in Applied and moved no byte.
type Result struct {
	Content []byte
	Applied []Change
	Refused []*Refusal
}

// Apply makes changes, in order, to data, the content of the env file called name, whose format is "" or [FormatRaw]. Refused
// changes are left out, the others are made all the same. The error tells that compose cannot read the file, or that there is
// no such format; nothing can be edited then. It never holds what the file does.
//
// Of several statements of a key compose takes the last, and that is the one that changes. A key that the file lacks is added
// below the last statement: a comment or a commented-out variable at the end of the file stays there, because a statement
// below it would look as if it belonged to it. It is written as all the statements are, if they agree and are at least two:
// with export, indented, with ": " or " = ". Quotes stay what they are as long as they can hold the text, and are added where
// they are needed. A file without a line break at its end gets none, but an empty one does.
//
// Changes are made one after the other, and each is proved: of two that depend on each other, the one whose value is
// interpolated into the other comes last. Content is data itself when no byte had to move.
func Apply(name string, data []byte, format string, changes []Change) (Result, error) {
	if format != "" && format != FormatRaw {
		return Result{}, fmt.Errorf("edit env file %q: unsupported format %q", name, format)
	}
	original := open(data, format)
	if reason := original.unfit(); reason != "" {
		return original.refuseAll(changes, reason), nil
	}
	e := newEditor(original, changes)
	if err := e.check(original); err != nil {
		return Result{}, fmt.Errorf("parse env file %q: %w", name, err)
	}
	result := Result{Content: data}
	current, moves := original, 0
	for _, change := range changes {
		next, refusal := e.apply(current, change)
		if refusal != nil {
			result.Refused = append(result.Refused, refusal)
			continue
		}
		result.Applied = append(result.Applied, change)
		e.applied[change.Key] = change
		if next != current {
			current, moves = next, moves+1
		}
	}
	if moves > 1 { // what a single change did is proved already
		if _, ok := e.prove(proof{before: original, after: current, intended: e.applied}); !ok {
			return original.refuseAll(changes, ReasonUnproven), nil
		}
	}
	result.Content = current.data
	return result, nil
}

// editor makes the changes of one call.
type editor struct {
	own     map[string]bool   // the keys of the file and of the changes
	applied map[string]Change // by key; of several changes the last
}

func newEditor(f *file, changes []Change) *editor {
	e := &editor{own: map[string]bool{}, applied: map[string]Change{}}
	for _, t := range f.tokens {
		e.own[t.Key] = true
	}
	for _, c := range changes {
		e.own[c.Key] = true
	}
	return e
}

// apply returns the file with one change made and proved; the file itself when it is satisfied already.
func (e *editor) apply(f *file, change Change) (*file, *Refusal) {
	if reason := e.invalid(f.format, change); reason != "" {
		return nil, f.refuse(change, reason)
	}
	intended := maps.Clone(e.applied)
	intended[change.Key] = change
	if f.satisfies(change) {
		if _, ok := e.prove(proof{f, f, intended, change.Key}); ok {
			return f, nil
		}
	}
	edited, reason := f.edit(change)
	if reason != "" {
		return nil, f.refuse(change, reason)
	}
	next := open(edited, f.format)
	if next.unfit() != "" {
		return nil, f.refuse(change, ReasonUnproven)
	}
	shared, ok := e.prove(proof{f, next, intended, change.Key})
	shared = append(shared, f.mentions(change, intended)...)
	if len(shared) > 0 {
		return nil, f.refuse(change, ReasonShared, shared...)
	}
	if !ok {
		return nil, f.refuse(change, ReasonUnproven)
	}
	return next, nil
}
