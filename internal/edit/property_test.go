package edit_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/composure-dev/composure/internal/edit"
)

// examine makes an edit, has it judged, makes it once more, and returns the result and all that is wrong.
func examine(s *subject, changes []edit.Change, judges ...func(s *subject, after []byte, in intent) []string) (result edit.Result, found []string) {
	defer func() {
		if r := recover(); r != nil {
			found = append(found, fmt.Sprintf("panic: %v\n%s", r, debug.Stack()))
		}
	}()
	result, err := edit.Apply(s.name, s.data, changes)
	if err != nil {
		return result, []string{"error: " + err.Error()}
	}
	found = malformed(s.data, changes, result)
	if len(result.Applied) == 0 {
		return result, found
	}
	in := intentOf(result.Applied)
	for _, judge := range judges {
		found = append(found, judge(s, result.Content, in)...)
	}
	again, err := edit.Apply(s.name, result.Content, result.Applied)
	if err != nil {
		return result, append(found, "the result is no YAML: "+err.Error())
	}
	if len(again.Refused) > 0 || string(again.Content) != string(result.Content) {
		found = append(found, "the second time is no noop: refused "+reasonsOf(again)+"\n"+showHunks(result.Content, again.Content))
	}
	return result, found
}

func byLines(s *subject, after []byte, in intent) []string { return s.linesSay(after, in) }

func byYAML(s *subject, after []byte, in intent) []string {
	found, _ := s.yamlSays(after, in, false)
	return found
}

func byBothParsers(s *subject, after []byte, in intent) []string {
	found, _ := s.yamlSays(after, in, true)
	return found
}

// Whatever a file looks like and whatever is asked for: every judge is content, and a second time moves nothing.
func TestApplyProperties(t *testing.T) {
	byCompose := func(s *subject, after []byte, in intent) []string {
		found, _ := s.composeSays(t.Context(), after, in)
		return found
	}
	path := filepath.Join(t.TempDir(), "compose.yml")
	rapid.Check(t, func(t *rapid.T) {
		s := drawSubject(t, path)
		changes := drawChanges(t)
		result, found := examine(s, changes, byLines, byBothParsers, byCompose)
		if bytes.Contains(s.data, []byte("|+")) { // blank lines below an entry become text when the one above it keeps them: left to a person
			found = slices.DeleteFunc(found, func(what string) bool { return strings.HasPrefix(what, "unproven") })
		}
		if len(found) > 0 {
			t.Fatalf("%+v\n%s\n%s\n%s", changes, strings.Join(found, "\n"), showHunks(s.data, result.Content), s.data)
		}
	})
}

// A key that was added and is taken out again leaves the file as it was, byte for byte, wherever nothing had to be replaced.
func TestUndoProperties(t *testing.T) {
	path := filepath.Join(t.TempDir(), "compose.yml")
	rapid.Check(t, func(t *rapid.T) {
		s := drawSubject(t, path)
		change := drawChanges(t)[0]
		change.Remove, change.Create, change.Key = false, false, "ADDED"
		added, err := edit.Apply(s.name, s.data, []edit.Change{change})
		if err != nil {
			t.Fatal(err)
		}
		if len(added.Refused) > 0 {
			return
		}
		undone, err := edit.Apply(s.name, added.Content, []edit.Change{{Service: change.Service, Key: change.Key, Remove: true}})
		if err != nil || len(undone.Refused) > 0 {
			t.Fatalf("%+v: what was added cannot be removed: %v %s\n%s\n%s", change, err, reasonsOf(undone), showHunks(s.data, added.Content), s.data)
		}
		if s.inexact(change.Service) == "" && string(undone.Content) != string(s.data) {
			t.Fatalf("%+v: add and remove is not the original:\n%s\n%s", change, showHunks(s.data, undone.Content), s.data)
		}
	})
}

var (
	drawText = rapid.OneOf(rapid.SampledFrom(palette[:len(palette)-1]), rapid.StringN(0, 20, 40), rapid.StringOf(rapid.SampledFrom([]rune(" \t\n'\"\\#:,-{}[]&*!?|>%@`$=<~ay0.é😀"))))
	drawKey  = rapid.SampledFrom([]string{"A", "B", "C", "NO", "Ä", "N"})
	names    = []string{"web", "db", "job", "größe"}
)

