package envfile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/composure-dev/composure/internal/redact"
)

// Reason is why an edit is refused. The list is closed.
type Reason string

// The reasons.
const (
	ReasonEncoding   Reason = "encoding"    // not UTF-8, a NUL, or line breaks other than LF and CRLF
	ReasonInvalidKey Reason = "invalid-key" // compose does not read the key as the name of a variable
	ReasonTemplate   Reason = "template"    // compose cannot interpolate the text
	ReasonLineBreak  Reason = "line-break"  // the text has a line break, which the format raw cannot hold
	ReasonShared     Reason = "shared"      // other statements of the file interpolate the key and would change too
	ReasonSameLine   Reason = "same-line"   // what would be taken out shares a line with another variable
	ReasonBareEnd    Reason = "bare-end"    // the last line is a KEY alone without a line break, and a line below it would change what it means
	ReasonTooLarge   Reason = "too-large"   // the file, or what its variables expand to, is too large to be proved
	ReasonUnproven   Reason = "unproven"    // the edited file did not read back as exactly the intended change
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

// messages say what is not supported, or what is wrong, in the words of the file's author.
func (r Reason) message() string {
	switch r {
	case ReasonEncoding:
		return "a file or value that is not UTF-8 text with LF or CRLF line breaks is not supported"
	case ReasonInvalidKey:
		return "the key is not the name of an environment variable"
	case ReasonTemplate:
		return "the value is no valid interpolation"
	case ReasonLineBreak:
		return "a value with a line break cannot stand in an env file of the format raw"
	case ReasonShared:
		return "other variables of the file interpolate this one and would change too"
	case ReasonSameLine:
		return "a variable that shares its line with another is not taken out"
	case ReasonBareEnd:
		return "the file ends in a name without a line break, which compose reads as a value without a name"
	case ReasonTooLarge:
		return "the file, or what its variables expand to, is too large to be edited safely"
	case ReasonUnproven:
		return "the edit could not be proved to change nothing else"
	}
	return string(r)
}

// caution is what a person who makes the edit by hand must not overlook.
func (r Reason) caution() string {
	switch r {
	case ReasonShared:
		return "look at these first; "
	case ReasonSameLine:
		return "leave the other variable a line of its own; "
	case ReasonBareEnd:
		return "end the last line with a line break, or write = behind the name; "
	default:
		return ""
	}
}

// remedy is the hint of a reason that no line can be written for.
func (r Reason) remedy() string {
	switch r {
	case ReasonEncoding:
		return "convert it to UTF-8 with LF or CRLF line breaks"
	case ReasonTemplate:
		return "write a literal $ as $$, and close every ${"
	case ReasonLineBreak:
		return "set it in the environment of the service, or in an env file of the default format"
	case ReasonTooLarge:
		return "edit it by hand"
	default:
		return ""
	}
}

// refuse fills a refusal; shared are the keys that would change too.
func (f *file) refuse(change Change, reason Reason, shared ...string) *Refusal {
	refusal := &Refusal{Change: change, Reason: reason, Message: reason.message(), Hint: reason.remedy()}
	last := f.last(change.Key)
	if last >= 0 {
		refusal.Line = f.tokens[last].Line
	}
	if len(shared) > 0 {
		slices.Sort(shared)
		refusal.Message += ": " + strings.Join(slices.Compact(shared), ", ")
	}
	if reason == ReasonInvalidKey || refusal.Hint != "" || !utf8.ValidString(change.Text) {
		return refusal
	}
	switch {
	case change.Remove:
		refusal.Hint = fmt.Sprintf("%stake out the lines that set %s", reason.caution(), change.Key)
	case last >= 0:
		refusal.Hint = fmt.Sprintf("%sreplace the present line: %s", reason.caution(), f.entry(shown(change)))
	default:
		refusal.Hint = fmt.Sprintf("%sadd this line: %s", reason.caution(), f.entry(shown(change)))
	}
	refusal.Hint = flat(refusal.Hint)
	return refusal
}

func shown(change Change) Change {
	change.Text = redact.Value(change.Text, change.Sensitive)
	return change
}

func (f *file) refuseAll(changes []Change, reason Reason) Result {
	result := Result{Content: f.data}
	for _, change := range changes {
		result.Refused = append(result.Refused, f.refuse(change, reason))
	}
	return result
}

var (
	rawKey   = regexp.MustCompile(`^[^#=\s\pC\pZ][^=\s\pC\pZ]*$`)
	loneCR   = regexp.MustCompile(`\r(?:[^\n]|$)`)
	validKey = regexp.MustCompile(`^[\pL\pN_.\-\[\]]+$`)
)

// invalid is why a change can stand in no file of the format, or "".
func (e *editor) invalid(format string, change Change) Reason {
	raw := format == FormatRaw
	switch {
	case !utf8.ValidString(change.Key), !raw && !validKey.MatchString(change.Key), raw && !rawKey.MatchString(change.Key):
		return ReasonInvalidKey
	case change.Remove:
		return ""
	case !utf8.ValidString(change.Text) || strings.ContainsRune(change.Text, 0):
		return ReasonEncoding
	case raw && strings.ContainsAny(change.Text, "\r\n"):
		return ReasonLineBreak
	case raw:
		return ""
	case !workable(change.Text):
		return ReasonTooLarge
	}
	for _, lookup := range e.environments() {
		if _, err := substitute(change.Text, lookup); err != nil && required(err) == "" {
			return ReasonTemplate
		}
	}
	return ""
}

// unfit is why the file cannot be edited at all, or "".
func (f *file) unfit() Reason {
	text := string(f.data)
	switch {
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0) || loneCR.MatchString(text):
		return ReasonEncoding
	case !f.bounded():
		return ReasonTooLarge
	}
	return ""
}

// flat is text on one line, as a hint wants it.
func flat(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}
