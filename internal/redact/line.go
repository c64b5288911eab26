package redact

import (
	"regexp"
	"strings"
)

// assignment is a key and what parts it from its value, in a compose file or an env file: KEY=, KEY: and "KEY":.
var assignment = regexp.MustCompile(`["']?[A-Za-z_][A-Za-z0-9_.-]*["']?(?:=|[ \t]*:)`)

// Line returns one line of a compose or env file with the values of keys that look secret and the passwords of URLs masked.
// All else, comments, quotes and the line break included, stays byte for byte. Only the line is looked at: a value that goes
// on in the next one is a [Redactor]'s to find.
func Line(line string) string {
	body := strings.TrimRight(line, "\r\n")
	var out strings.Builder
	for at := 0; at < len(body); {
		match := assignment.FindStringIndex(body[at:])
		if match == nil {
			out.WriteString(body[at:])
			break
		}
		key, start := body[at+match[0]:at+match[1]], at+match[1]
		out.WriteString(body[at:start])
		at = start
		if from, to, found := secretSpan(body, key, start); found {
			out.WriteString(body[start:from] + Mask)
			at = to
		}
	}
	return maskURLs(out.String()) + line[len(body):]
}

// secretSpan returns where the value of key, which ends at start, stands in body; found is false when there is nothing to hide.
func secretSpan(body, key string, start int) (from, to int, found bool) {
	separator := key[len(key)-1]
	name := strings.TrimRight(key[:len(key)-1], " \t")
	if !secretKey(strings.Trim(name, `"'`)) {
		return 0, 0, false
	}
	from = start
	var around byte // the quote that was opened before the key: "KEY=value"
	if quoted := name[0] == '"' || name[0] == '\''; quoted && separator == '=' {
		around = name[0]
	}
	if separator == ':' {
		closed := name[len(name)-1] == '"' || name[len(name)-1] == '\''
		if start < len(body) && !closed && body[start] != ' ' && body[start] != '\t' {
			return 0, 0, false
		}
		for from < len(body) && (body[from] == ' ' || body[from] == '\t') {
			from++
		}
	}
	to = valueEnd(body, &from, around)
	value := body[from:to]
	return from, to, value != "" && !isBlockHeader(value)
}

// valueEnd returns where the value at *from ends. A quoted value is entered: *from moves past its opening quote.
func valueEnd(body string, from *int, around byte) int {
	if around != 0 {
		return quoteEnd(body, *from, around)
	}
	if *from < len(body) && (body[*from] == '"' || body[*from] == '\'') {
		*from++
		return quoteEnd(body, *from, body[*from-1])
	}
	return plainEnd(body, *from)
}

func quoteEnd(body string, from int, quote byte) int {
	for i := from; i < len(body); i++ {
		switch {
		case quote == '"' && body[i] == '\\':
			i++
		case quote == '\'' && strings.HasPrefix(body[i:], "''"):
			i++
		case body[i] == quote:
			return i
		}
	}
	return len(body)
}

// plainEnd ends a value that is not quoted at a comment, and inside a flow mapping or list at what separates its entries.
func plainEnd(body string, from int) int {
	end := len(body)
	if i := strings.Index(body[from:], " #"); i >= 0 {
		end = from + i
	}
	if inFlow(body[:from]) {
		if i := strings.IndexAny(body[from:end], ",]}"); i >= 0 {
			end = from + i
		}
	}
	for end > from && (body[end-1] == ' ' || body[end-1] == '\t') {
		end--
	}
	return end
}

// inFlow reports whether a flow mapping or list is still open at the end of text.
func inFlow(text string) bool {
	depth := strings.Count(text, "{") + strings.Count(text, "[") - strings.Count(text, "}") - strings.Count(text, "]")
	return depth > 0
}

// isBlockHeader reports whether a value is only the "|" or ">" that announces lines to come.
func isBlockHeader(value string) bool {
	return (value[0] == '|' || value[0] == '>') && strings.Trim(value[1:], "+-0123456789") == ""
}
