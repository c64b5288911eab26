package edit

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// TestCorpus edits real compose files: every service gets a new key and every key a new value. None may come out wrong.
func TestCorpus(t *testing.T) {
	root := os.Getenv("COMPOSURE_CORPUS")
	if root == "" {
		t.Skip("COMPOSURE_CORPUS, a folder of compose files, is not set")
	}
	tally := map[string]map[string]int{"add": {}, "change": {}}
	palette := []string{"changed", "true", "022", "a b", "x: y # z", `it's "so"`, "", "${X:-5}", "ü", "a\nb"}
	files := 0
	walk := func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !slices.Contains([]string{".yml", ".yaml"}, filepath.Ext(path)) {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		d, err := parse(data)
		if err != nil {
			return nil //nolint:nilerr // what does not parse is not the editor's
		}
		files++
		for _, service := range pairs(d.services()) {
			name := service.key.Value
			tallyApply(t, tally["add"], path, data, Change{Service: name, Key: "COMPOSURE_NEW", Text: palette[files%len(palette)]})
			for i, key := range keysOf(child(service.value, "environment")) {
				tallyApply(t, tally["change"], path, data, Change{Service: name, Key: key, Text: palette[(files+i)%len(palette)]})
			}
		}
		return nil
	}
	if err := filepath.WalkDir(root, walk); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files: add %v; change %v", files, tally["add"], tally["change"])
}

func keysOf(environment *yaml.Node) []string {
	var keys []string
	if environment != nil && environment.Kind == yaml.SequenceNode {
		for _, item := range environment.Content {
			name, _, _ := strings.Cut(scalar(item).Value, "=")
			keys = append(keys, name)
		}
	}
	for _, p := range pairs(environment) {
		if p.key.Value != "<<" {
			keys = append(keys, p.key.Value)
		}
	}
	return keys
}

func tallyApply(t *testing.T, tally map[string]int, path string, data []byte, change Change) {
	t.Helper()
	got, err := Apply(path, data, []Change{change})
	switch {
	case err != nil:
		t.Errorf("%s: %v", path, err)
	case len(got.Refused) > 0:
		tally["refused "+string(got.Refused[0].Reason)]++
		if got.Refused[0].Reason == ReasonUnproven {
			t.Logf("unproven: %s: %v", path, change)
		}
	case string(got.Content) == string(data):
		tally["noop"]++
	default:
		tally["edited"]++
		if wrong := wrongEdit(data, got.Content, change); wrong != "" {
			t.Errorf("wrong: %s: %v: %s\n%s", path, change, wrong, Unified(path, data, got.Content))
		}
	}
}

// wrongEdit judges an edit without the package's own proof: the decoded files differ in the one key, and the lines that are
// not the edited one are there as before.
func wrongEdit(before, after []byte, change Change) string {
	var a, b map[string]any
	if err := yaml.Unmarshal(before, &a); err != nil {
		return ""
	}
	if err := yaml.Unmarshal(after, &b); err != nil {
		return err.Error()
	}
	if got, ok := takeKey(b, change); !ok || got != change.Text {
		return "reads back as " + got
	}
	takeKey(a, change)
	if !reflect.DeepEqual(a, b) {
		return "something else changed"
	}
	return ""
}

// takeKey removes the change's key from its service's environment, and the environment if it is empty then.
func takeKey(file map[string]any, change Change) (string, bool) {
	service := file["services"].(map[string]any)[change.Service].(map[string]any)
	text, found := "", false
	size := 0
	switch e := service["environment"].(type) {
	case map[string]any:
		text, found = e[change.Key].(string)
		delete(e, change.Key)
		size = len(e)
	case []any:
		e = slices.DeleteFunc(e, func(item any) bool {
			key, value, _ := strings.Cut(item.(string), "=")
			if key == change.Key {
				text, found = value, true
			}
			return key == change.Key
		})
		service["environment"] = e
		size = len(e)
	}
	if size == 0 {
		delete(service, "environment")
	}
	return text, found
}
