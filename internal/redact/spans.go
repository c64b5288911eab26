package redact

import (
	"regexp"
	"strings"
)

// span is a range of bytes that holds a secret.
type span struct{ start, end int }

// maskInside masks every secret that shows itself in text: see [spans].
func maskInside(text string) string {
	found := spans(text)
	if len(found) == 0 {
		return text
	}
	covered := make([]bool, len(text))
	for _, s := range found {
		for i := s.start; i < s.end; i++ {
			covered[i] = true
		}
	}
	return maskCovered(text, covered)
}

// spans are the secrets that show themselves in text: passwords in URLs and data source names, and the values of names that look
// secret in connection strings, queries, JSON and ${NAME:-default}. They may overlap.
func spans(text string) []span {
	found := append(urlSpans(text), sourceSpans(text)...)
	found = append(found, pairSpans(text)...)
	return append(found, defaultSpans(text)...)
}

// urlSpans are what stands between the first colon and the last @ of each URL. A password may hold anything unescaped, a quote,
// a space, a slash and "://" included, so a URL goes on until another one surely begins. A long user name without a password is
// taken for a token.
func urlSpans(text string) []span {
	var found []span
	for at := 0; ; {
		i := strings.Index(text[at:], "://")
		if i < 0 {
			return found
		}
		start := at + i + len("://")
		at = urlEnd(text, start)
		last := strings.LastIndexByte(text[start:at], '@')
		if last < 0 {
			continue
		}
		user, _, colon := strings.Cut(text[start:start+last], ":")
		switch {
		case colon && len(user)+1 < last:
			found = append(found, span{start + len(user) + 1, start + last})
		case !colon && len(user) >= 16 && !strings.ContainsAny(user, "/?# \t\"'"):
			found = append(found, span{start, start + last})
		}
	}
}

// urlEnd is where the URL whose scheme ends at start ends at the latest: at a line break or at the next URL.
func urlEnd(text string, start int) int {
	end := len(text)
	if i := strings.IndexByte(text[start:], '\n'); i >= 0 {
		end = start + i
	}
	for at := start; ; {
		i := strings.Index(text[at:end], "://")
		if i < 0 {
			return end
		}
		scheme := at + i
		for scheme > start && isSchemeByte(text[scheme-1]) {
			scheme--
		}
		if scheme > start && strings.IndexByte(" \t\r,;|\"'`()[]{}<>=&\\", text[scheme-1]) >= 0 && !awaitsHost(text[start:scheme]) {
			return scheme
		}
		at += i + len("://")
	}
}

func isSchemeByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '+'
}

// port is a host and what may be one: the colon begins no password.
var port = regexp.MustCompile(`^[^:]*:[0-9]{1,5}(?:[^0-9A-Za-z]|$)`)

// awaitsHost reports whether a URL has begun a password whose @ has not come yet.
func awaitsHost(authority string) bool {
	return strings.Contains(authority, ":") && !strings.Contains(authority, "@") && !port.MatchString(authority)
}

// source is "user:password@tcp(host)/database", as Go's MySQL driver has it.
var source = regexp.MustCompile(`:([^\n]+)@(?:[A-Za-z0-9]+\(|/)`)

func sourceSpans(text string) []span {
	var found []span
	for _, at := range source.FindAllStringSubmatchIndex(text, -1) {
		found = append(found, span{at[2], at[3]})
	}
	return found
}

// fallback is how ${NAME:-default} begins.
var fallback = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*):?[-+]`)

func defaultSpans(text string) []span {
	var found []span
	end := 0
	for _, at := range fallback.FindAllStringSubmatchIndex(text, -1) {
		if at[0] >= end && secretKey(text[at[2]:at[3]]) {
			end = braceEnd(text, at[1])
			found = append(found, span{at[1], end})
		}
	}
	return found
}

// braceEnd is where the default in ${NAME:-default} ends.
func braceEnd(text string, from int) int {
	depth := 1
	for i := from; i < len(text); i++ {
		switch text[i] {
		case '{':
			depth++
		case '}':
			depth--
		}
		if depth == 0 {
			return i
		}
	}
	return len(text)
}