func drawChanges(t *rapid.T) []edit.Change {
	changes := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) edit.Change {
		c := edit.Change{Service: rapid.SampledFrom(names).Draw(t, "service"), Key: drawKey.Draw(t, "key")}
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			c.Bare = true
		case 1, 2:
			c.Remove = true
		default:
			c.Text = drawText.Draw(t, "text")
		}
		c.Sensitive = rapid.Bool().Draw(t, "sensitive")
		c.Create = !c.Remove && rapid.Bool().Draw(t, "create")
		return c
	}), 1, 4).Draw(t, "changes")
	seen := map[[2]string]bool{}
	return slices.DeleteFunc(changes, func(c edit.Change) bool {
		twice := seen[[2]string{c.Service, c.Key}]
		seen[[2]string{c.Service, c.Key}] = true
		return twice
	})
}

func drawSubject(t *rapid.T, path string) *subject {
	text := drawFile(t)
	s, err := newSubject("compose.yml", path, []byte(text))
	if err != nil {
		t.Fatalf("the generator drew no YAML: %v\n%s", err, text)
	}
	return s
}

// writer draws a compose file.
type writer struct {
	t    *rapid.T
	out  strings.Builder
	step string // of indentation
	env  bool   // there are fragments: &env, &list and &service
}

func (w *writer) pick(label string, from ...string) string {
	return rapid.SampledFrom(from).Draw(w.t, label)
}

func (w *writer) line(depth int, text string) {
	indent := strings.Repeat(w.step, depth)
	w.out.WriteString(w.pick("noise", "", "", "", "", "", "\n", indent+"# note: x\n", "# flush - x\n", indent+"  # deep\n"))
	w.out.WriteString(indent + text + w.pick("end", "", "", "", "", " # why", "  ") + "\n")
}

