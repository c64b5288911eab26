package redact

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// shortest is the length below which a secret is not searched for: it would blot out half of every text.
const shortest = 4

// Redactor removes the secret values it knows from any text. The zero value and nil know none and still mask what [Value] does.
// It is immutable and safe for concurrent use.
type Redactor struct{ secrets []string }

// New returns a Redactor that knows values, the secrets [Within] them, each line of those that have several, and
// how all of these look when quoted or URL-escaped. Values shorter than four bytes are not searched for.
func New(values ...string) *Redactor {
	known := map[string]bool{Mask: true}
	r := &Redactor{}
	add := func(secret string) {
		if len(secret) >= shortest && !known[secret] {
			known[secret] = true
			r.secrets = append(r.secrets, secret)
		}
	}
	for _, value := range values {
		parts := append(Within(value), value)
		if strings.Contains(value, "\n") {
			parts = append(parts, strings.Fields(value)...)
		}
		for _, part := range parts {
			quoted := strconv.Quote(part)
			add(part)
			add(quoted[1 : len(quoted)-1])
			add(url.QueryEscape(part))
			add(url.PathEscape(part))
			if plain, err := url.PathUnescape(part); err == nil {
				add(plain)
			}
		}
	}
	return r
}

// Without returns a Redactor that does not search for the secrets that are public: words that a text cannot do without.
func (r *Redactor) Without(public func(secret string) bool) *Redactor {
	return &Redactor{secrets: slices.DeleteFunc(slices.Clone(r.secrets), public)}
}

// String returns text with every known secret, and whatever [Within] finds, replaced by [Mask].
func (r *Redactor) String(text string) string {
	return maskInside(r.Known(text))
}

// Known is String for text in which all else was looked for already: only the secrets that r was told are replaced.
func (r *Redactor) Known(text string) string {
	if r == nil || len(r.secrets) == 0 {
		return text
	}
	return maskCovered(text, r.covered(text))
}

// covered marks the bytes of text that belong to a secret. Marking before replacing keeps the tail of overlapping ones hidden.
func (r *Redactor) covered(text string) []bool {
	covered := make([]bool, len(text))
	for _, secret := range r.secrets {
		marked := 0
		for from := 0; ; {
			i := strings.Index(text[from:], secret)
			if i < 0 {
				break
			}
			start := from + i
			for j := max(start, marked); j < start+len(secret); j++ {
				covered[j] = true
			}
			marked, from = start+len(secret), start+1
		}
	}
	return covered
}

func maskCovered(text string, covered []bool) string {
	var out strings.Builder
	for i := range len(text) {
		if !covered[i] {
			out.WriteByte(text[i])
			continue
		}
		if i == 0 || !covered[i-1] {
			out.WriteString(Mask)
		}
	}
	return out.String()
}
