// Package redact keeps secrets out of everything people read: diffs, messages, logs, reports.
//
// It errs towards hiding: a key that looks secret hides its value, a URL loses its password, and a [Redactor] that was told a
// sensitive value removes it wherever it shows up. It is pure.
package redact

// Mask stands where a value was.
const Mask = "********"

// Key reports whether a variable's name says that its value is secret (PASSWORD, TOKEN, SECRET, API_KEY, ...).
func Key(name string) bool { return secretKey(name) }

// Value returns value as it may be shown: Mask when sensitive, else with what [Within] finds masked.
func Value(value string, sensitive bool) string {
	if sensitive && value != "" {
		return Mask
	}
	return maskInside(value)
}

// Within returns the secrets that show themselves in a value that is not secret as a whole: the password of a URL, the value of
// password=... in a connection string or of "password": in JSON, a secret's default in ${...}.
func Within(value string) []string {
	var found []string
	for _, s := range spans(value) {
		found = append(found, value[s.start:s.end])
	}
	return found
}
