package policy

import (
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/template"
)

// interpolate resolves ${...} in text as compose does. used are the names that environment has and text asked for, in the
// order it asked. The error may hold parts of text and is not for printing.
func interpolate(text string, environment map[string]EnvironmentValue) (value string, used []string, err error) {
	value, err = template.SubstituteWithOptions(text, func(name string) (string, bool) {
		v, ok := environment[name]
		if ok && !slices.Contains(used, name) {
			used = append(used, name)
		}
		return v.Value, ok
	}, template.WithoutLogging)
	return value, used, err
}

// escapeDollar returns the text that interpolates to value whatever the environment.
func escapeDollar(value string) string { return strings.ReplaceAll(value, "$", "$$") }
