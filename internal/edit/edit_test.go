package edit

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// example is one archive of testdata: its comment is the reason.
type example struct {
	reason                 string
	changes                []Change
	before, after, refused []byte
}

func examples(t *testing.T) map[string]example {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("list testdata: %v, %v", paths, err)
	}
	all := map[string]example{}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		e := example{reason: string(archive.Comment)}
		for _, f := range archive.Files {
			switch f.Name {
			case "changes":
				for line := range strings.Lines(string(f.Data)) {
					fields := append(strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3), "")
					e.changes = append(e.changes, Change{Service: fields[0], Key: fields[1], Text: fields[2]})
				}
			case "before.yml":
				e.before = f.Data
			case "after.yml":
				e.after = f.Data
			case "refused":
				e.refused = f.Data
			}
		}
		all[filepath.Base(path)] = e
	}
	return all
}

// The same edits hold for the same file with other line breaks, a byte order mark, or no line break at its end.
func TestApplyExamples(t *testing.T) {
	variants := map[string]func([]byte) []byte{
		"as is":            func(b []byte) []byte { return b },
		"CRLF":             func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) },
		"BOM":              func(b []byte) []byte { return append([]byte("\ufeff"), b...) },
		"no final newline": func(b []byte) []byte { return bytes.TrimSuffix(b, []byte("\n")) },
		"CRLF, no final newline": func(b []byte) []byte {
			return bytes.TrimSuffix(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")), []byte("\r\n"))
		},
	}
	for name, e := range examples(t) {
		for variant, as := range variants {
			t.Run(name+"/"+variant, func(t *testing.T) {
				got, err := Apply(name, as(e.before), e.changes)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(as(e.after)), string(got.Content)); diff != "" {
					t.Errorf("%s: content: -want, +got:\n%s", e.reason, diff)
				}
				if diff := cmp.Diff(string(e.refused), refusals(got)); diff != "" {
					t.Errorf("%s: refused: -want, +got:\n%s", e.reason, diff)
				}
				if len(got.Applied)+len(got.Refused) != len(e.changes) {
					t.Errorf("%s: %d applied and %d refused of %d", e.reason, len(got.Applied), len(got.Refused), len(e.changes))
				}
			})
		}
	}
}

func refusals(r Result) string {
	var b strings.Builder
	for _, refusal := range r.Refused {
		fmt.Fprintf(&b, "%s.%s %s %d: %s\n", refusal.Change.Service, refusal.Change.Key, refusal.Reason, refusal.Line, refusal.Hint)
	}
	return b.String()
}

func TestApplyRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		data   string
		text   string
		want   Reason
	}{
		"TwoDocuments":     {"which document counts is compose's rule, not ours yet", "services:\n  a:\n    image: x\n---\nservices: {}\n", "1", ReasonMultiDocument},
		"Empty":            {"there is no service", "", "1", ReasonServiceMissing},
		"OnlyComments":     {"there is no service", "# nothing\n", "1", ReasonServiceMissing},
		"NullServices":     {"there is no service", "services:\n", "1", ReasonServiceMissing},
		"ListServices":     {"services must be a mapping", "services:\n- a\n", "1", ReasonNotAMapping},
		"ServicesTwice":    {"which one counts differs between parsers", "services:\n  a:\n    image: x\nservices:\n  b:\n    image: x\n", "1", ReasonDuplicateKey},
		"UTF16":            {"positions are counted in UTF-8", "\xff\xfea\x00:\x00 \x001\x00", "1", ReasonEncoding},
		"LineSeparator":    {"the parser counts U+2028 as a line break", "services:\n  a: # \u2028\n    environment:\n      B: 1\n", "1", ReasonEncoding},
		"LoneCR":           {"the parser counts CR as a line break", "services:\r  a:\r    environment:\r      B: 1\r", "1", ReasonEncoding},
		"InvalidText":      {"a value that is no UTF-8 cannot stand in YAML", "services:\n  a:\n    environment:\n      B: 1\n", "\xff", ReasonEncoding},
		"LiteralEndsFile":  {"a line below would add a line break to the value", "services:\n  a:\n    environment:\n      B: |\n        x", "1", ReasonBlockScalar},
		"ExtendsShort":     {"the other service would change too", "services:\n  a:\n    environment:\n      B: 1\n  b:\n    extends: a\n", "1", ReasonExtended},
		"ExtendsThisFile":  {"the other service would change too", "services:\n  a:\n    environment:\n      B: 1\n  b:\n    extends: {file: compose.yml, service: a}\n", "1", ReasonExtended},
		"AnchoredService":  {"the other service would change too", "services:\n  a: &a\n    environment:\n      B: 1\n  b:\n    <<: *a\n", "1", ReasonAnchorShared},
		"AnchoredListItem": {"the other service would change too", "services:\n  a:\n    environment:\n      - &x A=1\n  b:\n    environment:\n      - *x\n", "2", ReasonAnchorShared},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Apply("compose.yml", []byte(c.data), []Change{{Service: "a", Key: "A", Text: c.text}})
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if len(got.Refused) != 1 || got.Refused[0].Reason != c.want || string(got.Content) != c.data {
				t.Errorf("%s: want refusal %q, got %q and\n%s", c.reason, c.want, refusals(got), got.Content)
			}
		})
	}
}

