package edit_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/composure-dev/composure/internal/edit"
)

// variant makes another file that says the same, or that says it with empty environments. It returns nil for a file that it has
// nothing to do to.
type variant struct {
	name    string
	reason  string
	emptied bool
	make    func(s *subject) []byte
}

var variants = []variant{
	{"CRLF", "files from Windows", false, func(s *subject) []byte {
		if bytes.Contains(s.data, []byte("\r")) {
			return nil
		}
		return bytes.ReplaceAll(s.data, []byte("\n"), []byte("\r\n"))
	}},
	{"BOM", "files from some editors", false, func(s *subject) []byte {
		if bytes.HasPrefix(s.data, []byte("\ufeff")) {
			return nil
		}
		return append([]byte("\ufeff"), s.data...)
	}},
	{"no final line break", "every sixth real file", false, func(s *subject) []byte {
		return bytes.TrimSuffix(bytes.TrimSuffix(s.data, []byte("\n")), []byte("\r"))
	}},
	{"flow on one line", "in no real file of thousands, but valid", false, func(s *subject) []byte { return s.rewrite(flowLine) }},
	{"flow on many lines", "with a trailing comma on every other one", false, func(s *subject) []byte { return s.rewrite(flowLines) }},
	{"null", "an environment of which nothing is left", true, func(s *subject) []byte { return s.rewrite(emptied("")) }},
	{"{}", "an empty map", true, func(s *subject) []byte { return s.rewrite(emptied(" {}")) }},
	{"[]", "an empty list", true, func(s *subject) []byte { return s.rewrite(emptied(" []")) }},
	{"commented out", "the form of what is commented out is to be followed", true, func(s *subject) []byte { return s.rewrite(commentedOut) }},
}

// TestVariants makes the same edits in variants of the files: fewer of them, one service and key at a time, in turns.
func TestVariants(t *testing.T) {
	files, left := corpus(t, 12)
	r := newReport(t)
	r.each(files, func(s *subject, number int) {
		for i, v := range variants {
			data := v.make(s)
			if data == nil || string(data) == string(s.data) {
				r.count("(variants)", "nothing to do: "+v.name)
				continue
			}
			other, err := newSubject(s.name+" ("+v.name+")", s.path, data)
			if err != nil || !s.sameAs(other, v.emptied) {
				r.count("(variants)", "not the same data: "+v.name)
				continue
			}
			r.count("(variants)", "made: "+v.name)
			(&trial{report: r, subject: other, number: number + i, judged: 3 * judgedShare(other)}).some(v.name)
		}
	})
	r.print("files", len(files), left)
}

// sameAs reports whether a variant has the file's data, but for the environments if these are emptied, and loads as the file does.
func (s *subject) sameAs(v *subject, emptied bool) bool {
	if slices.Compare(s.services(), v.services()) != 0 {
		return false
	}
	in := intent{}
	if emptied {
		for _, name := range s.services() {
			in[name] = map[string]want{}
			for _, key := range s.keys(name) {
				in[name][key] = want{remove: true}
			}
		}
	}
	if len(s.yaml) != len(v.yaml) {
		return false
	}
	c := &comparison{intent: in}
	for i := range s.yaml {
		c.walk(nil, s.yaml[i], v.yaml[i])
	}
	return len(c.found) == 0 && c.steps <= maxSteps
}

// some makes one edit of each kind: which service and key it is, changes from file to file.
func (t *trial) some(variant string) {
	names := t.services()
	if len(names) == 0 {
		return
	}
	name := names[t.number%len(names)]
	t.prefix = variant + ": "
	t.addAndUndo(set(name, newKey, t.number))
	if keys := t.keys(name); len(keys) > 0 {
		key := keys[t.number%len(keys)]
		t.make("change", set(name, key, t.number*7))
		t.make("remove", edit.Change{Service: name, Key: key, Remove: true})
	}
	var all []edit.Change
	for _, name := range names {
		all = append(all, set(name, newKey, t.number+1))
	}
	if t.number%3 == 0 {
		t.make("add to all", all...)
	}
}

