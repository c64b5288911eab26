package compose

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/template"
)

// references are the variables that text refers to, in order, each once; those in a default that is not needed are
// none of them.
func (e environment) references(text string) []Reference {
	return references(text, func(name string) (Reference, bool) {
		value, ok := e.values[name]
		if !ok {
			return Reference{Name: name}, false
		}
		return Reference{Name: name, Value: &value, Source: e.sources[name]}, true
	})
}

func references(text string, find func(name string) (Reference, bool)) []Reference {
	if !strings.Contains(text, "$") {
		return nil
	}
	var out []Reference
	_, _ = template.SubstituteWithOptions(text, func(name string) (string, bool) {
		r, ok := find(name)
		if !slices.ContainsFunc(out, func(known Reference) bool { return known.Name == name }) {
			out = append(out, r)
		}
		if !ok {
			return "", false
		}
		return *r.Value, true
	}, template.WithoutLogging)
	slices.SortStableFunc(out, func(a, b Reference) int {
		return cmp.Compare(firstUse(text, a.Name), firstUse(text, b.Name))
	})
	return out
}

// firstUse is where text first refers to a name. compose-go asks for the names in a default before the name it is the default of.
func firstUse(text, name string) int {
	at := regexp.MustCompile(`\$\{?` + regexp.QuoteMeta(name) + `\b`).FindStringIndex(text)
	if at == nil {
		return len(text)
	}
	return at[0]
}
