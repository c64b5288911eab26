package syntax

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"
)

// TestToken: the bytes of each scalar, alias and collection, of every form that YAML has for them.
func TestToken(t *testing.T) {
	cases := map[string]struct {
		reason string
		text   string
		want   []string // the text of each node below the root
	}{
		"Plain":          {"up to its comment", "a: b c # d\n", []string{"a", "b c"}},
		"PlainLines":     {"folded over lines", "a: b\n  c\n\n  d\n", []string{"a", "b\n  c\n\n  d"}},
		"PlainTabs":      {"white space inside is the value's own", "a: b\tc\n", []string{"a", "b\tc"}},
		"Quoted":         {"with their quotes, and what is escaped in them", "a: \"b\\\" c\"\nd: 'e'' f' # g\n", []string{"a", `"b\" c"`, "d", "'e'' f'"}},
		"QuotedLines":    {"over lines", "a: \"b\n  c\"\n", []string{"a", "\"b\n  c\""}},
		"Empty":          {"nothing", "a:\nb: # c\n", []string{"a", "", "b", ""}},
		"Properties":     {"behind anchor and tag", "a: &x !!str b\nc: !!int &y 1\nd: &z\ne: !t\n", []string{"a", "b", "c", "1", "d", "", "e", ""}},
		"KeyProperties":  {"those of the first key are not the block's", "a: !t\n  &x b: 1\n", []string{"a", "&x b: 1", "b", "1"}},
		"LongTag":        {"a tag may hold anything between its brackets", "a: !<tag:x,2000:y> b\n", []string{"a", "b"}},
		"Alias":          {"the alias itself", "a: &x 1\nb: *x # c\n", []string{"a", "1", "b", "*x"}},
		"Literal":        {"from its header to its last line", "a: | # h\n  b\n\n   c\n\nd: 1\n", []string{"a", "| # h\n  b\n\n   c", "d", "1"}},
		"LiteralKeep":    {"the blank lines below are content", "a: |+\n  b\n\n\nd: 1\n", []string{"a", "|+\n  b\n\n", "d", "1"}},
		"LiteralIndent":  {"a given indentation allows a first line that is indented more", "a: |2\n    b\n  c\nd: 1\n", []string{"a", "|2\n    b\n  c", "d", "1"}},
		"LiteralComment": {"what is indented less is a comment, not content", "a:\n  b: |\n      c\n    # d\n  e: 1\n", []string{"a", "b: |\n      c\n    # d\n  e: 1", "b", "|\n      c", "e", "1"}},
		"LiteralItem":    {"in a list", "- |-\n  a\n- b\n", []string{"|-\n  a", "b"}},
		"LiteralEmpty":   {"nothing but a header", "a: |\nb: 1\n", []string{"a", "|", "b", "1"}},
		"LiteralEnds":    {"at the end of the file, without a line break", "a: |\n  b", []string{"a", "|\n  b"}},
		"Flow":           {"with their brackets", "a: [b, {c: d}, [], {}] # e\n", []string{"a", "[b, {c: d}, [], {}]", "b", "{c: d}", "c", "d", "[]", "{}"}},
		"FlowLines":      {"over lines, comments and a last comma", "a: [\n  b, # ]\n  c, # x\n]\n", []string{"a", "[\n  b, # ]\n  c, # x\n]", "b", "c"}},
		"Unicode":        {"columns count characters", "ä: ö # ü\n", []string{"ä", "ö"}},
		"BOM":            {"a byte order mark counts as nothing", "\ufeffa: b\n", []string{"a", "b"}},
		"CRLF":           {"a carriage return is part of nothing", "a: b\r\nc: |\r\n  d\r\n", []string{"a", "b", "c", "|\r\n  d"}},
		"Complex":        {"a key may stand alone", "? a\n: b\n", []string{"a", "b"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := parse(t, tc.text)
			var got []string
			for _, n := range nodes(f.Roots[0])[1:] {
				got = append(got, tc.text[f.Text(n):f.End(n)])
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestColumn(t *testing.T) {
	cases := map[string]struct {
		reason string
		text   string
		want   int
	}{
		"Map":         {"its keys", "a:\n  b: 1\n", 3},
		"List":        {"its dashes", "a:\n- b\n", 1},
		"AnchoredMap": {"the anchor stands elsewhere", "a: &x\n    b: 1\n", 5},
		"TaggedList":  {"the tag stands elsewhere", "a: !override\n   -  b\n", 4},
		"Question":    {"the question mark", "a: &x\n    ? b\n    : 1\n", 5},
		"Below":       {"an item may stand below its dash", "a: &x\n  -\n     b\n", 3},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := parse(t, tc.text)
			if got := f.Column(Child(f.Roots[0], "a")); got != tc.want {
				t.Errorf("%s: got %d, want %d", tc.reason, got, tc.want)
			}
		})
	}
}

func TestLines(t *testing.T) {
	f := Open([]byte("\ufeffab\r\ncd\n\nef"))
	if got := []int{f.Line(3), f.Line(7), f.Line(10), f.Line(12)}; !cmp.Equal(got, []int{1, 2, 3, 4}) {
		t.Errorf("lines: %v", got)
	}
	if f.LineStart(4) != 3 || f.LineEnd(4) != 5 || f.NextLine(4) != 7 || f.NextLine(12) != 13 {
		t.Errorf("line of ab: %d to %d, next %d; last %d", f.LineStart(4), f.LineEnd(4), f.NextLine(4), f.NextLine(12))
	}
	if f.LineBreak(5) != "\r\n" || f.LineBreak(9) != "\n" || f.LineBreak(13) != "\n" {
		t.Errorf("breaks: %q, %q, %q", f.LineBreak(5), f.LineBreak(9), f.LineBreak(13))
	}
}

func TestExact(t *testing.T) {
	for text, want := range map[string]bool{"a\nb": true, "a\r\nb": true, "a\rb": false, "a\u0085b": false, "a\u2028b": false, "a\x00b": false, "\xff": false} {
		if got := Open([]byte(text)).Exact(); got != want {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

// TestTokensReadBack: what a token says, alone, is what the node says in its file.
func TestTokensReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b c", "it's", `"q"`, "x: y", "# c", "", "line\nline", "\ttab", "ü", "1", "- d"}), 1, 6).Draw(t, "words")
		style := rapid.SampledFrom([]yaml.Style{0, yaml.SingleQuotedStyle, yaml.DoubleQuotedStyle, yaml.LiteralStyle, yaml.FoldedStyle}).Draw(t, "style")
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for _, w := range words {
			list.Content = append(list.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: w, Style: style})
		}
		text, err := yaml.Marshal(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: "k"}, list}})
		if err != nil {
			t.Skip("the library cannot write it: ", err)
		}
		wantReadBack(t, text)
	})
}