func drawFile(t *rapid.T) string {
	w := &writer{t: t, step: strings.Repeat(" ", rapid.IntRange(1, 4).Draw(t, "step"))}
	w.out.WriteString(w.pick("head", "", "", "", "---\n", "# head\n\n", "name: x\n"))
	if w.env = rapid.Bool().Draw(t, "fragments"); w.env {
		w.line(0, "x-env: &env")
		w.line(1, "A: fragment")
		w.line(1, `F: "1"`)
		w.line(0, "x-list: &list")
		w.line(1, "- A=fragment")
		w.line(0, "x-service: &service")
		w.line(1, "image: x")
		w.line(1, "environment:"+w.pick("named", "", " &inner"))
		w.line(2, "B: inherited")
	}
	w.line(0, "services:")
	for i := range rapid.IntRange(1, len(names)).Draw(t, "services") {
		w.service(names[i], i)
	}
	w.out.WriteString(w.pick("tail", "", "", "volumes: {}\n", "\n\n", "# end\n", "...\n"))
	text := w.out.String()
	if rapid.IntRange(0, 3).Draw(t, "crlf") == 0 {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	if rapid.IntRange(0, 3).Draw(t, "cut") == 0 {
		text = strings.TrimRight(text, "\r\n")
	}
	if rapid.IntRange(0, 5).Draw(t, "bom") == 0 {
		text = "\ufeff" + text
	}
	return text
}

func (w *writer) service(name string, number int) {
	forms := []string{"list", "list", "map", "map", "flow list", "flow map", "flow lines", "null", "{}", "[]", "none", "tagged", "service flow", "service null"}
	if w.env {
		forms = append(forms, "alias", "list alias", "merge", "merges", "service alias", "service merge", "service merge")
	}
	if number > 0 {
		forms = append(forms, "extends")
	}
	form := w.pick("form", forms...)
	switch form {
	case "service flow":
		w.line(1, name+": {image: x"+w.pick("flow environment", "", ", environment: {A: 1}", ", environment: [A=1]")+"}")
		return
	case "service null":
		w.line(1, name+":"+w.pick("null", "", " ~", " {}"))
		return
	case "service alias":
		w.line(1, name+": *service")
		return
	}
	w.line(1, name+":")
	if form == "service merge" {
		w.line(2, "<<: *service")
	} else {
		w.line(2, "image: x")
	}
	if form == "extends" {
		w.line(2, w.pick("extends", "extends: "+names[0], "extends: {service: "+names[0]+"}"))
	}
	w.environment(form)
	if rapid.Bool().Draw(w.t, "more") {
		w.line(2, "restart: always")
	}
}

func (w *writer) environment(form string) {
	switch form {
	case "none", "service merge":
	case "null", "{}", "[]":
		w.line(2, "environment:"+map[string]string{"null": w.pick("null", "", " ~", " null"), "{}": " {}", "[]": " []"}[form])
	case "alias":
		w.line(2, "environment: *env")
	case "list alias":
		w.line(2, "environment: *list")
	case "flow list", "flow map", "flow lines":
		w.flowEnvironment(form)
	default:
		w.blockEnvironment(form)
	}
}

func (w *writer) keys() []string {
	return rapid.SliceOfNDistinct(drawKey, 1, 4, rapid.ID).Draw(w.t, "keys")
}

func (w *writer) blockEnvironment(form string) {
	tag := ""
	if form == "tagged" {
		tag, form = " !override", "map"
	}
	if form == "extends" {
		form = "list"
	}
	w.line(2, "environment:"+tag)
	if form == "merge" {
		w.line(3, "<<: *env")
	}
	if form == "merges" {
		w.line(3, "<<: [*env, {B: inline}]")
	}
	gap := w.pick("gap", " ", " ", "   ")
	for _, key := range w.keys() {
		text := drawText.Draw(w.t, "present")
		if form == "list" {
			w.entry("-"+gap, key+"="+text, 3)
		} else {
			w.entry(w.scalar(key, false)+":"+gap, text, 3)
		}
	}
}

// entry writes a value behind its key or dash, as a literal sometimes.
func (w *writer) entry(lead, text string, depth int) {
	lines := strings.Split(text, "\n")
	literal := rapid.IntRange(0, 5).Draw(w.t, "literal") == 0 && !slices.ContainsFunc(lines, func(l string) bool {
		return l == "" || !printable(l) || strings.HasPrefix(l, " ")
	})
	if !literal {
		w.line(depth, lead+w.scalar(text, false))
		return
	}
	indent := strings.Repeat(w.step, depth)
	w.out.WriteString(indent + lead + "|" + w.pick("chomp", "-", "-", "+", "") + "\n")
	for _, l := range lines {
		w.out.WriteString(indent + "    " + l + "\n")
	}
}

func (w *writer) flowEnvironment(form string) {
	var entries []string
	for _, key := range w.keys() {
		text := drawText.Draw(w.t, "present")
		if form == "flow list" {
			entries = append(entries, w.scalar(key+"="+text, true))
		} else {
			entries = append(entries, w.scalar(key, true)+": "+w.scalar(text, true))
		}
	}
	open, shut := "{", "}"
	if form == "flow list" {
		open, shut = "[", "]"
	}
	if form != "flow lines" {
		pad := w.pick("pad", "", " ")
		w.line(2, "environment: "+open+pad+strings.Join(entries, ", ")+w.pick("comma", "", ",", " ")+pad+shut)
		return
	}
	w.line(2, "environment: "+open)
	for i, e := range entries {
		if i < len(entries)-1 || rapid.Bool().Draw(w.t, "comma") {
			e += ","
		}
		w.line(3, e)
	}
	w.line(3, shut)
}

func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) })
}

// scalar writes a string in one of the styles that can hold it.
func (w *writer) scalar(text string, inFlow bool) string {
	styles := []string{strconv.Quote(text)}
	if printable(text) {
		styles = append(styles, "'"+strings.ReplaceAll(text, "'", "''")+"'")
	}
	if plain.matches(text) {
		styles = append(styles, text, text)
	}
	if plain.matches(text) && !inFlow {
		styles = append(styles, "&n"+strconv.Itoa(w.out.Len())+" "+text)
	}
	return rapid.SampledFrom(styles).Draw(w.t, "style")
}

// plain is text that is a string without quotes, whatever the parser.
var plain = plainText{}

type plainText struct{}

func (plainText) matches(text string) bool {
	if text == "" || len(text) > 60 || strings.TrimSpace(text) != text {
		return false
	}
	letter := false
	for _, r := range text {
		switch {
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == 'Ä' || r == 'ü':
			letter = true
		case strings.ContainsRune("=/_$ ", r):
		default:
			return false
		}
	}
	return letter && !slices.Contains([]string{"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nil"}, strings.ToLower(text)) && !strings.ContainsRune("= ", rune(text[0]))
}
