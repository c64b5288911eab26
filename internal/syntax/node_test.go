package syntax

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
)

func parse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestPairs: which entries a mapping has, and which of several counts.
func TestPairs(t *testing.T) {
	cases := map[string]struct{ reason, text, want string }{
		"Own":      {"what is written down", "m: {a: 1, b: 2}", "a=1 b=2"},
		"Merged":   {"an explicit key beats a merged one, wherever it stands", "x: &x {a: 0, b: 0}\nm: {<<: *x, a: 1}", "a=1 b=0"},
		"First":    {"the first of several merged ones wins", "x: &x {a: 0}\ny: &y {a: 1, b: 1}\nm: {<<: [*x, *y]}", "a=0 b=1"},
		"Nested":   {"a merged mapping may merge itself", "x: &x {a: 0}\ny: &y {<<: *x, b: 1}\nm: {<<: *y}", "b=1 a=0"},
		"Anchored": {"a list of mappings may have an anchor of its own", "x: &x [{a: 0}, {b: 1}]\nm: {<<: *x}", "a=0 b=1"},
		"Quoted":   {"a quoted << is a key like any other", "m: {'<<': 1, a: 2}", "<<=1 a=2"},
		"Alias":    {"an alias is followed", "x: &x {a: 0}\nm: *x", "a=0"},
		"List":     {"a list has none", "m: [a, b]", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, e := range Entries(parse(t, tc.text).Roots[0]) {
				if e.Key.Value == "m" {
					for _, p := range Pairs(e.Value) {
						got = append(got, p.Key.Value+"="+p.Value.Value)
					}
				}
			}
			if diff := cmp.Diff(tc.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestLookup(t *testing.T) {
	root := parse(t, "x: &x {a: 1, c: {d: 2}}\ny: &y 3\nm: {<<: *x, b: *y}").Roots[0]
	m := Child(root, "m")
	cases := map[string]struct {
		reason  string
		key     string
		want    string
		aliased bool
		merged  bool
	}{
		"Merged":  {"a merge key brings it in", "a", "1", false, true},
		"Aliased": {"the value is an alias, which is followed", "b", "3", true, false},
		"Missing": {"nothing", "z", "", false, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			found := Lookup(m, tc.key)
			if ScalarAt(m, tc.key) != tc.want || found.Aliased != tc.aliased || found.Merged != tc.merged || (found.Node == nil) != (tc.want == "") {
				t.Errorf("%s: got %+v", tc.reason, found)
			}
		})
	}
	if got := Strings(parse(t, "[a, {b: 1}, c]").Roots[0]); !cmp.Equal(got, []string{"a", "c"}) {
		t.Errorf("the scalars of a list, got %v", got)
	}
}

// Nine levels of ten merge keys bring in a billion mappings, each of which counts once.
func TestLineageOfABomb(t *testing.T) {
	text := "x0: &x0 {a: 1}\n"
	for i := range 9 {
		before, after := string(rune('0'+i)), string(rune('1'+i))
		text += "x" + after + ": &x" + after + " {<<: [" + strings.TrimSuffix(strings.Repeat("*x"+before+", ", 10), ", ") + "]}\n"
	}
	if n := len(Lineage(Child(parse(t, text).Roots[0], "x9"))); n != 10 {
		t.Errorf("%d mappings, want each once", n)
	}
}

// nodes are all nodes of a tree, in the order in which they are written.
func nodes(n *yaml.Node) []*yaml.Node {
	if n == nil {
		return nil
	}
	all := []*yaml.Node{n}
	for _, c := range n.Content {
		all = append(all, nodes(c)...)
	}
	return all
}
