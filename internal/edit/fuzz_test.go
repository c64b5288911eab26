package edit_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/composure-dev/composure/internal/edit"
)

// How a fuzzed change is made.
const (
	fuzzRemove = 1 << iota
	fuzzBare
	fuzzCreate
	fuzzSensitive
)

// FuzzApply gives the editor any bytes. It must neither panic nor hang; what it makes must be YAML, differ in the one key only, and
// be left alone by the same change a second time.
func FuzzApply(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join("testdata", "corpus", "*"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("list seeds: %v, %v", paths, err)
	}
	for i, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		s, err := newSubject(path, path, data)
		if err != nil || len(s.services()) == 0 {
			f.Add(data, "a", "A", "x", byte(fuzzCreate))
			continue
		}
		for j, name := range s.services() {
			key := "A"
			if keys := s.keys(name); len(keys) > 0 {
				key = keys[j%len(keys)]
			}
			f.Add(data, name, key, palette[(i+j)%len(palette)], byte(i+j))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, service, key, text string, how byte) {
		if len(data) > 64<<10 || len(text) > 4<<10 {
			t.Skip("longer input is not more interesting")
		}
		change := edit.Change{
			Service: service, Key: key, Text: text,
			Remove: how&fuzzRemove != 0, Bare: how&fuzzBare != 0, Create: how&fuzzCreate != 0, Sensitive: how&fuzzSensitive != 0,
		}
		if change.Bare || change.Remove {
			change.Text = ""
		}
		s, err := newSubject("compose.yml", "/compose.yml", data)
		if err != nil {
			if result, err := edit.Apply("compose.yml", data, []edit.Change{change}); err == nil && string(result.Content) != string(data) {
				t.Fatal("the editor edits what is no YAML")
			}
			return
		}
		started := time.Now()
		result, found := examine(s, []edit.Change{change}, byYAML)
		if took := time.Since(started); took > 10*time.Second {
			t.Errorf("took %v", took)
		}
		for _, what := range found {
			if !strings.HasPrefix(what, "unproven") { // a file that nobody writes may be left to a person
				t.Errorf("%+v: %s\n%s", change, what, showHunks(data, result.Content))
			}
		}
	})
}

// Aliases can make a short file stand for billions of nodes. Whatever the editor does about such a file, it is done soon.
func TestAliasBombs(t *testing.T) {
	ten := func(item, separator string) string {
		return strings.TrimSuffix(strings.Repeat(item+separator, 10), separator)
	}
	levels := func(first, next string) string {
		var b strings.Builder
		b.WriteString(first)
		for i := range 10 {
			fmt.Fprintf(&b, next, i+1, i+1, ten(fmt.Sprintf("*x%d", i), " , "))
		}
		return b.String()
	}
	lists := levels("x-0: &x0 [a]\n", "x-%d: &x%d [%s]\n")
	merges := levels("x-0: &x0 {A: \"1\"}\n", "x-%d: &x%d {<<: [%s]}\n")
	nested := levels("x-0: &x0 {A: \"1\"}\n", "x-%d: &x%d {k: [%s]}\n")
	services := "services:\n  plain:\n    image: a\n    environment:\n      A: \"1\"\n  none:\n    image: a\n"
	cases := map[string]struct{ reason, data string }{
		"ListsElsewhere":  {"the bomb is no one's business", lists + services},
		"ListsInService":  {"it is part of an edited service", lists + services + "  bomb:\n    image: a\n    x-bomb: *x10\n    environment:\n      A: \"1\"\n"},
		"ListsAsBlock":    {"it is the environment", lists + services + "  bomb:\n    image: a\n    environment: *x10\n"},
		"ListsAsService":  {"it is the service", lists + services + "  bomb: *x10\n"},
		"MergesInBlock":   {"the environment merges it", merges + services + "  bomb:\n    image: a\n    environment:\n      <<: *x10\n"},
		"MergesAsBlock":   {"it is the environment", merges + services + "  bomb:\n    image: a\n    environment: *x10\n"},
		"MergesInService": {"the service merges it", merges + services + "  bomb:\n    <<: *x10\n    image: a\n"},
		"NestedInService": {"the service merges what holds it", nested + services + "  bomb:\n    <<: *x10\n    image: a\n"},
		"NestedInBlock":   {"the environment merges what holds it", nested + services + "  bomb:\n    environment:\n      <<: *x10\n"},
		"ContainsItself":  {"a loop: compose refuses such a file, the editor must not follow it for ever", "volumes: &loop\n  self: *loop\n" + services + "  bomb: &bomb\n    image: a\n    labels: *bomb\n"},
		"BlockOfItself":   {"a loop through the environment", services + "  bomb:\n    environment: &bomb\n      <<: *bomb\n      B: *bomb\n"},
		"MergesItself":    {"a loop through a merge key", services + "  bomb: &bomb\n    <<: *bomb\n    environment: &list\n    - *list\n"},
		"NestedAsRoot":    {"the whole file merges it", nested + "<<: *x10\n" + services + "  bomb:\n    image: a\n"},
	}
	limit := time.Second
	if raceEnabled() {
		limit *= 10
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for _, change := range []edit.Change{{Text: "2"}, {Bare: true}, {Remove: true}} {
				var all []edit.Change
				for _, service := range []string{"plain", "none", "bomb"} {
					change.Service, change.Key = service, "A"
					all = append(all, change)
				}
				all = append(all, edit.Change{Service: "new", Key: "A", Text: "1", Create: true})
				started := time.Now()
				result, err := edit.Apply("compose.yml", []byte(c.data), all)
				if took := time.Since(started); took > limit {
					t.Errorf("%s: %+v took %v", c.reason, change, took)
				}
				if err != nil {
					continue // refused as a whole is fine too
				}
				for _, what := range malformed([]byte(c.data), all, result) {
					t.Errorf("%s: %+v: %s", c.reason, change, what)
				}
			}
		})
	}
}
