package report

import (
	"bufio"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// color is an ANSI sequence; colors repeat what signs and words say already.
type color string

const (
	plain  color = ""
	bold   color = "\x1b[1m"
	red    color = "\x1b[31m"
	green  color = "\x1b[32m"
	yellow color = "\x1b[33m"
	cyan   color = "\x1b[36m"
	reset        = "\x1b[0m"
)

// printer lays lines out. Errors of the writer below stay in w until it is flushed.
type printer struct {
	w *bufio.Writer
	TextOptions
}

func (p *printer) paint(c color, text string) string {
	if !p.Color || c == plain || text == "" {
		return text
	}
	return string(c) + text + reset
}

func (p *printer) line(text string) { _, _ = p.w.WriteString(strings.TrimRight(text, " ") + "\n") }

// block is a paragraph: head stands before its first line, and the following ones are indented by hang columns. Words are
// never broken, so one longer than the line stands alone.
type block struct {
	head  string
	color color // of head
	hang  int
	words []string
}

func (p *printer) block(b block) {
	line, used := p.paint(b.color, b.head), width(b.head)
	empty := true
	for _, word := range b.words {
		space := 1
		if empty {
			space = 0
		}
		if used+space+width(word) > p.Width && (!empty || used > b.hang) {
			p.line(line)
			line, used, space = strings.Repeat(" ", b.hang), b.hang, 0
		}
		line += strings.Repeat(" ", space) + word
		used += space + width(word)
		empty = false
	}
	p.line(line)
}

// text is a block whose following lines stand under the first one's text.
func (p *printer) text(head, text string) {
	p.block(block{head: head, hang: width(head), words: words(text)})
}

// told prints a text of several lines: the first one as a paragraph, and those after it as they are. They are commands and log
// lines, which must neither be broken nor shortened.
func (p *printer) told(b block, text string) {
	first, rest, _ := strings.Cut(text, "\n")
	b.words = words(shortIDs(first))
	p.block(b)
	p.verbatim(b.hang, rest)
}

func (p *printer) verbatim(indent int, text string) {
	for line := range strings.Lines(printable(text)) {
		p.line(strings.Repeat(" ", indent) + strings.TrimSuffix(line, "\n"))
	}
}

// next prints what a person can do: words on one line, or commands, one a line.
func (p *printer) next(head, text string) {
	if !strings.Contains(text, "\n") {
		p.text(head, text)
		return
	}
	p.line(head)
	p.verbatim(width(head)-len("next: ")+2, text)
}

// words splits free text where a line may be broken.
func words(text string) []string { return strings.Fields(printable(text)) }

func width(s string) int { return utf8.RuneCountInString(s) }

func pad(s string, columns int) string { return s + strings.Repeat(" ", max(columns-width(s), 0)) }

// printable takes the control characters out of text that somebody else wrote: a terminal would obey them.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r':
			return -1
		case unicode.IsControl(r):
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

var fullID = regexp.MustCompile(`\b[0-9a-f]{64}\b`)

// shortIDs shortens every container id in text.
func shortIDs(text string) string { return fullID.ReplaceAllStringFunc(text, shortID) }
