// Package edit changes environment declarations in compose files byte by byte: what is not the intended line stays as it is.
//
// Every edit is proved before it is returned: the result is parsed again and must differ from the original in exactly the
// intended keys. What cannot be proved, or is of a form not supported yet, is refused with a reason; nothing is guessed.
// The package is pure.
package edit

import (
	"fmt"
	"unicode/utf8"

	"github.com/composure-dev/composure/internal/redact"
)

// Change sets one key of one service's environment block to Text, as it is to stand in the file (with ${...} and $$).
type Change struct {
	Service string
	Key     string
	Text    string
	// Sensitive text is never shown: a refusal's hint has a mask in its place.
	Sensitive bool
}

// Reason is why an edit is refused. The list is closed.
type Reason string

// The reasons.
const (
	ReasonFlow           Reason = "flow"            // the block or the service is written as {...} or [...]
	ReasonAlias          Reason = "alias"           // services, the service or its environment is *alias
	ReasonMerge          Reason = "merge"           // the environment is inherited through <<: an own block would replace it
	ReasonAnchorShared   Reason = "anchor-shared"   // what would change is anchored and used elsewhere in the file
	ReasonExtended       Reason = "extended"        // another service of the file extends this one and would change too
	ReasonTagged         Reason = "tagged"          // an explicit tag such as !override stands on the way to the value
	ReasonNullBlock      Reason = "null-block"      // the service or its environment is empty
	ReasonDuplicateKey   Reason = "duplicate-key"   // a key on the way to the value stands twice in its mapping
	ReasonMultiDocument  Reason = "multi-document"  // the file holds several YAML documents
	ReasonBlockScalar    Reason = "block-scalar"    // the value is a literal or folded one, or one ends the file without a line break
	ReasonComplexKey     Reason = "complex-key"     // the block is written with "? key"
	ReasonServiceMissing Reason = "service-missing" // the file does not define the service
	ReasonNotAMapping    Reason = "not-a-mapping"   // something on the way, or an entry of the block, is of another kind than compose expects
	ReasonEncoding       Reason = "encoding"        // not UTF-8, or line breaks other than LF and CRLF
	ReasonInvalidKey     Reason = "invalid-key"     // the key is empty or holds "=", spaces or control characters
	ReasonUnproven       Reason = "unproven"        // the edited file did not read back as exactly the intended change
)

// Refusal tells that a change cannot be made, and what a person can do instead.
// Message never holds the text of the change. Hint does as far as it may be shown: see [Change.Sensitive].
type Refusal struct {
	Change  Change
	Reason  Reason
	Line    int // 1-based, 0 unknown
	Message string
	Hint    string
}

// Result is the edited file. Applied and Refused together hold every change, each in the given order;
// a change that the file satisfied already is in Applied and moved no byte.
type Result struct {
	Content []byte
	Applied []Change
	Refused []*Refusal
}

// Apply makes changes, in order, to data, the content of the compose file called name. Refused changes are left out, the
// others are made all the same. The error tells that the file is not YAML; nothing can be edited then.
//
// A key that the block lacks is added at its end. Content is data itself when no byte had to move.
func Apply(name string, data []byte, changes []Change) (Result, error) {
	original, err := parse(data)
	if err != nil {
		return Result{}, fmt.Errorf("parse compose file %q: %w", name, err)
	}
	result := Result{Content: data}
	current := original
	for _, change := range changes {
		next, refusal := current.apply(change)
		if refusal != nil {
			refusal.Change = change
			result.Refused = append(result.Refused, refusal)
			continue
		}
		result.Applied = append(result.Applied, change)
		current = next
	}
	if current == original {
		return result, nil
	}
	if !proved(original, current, result.Applied) {
		return refuseAll(original, changes), nil
	}
	result.Content = current.data
	return result, nil
}

// apply returns the document with one change made and proved; the document itself when it is satisfied already.
func (d *document) apply(change Change) (*document, *Refusal) {
	splice, refusal := d.plan(change)
	if refusal != nil || splice == nil {
		return d, refusal
	}
	next, err := parse(splice.apply(d.data))
	if err != nil || !proved(d, next, []Change{change}) {
		return nil, d.refuse(change, ReasonUnproven, d.lineAt(splice.start))
	}
	return next, nil
}

func refuseAll(d *document, changes []Change) Result {
	result := Result{Content: d.data}
	for _, change := range changes {
		result.Refused = append(result.Refused, d.refuse(change, ReasonUnproven, 0))
	}
	return result
}

// messages say what is not supported, or what is wrong, in the words of the file's author.
func (r Reason) message() string {
	switch r {
	case ReasonFlow:
		return "a block in flow style ({...} or [...]) is not supported yet"
	case ReasonAlias:
		return "a block that is an alias (*name) is not supported yet"
	case ReasonMerge:
		return "a service that inherits its environment through a merge key (<<) is not supported yet"
	case ReasonAnchorShared:
		return "a block or value that other places of the file share through an anchor is not supported yet"
	case ReasonExtended:
		return "a service that another service of the file extends is not supported yet"
	case ReasonTagged:
		return "a block or value with an explicit tag is not supported yet"
	case ReasonNullBlock:
		return "an empty service or environment block is not supported yet"
	case ReasonDuplicateKey:
		return "a key that is defined twice is not supported yet"
	case ReasonMultiDocument:
		return "a file with several YAML documents is not supported yet"
	case ReasonBlockScalar:
		return "a literal or folded block value (| or >) is not supported yet"
	case ReasonComplexKey:
		return `a block with complex keys ("? key") is not supported yet`
	case ReasonServiceMissing:
		return "the file does not define the service"
	case ReasonNotAMapping:
		return "the file does not have the shape of a compose file here"
	case ReasonEncoding:
		return "a file or value that is not UTF-8 with LF or CRLF line breaks is not supported yet"
	case ReasonInvalidKey:
		return "the key is not the name of an environment variable"
	case ReasonUnproven:
		return "the edit could not be proved to change nothing else"
	}
	return string(r)
}

// refuse fills a refusal; the hint has the form that the service's block has.
func (d *document) refuse(change Change, reason Reason, line int) *Refusal {
	refusal := &Refusal{Change: change, Reason: reason, Line: line, Message: reason.message()}
	if reason == ReasonInvalidKey || reason == ReasonServiceMissing || !utf8.ValidString(change.Text) {
		return refusal
	}
	change.Text = redact.Value(change.Text, change.Sensitive)
	entry := mapEntry(change, styleAny)
	if d.isList(change.Service) {
		entry = "- " + listItem(change, styleAny)
	}
	what := "add this line"
	if declares(child(d.services(), change.Service), change.Key) {
		what = "replace the present line"
	}
	refusal.Hint = fmt.Sprintf("%s%s under services.%s.environment: %s", reason.caution(), what, change.Service, entry)
	return refusal
}

// caution is what a person who makes the edit by hand must not overlook.
func (r Reason) caution() string {
	switch r {
	case ReasonMerge:
		return "an own environment replaces the inherited one, so merge that into it; "
	case ReasonAlias:
		return "put a block with the aliased entries in place of the alias; "
	case ReasonAnchorShared, ReasonExtended:
		return "others share this and would change too, unless they set the key themselves; "
	case ReasonFlow:
		return "write the block one entry a line; "
	default:
		return ""
	}
}
