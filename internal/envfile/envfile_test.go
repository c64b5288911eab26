package envfile

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
)

func TestMain(m *testing.M) {
	logrus.SetOutput(io.Discard) // compose-go warns of every variable that is not set
	os.Exit(m.Run())
}

func set(key, text string) Change { return Change{Key: key, Text: text} }

func remove(key string) Change { return Change{Key: key, Remove: true} }

// refusals is a line for each refusal.
func refusals(r Result) string {
	var b strings.Builder
	for _, refusal := range r.Refused {
		fmt.Fprintf(&b, "%s %d %s", refusal.Change.Key, refusal.Line, refusal.Reason)
		if _, keys, ok := strings.Cut(refusal.Message, ": "); ok {
			fmt.Fprintf(&b, " (%s)", keys)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

type applyCase struct {
	reason  string
	before  string
	changes []Change
	after   string // "" if nothing moves
	refused string
}

// edits hold for the same file with other line breaks, a byte order mark, or no line break at its end.
func edits() map[string]applyCase {
	one := func(c Change) []Change { return []Change{c} }
	return map[string]applyCase{
		"Change":          {"the value alone is replaced", "# a\nA=1\nB=2\n", one(set("A", "3")), "# a\nA=3\nB=2\n", ""},
		"Comment":         {"a trailing comment and its distance stay", "A=1   # why\n", one(set("A", "3")), "A=3   # why\n", ""},
		"Blanks":          {"blanks at the end of the line stay", "A=1  \nB=\n", one(set("A", "3")), "A=3  \nB=\n", ""},
		"Export":          {"the export prefix stays", "export A=1\nB=2\n", one(set("A", "3")), "export A=3\nB=2\n", ""},
		"Colon":           {"the YAML form stays", "A: 1\nB: 2\n", one(set("A", "3")), "A: 3\nB: 2\n", ""},
		"Spaces":          {"spaces around = stay", "A = 1\nB=2\n", one(set("A", "3")), "A = 3\nB=2\n", ""},
		"Indented":        {"indentation stays", "  A=1\nB=2\n", one(set("A", "3")), "  A=3\nB=2\n", ""},
		"Empty value":     {"the value goes behind the =", "A=\nB=2\n", one(set("A", "3")), "A=3\nB=2\n", ""},
		"Empty colon":     {"a blank parts key and value", "A:\nB: 2\n", one(set("A", "3")), "A: 3\nB: 2\n", ""},
		"Empty spaced":    {"the blank is there already", "A = \nB=2\n", one(set("A", "3")), "A = 3\nB=2\n", ""},
		"To empty":        {"an empty value needs no quotes", "A=1\nB=2\n", one(set("A", "")), "A=\nB=2\n", ""},
		"To empty noted":  {"a comment would become the value", "A=1  # why\nB=2\n", one(set("A", "")), "A=\"\"  # why\nB=2\n", ""},
		"Bare":            {"a name alone gets its value", "A\nB=2\n", one(set("A", "3")), "A=3\nB=2\n", ""},
		"Bare export":     {"a name alone behind export too", "export A\nB=2\n", one(set("A", "3")), "export A=3\nB=2\n", ""},
		"Last wins":       {"of several statements the last one counts", "A=1\nA=2\nB=2\n", one(set("A", "3")), "A=1\nA=3\nB=2\n", ""},
		"Double":          {"double quotes stay", "A=\"1\" # c\nB=2\n", one(set("A", "3")), "A=\"3\" # c\nB=2\n", ""},
		"Single":          {"single quotes stay", "A='1'\nB=2\n", one(set("A", "a b")), "A='a b'\nB=2\n", ""},
		"Single dollar":   {"a literal dollar is one in single quotes", "A='1'\nB=2\n", one(set("A", "a$$b")), "A='a$b'\nB=2\n", ""},
		"Single variable": {"single quotes would not interpolate", "A='1'\nB=2\n", one(set("A", "${X:-true}")), "A=\"${X:-true}\"\nB=2\n", ""},
		"Single quote":    {"a quote within goes into double quotes", "A='1'\nB=2\n", one(set("A", "it's")), "A=\"it's\"\nB=2\n", ""},
		"Single end":      {"a backslash at the end would escape the quote", "A='1'\nB=2\n", one(set("A", `C:\`)), "A=\"C:\\\\\"\nB=2\n", ""},
		"Variable":        {"what is interpolated needs no quotes", "A=1\nB=2\n", one(set("A", "${X:-true}")), "A=${X:-true}\nB=2\n", ""},
		"Dollar":          {"a doubled dollar stays one", "A=1\nB=2\n", one(set("A", "$$HOME")), "A=$$HOME\nB=2\n", ""},
		"Hash":            {"what reads as a comment is quoted", "A=1\nB=2\n", one(set("A", "a #b")), "A=\"a #b\"\nB=2\n", ""},
		"Leading hash":    {"a # at the begin is quoted", "A=1\nB=2\n", one(set("A", "#fff")), "A=\"#fff\"\nB=2\n", ""},
		"Blanks in value": {"blanks at the ends are quoted", "A=1\nB=2\n", one(set("A", " a ")), "A=\" a \"\nB=2\n", ""},
		"Quotes in value": {"single quotes need no escapes", "A=1\nB=2\n", one(set("A", `"a" #b\n`)), "A='\"a\" #b\\n'\nB=2\n", ""},
		"Line break":      {"a line break is escaped", "A=1\nB=2\n", one(set("A", "a\nb")), "A=\"a\\nb\"\nB=2\n", ""},
		"Backslash":       {"no escapes are read without quotes", "A=1\nB=2\n", one(set("A", `C:\new`)), "A=C:\\new\nB=2\n", ""},
		"House quotes":    {"quotes that are needed are those of the others", "A=1\nB='2'\nC='3'\nD='4'\n", one(set("A", "a #b")), "A='a #b'\nB='2'\nC='3'\nD='4'\n", ""},
		"Shell":           {"a shell reads exports too", "export A=1\nB=2\n", one(set("A", "a b;c")), "export A=\"a b;c\"\nB=2\n", ""},
		"Multi-line":      {"a value over several lines becomes one", "A=\"1\n2\" # c\nB=2\n", one(set("A", "3")), "A=\"3\" # c\nB=2\n", ""},
		"Comment as text": {"what compose takes for the value was meant as a comment", "A= # why\nB=2\n", one(set("A", "3")), "A= 3 # why\nB=2\n", ""},
		"Comment emptied": {"only quotes make such a comment one", "A= # why\nB=2\n", one(set("A", "")), "A= \"\" # why\nB=2\n", ""},
		"Color":           {"a # right behind the = begins a value", "A=#fff\nB=2\n", one(set("A", "red")), "A=red\nB=2\n", ""},
		"Add":             {"a new key goes below the last statement", "# a\nA=1\nB=2\n\n# C=3\n", one(set("D", "4")), "# a\nA=1\nB=2\nD=4\n\n# C=3\n", ""},
		"Add export":      {"with export if all have it", "export A=1\nexport B=2\n", one(set("C", "a b")), "export A=1\nexport B=2\nexport C=\"a b\"\n", ""},
		"Add some export": {"without if only one has it", "export A=1\nB=2\n", one(set("C", "3")), "export A=1\nB=2\nC=3\n", ""},
		"Add one export":  {"one is no habit", "# a\nexport A=1\n", one(set("C", "3")), "# a\nexport A=1\nC=3\n", ""},
		"Add colon":       {"in the form of the others", "A: 1\nB: 2\n", one(set("C", "3")), "A: 1\nB: 2\nC: 3\n", ""},
		"Add spaced":      {"in the form of the others", "A = 1\nB = 2\n", one(set("C", "3")), "A = 1\nB = 2\nC = 3\n", ""},
		"Add quoted":      {"in the quotes of the others", "A=\"1\"\nB=\"2\"\nC=3\n", one(set("D", "4")), "A=\"1\"\nB=\"2\"\nC=3\nD=\"4\"\n", ""},
		"Add after lines": {"below a value over several lines", "A=\"1\n2\" # c\n# d\n", one(set("D", "4")), "A=\"1\n2\" # c\nD=4\n# d\n", ""},
		"Add two":         {"in the given order", "# a\nA=1\n", []Change{set("C", "3"), set("B", "2")}, "# a\nA=1\nC=3\nB=2\n", ""},
		"Remove":          {"the line goes, comments above it stay", "# a\nA=1 # why\nB=2\n", one(remove("A")), "# a\nB=2\n", ""},
		"Remove all":      {"every statement of the key goes", "A=1\nB=2\nA=3\n# c\nA\n# d\n", one(remove("A")), "B=2\n# c\n# d\n", ""},
		"Remove lines":    {"a value over several lines goes whole", "B=2\nA='1\n2'\nC=3\n", one(remove("A")), "B=2\nC=3\n", ""},
		"Remove last":     {"the file ends as before", "A=1\nB=2\n", one(remove("B")), "A=1\n", ""},
		"Remove missing":  {"it is not there", "A=1\n", one(remove("B")), "", ""},
		"Satisfied":       {"it says so already", "A=1\nB=\"${X:-true}\"\n", []Change{set("A", "1"), set("B", "${X:-true}")}, "", ""},
		"Satisfied text":  {"a dollar in single quotes is the doubled one", "A='a$b'\nB=\"\\$x\"\n", []Change{set("A", "a$$b"), set("B", "$$x")}, "", ""},
		"Satisfied lone":  {"a dollar before a blank is one, doubled or not", "A=5$ x\nB=1\n", one(set("A", "5$$ x")), "", ""},
		"Not the same":    {"the same value today is another text", "A=true\nB=1\n", one(set("A", "${X:-true}")), "A=${X:-true}\nB=1\n", ""},
		"Shared":          {"others would change too", "A=1\nB=${A}/x\nC=\"$A\"\nD='$A'\nE=$$A\n", one(set("A", "2")), "", "A 1 shared (B, C)\n"},
		"Shared hidden":   {"others would change in some environment", "A=1\nB=${P:+${Q-${A}}}\n", one(set("A", "2")), "", "A 1 shared (B)\n"},
		"Shared removal":  {"others would lack it", "A=1\nB=${A:?}\n", one(remove("A")), "", "A 1 shared (B)\n"},
		"Shared meant":    {"what follows is as it is wanted", "A=1\nB=${A}/x\n", []Change{set("B", "${A}/x"), set("A", "2")}, "A=2\nB=${A}/x\n", ""},
		"Not shared":      {"what stands above a statement does not see it", "A=1\nB=${A}\nA=2\n", one(set("A", "3")), "A=1\nB=${A}\nA=3\n", ""},
		"Earlier":         {"a text may interpolate what stands above", "A=1\nB=2\n", one(set("B", "${A}/x")), "A=1\nB=${A}/x\n", ""},
		"Required":        {"a required variable need not be set", "A=${X:?}\nB=2\n", []Change{set("B", "${Y:?why}"), set("C", "3")}, "A=${X:?}\nB=${Y:?why}\nC=3\n", ""},
		"Not required":    {"a variable is required no longer", "A=${X:?}\nB=2\n", one(set("A", "3")), "A=3\nB=2\n", ""},
		"Same line":       {"another variable would go too", "A=\"1\" B=2\n", one(remove("A")), "", "A 1 same-line\n"},
		"Same line value": {"a value can change there", "A=\"1\" B=2\n", one(set("A", "x y")), "A=\"x y\" B=2\n", ""},
		"Key":             {"such a key cannot be read", "A=1\n", []Change{set("A B", "1"), set("", "1"), set("A=", "1"), set("#A", "1"), set("export ", "")}, "", "A B 0 invalid-key\n 0 invalid-key\nA= 0 invalid-key\n#A 0 invalid-key\nexport  0 invalid-key\n"},
		"Template":        {"such a text cannot be interpolated", "A=1\n", []Change{set("A", "${"), set("A", "${X:-${}"), set("A", "${1}")}, "", "A 1 template\nA 1 template\nA 1 template\n"},
		"Text":            {"such a text cannot be written", "A=1\n", []Change{set("A", "\x00"), set("A", "\xff")}, "", "A 1 encoding\nA 1 encoding\n"},
		"Rest":            {"refusals do not stop the others", "A=1\nB=$A\n", []Change{set("A", "2"), set("C", "3")}, "A=1\nB=$A\nC=3\n", "A 1 shared (B)\n"},
	}
}

func TestApply(t *testing.T) {
	crlf := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
	cut := func(s string) string { return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r") }
	variants := map[string]func(string) string{
		"as is":            func(s string) string { return s },
		"CRLF":             crlf,
		"BOM":              func(s string) string { return "\ufeff" + s },
		"no final newline": cut,
		"all of them":      func(s string) string { return "\ufeff" + cut(crlf(s)) },
	}
	for name, tc := range edits() {
		for variant, as := range variants {
			t.Run(name+"/"+variant, func(t *testing.T) {
				want := as(tc.after)
				if tc.after == "" {
					want = as(tc.before)
				}
				checkApply(t, tc, as(tc.before), "", want)
			})
		}
	}
}

func checkApply(t *testing.T, tc applyCase, before, format, want string) {
	t.Helper()
	got, err := Apply(".env", []byte(before), format, tc.changes)
	if err != nil {
		t.Fatalf("%s: %v", tc.reason, err)
	}
	if diff := cmp.Diff(want, string(got.Content)); diff != "" {
		t.Errorf("%s: content: -want, +got:\n%s", tc.reason, diff)
	}
	if diff := cmp.Diff(tc.refused, refusals(got)); diff != "" {
		t.Errorf("%s: refused: -want, +got:\n%s", tc.reason, diff)
	}
	if len(got.Applied)+len(got.Refused) != len(tc.changes) {
		t.Errorf("%s: %d applied and %d refused of %d", tc.reason, len(got.Applied), len(got.Refused), len(tc.changes))
	}
}

// Edits that depend on how the file ends.
func TestApplyEnds(t *testing.T) {
	one := func(c Change) []Change { return []Change{c} }
	for name, tc := range map[string]applyCase{
		"Empty":             {"an empty file gets a line", "", one(set("A", "1")), "A=1\n", ""},
		"Byte order mark":   {"a file without text gets a line", "\ufeff", one(set("A", "1")), "\ufeffA=1\n", ""},
		"Comment":           {"a file of comments has no statement to stand below", "# a\r\n", one(set("A", "1")), "# a\r\nA=1\r\n", ""},
		"Comment cut":       {"its end has no line break", "# a", one(set("A", "1")), "# a\nA=1", ""},
		"Blank":             {"blanks are no line break", "  ", one(set("A", "1")), "  \nA=1", ""},
		"Sole":              {"the last statement leaves nothing", "A=1", one(remove("A")), "\x00", ""},
		"Bare end":          {"compose reads the last line as a value without a name", "A=1\nB", []Change{set("B", "1"), set("C", "1"), set("A", "2")}, "A=2\nB", "B 0 bare-end\nC 0 bare-end\n"},
		"Export bare end":   {"export changes nothing about it", "A=1\nexport B", one(set("B", "1")), "", "B 0 bare-end\n"},
		"Bare comes last":   {"a name alone needs the line break that is left", "A\nB=1", one(remove("B")), "A\n", ""},
		"Bare comes last 2": {"a name alone needs the line break that is left", "A\nB=1\nB=2", one(remove("B")), "A\n", ""},
		"Mixed":             {"the line break is that of the last statement", "A=1\r\nB=2\n\r\n", one(set("C", "3")), "A=1\r\nB=2\nC=3\n\r\n", ""},
		"Lines":             {"a value over several lines keeps its line breaks", "A='1\n2'\n", one(set("A", "3\n4\n")), "A='3\n4\n'\n", ""},
		"CRLF lines":        {"but no line break is mixed in", "A='1\r\n2'\r\n", one(set("A", "3\n4")), "A=\"3\\n4\"\r\n", ""},
		"Lone CR":           {"is a line break to some and none to others", "A=1\rB=2\n", one(set("A", "3")), "", "A 1 encoding\n"},
		"NUL":               {"is no text", "A=1\x00\n", one(set("A", "3")), "", "A 1 encoding\n"},
		"UTF-16":            {"is not UTF-8", "\xff\xfeA\x00=\x00", one(set("A", "3")), "", "A 0 encoding\n"},
		"Laughs":            {"variables expand to more than memory holds", laughs(), one(set("Z", "3")), "", "Z 0 too-large\n"},
		"Many":              {"an interpolation takes long", "A=" + strings.Repeat("${A:-x}", 2000), one(set("Z", "3")), "", "Z 0 too-large\n"},
		"Many in text":      {"an interpolation takes long", "A=1", one(set("Z", strings.Repeat("${A:-x}", 2000))), "", "Z 0 too-large\n"},
	} {
		t.Run(name, func(t *testing.T) {
			want := tc.after
			switch want {
			case "":
				want = tc.before
			case "\x00":
				want = ""
			}
			checkApply(t, tc, tc.before, "", want)
		})
	}
}

// laughs is a file whose last variable would be 2^40 bytes long.
func laughs() string {
	var b strings.Builder
	b.WriteString("A0=ha\n")
	for i := range 40 {
		fmt.Fprintf(&b, "A%d=$A%d$A%d\n", i+1, i, i)
	}
	return b.String()
}

func TestApplyRaw(t *testing.T) {
	one := func(c Change) []Change { return []Change{c} }
	for name, tc := range map[string]applyCase{
		"Change":     {"the value is what stands there", "A='1' # c\nB=2\n", one(set("A", ` "${X}" #`)), "A= \"${X}\" #\nB=2\n", ""},
		"Bare":       {"a name alone gets its value", "A\r\nB=2\r\n", one(set("A", "3")), "A=3\r\nB=2\r\n", ""},
		"Bare end":   {"the last line needs no line break", "A", []Change{set("A", "3"), set("B", "")}, "A=3\nB=", ""},
		"Add":        {"no habits in this format", "A='1'\nB='2'\n# c\n", one(set("C", "a b")), "A='1'\nB='2'\nC=a b\n# c\n", ""},
		"Remove":     {"a name alone may end the file", "A\nB=1", one(remove("B")), "A", ""},
		"Satisfied":  {"the text is the value", "A=${X} \n", one(set("A", "${X} ")), "", ""},
		"Line break": {"a value is one line", "A=1\n", []Change{set("A", "a\nb"), set("A", "a\r")}, "", "A 1 line-break\nA 1 line-break\n"},
		"Key":        {"such a key cannot be read", "A=1\n", []Change{set("A B", ""), set("#A", ""), set("", "")}, "", "A B 0 invalid-key\n#A 0 invalid-key\n 0 invalid-key\n"},
		"Any key":    {"the format allows more", "a/b=1\n", one(set("a/b", "2")), "a/b=2\n", ""},
		"Not shared": {"nothing is interpolated", "A=1\nB=$A\n", one(set("A", "2")), "A=2\nB=$A\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			want := tc.after
			if want == "" {
				want = tc.before
			}
			checkApply(t, tc, tc.before, FormatRaw, want)
		})
	}
}

func TestApplyErrors(t *testing.T) {
	for name, tc := range map[string]struct{ reason, content, format, want string }{
		"Key":          {"the line is named, the content is not", "A=1\nSECRET!=hunter2\n", "", `parse env file ".env": line 2: unexpected character`},
		"Space":        {"the line is named, the content is not", "A=1\n\nB C=hunter2\n", "", `parse env file ".env": line 3: key cannot contain a space`},
		"Unterminated": {"the line is named, the content is not", "A=1\nB='hunter2\n", "", `parse env file ".env": line 2: unterminated quoted value`},
		"Template":     {"the line is named, the content is not", "A=${hunter2\n", "", `parse env file ".env": line 1: invalid interpolation: write a literal $ as $$`},
		"Hidden":       {"a template that is invalid in some environments", "A=${X:-${}\n", "", `parse env file ".env": line 1: invalid interpolation: write a literal $ as $$`},
		"Raw":          {"the parser of the format is asked", "A=1\nhunter 2=1\n", FormatRaw, `parse env file ".env": line 2: contains whitespaces`},
		"Raw name":     {"the parser of the format is asked", "=hunter2\n", FormatRaw, `parse env file ".env": line 1: no variable name`},
		"Raw long":     {"docker compose reads no longer lines", "A=" + strings.Repeat("x", 70000), FormatRaw, `parse env file ".env": line 1: token too long`},
		"Format":       {"formats are known", "A=1\n", "yaml", `edit env file ".env": unsupported format "yaml"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Apply(".env", []byte(tc.content), tc.format, []Change{set("A", "2")})
			if err == nil || err.Error() != tc.want {
				t.Errorf("%s: got %v, want %s", tc.reason, err, tc.want)
			}
		})
	}
}

func TestRefusal(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, before string
		change         Change
		want           string
	}{
		"Shared":    {"the line is given", "A=1\nB=$A\n", set("A", "a #b"), `look at these first; replace the present line: A="a #b"`},
		"Sensitive": {"but not a secret", "A=1\nB=$A\n", Change{Key: "A", Text: "hunter2", Sensitive: true}, `look at these first; replace the present line: A=********`},
		"Within":    {"nor one within", "A=1\nB=$A\n", set("A", "redis://:hunter2@x"), `look at these first; replace the present line: A=redis://:********@x`},
		"Removal":   {"a removal has no text", "A=1\nB=$A\n", remove("A"), `look at these first; take out the lines that set A`},
		"Bare end":  {"the cure is named", "A", set("B", "1"), `end the last line with a line break, or write = behind the name; add this line: B=1`},
		"Same line": {"the cure is named", `A="1" B=2`, remove("B"), `leave the other variable a line of its own; take out the lines that set B`},
		"Template":  {"the cure is named", "A=1", set("A", "${"), `write a literal $ as $$, and close every ${`},
		"Control":   {"a terminal is not told anything", "A=1\nB=$A\n", set("A", "\x1b[2J"), `look at these first; replace the present line: A= [2J`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Apply(".env", []byte(tc.before), "", []Change{tc.change})
			if err != nil || len(got.Refused) != 1 {
				t.Fatalf("%s: %v, %v", tc.reason, got, err)
			}
			refusal := got.Refused[0]
			if diff := cmp.Diff(tc.want, refusal.Hint); diff != "" {
				t.Errorf("%s: -want, +got:\n%s", tc.reason, diff)
			}
			if strings.Contains(refusal.Message+refusal.Hint, "hunter2") {
				t.Errorf("%s: %+v", tc.reason, refusal)
			}
		})
	}
}

func TestReasonMessages(t *testing.T) {
	for _, r := range []Reason{
		ReasonEncoding, ReasonInvalidKey, ReasonTemplate, ReasonLineBreak, ReasonShared, ReasonSameLine, ReasonBareEnd, ReasonTooLarge, ReasonUnproven,
	} {
		if r.message() == string(r) {
			t.Errorf("%s has no message", r)
		}
	}
}
