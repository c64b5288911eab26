// Package redact keeps secrets out of everything people read: diffs, messages, logs, reports.
//
// It errs towards hiding: a key that looks secret hides its value, a URL loses its password, and a [Redactor] that was told a
// sensitive value removes it wherever it shows up. It is pure.
package redact

// Mask stands where a value was.
const Mask = "********"

// Key reports whether a variable's name says that its value is secret (PASSWORD, TOKEN, SECRET, API_KEY, ...).
func Key(name string) bool { return secretKey(name) }

// Value returns value as it may be shown: Mask when sensitive, else with the password of any URL in it masked.
func Value(value string, sensitive bool) string {
	if sensitive && value != "" {
		return Mask
	}
	return maskURLs(value)
}
