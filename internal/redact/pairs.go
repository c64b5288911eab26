package redact

import (
	"regexp"
	"strings"
)

var (
	// pair is a name and what parts it from its value: name=, "name": and \"name\":.
	pair = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_.-]*(?:\\*["'])?[ \t]*[=:][ \t]*`)
	name = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*`)
	// following is the separator of a connection string or a query with the next name.
	following = regexp.MustCompile(`[;&][ \t]*[A-Za-z_][A-Za-z0-9_. -]*=`)
)

// pairSpans are the values of the names in text that look secret.
func pairSpans(text string) []span {
	var found []span
	for at := 0; at < len(text); {
		match := pair.FindStringIndex(text[at:])
		if match == nil {
			break
		}
		start, from := at+match[0], at+match[1]
		at = from
		key := name.FindString(text[start:from])
		// As a variable PWD is the working directory; in a connection string it is the password.
		if !secretKey(key) && !strings.EqualFold(key, "PWD") {
			continue
		}
		s, ok := pairValue(text, start, from, text[start+len(key):from])
		if !ok {
			continue
		}
		if s.end > s.start {
			found = append(found, s)
		}
		at = max(at, s.end)
	}
	return found
}

// pairValue is the value that begins at from, behind a name at start and a separator; ok is false where the separator is prose.
func pairValue(text string, start, from int, separator string) (s span, ok bool) {
	switch {
	case strings.Contains(separator, "="):
	case !strings.ContainsAny(separator, `"'`):
		return span{}, false
	case from < len(text) && strings.IndexByte("{[", text[from]) >= 0:
		return span{from, len(text)}, true
	}
	opening := len(text[from:]) - len(strings.TrimLeft(text[from:], `\`))
	quote := from + opening
	if quote >= len(text) || strings.IndexByte(`"'`, text[quote]) < 0 {
		return span{from, plainEnd(text, start, from)}, true
	}
	end, closed := quoteEnd(text, quote, opening)
	if next := end + opening + 1; closed && next < len(text) && strings.IndexByte(" \t\r\n&;,.:)]}\\\"'", text[next]) < 0 {
		end = plainEnd(text, start, next)
	}
	return span{quote + 1, end}, true
}

// quoteEnd is where the value behind the quote ends. A quote that is doubled or has more backslashes than the opening one is
// part of it; a value that nothing closes goes on to the end.
func quoteEnd(text string, quote, backslashes int) (end int, closed bool) {
	run := 0
	for i := quote + 1; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			run++
			continue
		case text[i] == text[quote] && run <= backslashes:
			if i+1 < len(text) && text[i+1] == text[quote] {
				i++
				break
			}
			return max(i-run, quote+1), true
		}
		run = 0
	}
	return len(text), false
}

// plainEnd is where a value without quotes ends: at white space, or before the next name of the string. Behind a semicolon
// white space is part of it.
func plainEnd(text string, start, from int) int {
	end := len(text)
	breaks := " \t\r\n"
	if strings.HasSuffix(strings.TrimRight(text[:start], " \t"), ";") {
		breaks = ";\r\n"
	}
	if i := strings.IndexAny(text[from:], breaks); i >= 0 {
		end = from + i
	}
	if next := following.FindStringIndex(text[from:end]); next != nil {
		end = from + next[0]
	}
	return end
}
