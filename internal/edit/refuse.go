package edit

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/composure-dev/composure/internal/redact"
)

// Reason is why an edit is refused. The list is closed, and none of it is a form that is not supported.
type Reason string

// The reasons.
const (
	ReasonShared         Reason = "shared"          // others that are not to have the change have their value from the same place
	ReasonInherited      Reason = "inherited"       // the value comes from a list or a base that cannot be merged into a block of its own
	ReasonAmbiguous      Reason = "ambiguous"       // a key on the way to the value stands twice in its mapping
	ReasonReset          Reason = "reset"           // the service or its block is tagged !reset: what it says does not count
	ReasonShape          Reason = "shape"           // something on the way, or an entry of the block, is not what compose accepts there
	ReasonServiceMissing Reason = "service-missing" // the file does not define the service
	ReasonEncoding       Reason = "encoding"        // not UTF-8, or line breaks other than LF and CRLF
	ReasonInvalidKey     Reason = "invalid-key"     // the key is empty or holds "=", spaces or control characters
	ReasonTooLarge       Reason = "too-large"       // aliases and merge keys expand to more than compose reads
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
	// Services are those that would change too, sorted; for ReasonShared and ReasonInherited.
	Services []string
}

// message says what is wrong in the words of the file's author.
func (r Reason) message() string {
	switch r {
	case ReasonShared:
		return "other services have it from the same place and are not to change"
	case ReasonInherited:
		return "the value is inherited from a place that other services use too"
	case ReasonAmbiguous:
		return "a key on the way to it stands twice in the same mapping"
	case ReasonReset:
		return "the file resets the service or its environment (!reset), so nothing that it says there counts"
	case ReasonShape:
		return "the file does not have the shape of a compose file here"
	case ReasonServiceMissing:
		return "the file does not define the service"
	case ReasonEncoding:
		return "the file or the value is not UTF-8 text with LF or CRLF line breaks"
	case ReasonInvalidKey:
		return "the key is not the name of an environment variable"
	case ReasonTooLarge:
		return "the file's aliases expand to more than compose reads"
	case ReasonUnproven:
		return "the edit could not be proved to change nothing else"
	}
	return string(r)
}

// advice is what a person can do about it, before or instead of the line that the change is about.
func (r Reason) advice() string {
	switch r {
	case ReasonShared, ReasonInherited:
		return "give the others a value of their own first, or ask for the same in all of them; to do it by hand: "
	case ReasonAmbiguous:
		return "remove one of the two, compose refuses such a file as well; then "
	case ReasonReset:
		return "take the !reset away if the service is to have an environment; then "
	case ReasonShape:
		return "correct the file until docker compose config reads it; then "
	case ReasonServiceMissing:
		return "name the file that defines the service, or define it here: "
	case ReasonEncoding:
		return "save the file as UTF-8 with LF or CRLF line breaks; then "
	case ReasonTooLarge:
		return "write the file with fewer nested aliases; then "
	case ReasonInvalidKey:
		return "use letters, digits and _ in the policy's variable name"
	default:
		return ""
	}
}

// refuse fills a refusal; the hint has the form that the service's block has.
func (d *document) refuse(change Change, reason Reason, line int) *Refusal {
	refusal := &Refusal{Change: change, Reason: reason, Line: line, Message: reason.message(), Hint: reason.advice()}
	if reason == ReasonInvalidKey || !utf8.ValidString(change.Text) {
		return refusal
	}
	refusal.Hint += d.byHand(change)
	return refusal
}

// byHand is the change as an instruction.
func (d *document) byHand(change Change) string {
	where := fmt.Sprintf("under services.%s.environment", change.Service)
	if change.Remove {
		return fmt.Sprintf("remove %s %s", change.Key, where)
	}
	change.Text = redact.Value(change.Text, change.Sensitive)
	entry := mapEntry(change, styleAny)
	if d.isList(change.Service) {
		entry = "- " + listItem(change, styleAny)
	}
	what := "add this line"
	if d.model != nil && d.model.has(change) {
		what = "replace the present line by this one"
	}
	return fmt.Sprintf("%s %s: %s", what, where, entry)
}

// maxNamed is how many services a message names.
const maxNamed = 10

// refuseFor is a refusal that names the services which stand against the change.
func (d *document) refuseFor(change Change, reason Reason, line int, services []string) *Refusal {
	refusal := d.refuse(change, reason, line)
	if len(services) > 0 {
		refusal.Services = services
		shown := services[:min(len(services), maxNamed)]
		refusal.Message += ": " + strings.Join(shown, ", ")
		if more := len(services) - len(shown); more > 0 {
			refusal.Message += fmt.Sprintf(" and %d more", more)
		}
	}
	return refusal
}

// unfit refuses what is no change of an environment, or no file that can be changed.
func (d *document) unfit(change Change) *Refusal {
	switch {
	case !validKey(change.Key):
		return d.refuse(change, ReasonInvalidKey, 0)
	case !d.Exact() || !utf8.ValidString(change.Text) || strings.ContainsRune(change.Text, 0):
		return d.refuse(change, ReasonEncoding, 0)
	case d.model == nil:
		return d.refuse(change, ReasonTooLarge, 0)
	}
	return nil
}

// validKey reports whether key can name an environment variable in both forms.
func validKey(key string) bool {
	return key != "" && key != "<<" && utf8.ValidString(key) && !strings.ContainsFunc(key, func(r rune) bool {
		return r == '=' || unicode.IsSpace(r) || !unicode.IsPrint(r)
	})
}
