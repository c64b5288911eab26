package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"

	"github.com/composure-dev/composure/internal/redact"
	"github.com/composure-dev/composure/internal/syntax"
)

// shown is a whole file as a diff may show it. "BROKER" is what a policy calls sensitive.
func shown(content string) string {
	file := newMasker(Project{Sensitive: []string{"BROKER"}}).file([]byte(content), false)
	var out strings.Builder
	number := 1
	for line := range strings.Lines(content) {
		out.WriteString(file.show(number, line))
		number++
	}
	return out.String()
}

type maskCase struct{ reason, content, want string }

func testMasks(t *testing.T, tests map[string]maskCase) {
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(strings.ReplaceAll(tc.want, "@@", redact.Mask), shown(tc.content)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestMaskEntries(t *testing.T) {
	testMasks(t, map[string]maskCase{
		"Map":       {"quotes, spacing and comments stay", "a:\n  DB_PASSWORD: X # why\n  A_TOKEN:  'X'\n  LEVEL: info\n", "a:\n  DB_PASSWORD: @@ # why\n  A_TOKEN:  '@@'\n  LEVEL: info\n"},
		"List":      {"only the value goes", "- A_TOKEN=X\n- \"A_TOKEN=X\"\n- LEVEL=info\n- A_TOKEN\n- A_TOKEN=\n", "- A_TOKEN=@@\n- \"A_TOKEN=@@\"\n- LEVEL=info\n- A_TOKEN\n- A_TOKEN=\n"},
		"Sensitive": {"keys that only a policy calls sensitive", "a:\n  BROKER: X\n  BROKERS: amqp\n  c: run BROKER=X\n", "a:\n  BROKER: @@\n  BROKERS: amqp\n  c: @@\n"},
		"URL":       {"only the password of a URL goes", "a:\n- R=redis://:X@h/0\n- \"R=redis://u:X@h/0\"\n", "a:\n- R=redis://:@@@h/0\n- \"R=redis://u:@@@h/0\"\n"},
		"Escaped":   {"an escaped value is hidden whole", "R: \"redis://:\\x58\\x40@h/0\"\n", "R: \"@@\"\n"},
		"Flow":      {"one line, several entries", "environment: {DB_PASSWORD: a, BROKER: \"b,X\", A_TOKEN: X, LEVEL: info}\n", "environment: {DB_PASSWORD: @@, BROKER: \"@@\", A_TOKEN: @@, LEVEL: info}\n"},
		"FlowList":  {"one line, several items", "environment: [A_TOKEN=X, 'BROKER=X,X', LEVEL=info]\n", "environment: [A_TOKEN=@@, 'BROKER=@@', LEVEL=info]\n"},
		"FlowLines": {"a flow mapping over several lines", "e: {A_TOKEN:\n  X, LEVEL: info,\nB_TOKEN: 'X\nX'}\n", "e: {A_TOKEN:\n  @@, LEVEL: info,\nB_TOKEN: '@@\n@@'}\n"},
		"Complex":   {"a key of its own line", "? DB_PASSWORD\n: X\n? [a, b]\n: X\n", "? DB_PASSWORD\n: @@\n? [@@, @@]\n: @@\n"},
		"Tagged":    {"an anchor and a tag before the value", "A_TOKEN: &a !!str X\nB: &b info\n", "A_TOKEN: &a !!str @@\nB: &b info\n"},
		"Alias":     {"what a sensitive key stands for elsewhere", "x-a: &a X\nx-b: &b {c: X}\nA_TOKEN: *a\nB_TOKEN: *b\n", "x-a: &a @@\nx-b: &b {@@: @@}\nA_TOKEN: *a\nB_TOKEN: *b\n"},
		"Below":     {"all that stands below a sensitive key", "x-secrets:\n  a: X\n  b: [X, {c: X}]\nA_TOKEN:\n  - X\nLEVEL: info\n", "x-secrets:\n  @@: @@\n  @@: [@@, {@@: @@}]\nA_TOKEN:\n  - @@\nLEVEL: info\n"},
		"Names":     {"a service is not its name, and secrets lists names", "services:\n  auth:\n    image: auth:1\n    secrets:\n    - key\n    depends_on:\n      token: {condition: service_healthy}\nsecrets:\n  key:\n    file: ./key.txt\n", "services:\n  auth:\n    image: auth:1\n    secrets:\n    - key\n    depends_on:\n      token: {condition: service_healthy}\nsecrets:\n  key:\n    file: ./key.txt\n"},
		"Documents": {"every document of the file", "--- # one\nA_TOKEN: X\n---\nA_TOKEN: X\n...\n", "--- # one\nA_TOKEN: @@\n---\nA_TOKEN: @@\n...\n"},
		"CRLF":      {"line ends stay", "A_TOKEN: X\r\nB: y\r\n", "A_TOKEN: @@\r\nB: y\r\n"},
		"Runes":     {"columns count characters", "é: {ü: 1, A_TOKEN: X, b: 2}\n", "é: {ü: 1, A_TOKEN: @@, b: 2}\n"},
		"BOM":       {"a byte order mark is no character", "\ufeffA_TOKEN: X\nb: 1\n", "\ufeffA_TOKEN: @@\nb: 1\n"},
	})
}

func TestMaskLongValues(t *testing.T) {
	testMasks(t, map[string]maskCase{
		"Quoted":        {"lines at and left of the key", "a:\n    A_TOKEN: \"X\n  X\n\n    X: X\"\n    LEVEL: info\n", "a:\n    A_TOKEN: \"@@\n  @@\n\n    @@\"\n    LEVEL: info\n"},
		"Below":         {"a value that begins below its key", "A_TOKEN:\n  X\n  X\nB_TOKEN:\n  \"LEVEL: X\"\nC: 1\n", "A_TOKEN:\n  @@\n  @@\nB_TOKEN:\n  \"@@\"\nC: 1\n"},
		"Block":         {"the lines of a block, up to the next key", "a:\n  A_KEY: | # why\n    X\n\n      X\n    # X\n  NEXT: x\n", "a:\n  A_KEY: | # why\n    @@\n\n      @@\n    @@\n  NEXT: x\n"},
		"BlockItem":     {"a list item", "- >-\n  DB_PASSWORD=X\n  X\n- LEVEL=info\n", "- >-\n  @@\n  @@\n- LEVEL=info\n"},
		"BlockIndent":   {"a header that gives the indentation allows a first line that is indented more", "a:\n  A_KEY: |2\n       X\n    X\n  NEXT: x\n", "a:\n  A_KEY: |2\n       @@\n    @@\n  NEXT: x\n"},
		"BlockLast":     {"the end of the file ends it", "A_KEY: |\n  X\n  X", "A_KEY: |\n  @@\n  @@"},
		"BlockMentions": {"a file inside the file", "a: |\n  user: u\n  password: X\nb: 1\n", "a: |\n  @@\n  @@\nb: 1\n"},
		"BlockPlain":    {"a block without a secret", "a: >+\n  one\n\n  two\n\nb: 1\n", "a: >+\n  one\n\n  two\n\nb: 1\n"},
		"Command":       {"a secret in a command", "command: sh -c \"A_TOKEN=X run\"\ntest: [CMD, curl, -H, \"X-Api-Key: X\"]\n", "command: @@\ntest: [CMD, curl, -H, \"@@\"]\n"},
		"Default":       {"a secret's default", "a: ${A_TOKEN:-X}/x\nb: ${LEVEL:-info}\n", "a: ${A_TOKEN:-@@}/x\nb: ${LEVEL:-info}\n"},
	})
}

func TestMaskComments(t *testing.T) {
	testMasks(t, map[string]maskCase{
		"Out":       {"what is commented out is a secret still", "a: 1\n# A_TOKEN: X\n\n#- BROKER=X X\n\n# LEVEL: info\n", "a: 1\n# A_TOKEN: @@\n\n#- BROKER=@@\n\n# LEVEL: info\n"},
		"Behind":    {"behind a value", "a: 1 # was A_TOKEN=X\nb: 'x' # redis://:X@h\n", "a: 1 # was A_TOKEN=@@\nb: 'x' # redis://:@@@h\n"},
		"Long":      {"the comments below it may be the rest of it", "# A_KEY: |\n#   X\n#   X\na: 1\n# note\n", "# A_KEY: @@\n#@@\n#@@\na: 1\n# note\n"},
		"Only":      {"a file of nothing else", "# A_TOKEN=X\n", "# A_TOKEN=@@\n"},
		"NoComment": {"a hash inside a value", "a: \"# A_TOKEN: x\"\nb: x#y\n", "a: \"@@\"\nb: x#y\n"},
	})
}

// TestMaskOpaque: where the parser cannot tell what is a value, nothing is shown.
func TestMaskOpaque(t *testing.T) {
	testMasks(t, map[string]maskCase{
		"Invalid":   {"no YAML", "a: [\n  b: 1\n", "@@\n  @@\n"},
		"LoneCR":    {"lines that others count otherwise", "a: 1\rb: 2\n\nc: 3\n", "@@\n\n@@\n"},
		"Separator": {"one more line break of YAML's", "a: \"x\u2028y\"\nb: 1\n", "@@\n@@\n"},
	})
}

// TestMaskHidesEveryForm writes secrets in every form the YAML library knows and looks for them.
func TestMaskHidesEveryForm(t *testing.T) {
	style := rapid.SampledFrom([]yaml.Style{0, yaml.DoubleQuotedStyle, yaml.SingleQuotedStyle, yaml.LiteralStyle, yaml.FoldedStyle, yaml.FlowStyle})
	part := rapid.SampledFrom([]string{"LEAK", "LEAK\n", "a: LEAK", "\nLEAK", "# LEAK", "- LEAK", "\"LEAK", "'LEAK", " LEAK", "LEAK\n\n  LEAK", "{LEAK", "é LEAK", "\\LEAK", "LEAK: "})
	rapid.Check(t, func(t *rapid.T) {
		value := strings.Join(rapid.SliceOfN(part, 1, 4).Draw(t, "value"), "")
		scalar := func(text string) *yaml.Node {
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Style: style.Draw(t, "style")}
		}
		block := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Style: style.Draw(t, "block") & yaml.FlowStyle}
		if rapid.Bool().Draw(t, "list") {
			block.Kind, block.Tag = yaml.SequenceNode, "!!seq"
			block.Content = []*yaml.Node{scalar("A=1"), scalar("DB_PASSWORD=" + value), scalar("B=2")}
		} else {
			block.Content = []*yaml.Node{scalar("A"), scalar("1"), scalar("DB_PASSWORD"), scalar(value), scalar("B"), scalar("2")}
		}
		root := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{scalar("env"), block, scalar("last"), scalar("x")}}
		content, err := yaml.Dump(root, yaml.WithLineWidth(rapid.SampledFrom([]int{-1, 20}).Draw(t, "width")))
		if err != nil {
			t.Skip(err)
		}
		got := shown(string(content))
		if strings.Contains(got, "LEAK") || strings.Count(got, "\n") != strings.Count(string(content), "\n") {
			t.Fatalf("a secret shows, or lines were lost:\n%s\n%s", content, got)
		}
	})
}

