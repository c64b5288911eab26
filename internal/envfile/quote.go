package envfile

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/template"
)

// style is how a value is quoted.
type style int

const (
	stylePlain style = iota
	styleSingle
	styleDouble
)

// template is the statement's text as the interpolation gets it: without quotes and escapes. Single quotes keep the interpolation
// off, so a dollar between them is $$ here.
func (t token) template() string {
	switch {
	case t.AsIs || t.style == stylePlain:
		return t.Text
	case t.style == styleSingle:
		return strings.ReplaceAll(unquote(t.Text, '\''), "$", "$$")
	}
	return unescape(unquote(t.Text, '"'))
}

// unquote takes the backslash from before each quote.
func unquote(text string, quote byte) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			i++
			if text[i] != quote {
				b.WriteByte('\\')
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

var escape = regexp.MustCompile(`\\(?:[abcfnrtv$"\\]|0\d{0,3})`)

// unescape is what compose-go does to the escapes of a value in double quotes.
func unescape(text string) string {
	return escape.ReplaceAllStringFunc(text, func(match string) string {
		if match == `\$` {
			return "$$"
		}
		if strings.HasPrefix(match, `\0`) {
			match = `\` + match[2:]
		}
		r, _, _, err := strconv.UnquoteChar(match, '"')
		if err != nil {
			return match
		}
		return string(r)
	})
}

// literal is what text gives in every environment; ok is false when it depends on variables or is no template.
func literal(text string) (value string, ok bool) {
	asked := false
	value, err := substitute(text, func(string) (string, bool) {
		asked = true
		return "", true
	})
	return value, err == nil && !asked
}

// substitute is compose-go's interpolation, whose panics are errors.
func substitute(text string, lookup func(string) (string, bool)) (value string, err error) {
	defer func() {
		if recover() != nil {
			value, err = "", errGaveUp
		}
	}()
	return template.SubstituteWithOptions(text, lookup, template.WithoutLogging)
}

// sameText reports whether two texts are the same before interpolation, or the same without one.
func sameText(a, b string) bool {
	if a == b {
		return true
	}
	x, xok := literal(a)
	y, yok := literal(b)
	return xok && yok && x == y
}

// quoting is what the place of a value asks of its quotes.
type quoting struct {
	kept  style // of the value that is replaced
	house style // of most other values
	shell bool  // the statement is an export, which a shell may read too
	lines bool  // the value stood on several lines: line breaks may stay what they are
	noted bool  // a comment follows, which compose takes for the value if there is none
}

// quote writes text as a value that compose-go interpolates as text: in the kept style, else without quotes where none are
// needed, else in the style of the house. Quotes are never taken off.
func (q quoting) quote(text string) string {
	house := q.house
	if house == stylePlain {
		house = styleDouble
		if strings.ContainsAny(text, `\"`) {
			house = styleSingle
		}
	}
	for _, s := range []style{q.kept, house} {
		switch {
		case s == stylePlain && (text != "" || !q.noted) && plainSafe(text) && (!q.shell || shellSafe.MatchString(text)):
			return text
		case s == styleDouble:
			return q.doubleQuote(text)
		case s == styleSingle:
			if value, ok := q.singleQuote(text); ok {
				return value
			}
		}
	}
	return q.doubleQuote(text)
}

// shellSafe is what a shell reads like compose does, without quotes.
var shellSafe = regexp.MustCompile(`^(?:[A-Za-z0-9_./:@%+=,-]|\$\{[A-Za-z0-9_]+(?::?[-+][A-Za-z0-9_./:@%+=,-]*)?\}|\$[A-Za-z_])*$`)

// plainSafe reports whether text reads as itself without quotes. compose-go would read a # at its begin as one; people do not.
func plainSafe(text string) bool {
	return text == "" || strings.TrimSpace(text) == text && strings.IndexByte(`'"#`, text[0]) < 0 &&
		!strings.Contains(text, " #") && !strings.ContainsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' || r == '\v' || r == '\f' })
}

// singleQuote is for text without variables. A backslash before a quote, or at the end, cannot be written in single quotes.
func (q quoting) singleQuote(text string) (string, bool) {
	value, ok := literal(text)
	end := strings.TrimRight(value, `\`)
	if !ok || strings.ContainsAny(value, "'\r") || (len(value)-len(end))%2 == 1 || strings.Contains(value, "\n") && !q.lines {
		return "", false
	}
	return "'" + value + "'", true
}

func (q quoting) doubleQuote(text string) string {
	pairs := []string{`\`, `\\`, `"`, `\"`, "\r", `\r`}
	if !q.lines {
		pairs = append(pairs, "\n", `\n`, "\t", `\t`)
	}
	return `"` + strings.NewReplacer(pairs...).Replace(text) + `"`
}

// houseStyle is the style of more than half of the values, if these are at least two.
func houseStyle(tokens []token) style {
	counts, values := map[style]int{}, 0
	for _, t := range tokens {
		if t.Bare || t.ValueStart == t.ValueEnd {
			continue
		}
		counts[t.style]++
		values++
	}
	for _, s := range []style{styleSingle, styleDouble} {
		if counts[s] >= 2 && 2*counts[s] > values {
			return s
		}
	}
	return stylePlain
}
