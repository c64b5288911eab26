package edit

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what the examples of testdata give now; look at the difference")

// example is one archive of testdata: its comment is the reason.
type example struct {
	reason                 string
	changes                []Change
	before, after, refused []byte
}

// parseChanges reads one change a line: "service KEY text", "service -KEY" to remove, "service ?KEY" for a bare key, "+service …" to
// create the service.
func parseChanges(text string) []Change {
	var changes []Change
	for line := range strings.Lines(text) {
		fields := append(strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3), "")
		c := Change{Service: fields[0], Key: fields[1], Text: fields[2]}
		c.Service, c.Create = strings.CutPrefix(c.Service, "+")
		c.Key, c.Remove = strings.CutPrefix(c.Key, "-")
		c.Key, c.Bare = strings.CutPrefix(c.Key, "?")
		changes = append(changes, c)
	}
	return changes
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
				e.changes = parseChanges(string(f.Data))
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
	for name, e := range examples(t) {
		if *update {
			rewrite(t, name, e)
		}
		for variant, as := range lineVariants() {
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

// rewrite makes what an example gives now its expectation.
func rewrite(t *testing.T, name string, e example) {
	t.Helper()
	got, err := Apply(name, e.before, e.changes)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range archive.Files {
		switch f.Name {
		case "after.yml":
			archive.Files[i].Data = got.Content
		case "refused":
			archive.Files[i].Data = []byte(refusals(got))
		}
	}
	if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

func lineVariants() map[string]func([]byte) []byte {
	return map[string]func([]byte) []byte{
		"as is":            func(b []byte) []byte { return b },
		"CRLF":             func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) },
		"BOM":              func(b []byte) []byte { return append([]byte("\ufeff"), b...) },
		"no final newline": func(b []byte) []byte { return bytes.TrimSuffix(b, []byte("\n")) },
		"CRLF, no final newline": func(b []byte) []byte {
			return bytes.TrimSuffix(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")), []byte("\r\n"))
		},
	}
}

func refusals(r Result) string {
	var b strings.Builder
	for _, refusal := range r.Refused {
		fmt.Fprintf(&b, "%s.%s %s %d: %s\n", refusal.Change.Service, refusal.Change.Key, refusal.Reason, refusal.Line, refusal.Hint)
	}
	return b.String()
}

func TestApplyForms(t *testing.T) {
	cases := map[string]struct{ reason, changes, before, after string }{
		"FlowMap":          {"an entry before the bracket", "a K v", "services:\n  a:\n    environment: {A: 1}\n", "services:\n  a:\n    environment: {A: 1, K: v}\n"},
		"FlowMapPadded":    {"the padding stays", "a K v", "services:\n  a:\n    environment: { A: 1 }\n", "services:\n  a:\n    environment: { A: 1, K: v }\n"},
		"FlowMapTrailing":  {"a trailing comma stays one", "a K v", "services:\n  a:\n    environment: {A: 1,}\n", "services:\n  a:\n    environment: {A: 1, K: v,}\n"},
		"FlowList":         {"the item in the list's form", "a K v", "services:\n  a:\n    environment: [A=1]\n", "services:\n  a:\n    environment: [A=1, K=v]\n"},
		"FlowQuotes":       {"brackets and colons end a plain scalar in flow style", "a K ${X:-1}", "services:\n  a:\n    environment: [A=1]\n", "services:\n  a:\n    environment: [A=1, \"K=${X:-1}\"]\n"},
		"FlowChange":       {"only the value", "a A b", "services:\n  a:\n    environment: {A: 1, B: 2} # c\n", "services:\n  a:\n    environment: {A: b, B: 2} # c\n"},
		"FlowChangeBare":   {"a key alone gets a value", "a A b", "services:\n  a:\n    environment: {A, B: 2}\n", "services:\n  a:\n    environment: {A: b, B: 2}\n"},
		"FlowMany":         {"a line of its own, the comma before the comment", "a K v", "services:\n  a:\n    environment: {\n      A: 1, # one\n      B: 2  # two\n    }\n", "services:\n  a:\n    environment: {\n      A: 1, # one\n      B: 2,  # two\n      K: v\n    }\n"},
		"FlowManyTrailing": {"the trailing comma is kept up", "a K v", "services:\n  a:\n    environment: [\n      A=1,\n      B=2, # two\n    ]\n", "services:\n  a:\n    environment: [\n      A=1,\n      B=2, # two\n      K=v,\n    ]\n"},
		"FlowManyClosed":   {"the bracket behind the last entry stays there", "a K v", "services:\n  a:\n    environment: {A: 1,\n                  B: 2}\n", "services:\n  a:\n    environment: {A: 1,\n                  B: 2,\n                  K: v}\n"},
		"FlowRemoveFirst":  {"with its comma", "a -A", "services:\n  a:\n    environment: {A: 1, B: 2}\n", "services:\n  a:\n    environment: {B: 2}\n"},
		"FlowRemoveLast":   {"with the comma before it", "a -B", "services:\n  a:\n    environment: {A: 1, B: 2}\n", "services:\n  a:\n    environment: {A: 1}\n"},
		"FlowRemoveOnly":   {"the brackets stay, the file is valid", "a -A", "services:\n  a:\n    environment: {A: 1}\n", "services:\n  a:\n    environment: {}\n"},
		"FlowRemoveLine":   {"its whole line", "a -B", "services:\n  a:\n    environment: {\n      A: 1,\n      B: 2 # two\n    }\n", "services:\n  a:\n    environment: {\n      A: 1\n    }\n"},
		"FlowService":      {"an environment before the bracket", "a K v", "services: {a: {image: x}}\n", "services: {a: {image: x, environment: {K: v}}}\n"},
		"EmptyMap":         {"filled in place", "a K v", "services:\n  a:\n    environment: {}\n", "services:\n  a:\n    environment: {K: v}\n"},
		"EmptyList":        {"filled in place, as a list", "a K v", "services:\n  a:\n    environment: []\n", "services:\n  a:\n    environment: [K=v]\n"},
		"EmptyPadded":      {"the padding on both sides", "a K v", "services:\n  a:\n    environment: { }\n", "services:\n  a:\n    environment: { K: v }\n"},
		"Null":             {"an entry below", "a K v", "services:\n  a:\n    environment:\n    image: x\n", "services:\n  a:\n    environment:\n      K: v\n    image: x\n"},
		"NullTilde":        {"the null goes, its comment stays", "a K v", "services:\n  a:\n    environment: ~ # none\n    image: x\n", "services:\n  a:\n    environment: # none\n      K: v\n    image: x\n"},
		"NullComments":     {"below entries that are commented out, in their form", "a K v", "services:\n  a:\n    environment:\n      # - A=1\n      # - B=1\n    image: x\n", "services:\n  a:\n    environment:\n      # - A=1\n      # - B=1\n      - K=v\n    image: x\n"},
		"NullCommentsMap":  {"below entries that are commented out, in their form", "a K v", "services:\n  a:\n    environment:\n       # A: 1\n  b:\n    environment: [X=1]\n", "services:\n  a:\n    environment:\n       # A: 1\n       K: v\n  b:\n    environment: [X=1]\n"},
		"NullService":      {"an override file may name a service and say nothing", "a K v", "services:\n  a:\n  b:\n    image: x\n", "services:\n  a:\n    environment:\n      K: v\n  b:\n    image: x\n"},
		"Alias":            {"beside the merge when not all users are to have it", "a K v", "x-e: &e\n  A: 1\nservices:\n  a:\n    environment: *e # c\n  b:\n    environment: *e\n", "x-e: &e\n  A: 1\nservices:\n  a:\n    environment: # c\n      <<: *e\n      K: v\n  b:\n    environment: *e\n"},
		"AliasAll":         {"in the anchor when every user is to have it", "a K v\nb K v", "x-e: &e\n  A: 1\nservices:\n  a:\n    environment: *e\n  b:\n    environment: *e\n", "x-e: &e\n  A: 1\n  K: v\nservices:\n  a:\n    environment: *e\n  b:\n    environment: *e\n"},
		"AliasAllNested":   {"a fragment between the anchor and the service is a user like any other", "a A v\nb A v", "x-e: &e\n  A: 1\nx-f: &f\n  <<: *e\n  B: 2\nservices:\n  a:\n    environment: *e\n  b:\n    environment: *f\n", "x-e: &e\n  A: v\nx-f: &f\n  <<: *e\n  B: 2\nservices:\n  a:\n    environment: *e\n  b:\n    environment: *f\n"},
		"AliasBesidesEnv":  {"an anchor that gives labels too is left alone", "a K v", "x-e: &e\n  A: 1\nservices:\n  a:\n    environment: *e\n    labels: *e\n", "x-e: &e\n  A: 1\nservices:\n  a:\n    environment:\n      <<: *e\n      K: v\n    labels: *e\n"},
		"AliasList":        {"a list is changed when every user is to have it", "a K v\nb K v", "x-e: &e\n- A=1\nservices:\n  a:\n    environment: *e\n  b:\n    environment: *e\n", "x-e: &e\n- A=1\n- K=v\nservices:\n  a:\n    environment: *e\n  b:\n    environment: *e\n"},
		"MergeKey":         {"an own key beats a merged one", "a A v", "x-e: &e\n  A: 1\nservices:\n  a:\n    environment:\n      <<: *e\n      B: 2\n  b:\n    environment: *e\n", "x-e: &e\n  A: 1\nservices:\n  a:\n    environment:\n      <<: *e\n      B: 2\n      A: v\n  b:\n    environment: *e\n"},
		"MergeKeyAll":      {"one place instead of two when every user is to have it", "a A v\nb A v", "x-e: &e\n  A: 1\nservices:\n  a:\n    environment:\n      <<: *e\n      B: 2\n  b:\n    environment: *e\n", "x-e: &e\n  A: v\nservices:\n  a:\n    environment:\n      <<: *e\n      B: 2\n  b:\n    environment: *e\n"},
		"MergedService":    {"an own block without the merge would take A away", "b K v", "services:\n  a: &a\n    environment: &e\n      A: 1\n  b:\n    <<: *a\n    image: x\n", "services:\n  a: &a\n    environment: &e\n      A: 1\n  b:\n    <<: *a\n    image: x\n    environment:\n      <<: *e\n      K: v\n"},
		"MergedUnnamed":    {"the inherited block gets an anchor", "b K v", "services:\n  a: &a\n    environment:\n      A: 1\n  b:\n    <<: *a\n    image: x\n", "services:\n  a: &a\n    environment: &a-environment\n      A: 1\n  b:\n    <<: *a\n    image: x\n    environment:\n      <<: *a-environment\n      K: v\n"},
		"MergedAll":        {"in the fragment when every user is to have it", "a K v\nb K v", "x-a: &a\n  image: x\n  environment:\n    A: 1\nservices:\n  a:\n    <<: *a\n  b:\n    <<: *a\n", "x-a: &a\n  image: x\n  environment:\n    A: 1\n    K: v\nservices:\n  a:\n    <<: *a\n  b:\n    <<: *a\n"},
		"MergedEmpty":      {"there is nothing to merge", "b K v", "services:\n  a: &a\n    image: x\n    environment: {}\n  b:\n    <<: *a\n", "services:\n  a: &a\n    image: x\n    environment: {}\n  b:\n    <<: *a\n    environment:\n      K: v\n"},
		"AliasOfNull":      {"nothing can be merged, so nothing is", "b K v", "services:\n  a: &a\n  b: *a\n", "services:\n  a: &a\n  b:\n    environment:\n      K: v\n"},
		"DevelopAlias":     {"compose reads x-develop as develop", "a K v", "x-e: &e {A: 1}\nservices:\n  a:\n    environment: *e\n    x-develop: {watch: [{exec: {command: c, environment: *e}}]}\n", "x-e: &e {A: 1}\nservices:\n  a:\n    environment:\n      <<: *e\n      K: v\n    x-develop: {watch: [{exec: {command: c, environment: *e}}]}\n"},
		"FlowKeepComment":  {"a comment belongs to what follows", "a -A", "services:\n  a:\n    environment: {A: 1,\n      # about B\n      B: 2}\n", "services:\n  a:\n    environment: {\n      # about B\n      B: 2}\n"},
		"FlowKeepBefore":   {"a comment belongs to what stands before it", "a -C", "services:\n  a:\n    environment: [\n      A=1, B=2, # two\n      C=3 ]\n", "services:\n  a:\n    environment: [\n      A=1, B=2 # two\n      ]\n"},
		"FlowKeepInside":   {"whoever commented means the block to stay", "a -A", "services:\n  a: {image: x, environment: {\n      # why\n      A: 1\n    }}\n", "services:\n  a: {image: x, environment: {\n      # why\n    }}\n"},
		"FlowKeepLines":    {"other lines stay as they are", "a -B", "services:\n  a:\n    environment: [\n      A=1, B=2,\n      C=3\n    ]\n", "services:\n  a:\n    environment: [\n      A=1,\n      C=3\n    ]\n"},
		"BareKeepComment":  {"a comment between a key and its value", "a ?A", "services:\n  a:\n    environment:\n      A: # why 5\n        5\n      B: 1\n", "services:\n  a:\n    environment:\n      A: # why 5\n      B: 1\n"},
		"QuestionAlone":    {"a key without a colon has no value to stand behind", "a K v", "services:\n  a:\n    environment:\n      ? A\n      ? B\n\n    # c\n    image: x\n", "services:\n  a:\n    environment:\n      ? A\n      ? B\n      K: v\n\n    # c\n    image: x\n"},
		"OrderOfChanges":   {"what a later change makes possible", "a K 1\nb K 2", "services:\n  a:\n    environment: {B: 1}\n  b:\n    extends: a\n", "services:\n  a:\n    environment: {B: 1, K: \"1\"}\n  b:\n    extends: a\n    environment:\n      K: \"2\"\n"},
		"CreateFlow":       {"a file in one line", "+a K v", "{name: x}\n", "{name: x, services: {a: {environment: {K: v}}}}\n"},
		"ItemComment":      {"a dash in a comment is none of the list", "a -A\na K v", "services:\n  a:\n    environment: &e\n    - # my-comment\n      A=1\n    - B=1\n", "services:\n  a:\n    environment: &e\n    - B=1\n    - K=v\n"},
		"LiteralBlanks":    {"blanks to the right of the indentation are content", "a K v", "services:\n  a:\n    environment:\n      A: |+\n        x\n          \n      B: 1\n", "services:\n  a:\n    environment:\n      A: |+\n        x\n          \n      B: 1\n      K: v\n"},
		"SiblingComments":  {"what is commented out stays with its key", "a K v", "services:\n  a:\n    image: x\n    env_file:\n      - a.env\n      # - b.env\n    restart: always\n", "services:\n  a:\n    image: x\n    env_file:\n      - a.env\n      # - b.env\n    environment:\n      K: v\n    restart: always\n"},
		"ResetOverMerge":   {"a !reset lets the merged value show", "a -B", "x-e: &e {A: 1}\nservices:\n  a:\n    environment:\n      <<: *e\n      A: !reset null\n      B: 1\n", "x-e: &e {A: 1}\nservices:\n  a:\n    environment:\n      <<: *e\n      A: !reset null\n"},
		"ServiceOverride":  {"earlier documents do not count", "a A 2", "services:\n  a:\n    environment: {A: 1}\n---\nservices:\n  a: !override\n    environment: {B: 1}\n", "services:\n  a:\n    environment: {A: 1}\n---\nservices:\n  a: !override\n    environment: {B: 1, A: \"2\"}\n"},
		"ServiceAlias":     {"a service that is an alias becomes one that merges it", "b K v", "services:\n  a: &a\n    image: x\n  b: *a\n", "services:\n  a: &a\n    image: x\n  b:\n    <<: *a\n    environment:\n      K: v\n"},
		"ValueAlias":       {"a literal takes the alias's place, here only", "a A v", "x-v: &v 1\nservices:\n  a:\n    environment:\n      A: *v\n      B: *v\n", "x-v: &v 1\nservices:\n  a:\n    environment:\n      A: v\n      B: *v\n"},
		"Documents":        {"the last document that sets it counts", "a A v", "services:\n  a:\n    environment: {A: 1}\n---\nservices:\n  a:\n    environment: {A: 2}\n", "services:\n  a:\n    environment: {A: 1}\n---\nservices:\n  a:\n    environment: {A: v}\n"},
		"DocumentsBlock":   {"else the last one with a block", "a K v", "services:\n  a:\n    environment: {A: 1}\n---\nservices:\n  a:\n    image: x\n", "services:\n  a:\n    environment: {A: 1, K: v}\n---\nservices:\n  a:\n    image: x\n"},
		"DocumentsRemove":  {"every document that sets it", "a -A", "services:\n  a:\n    environment: {A: 1, B: 1}\n---\nservices:\n  a:\n    environment: {A: 2, C: 1}\n", "services:\n  a:\n    environment: {B: 1}\n---\nservices:\n  a:\n    environment: {C: 1}\n"},
		"Override":         {"inside a block that replaces the earlier ones", "a K v", "services:\n  a:\n    environment: !override\n      A: 1\n", "services:\n  a:\n    environment: !override\n      A: 1\n      K: v\n"},
		"OverrideOnly":     {"without the tag the earlier files would count again", "a -A", "services:\n  a:\n    environment: !override\n      A: 1\n    image: x\n", "services:\n  a:\n    environment: !override {}\n    image: x\n"},
		"ResetKey":         {"a value takes the place of what resets it", "a A v", "services:\n  a:\n    environment:\n      A: !reset null\n      B: 1\n", "services:\n  a:\n    environment:\n      A: v\n      B: 1\n"},
		"Tag":              {"an explicit tag goes, the anchor stays", "a A 022", "services:\n  a:\n    environment:\n      A: &x !!int 7\n", "services:\n  a:\n    environment:\n      A: &x \"022\"\n"},
		"Literal":          {"a value of several lines stays a literal", "a A one\\ntwo", "services:\n  a:\n    environment:\n      A: | # note\n        x\n          y\n      B: 1\n", "services:\n  a:\n    environment:\n      A: |- # note\n        one\n        two\n      B: 1\n"},
		"LiteralLine":      {"a value of one line needs no literal", "a A one", "services:\n  a:\n    environment:\n      A: | # note\n        x\n          y\n      B: 1\n", "services:\n  a:\n    environment:\n      A: one # note\n      B: 1\n"},
		"LiteralItem":      {"the item of a list", "a A one", "services:\n  a:\n    environment:\n      - |-\n        A=x\n      - B=1\n", "services:\n  a:\n    environment:\n      - A=one\n      - B=1\n"},
		"LiteralEndsFile":  {"below it the line would be part of the value", "a K v", "services:\n  a:\n    environment:\n      A: |\n        x", "services:\n  a:\n    environment:\n      K: v\n      A: |\n        x"},
		"Number":           {"a bare number may stay bare", "a A 10", "services:\n  a:\n    environment:\n      A: 5\n", "services:\n  a:\n    environment:\n      A: 10\n"},
		"NumberOdd":        {"unless YAML would read another one", "a A 010", "services:\n  a:\n    environment:\n      A: 5\n", "services:\n  a:\n    environment:\n      A: \"010\"\n"},
		"Bare":             {"the key without a value", "a ?A\na ?K", "services:\n  a:\n    environment:\n      A: 5 # five\n", "services:\n  a:\n    environment:\n      A: # five\n      K:\n"},
		"BareList":         {"the key without a value", "a ?A\na ?K", "services:\n  a:\n    environment:\n    - A=5\n", "services:\n  a:\n    environment:\n    - A\n    - K\n"},
		"BareFlow":         {"in flow style null says so", "a ?A", "services:\n  a:\n    environment: {A: 5}\n", "services:\n  a:\n    environment: {A: null}\n"},
		"RemoveMap":        {"the whole line, its comment too", "a -A", "services:\n  a:\n    environment:\n      A: 1 # one\n      B: 2\n", "services:\n  a:\n    environment:\n      B: 2\n"},
		"RemoveList":       {"every item that sets it", "a -A", "services:\n  a:\n    environment:\n      - A=1\n      - B=2\n      - A=3\n", "services:\n  a:\n    environment:\n      - B=2\n"},
		"RemoveOnly":       {"the block goes with its last entry", "a -A", "services:\n  a:\n    environment:\n      A: 1\n    image: x\n", "services:\n  a:\n    image: x\n"},
		"RemoveOnlyAll":    {"a service that has nothing else keeps an empty block", "a -A", "services:\n  a:\n    environment:\n      - A=1\n  b:\n    image: x\n", "services:\n  a:\n    environment: []\n  b:\n    image: x\n"},
		"RemoveComments":   {"comments are never deleted", "a -A", "services:\n  a:\n    environment:\n      # why\n      A: 1\n    image: x\n", "services:\n  a:\n    environment: {}\n      # why\n    image: x\n"},
		"RemoveMerged":     {"without the own block the inherited one would count", "b -A", "services:\n  a: &a\n    environment:\n      B: 1\n  b:\n    <<: *a\n    environment:\n      A: 1\n", "services:\n  a: &a\n    environment:\n      B: 1\n  b:\n    <<: *a\n    environment: {}\n"},
		"RemoveAnchored":   {"from the anchor when every user is to lose it", "a -A\nb -A", "x-e: &e\n  A: 1\nservices:\n  a:\n    environment: *e\n  b:\n    environment:\n      <<: *e\n", "x-e: &e {}\nservices:\n  a:\n    environment: *e\n  b:\n    environment:\n      <<: *e\n"},
		"RemoveAndSet":     {"the block stays where it is", "a -A\na B v", "services:\n  a:\n    environment:\n    - A=1\n    restart: always\n", "services:\n  a:\n    environment:\n    - B=v\n    restart: always\n"},
		"RemoveNoNewline":  {"a missing line break at the end stays missing", "a -B", "services:\n  a:\n    environment:\n      A: 1\n      B: 2", "services:\n  a:\n    environment:\n      A: 1"},
		"RemoveExtended":   {"from the base first, then the other has it no more either", "b -A\na -A", "services:\n  a:\n    environment: [A=1, B=1]\n  b:\n    extends: a\n", "services:\n  a:\n    environment: [B=1]\n  b:\n    extends: a\n"},
		"Extends":          {"a key of its own, whatever the base says", "b A v", "services:\n  a:\n    environment:\n    - A=1\n  b:\n    extends: {service: a}\n", "services:\n  a:\n    environment:\n    - A=1\n  b:\n    extends: {service: a}\n    environment:\n    - A=v\n"},
		"Create":           {"a service that the file does not define", "+a K v", "services:\n  b:\n    environment:\n    - A=1\n\nvolumes: {}\n", "services:\n  b:\n    environment:\n    - A=1\n  a:\n    environment:\n      - K=v\n\nvolumes: {}\n"},
		"CreateEmpty":      {"a file of its own", "+a K v\n+b K v", "", "services:\n  a:\n    environment:\n      K: v\n  b:\n    environment:\n      K: v\n"},
		"CreateServices":   {"behind what the file has", "+a K v", "# p\nname: x\n", "# p\nname: x\nservices:\n  a:\n    environment:\n      K: v\n"},
		"ComplexKey":       {"the indentation of the others", "a A v\na K v", "services:\n  a:\n    environment:\n      ? A\n      : 1\n", "services:\n  a:\n    environment:\n      ? A\n      : v\n      K: v\n"},
	}
	for name, tc := range cases {
		for variant, as := range lineVariants() {
			if strings.Contains(variant, "no final") && !strings.HasSuffix(tc.before, "\n") {
				continue
			}
			if name == "CreateEmpty" && variant != "as is" {
				continue // there is nothing to take the line breaks from
			}
			t.Run(name+"/"+variant, func(t *testing.T) {
				changes := parseChanges(tc.changes)
				for i := range changes {
					changes[i].Text = strings.ReplaceAll(changes[i].Text, `\n`, "\n")
				}
				got, err := Apply("compose.yml", as([]byte(tc.before)), changes)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(as([]byte(tc.after))), string(got.Content)); diff != "" {
					t.Errorf("%s (-want +got):\n%s%s", tc.reason, diff, refusals(got))
				}
				again, err := Apply("compose.yml", got.Content, changes)
				if err != nil || !bytes.Equal(again.Content, got.Content) || len(again.Refused) > 0 {
					t.Errorf("%s: a second time: %v\n%s%s", tc.reason, err, again.Content, refusals(again))
				}
			})
		}
	}
}

func TestApplyRefuses(t *testing.T) {
	cases := map[string]struct {
		reason  string
		data    string
		changes string
		want    Reason
	}{
		"Empty":           {"there is no service", "", "a A 1", ReasonServiceMissing},
		"OnlyComments":    {"there is no service", "# nothing\n", "a A 1", ReasonServiceMissing},
		"NullServices":    {"there is no service", "services:\n", "a A 1", ReasonServiceMissing},
		"ListServices":    {"services must be a mapping", "services:\n- a\n", "a A 1", ReasonShape},
		"ListService":     {"a service must be a mapping", "services:\n  a:\n  - b\n", "a A 1", ReasonShape},
		"ScalarBlock":     {"an environment is a list or a map", "services:\n  a:\n    environment: A=1\n", "a A 1", ReasonShape},
		"NumberItem":      {"an item must be a string", "services:\n  a:\n    environment: [5]\n", "a A 1", ReasonShape},
		"ServicesTwice":   {"which one counts differs between parsers", "services:\n  a:\n    image: x\nservices:\n  b:\n    image: x\n", "a A 1", ReasonAmbiguous},
		"KeyTwice":        {"which one counts differs between parsers", "services:\n  a:\n    environment:\n      A: 0\n      A: 2\n", "a A 1", ReasonAmbiguous},
		"UTF16":           {"positions are counted in UTF-8", "\xff\xfea\x00:\x00 \x001\x00", "a A 1", ReasonEncoding},
		"LineSeparator":   {"the parser counts U+2028 as a line break", "services:\n  a: # \u2028\n    environment:\n      B: 1\n", "a A 1", ReasonEncoding},
		"LoneCR":          {"the parser counts CR as a line break", "services:\r  a:\r    environment:\r      B: 1\r", "a A 1", ReasonEncoding},
		"InvalidText":     {"a value that is no UTF-8 cannot stand in YAML", "services:\n  a:\n    environment:\n      B: 1\n", "a A \xff", ReasonEncoding},
		"InvalidKey":      {"a key with = would be another key", "services:\n  a:\n    environment:\n      B: 1\n", "a A=B 1", ReasonInvalidKey},
		"Extended":        {"the other service would change too", "services:\n  a:\n    environment:\n      B: 1\n  b:\n    extends: a\n", "a A 1", ReasonShared},
		"AnchoredService": {"the other service would change too", "services:\n  a: &a\n    environment:\n      B: 1\n  b:\n    <<: *a\n", "a A 1", ReasonShared},
		"AnchoredItem":    {"the other service would change too", "services:\n  a:\n    environment:\n      - &x A=1\n  b:\n    environment:\n      - *x\n", "a A 2", ReasonShared},
		"SharedList":      {"a list cannot be merged", "x-e: &e [B=1]\nservices:\n  a:\n    environment: *e\n  b:\n    environment: *e\n", "a A 1", ReasonShared},
		"OtherValues":     {"the users want different things", "x-e: &e [B=1]\nservices:\n  a:\n    environment: *e\n  b:\n    environment: *e\n", "a A 1\nb A 2", ReasonShared},
		"RemoveShared":    {"the other service would lose it too", "x-e: &e\n  A: 1\nservices:\n  a:\n    environment: *e\n  b:\n    environment: *e\n", "a -A", ReasonShared},
		"RemoveInherited": {"the base keeps it", "services:\n  a:\n    extends: b\n  b:\n    environment: {A: 1}\n", "a -A", ReasonInherited},
		"RemoveOverBase":  {"under its own value there is the base's", "services:\n  a:\n    extends: b\n    environment: {A: 2, B: 1}\n  b:\n    environment: {A: 1}\n", "a -A", ReasonInherited},
		"RemoveEmpty":     {"an empty value is another thing than none", "services:\n  a:\n    environment: {A: \"\"}\n  b:\n    extends: a\n", "a -A", ReasonShared},
		"AliasKey":        {"what the key is called cannot be seen", "x-k: &k environment\nservices:\n  a:\n    *k : {A: 1}\n", "a K v", ReasonShape},
		"NumberService":   {"compose refuses a name that is a number", "services:\n  00: {image: x}\n", "00 K v", ReasonShape},
		"AliasService":    {"what the service is called cannot be seen", "x-k: &k a\nservices:\n  *k : {image: x}\n", "+a K v", ReasonShape},
		"ServicesTagged":  {"a later document drops all services", "services:\n  a: {image: x}\n---\nservices: !override\n  b: {image: y}\n", "a K v", ReasonServiceMissing},
		"ManyDuplicates":  {"which of them counts nobody means", "services:\n  a:\n    environment: [" + strings.Repeat("A=1, ", 40) + "B=1]\n", "a -A", ReasonAmbiguous},
		"LateBOM":         {"a byte order mark inside of a file moves what follows", "services: {}\n---\n\ufeffservices: {a: {image: x}}\n", "a K v", ReasonEncoding},
		"ResetBlock":      {"what the block says does not count", "services:\n  a:\n    environment: !reset {B: 1}\n", "a A 1", ReasonReset},
		"ResetService":    {"what the service says does not count", "services:\n  a: !reset {image: x}\n", "a A 1", ReasonReset},
		"Labels":          {"the labels of another service come from there too", "services:\n  a:\n    environment: &e\n      B: 1\n  b:\n    labels: *e\n", "a A 1", ReasonShared},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			changes := parseChanges(c.changes)
			got, err := Apply("compose.yml", []byte(c.data), changes)
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if len(got.Refused) != len(changes) || string(got.Content) != c.data {
				t.Fatalf("%s: want %d refused, got %s and\n%s", c.reason, len(changes), refusals(got), got.Content)
			}
			if refused := got.Refused[0]; refused.Reason != c.want || refused.Hint == "" {
				t.Errorf("%s: want refusal %q with a hint, got %s", c.reason, c.want, refusals(got))
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
			got, err := Apply("compose.yml", []byte("services:\n  a:\n    environment: "+tc.block+"\n  b:\n    extends: a\n"), []Change{change})
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

func TestRefusalNamesTheServices(t *testing.T) {
	data := "x-e: &e\n  A: 1\nservices:\n  a: {environment: *e}\n  c: {environment: *e}\n  b: {environment: {<<: *e}}\n"
	got, err := Apply("compose.yml", []byte(data), []Change{{Service: "a", Key: "A", Remove: true}})
	if err != nil || len(got.Refused) != 1 {
		t.Fatalf("want one refusal, got %+v, %v", got, err)
	}
	if diff := cmp.Diff([]string{"b", "c"}, got.Refused[0].Services); diff != "" || !strings.HasSuffix(got.Refused[0].Message, ": b, c") {
		t.Errorf("the services that would lose it too (-want +got):\n%s%s", diff, got.Refused[0].Message)
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
		ReasonShared, ReasonInherited, ReasonAmbiguous, ReasonReset, ReasonShape, ReasonServiceMissing, ReasonEncoding, ReasonInvalidKey, ReasonTooLarge,
		ReasonUnproven,
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
	b.WriteString("services:\n  a:\n    environment:\n      B: 1\n  b:\n    x: *x9\n")
	start := time.Now()
	got, err := Apply("compose.yml", []byte(b.String()), []Change{{Service: "a", Key: "A", Text: "1"}})
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v", took)
	}
	if len(got.Applied) != 1 {
		t.Errorf("the edit is no matter of the aliases, got %s", refusals(got))
	}
}

// Nine levels of ten merge keys bring in a billion entries.
func TestApplyMergeBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString("x0: &x0 {A: 1}\n")
	for i := range 9 {
		item := fmt.Sprintf("*x%d", i)
		fmt.Fprintf(&b, "x%d: &x%d {<<: [%s]}\n", i+1, i+1, strings.Join([]string{item, item, item, item, item, item, item, item, item, item}, ", "))
	}
	b.WriteString("services:\n  a:\n    environment:\n      <<: *x9\n")
	start := time.Now()
	got, err := Apply("compose.yml", []byte(b.String()), []Change{{Service: "a", Key: "A", Text: "2"}})
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v", took)
	}
	if len(got.Refused) != 1 || got.Refused[0].Reason != ReasonTooLarge {
		t.Errorf("want it refused, got %v and %s", got.Applied, refusals(got))
	}
}

// What every service has from one block counts as often as there are services.
func TestApplyLargeFiles(t *testing.T) {
	var shared, chain strings.Builder
	shared.WriteString("x-e: &e\n")
	for i := range 1000 {
		fmt.Fprintf(&shared, "  K%d: v\n", i)
	}
	shared.WriteString("services:\n  a:\n    environment: *e\n")
	for i := range 1000 {
		fmt.Fprintf(&shared, "  s%d:\n    environment: *e\n", i)
	}
	chain.WriteString("services:\n  a:\n    extends: s1999\n  s0:\n    image: x\n")
	for i := range 2000 {
		fmt.Fprintf(&chain, "  s%d:\n    extends: s%d\n    environment: {K%d: v}\n", i+1, i, i)
	}
	line := "{services: {a: {environment: {X: 1"
	for i := range 10_000 {
		line += fmt.Sprintf(", K%d: 1", i)
	}
	line += "}}}}\n"
	for name, data := range map[string]string{"Shared": shared.String(), "Chain": chain.String(), "Line": line} {
		for _, change := range []Change{{Service: "a", Key: "A", Text: "1"}, {Service: "a", Key: "K7", Remove: true}} {
			start := time.Now()
			if _, err := Apply("compose.yml", []byte(data), []Change{change}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if took := time.Since(start); took > time.Minute { // without a bound it were hours
				t.Errorf("%s: %+v took %v", name, change, took)
			}
		}
	}
}

// The proof stands between the planner and the file, so it must see what a wrong plan does.
func TestProofSeesOtherChanges(t *testing.T) {
	before := "x-n: &n\nx-e: &e\n  A: x\n  B: y\nservices:\n  a:\n    environment:\n      A: x\n      B: y\n    labels: [l, '7']\n  b:\n    image: z\n    environment: *e\nvolumes: {v: {}}\nx-o: 1\n"
	cases := map[string]struct {
		reason string
		after  string
		want   bool
	}{
		"Right":        {"only the key changed", strings.Replace(before, "      A: x", `      A: "1"`, 1), true},
		"OtherText":    {"the key reads as something else", strings.Replace(before, "      A: x", "      A: 011", 1), false},
		"OtherKey":     {"a second key changed", strings.NewReplacer("      A: x", "      A: '1'", "      B: y", "      B: x").Replace(before), false},
		"OtherService": {"another service changed", strings.NewReplacer("      A: x", "      A: '1'", "image: z", "image: a").Replace(before), false},
		"Labels":       {"another field of the service changed", strings.NewReplacer("      A: x", "      A: '1'", "[l,", "[m,").Replace(before), false},
		"KeyLost":      {"another key vanished", strings.NewReplacer("      A: x", "      A: '1'", "      B: y\n", "").Replace(before), false},
		"Document":     {"a document more", strings.Replace(before, "      A: x", "      A: '1'", 1) + "---\na: 1\n", false},
		"Typed":        {"a string became a number", strings.NewReplacer("      A: x", "      A: '1'", "'7']", "7]").Replace(before), false},
		"Volumes":      {"something that is no service changed", strings.NewReplacer("      A: x", "      A: '1'", "v: {}", "w: {}").Replace(before), false},
		"Extension":    {"an extension changed", strings.NewReplacer("      A: x", "      A: '1'", "x-o: 1", "x-o: 2").Replace(before), false},
		"ServiceTag":   {"the service would replace what earlier files say", strings.NewReplacer("      A: x", "      A: '1'", "  b:\n", "  b: !override\n").Replace(before), false},
		"Merge":        {"something is merged that cannot be", strings.NewReplacer("      A: x", "      A: '1'", "  b:\n", "  b:\n    <<: *n\n").Replace(before), false},
		"Fragment":     {"a fragment that nobody was to touch changed", strings.NewReplacer("      A: x", "      A: '1'", "\n  A: x", "\n  A: z").Replace(before), false},
		"Tag":          {"the block would replace what earlier files say", strings.NewReplacer("      A: x", "      A: '1'", "environment:\n", "environment: !override\n").Replace(before), false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b, errB := parse([]byte(before))
			a, errA := parse([]byte(c.after))
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			p := proof{before: b, after: a, intended: []Change{{Service: "a", Key: "A", Text: "1"}}}
			if got := p.check() == nil; got != c.want {
				t.Errorf("%s: want %v, got %v", c.reason, c.want, got)
			}
		})
	}
}