// FuzzMask: whatever a file is, masking keeps its lines, and what it hides once it hides again.
func FuzzMask(f *testing.F) {
	f.Add("a: {A_TOKEN: x, b: [c, \"d\ne\"]}\n# A_KEY: |\n#  y\n")
	f.Add("a: &a |2-\n    x\n  y\n? *a\n: 'it''s'\n--- !t\n- \"\\\"\"\n")
	f.Fuzz(func(t *testing.T, content string) {
		got := shown(content)
		if strings.Count(got, "\n") != strings.Count(content, "\n") {
			t.Errorf("lines were lost: %q became %q", content, got)
		}
		lines := strings.Split(got, "\n")
		for i, line := range strings.Split(content, "\n") {
			if indent := len(line) - len(strings.TrimLeft(line, " \t")); !strings.HasPrefix(lines[i], line[:indent]) {
				t.Errorf("line %d lost its indentation: %q became %q", i+1, line, lines[i])
			}
		}
	})
}

// TestMaskTokens: the ends that are found are those of the parser, for every form it can write.
func TestMaskTokens(t *testing.T) {
	content := "a: plain  # c\nb: \"double \\\" \"\nc: 'single '' '\nd: |-\n  literal\ne: [f, g h, \"i\"]\nj: k\n  l\n"
	f, err := syntax.Parse([]byte(content))
	if err != nil {
		t.Fatal(err)
	}
	w := &walker{masker: newMasker(Project{}), scalars: map[*yaml.Node]bool{}, visited: map[visit]bool{}}
	w.walk(f.Roots[0], "", false)
	var got []string
	for _, token := range tokens(f, w.scalars) {
		got = append(got, fmt.Sprintf("%s%v", content[token.start:token.end], token.unsure))
	}
	got = slices.DeleteFunc(got, func(s string) bool { return len(s) == len("afalse") })
	want := []string{"plainfalse", "double \\\" false", "single '' false", "  literalfalse", "g hfalse", "k\n  lfalse"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestMaskEnvFile: an env file is no YAML; its secrets are hidden statement by statement.
func TestMaskEnvFile(t *testing.T) {
	content := strings.Join([]string{
		"# DB_PASSWORD=old", "LEVEL=info # note", "export DB_PASSWORD='x' # y", "URL=redis://u:pw@h/0", "A_TOKEN=\"one", "two\"", "LAST=1", "",
	}, "\n")
	want := strings.Join([]string{
		"# DB_PASSWORD=@@", "LEVEL=info # note", "export DB_PASSWORD=@@", "URL=@@", "A_TOKEN=@@", "@@", "LAST=1", "",
	}, "\n")
	file := newMasker(Project{}).file([]byte(content), true)
	var got strings.Builder
	for i, line := range file.lines {
		got.WriteString(file.show(i+1, line))
	}
	if diff := cmp.Diff(strings.ReplaceAll(want, "@@", redact.Mask), got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