// ---- Rewriting environment blocks ----

// block is an environment block in block style with what a rewriter needs.
type block struct {
	node       *yaml.Node
	head       string // the key's line up to the colon, with anchor and tag
	note       string // the comment behind
	indent     string // of the key
	body       []line // the entries' lines
	eol        string
	odd        bool // every other block
	subject    *subject
	properties bool // there is an anchor or a tag
}

var blockHead = regexp.MustCompile(`^(\s*(?:- )?(?:"environment"|'environment'|environment) ?:)((?:\s+[&!]\S+)*)(\s*|\s+#.*)$`)

// rewrite replaces every environment block by what as makes of it; nil if there is none.
func (s *subject) rewrite(as func(b block) ([]string, bool)) []byte {
	type found struct {
		first, last int
		lines       []string
		eol, end    string
	}
	var all []found
	for i, name := range s.services() {
		for _, p := range s.places(name) {
			if p.environment == nil || opens(p.environment) || len(p.environment.Content) == 0 || flow(p.service) {
				continue
			}
			first, last := p.environmentKey.Line, s.last(p.environment)
			m := blockHead.FindStringSubmatch(s.text(first))
			if m == nil || last <= first {
				continue
			}
			b := block{
				node: p.environment, head: m[1] + m[2], note: strings.TrimRight(m[3], " \t"), indent: strings.Repeat(" ", indentOf(m[0])),
				body: s.lines[first:last], eol: s.lines[first-1].eol, odd: i%2 == 1, subject: s, properties: m[2] != "",
			}
			if lines, ok := as(b); ok {
				all = append(all, found{first, last, lines, b.eol, s.lines[last-1].eol})
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	replaced := map[int]found{}
	for _, f := range all {
		replaced[f.first] = f
	}
	var out strings.Builder
	if bytes.HasPrefix(s.data, []byte("\ufeff")) {
		out.WriteString("\ufeff")
	}
	for number := 1; number <= len(s.lines); number++ {
		f, ok := replaced[number]
		if !ok {
			out.WriteString(s.lines[number-1].text + s.lines[number-1].eol)
			continue
		}
		out.WriteString(strings.Join(f.lines, f.eol) + f.end)
		number = f.last
	}
	return []byte(out.String())
}

func flowLine(b block) ([]string, bool) {
	entries, ok := flowEntries(b.node)
	if !ok {
		return nil, false
	}
	left, right := brackets(b.node)
	if b.odd {
		left, right = left+" ", " "+right
	}
	return []string{b.head + " " + left + strings.Join(entries, ", ") + right + b.note}, true
}

// flowLines puts every entry on a line. Every other block has a comma behind the last one and comments.
func flowLines(b block) ([]string, bool) {
	entries, ok := flowEntries(b.node)
	if !ok {
		return nil, false
	}
	left, right := brackets(b.node)
	lines := []string{b.head + " " + left + b.note}
	for i, e := range entries {
		if i < len(entries)-1 || b.odd {
			e += ","
		}
		if b.odd && i%2 == 0 {
			e += " # " + strconv.Itoa(i)
		}
		lines = append(lines, b.indent+"    "+e)
	}
	if b.odd || strings.Contains(lines[len(lines)-1], "#") {
		return append(lines, b.indent+"  "+right), true
	}
	lines[len(lines)-1] += right
	return lines, true
}

func brackets(n *yaml.Node) (left, right string) {
	if n.Kind == yaml.SequenceNode {
		return "[", "]"
	}
	return "{", "}"
}

func flowEntries(n *yaml.Node) ([]string, bool) {
	var out []string
	for _, e := range entriesOf(n, "") {
		text, ok := flowNode(e.value)
		if !ok {
			return nil, false
		}
		if e.key != e.value {
			key, ok := flowNode(e.key)
			if !ok {
				return nil, false
			}
			text = strings.TrimRight(key+": "+text, " ")
			if e.value.Kind == yaml.AliasNode {
				text += " "
			}
		}
		out = append(out, text)
	}
	return out, true
}

var plainInFlow = regexp.MustCompile(`^[A-Za-z0-9_./-]*[A-Za-z0-9_./]$`)

func flowNode(n *yaml.Node) (string, bool) {
	properties := ""
	if n.Anchor != "" && n.Kind != yaml.AliasNode {
		properties = "&" + n.Anchor + " "
	}
	if n.Style&yaml.TaggedStyle != 0 {
		properties += n.Tag + " "
		if strings.Contains(n.Tag, ":") {
			return "", false
		}
	}
	switch n.Kind {
	case yaml.AliasNode:
		return "*" + n.Value + " ", true
	case yaml.SequenceNode, yaml.MappingNode:
		entries, ok := flowEntries(n)
		left, right := brackets(n)
		return properties + left + strings.Join(entries, ", ") + right, ok
	}
	plain := n.Style&^yaml.TaggedStyle == 0
	if plain && (n.ShortTag() != "!!str" || plainInFlow.MatchString(n.Value)) {
		return properties + n.Value, !strings.ContainsAny(n.Value, ",[]{}")
	}
	return properties + strconv.Quote(n.Value), true
}

func emptied(as string) func(b block) ([]string, bool) {
	return func(b block) ([]string, bool) {
		if b.properties { // something may refer to it
			return nil, false
		}
		return []string{b.head + as + b.note}, true
	}
}

func commentedOut(b block) ([]string, bool) {
	if b.properties {
		return nil, false
	}
	lines := []string{b.head + b.note}
	for _, l := range b.body {
		if text := strings.TrimLeft(l.text, " "); text != "" && !comment(text) {
			lines = append(lines, l.text[:len(l.text)-len(text)]+"# "+text)
		} else {
			lines = append(lines, l.text)
		}
	}
	return lines, true
}

// TestVariantsAreMade holds the makers against files of every form, so that none of them quietly stops to make anything.
func TestVariantsAreMade(t *testing.T) {
	data := "x-e: &e {Z: z}\nservices:\n  a:\n    environment: # why\n      <<: *e\n      A: \"1\"\n      B: 2\n      C:\n      D: |\n        text\n  b:\n    environment:\n    - A=1\n    - B=x, y\n    image: b\n"
	want := map[string]string{
		"flow on one line":   "x-e: &e {Z: z}\nservices:\n  a:\n    environment: {<<: *e , A: \"1\", B: 2, C:, D: \"text\\n\"} # why\n  b:\n    environment: [ \"A=1\", \"B=x, y\" ]\n    image: b\n",
		"flow on many lines": "x-e: &e {Z: z}\nservices:\n  a:\n    environment: { # why\n        <<: *e ,\n        A: \"1\",\n        B: 2,\n        C:,\n        D: \"text\\n\"}\n  b:\n    environment: [\n        \"A=1\", # 0\n        \"B=x, y\",\n      ]\n    image: b\n",
		"null":               "x-e: &e {Z: z}\nservices:\n  a:\n    environment: # why\n  b:\n    environment:\n    image: b\n",
		"[]":                 "x-e: &e {Z: z}\nservices:\n  a:\n    environment: [] # why\n  b:\n    environment: []\n    image: b\n",
		"commented out":      "x-e: &e {Z: z}\nservices:\n  a:\n    environment: # why\n      # <<: *e\n      # A: \"1\"\n      # B: 2\n      # C:\n      # D: |\n        # text\n  b:\n    environment:\n    # - A=1\n    # - B=x, y\n    image: b\n",
	}
	s, err := newSubject("compose.yml", filepath.Join(t.TempDir(), "compose.yml"), []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range variants {
		got := v.make(s)
		other, err := newSubject("compose.yml", s.path, got)
		if err != nil || !s.sameAs(other, v.emptied) {
			t.Errorf("%s (%s): is not the same data: %v\n%s", v.name, v.reason, err, got)
		}
		if text, ok := want[v.name]; ok && string(got) != text {
			t.Errorf("%s (%s): want\n%s\ngot\n%s", v.name, v.reason, text, got)
		}
	}
}

// TestBrokenApplication is what Composure was made for: three variables that were forgotten in the services of a real application's
// shape, in a file and in the one for development. The patch is three lines a block, at its end, in its indentation.
func TestBrokenApplication(t *testing.T) {
	added := []string{
		"- CELERY_BEAT_REDIS_SYNC_ENABLED=${CELERY_BEAT_REDIS_SYNC_ENABLED:-true}",
		"- CELERY_BEAT_MIN_SYNC_INTERVAL=${CELERY_BEAT_MIN_SYNC_INTERVAL:-5}",
		"- CELERY_BEAT_REDIS_CHANNEL=${CELERY_BEAT_REDIS_CHANNEL:-celery_beat_schedule_updates}",
	}
	cases := map[string]struct {
		reason string
		blocks map[string]string // service → the line below which its three lines go
	}{
		"docker-compose.yml": {"a block in the middle of a service, and one with comments at its end", map[string]string{
			"app": "      - CELERY_RESULT_BACKEND=redis://redis:6379/1", "celery-beat": "      - BEAT_DATABASE_POLL_SECONDS=${BEAT_DATABASE_POLL_SECONDS:-300}  # a safety net",
		}},
		"docker-compose.dev.yml": {"dashes under the key, at the end of a file that has no line break there", map[string]string{
			"celery-beat": `    - "LOG_LEVEL=debug"`,
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", "celery", name)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var changes []edit.Change
			want := string(data)
			for _, service := range slices.Sorted(maps.Keys(c.blocks)) {
				last := c.blocks[service]
				lines := last
				for _, entry := range added {
					key, text, _ := strings.Cut(strings.TrimPrefix(entry, "- "), "=")
					changes = append(changes, edit.Change{Service: service, Key: key, Text: text})
					if strings.Contains(last, `"`) {
						entry = `- "` + strings.TrimPrefix(entry, "- ") + `"`
					}
					lines += "\n" + strings.Repeat(" ", indentOf(last)) + entry
				}
				if strings.Count(want, last) != 1 {
					t.Fatalf("%q is not once in the file", last)
				}
				want = strings.Replace(want, last, lines, 1)
			}
			got, err := edit.Apply(name, data, changes)
			if err != nil || len(got.Refused) > 0 {
				t.Fatal(err, reasonsOf(got))
			}
			if string(got.Content) != want {
				t.Errorf("%s: want\n%s\ngot\n%s", c.reason, showHunks(data, []byte(want)), showHunks(data, got.Content))
			}
			judged(t, path, data, got)
			if n := 3 * len(c.blocks); len(splitLines(got.Content)) != len(splitLines(data))+n {
				t.Errorf("want exactly %d lines more", n)
			}
			again, err := edit.Apply(name, got.Content, changes)
			if err != nil || string(again.Content) != string(got.Content) {
				t.Errorf("the second time is no noop: %v %s", err, showHunks(got.Content, again.Content))
			}
		})
	}
}

// judged asks every judge about a result.
func judged(t interface {
	Helper()
	Errorf(format string, args ...any)
}, path string, data []byte, result edit.Result) {
	t.Helper()
	s, err := newSubject(path, path, data)
	if err != nil {
		t.Errorf("%v", err)
		return
	}
	in := intentOf(result.Applied)
	found := s.linesSay(result.Content, in)
	more, _ := s.yamlSays(result.Content, in, true)
	for _, what := range append(found, more...) {
		t.Errorf("%s: %s", path, what)
	}
}
