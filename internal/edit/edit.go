// Package edit changes environment declarations in compose files byte by byte: what is not the intended line stays as it is.
//
// Every edit is proved before it is returned: the result is parsed again, and its data must differ from the original's in exactly
// the intended keys of the intended services. What cannot be proved is refused with a reason; nothing is guessed. The package is
// pure.
//
// The file is the horizon here: which services of other files extend or override one of this file, the caller has to look at.
package edit

import (
	"fmt"
	"strings"
)

// Change declares one key of one service's environment, or takes it out.
type Change struct {
	Service string
	Key     string
	// Text is the value as it is to stand in the file, with ${...} and $$.
	Text string
	// Bare writes the key without a value; Text is not used then.
	Bare bool
	// Remove takes the key out, wherever the file sets it.
	Remove bool
	// Create adds the service to the file if the file does not define it.
	Create bool
	// Sensitive text is never shown: a refusal's hint has a mask in its place.
	Sensitive bool
}

// Result is the edited file. Applied and Refused together hold every change, each in the given order; a change that the file
// satisfied already is in Applied and moved no byte.
type Result struct {
	Content []byte
	Applied []Change
	Refused []*Refusal
}

// Apply makes changes, in order but for removals, which come last, to data, the content of the compose file called name. Refused
// changes are left out, the others are made all the same. The error tells that the file is not YAML; nothing can be edited then.
//
// Of several changes of one key the last counts. A key that the block lacks is added at its end. What several services share
// through an anchor is changed only when all of them are to have that change; otherwise the key is written beside the merge, or the
// change is refused. Content is data itself when no byte had to move.
func Apply(name string, data []byte, changes []Change) (Result, error) {
	original, err := parse(data)
	if err != nil {
		return Result{}, fmt.Errorf("parse compose file %q: %w", name, err)
	}
	e := &editor{changes: changes}
	current := original
	refused := make([]*Refusal, len(changes))
	for _, i := range removalsLast(changes) {
		next, refusal := e.apply(current, changes[i])
		if refusal == nil {
			current = next
			continue
		}
		if refused[i] = refusal; current != original {
			refusal.Line = original.lineOf(refusal, changes)
		}
	}
	for i, change := range changes { // what stood against one may have been changed by a later one
		if refused[i] == nil || current == original {
			continue
		}
		if next, refusal := e.apply(current, change); refusal == nil {
			current, refused[i] = next, nil
		}
	}
	result := Result{Content: data}
	for i, change := range changes {
		// What was refused may have come with what another service that shares the block was given.
		if refused[i] != nil && !current.satisfies(change) {
			result.Refused = append(result.Refused, refused[i])
			continue
		}
		result.Applied = append(result.Applied, change)
	}
	if current == original {
		return result, nil
	}
	if e.steps == 1 {
		result.Content = current.Data // it was proved already
		return result, nil
	}
	if problem := (proof{before: original, after: current, intended: result.Applied, touched: e.touched}).check(); problem != nil {
		return refuseAll(original, changes), nil
	}
	result.Content = current.Data
	return result, nil
}

// removalsLast are the indexes of the changes in the order in which they are made: a block whose only key goes is still there to take
// another one.
func removalsLast(changes []Change) []int {
	var order, removals []int
	for i, change := range changes {
		if change.Remove {
			removals = append(removals, i)
			continue
		}
		order = append(order, i)
	}
	return append(order, removals...)
}

// lineOf is the line of a refusal in the file as it was, if it is refused there too: other changes may have moved the lines.
func (d *document) lineOf(refusal *Refusal, changes []Change) int {
	if _, first := (&editor{changes: changes}).apply(d, refusal.Change); first != nil && first.Reason == refusal.Reason {
		return first.Line
	}
	return 0
}

// editor carries out the changes of one call.
type editor struct {
	changes []Change
	steps   int     // how many changes moved bytes
	touched []place // the fragments, outside of services' own blocks, that were changed so far
}

// apply returns the document with one change made and proved; the document itself when it is satisfied already.
func (e *editor) apply(d *document, change Change) (*document, *Refusal) {
	if refusal := d.unfit(change); refusal != nil {
		return nil, refusal
	}
	if d.satisfies(change) {
		return d, nil
	}
	planner := &planner{document: d, change: change}
	drafts, refusal := planner.drafts()
	if refusal != nil {
		return nil, refusal
	}
	for _, draft := range drafts {
		next, problem := e.prove(d, change, draft)
		if next != nil {
			e.steps++
			e.touched = append(e.touched, draft.touched...)
			return next, nil
		}
		refusal = better(refusal, d.explain(change, problem, draft))
	}
	if refusal == nil {
		refusal = d.refuse(change, ReasonUnproven, 0)
	}
	return nil, refusal
}

// prove returns the edited document, or what is wrong with it.
func (e *editor) prove(d *document, change Change, draft draft) (*document, problem) {
	next, err := parse(draft.data)
	if err != nil {
		return nil, problem{data: true, dangling: strings.Contains(err.Error(), "unknown anchor")}
	}
	p := proof{before: d, after: next, intended: e.changes, touched: draft.touched}
	if found := p.check(); found != nil {
		return nil, *found
	}
	if !next.satisfies(change) {
		return nil, problem{data: true}
	}
	return next, problem{}
}

// better is the refusal that says more: the first one, unless a later one knows a reason that it does not.
func better(a, b *Refusal) *Refusal {
	if a == nil || a.Reason == ReasonUnproven {
		return b
	}
	return a
}

func refuseAll(d *document, changes []Change) Result {
	result := Result{Content: d.Data}
	for _, change := range changes {
		if d.satisfies(change) {
			result.Applied = append(result.Applied, change)
			continue
		}
		result.Refused = append(result.Refused, d.refuse(change, ReasonUnproven, 0))
	}
	return result
}