func wantReadBack(t interface {
	Fatalf(format string, args ...any)
}, text []byte) {
	f, err := Parse(text)
	if err != nil || !f.Exact() {
		return
	}
	for _, root := range f.Roots {
		for _, n := range nodes(root) {
			start, end := f.Offset(n), f.End(n)
			if start > end || end > len(text) {
				t.Fatalf("%q: %q from %d to %d", text, n.Value, start, end)
			}
			if n.Kind != yaml.ScalarNode || n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 || n.Style&yaml.TaggedStyle != 0 || n.Anchor != "" {
				continue
			}
			var alone yaml.Node
			if err := yaml.Unmarshal([]byte("- "+string(text[start:end])+"\n"), &alone); err != nil || len(alone.Content) == 0 {
				continue // in flow style, or with an indentation of its own, it may not stand alone
			}
			if item := alone.Content[0].Content[0]; item.Kind == yaml.ScalarNode && item.Value != n.Value {
				t.Fatalf("%q: the token %q reads %q, the node %q", text, text[start:end], item.Value, n.Value)
			}
		}
	}
}

// FuzzParse: no file makes it panic or hang, and every token lies in the file.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"a: &x !!str b # c\n", "? a\n: |+2\n    b\n\n", "a: [b, {c: 'd'''}, ]\n---\n- \"e\\\"\"\n", "a: &a {b: 1}\nc: {<<: *a}\n", "\ufeffa:\r\n  - b\r\n",
		"a: !<tag:x> [\n# ]\n]\n", "a:\n  b: |\n      c\n    # d\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<12 {
			return
		}
		file, err := Parse(text)
		if err != nil || !file.Exact() {
			return
		}
		for _, root := range file.Roots {
			for _, n := range nodes(root) {
				start, end := file.Offset(n), file.End(n)
				if start < 0 || start > len(text) || end < 0 || end > len(text) {
					t.Fatalf("%q: from %d to %d", n.Value, start, end)
				}
				file.Column(n)
				file.Properties(n)
				file.Before(n)
			}
			Pairs(root)
		}
	})
}

// TestCorpusTokens: in real files every token reads back. COMPOSURE_CORPUS names a folder of them.
func TestCorpusTokens(t *testing.T) {
	dir := os.Getenv("COMPOSURE_CORPUS")
	if dir == "" {
		t.Log("COMPOSURE_CORPUS is not set: only the files of the editor's own test data")
		dir = filepath.Join("..", "edit", "testdata")
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".yml") && !strings.HasSuffix(path, ".yaml") {
			return err
		}
		content, err := os.ReadFile(path)
		wantReadBack(t, content)
		files++
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files", files)
}
