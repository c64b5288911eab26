package policy

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// Expand replaces every $(NAME) in text by env[NAME]. "$$(" gives a literal "$(". A reference without an end, a name that
// no variable can have, and one that env does not set (a nil value is not set) are errors; no error holds a value.
func Expand(text string, env map[string]*string) (string, error) {
	return expand(text, func(name string) (string, error) {
		if value := env[name]; value != nil {
			return *value, nil
		}
		return "", fmt.Errorf("expand $(%s): the container does not set it", name)
	})
}

func expand(text string, lookup func(name string) (string, error)) (string, error) {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "$(")
		if !found {
			out.WriteString(text)
			return out.String(), nil
		}
		if literal, escaped := strings.CutSuffix(before, "$"); escaped {
			out.WriteString(literal + "$(")
			text = after
			continue
		}
		name, rest, closed := strings.Cut(after, ")")
		if !closed || !variableName.MatchString(name) {
			return "", errors.New("expand $(NAME): a reference has no end or no valid name")
		}
		value, err := lookup(name)
		if err != nil {
			return "", err
		}
		out.WriteString(before + value)
		text = rest
	}
}
