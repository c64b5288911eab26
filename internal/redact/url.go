package redact

import (
	"regexp"
	"strings"
)

// pair is name=value inside a value: a URL's query, or a connection string such as "host=db password=x".
var pair = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_.-]*)=([^&;,\s"']+)`)

// maskURLs masks the password of every URL in text, and every name=value in it whose name looks secret.
func maskURLs(text string) string {
	if strings.Contains(text, "=") {
		text = pair.ReplaceAllStringFunc(text, maskPair)
	}
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "://")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		out.WriteString("://")
		end := authorityEnd(after)
		out.WriteString(maskUserinfo(after[:end]))
		text = after[end:]
	}
}

func maskPair(match string) string {
	name, _, _ := strings.Cut(match, "=")
	if !secretKey(name) {
		return match
	}
	return name + "=" + Mask
}

// authorityEnd returns where the text of one URL can end at the latest: at white space, a double quote or the next URL.
func authorityEnd(text string) int {
	next := strings.Index(text, "://")
	if next < 0 {
		next = len(text)
	}
	if i := strings.IndexAny(text[:next], " \t\r\n\""); i >= 0 {
		return i
	}
	if next == len(text) {
		return next
	}
	for next > 0 && isSchemeByte(text[next-1]) {
		next--
	}
	return next
}

func isSchemeByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '+'
}

// maskUserinfo masks what stands between the first colon and the last @. A password may hold an unescaped / or @, so what
// looks like a path with an @ in it is hidden as well. A long user name without a password is taken for a token.
func maskUserinfo(text string) string {
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return text
	}
	user, _, colon := strings.Cut(text[:at], ":")
	switch {
	case strings.ContainsAny(user, "/?#"):
		return text
	case colon && at > len(user)+1:
		return user + ":" + Mask + text[at:]
	case !colon && len(user) >= 16:
		return Mask + text[at:]
	}
	return text
}

// passwords returns the passwords of the URLs in text as they stand there.
func passwords(text string) []string {
	var found []string
	for {
		_, after, ok := strings.Cut(text, "://")
		if !ok {
			return found
		}
		end := authorityEnd(after)
		if at := strings.LastIndexByte(after[:end], '@'); at >= 0 {
			if user, password, colon := strings.Cut(after[:at], ":"); colon && !strings.Contains(user, "/") {
				found = append(found, password)
			}
		}
		text = after[end:]
	}
}
