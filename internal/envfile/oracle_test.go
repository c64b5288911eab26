package envfile

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/docker/cli/pkg/kvfile"
)

// What follows judges edits by the parsers that compose has, and without any code of the package.

// shells are environments to read a file in: none, one that has every variable, one that has them empty, and some in between.
func shells() []dotenv.LookupFn {
	out := []dotenv.LookupFn{
		func(string) (string, bool) { return "", false },
		func(string) (string, bool) { return "", true },
	}
	for i := range 4 {
		out = append(out, func(name string) (string, bool) {
			sum := i
			for _, c := range []byte(name) {
				sum = sum*31 + int(c)
			}
			if i > 0 && sum%2 != 0 {
				return "", false
			}
			return fmt.Sprintf("shell-%d-%s", i, name), true
		})
	}
	return out
}

func readAs(content []byte, format string, shell dotenv.LookupFn) (map[string]string, error) {
	if format == "" {
		return dotenv.ParseWithLookup(strings.NewReader(string(content)), shell)
	}
	pairs, err := kvfile.ParseFromReader(strings.NewReader(string(content)), shell)
	values := map[string]string{}
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		values[key] = value
	}
	return values, err
}

// readable reports whether the file can be read, but for variables that it requires.
func readable(content []byte, format string) bool {
	for _, shell := range shells() {
		if _, err := readAs(content, format, shell); err != nil {
			if _, ok := errors.AsType[*template.MissingRequiredError](err); !ok {
				return false
			}
		}
	}
	return true
}

// wrongValues says what is wrong with the edit: the files must give the same values, but for those of the changes (of which
// the last of a key counts), and these must have their text's.
func wrongValues(before, after []byte, format string, changes ...Change) string {
	meant := map[string]Change{}
	for _, c := range changes {
		meant[c.Key] = c
	}
	compared := 0
	for i, shell := range shells() {
		was, errBefore := readAs(before, format, shell)
		is, errAfter := readAs(after, format, shell)
		if errBefore != nil || errAfter != nil {
			continue
		}
		compared++
		for key := range is {
			if _, ok := was[key]; !ok && (meant[key].Key == "" || meant[key].Remove) {
				return fmt.Sprintf("shell %d: %s appeared", i, key)
			}
		}
		for key := range was {
			if _, ok := meant[key]; !ok && (was[key] != is[key] || !has(is, key)) {
				return fmt.Sprintf("shell %d: %s changed from %q to %q", i, key, was[key], is[key])
			}
		}
		for key, c := range meant {
			if c.Remove {
				if has(is, key) {
					return fmt.Sprintf("shell %d: %s is still %q", i, key, is[key])
				}
				continue
			}
			if want, err := wantedValue(c, format, shell); err != nil || is[key] != want || !has(is, key) {
				return fmt.Sprintf("shell %d: %s is %q, want %q (%v)", i, key, is[key], want, err)
			}
		}
	}
	if compared == 0 {
		return "no shell can read it"
	}
	return ""
}

func has(values map[string]string, key string) bool {
	_, ok := values[key]
	return ok
}

// wantedValue is the text, interpolated. The tests' texts name no variables of the file.
func wantedValue(c Change, format string, shell dotenv.LookupFn) (string, error) {
	if format == FormatRaw {
		return c.Text, nil
	}
	return template.Substitute(c.Text, func(name string) (string, bool) { return shell(name) })
}

// movedLines are the lines that an edit took away and put in. A last line that only got a line break did not move.
func movedLines(before, after []byte) (removed, added []string) {
	ended := func(b []byte) string {
		if len(b) > 0 && b[len(b)-1] != '\n' {
			return string(b) + "\n"
		}
		return string(b)
	}
	old, got := ended(before), ended(after)
	if strings.Contains(old, "\r\n") {
		old, got = strings.ReplaceAll(old, "\r\n", "\n"), strings.ReplaceAll(got, "\r\n", "\n")
	}
	for _, edit := range udiff.Lines(old, got) {
		for line := range strings.Lines(old[edit.Start:edit.End]) {
			removed = append(removed, line)
		}
		for line := range strings.Lines(edit.New) {
			added = append(added, line)
		}
	}
	return removed, added
}
