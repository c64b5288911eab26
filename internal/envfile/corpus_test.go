package envfile

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCorpus edits real env files: a new key, a new value for every key, each key out, and back again. None may come out wrong.
func TestCorpus(t *testing.T) {
	root := os.Getenv("COMPOSURE_CORPUS")
	if root == "" {
		root = "testdata/corpus"
		t.Log("COMPOSURE_CORPUS, a folder of env files, is not set: testdata/corpus it is")
	}
	c := &corpus{T: t, tally: map[string]map[string]int{"add": {}, "change": {}, "remove": {}}}
	walk := func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.Contains(entry.Name(), "env") || slices.Contains([]string{".yml", ".yaml", ".md", ".sh"}, filepath.Ext(path)) {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		c.files++
		for _, format := range []string{"", FormatRaw} {
			c.file(path, format, data)
		}
		return nil
	}
	if err := filepath.WalkDir(root, walk); err != nil {
		t.Fatal(err)
	}
	if c.files == 0 || c.wrong > 0 {
		t.Errorf("%d wrong", c.wrong)
	}
	t.Logf("%d readings of %d files, one for each format; %d not readable; %d keys: wrong %d; add %v; change %v; remove %v",
		c.readings, c.files, c.unreadable, c.keys, c.wrong, c.tally["add"], c.tally["change"], c.tally["remove"])
}

var palette = []string{
	"changed", "true", "", "a b", "x # z", "#fff", `it's "so"`, "'", `C:\dir\`, "${COMPOSURE_X:-5}", "${COMPOSURE_X:?why}", "ü ☃", "a\nb", " lead", "trail ", "$$ $$HOME", "p$$${COMPOSURE_X-'}",
	"https://u:p@h/?a=b&c=d#e", `{"a": "b"}`, "\t", `\n\$$`,
}

type corpus struct {
	*testing.T
	files, readings, unreadable, keys, wrong, next int
	tally                                          map[string]map[string]int
}

func (c *corpus) text() string {
	c.next++
	return palette[c.next%len(palette)]
}

func (c *corpus) file(path, format string, data []byte) {
	values, err := readAs(data, format, shells()[2])
	if err != nil || !readable(data, format) {
		c.unreadable++
		if _, err := Apply(path, data, format, []Change{set("A", "1")}); err == nil {
			c.wrong++
			c.Errorf("%s: compose cannot read it, and this can", path)
		}
		return
	}
	c.readings++
	c.keys += len(values)
	for range 5 {
		added := c.apply("add", path, format, data, set("COMPOSURE_NEW", c.text()))
		c.undo(path, format, added, data, remove("COMPOSURE_NEW"))
	}
	for key := range values {
		for range 3 {
			c.apply("change", path, format, data, set(key, c.text()))
		}
		c.apply("remove", path, format, data, remove(key))
	}
	c.rewrite(path, format, data)
}

// rewrite gives every value of one line another and the old one again, as it is written.
func (c *corpus) rewrite(path, format string, data []byte) {
	if format != "" {
		return
	}
	for _, m := range regexp.MustCompile(`(?m)^([A-Za-z_][A-Za-z0-9_]*)=([A-Za-z0-9_./:-]*)\r?$`).FindAllStringSubmatch(string(data), -1) {
		if strings.Count(string(data), m[1]+"=") > 1 {
			continue
		}
		changed := c.apply("change", path, format, data, set(m[1], "plain"))
		c.undo(path, format, changed, data, set(m[1], m[2]))
	}
}

func (c *corpus) apply(what, path, format string, data []byte, change Change) []byte {
	c.Helper()
	got, err := Apply(path, data, format, []Change{change})
	switch {
	case err != nil:
		c.fail(path, change, err.Error())
	case len(got.Refused) > 0:
		c.tally[what]["refused "+string(got.Refused[0].Reason)]++
		if got.Refused[0].Reason == ReasonUnproven {
			c.Logf("unproven: %s: %+v", path, change)
		}
		if string(got.Content) != string(data) {
			c.fail(path, change, "refused and made")
		}
	default:
		if string(got.Content) == string(data) {
			c.tally[what]["noop"]++
		} else {
			c.tally[what]["edited"]++
		}
		wrong := wrongValues(data, got.Content, format, change)
		if wrong == "" && what != "remove" {
			wrong = wrongLines(data, got.Content, change)
		}
		if wrong == "" && what == "remove" {
			wrong = wrongRemoval(data, got.Content, change)
		}
		if wrong != "" {
			c.fail(path, change, wrong)
		}
		if again, err := Apply(path, got.Content, format, []Change{change}); err != nil || string(again.Content) != string(got.Content) {
			c.fail(path, change, "the second time moved bytes")
		}
	}
	return got.Content
}

func (c *corpus) undo(path, format string, edited, original []byte, change Change) {
	c.Helper()
	got, err := Apply(path, edited, format, []Change{change})
	if err != nil || string(got.Content) != string(original) && string(edited) != string(original) && len(got.Refused) == 0 {
		c.fail(path, change, fmt.Sprintf("the way back leads elsewhere (%v)", err))
	}
}

func (c *corpus) fail(path string, change Change, wrong string) {
	c.Helper()
	c.wrong++
	c.Errorf("wrong: %s: %+v: %s", path, change, wrong)
}

// wrongLines: one line became one line, or one came; a value over several lines may go whole, and may have as many again.
func wrongLines(before, after []byte, change Change) string {
	removed, added := movedLines(before, after)
	if len(added) > 1+strings.Count(change.Text, "\n") || len(removed) > 1 && !strings.ContainsAny(removed[0], `"'`) {
		return fmt.Sprintf("lines %q became %q", removed, added)
	}
	if len(added) > 0 && !strings.Contains(added[0], change.Key) {
		return fmt.Sprintf("lines %q came", added)
	}
	return ""
}

// wrongRemoval: nothing came, and what went names the key or is the rest of a value over several lines.
func wrongRemoval(before, after []byte, change Change) string {
	removed, added := movedLines(before, after)
	if len(added) > 0 || len(removed) > 0 && !slices.ContainsFunc(removed, func(line string) bool { return strings.Contains(line, change.Key) }) {
		return fmt.Sprintf("lines %q became %q", removed, added)
	}
	if len(removed) > 1 && strings.Count(string(before), change.Key) == 1 && !strings.ContainsAny(removed[0], `"'`) {
		return fmt.Sprintf("lines %q went", removed)
	}
	return ""
}