// However the text would be quoted, a hint shows none of it when it is sensitive, nor ever the password of a URL.
func TestHintHidesSensitiveText(t *testing.T) {
	cases := map[string]struct {
		reason, block, text string
		sensitive           bool
		want                string
	}{
		"Map":     {"a mask in its place", "{A: x}", "hunter2", true, `A: "********"`},
		"List":    {"a mask in its place", "[A=x]", "hunter2", true, `- A=********`},
		"Escaped": {"the text would be escaped", "{A: x}", "hun\"t\ner2", true, `A: "********"`},
		"Doubled": {"the text's quotes would be doubled", "{A: x}", `hun"t''er2`, true, `A: "********"`},
		"URL":     {"only the password goes", "{A: x}", "redis://u:hunter2@h/0", false, "A: redis://u:********@h/0"},
		"Open":    {"nothing to hide", "{A: x}", "info", false, "A: info"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			change := Change{Service: "a", Key: "A", Text: tc.text, Sensitive: tc.sensitive}
			got, err := Apply("compose.yml", []byte("services:\n  a:\n    environment: "+tc.block+"\n"), []Change{change})
			if err != nil || len(got.Refused) != 1 {
				t.Fatalf("%s: want one refusal, got %+v, %v", tc.reason, got, err)
			}
			if hint := got.Refused[0].Hint; !strings.HasSuffix(hint, ".environment: "+tc.want) {
				t.Errorf("%s: want %s at the end, got %s", tc.reason, tc.want, hint)
			}
			if diff := cmp.Diff(change, got.Refused[0].Change); diff != "" {
				t.Errorf("%s: the change itself stays (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestApplyExtendedThatDeclaresItself(t *testing.T) {
	data := "services:\n  a:\n    environment:\n      A: x\n  b:\n    extends: a\n    environment:\n    - A=own\n"
	got, err := Apply("compose.yml", []byte(data), []Change{{Service: "a", Key: "A", Text: "z"}})
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(data, "A: x", "A: z", 1); string(got.Content) != want {
		t.Errorf("a service that sets the key itself is not affected: %s\n%s", refusals(got), got.Content)
	}
}

func TestApplyNotYAML(t *testing.T) {
	for _, data := range []string{"a: [", "services:\n\ta: 1\n", "a: b: c"} {
		if _, err := Apply("compose.yml", []byte(data), nil); err == nil || !strings.Contains(err.Error(), `"compose.yml"`) {
			t.Errorf("%q: want an error that names the file, got %v", data, err)
		}
	}
}

func TestReasonsHaveMessages(t *testing.T) {
	for _, r := range []Reason{
		ReasonFlow, ReasonAlias, ReasonMerge, ReasonAnchorShared, ReasonExtended, ReasonTagged, ReasonNullBlock, ReasonDuplicateKey, ReasonMultiDocument,
		ReasonBlockScalar, ReasonComplexKey, ReasonServiceMissing, ReasonNotAMapping, ReasonEncoding, ReasonInvalidKey, ReasonUnproven,
	} {
		if r.message() == string(r) {
			t.Errorf("reason %q has no message", r)
		}
	}
}

// Nine levels of ten aliases expand to a billion nodes.
func TestApplyAliasBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString("x0: &x0 {environment: {A: 1}}\n")
	for i := range 9 {
		item := fmt.Sprintf("*x%d", i)
		fmt.Fprintf(&b, "x%d: &x%d [%s]\n", i+1, i+1, strings.Join([]string{item, item, item, item, item, item, item, item, item, item}, ", "))
	}
	b.WriteString("services:\n  a:\n    environment:\n      B: 1\n  b:\n    x: *x9\n  c:\n    <<: *x9\n")
	start := time.Now()
	got, err := Apply("compose.yml", []byte(b.String()), []Change{{Service: "a", Key: "A", Text: "1"}, {Service: "c", Key: "A", Text: "1"}})
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v", took)
	}
	if len(got.Applied) != 1 || len(got.Refused) != 1 || got.Refused[0].Reason != ReasonMerge {
		t.Errorf("want a applied and c refused, got %v and %s", got.Applied, refusals(got))
	}
}

// The proof stands between the planner and the file, so it must see what a wrong plan does.
func TestProvedSeesOtherChanges(t *testing.T) {
	before := "services:\n  a:\n    environment:\n      A: x\n      B: y\n  b:\n    image: z\n"
	change := Change{Service: "a", Key: "A", Text: "1"}
	cases := map[string]struct {
		reason string
		after  string
		want   bool
	}{
		"Right":        {"only the key changed", strings.Replace(before, "A: x", `A: "1"`, 1), true},
		"OtherText":    {"the key reads as something else", strings.Replace(before, "A: x", "A: 011", 1), false},
		"NotYet":       {"the key was not changed", before, false},
		"OtherKey":     {"a second key changed", strings.NewReplacer("A: x", "A: '1'", "B: y", "B: x").Replace(before), false},
		"OtherService": {"another service changed", strings.NewReplacer("A: x", "A: '1'", "image: z", "image: a").Replace(before), false},
		"KeyLost":      {"another key vanished", strings.NewReplacer("A: x", "A: '1'", "      B: y\n", "").Replace(before), false},
		"Document":     {"a document more", strings.Replace(before, "A: x", "A: '1'", 1) + "---\na: 1\n", false},
		"Typed":        {"a string became a number", strings.NewReplacer("A: x", "A: '1'", "B: y", "B: 1").Replace(before), false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b, errB := parse([]byte(before))
			a, errA := parse([]byte(c.after))
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			if got := proved(b, a, []Change{change}); got != c.want {
				t.Errorf("%s: want %v, got %v", c.reason, c.want, got)
			}
		})
	}
}
