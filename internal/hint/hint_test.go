package hint

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHintsSurviveWrapping(t *testing.T) {
	cause := errors.New("cause")
	err := Wrap(fmt.Errorf("middle: %w", Wrap(cause, "inner")), "outer one", "outer two")
	if !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
	if err.Error() != "middle: cause" {
		t.Errorf("text = %q, want it without hints", err)
	}
	if diff := cmp.Diff([]string{"outer one", "outer two", "inner"}, Of(fmt.Errorf("top: %w", err))); diff != "" {
		t.Errorf("hints (-want +got):\n%s", diff)
	}
	if Wrap(nil, "x") != nil {
		t.Error("no error with a hint is still no error")
	}
}

func TestClosest(t *testing.T) {
	known := []string{"value", "values", "pattern", "sameAcrossServices", "ab", ""}
	tests := map[string]struct{ reason, name, want string }{
		"Transposed":  {"two letters changed places", "vlaue", "value"},
		"Case":        {"fields are case-sensitive, and so a frequent slip", "SameAcrossservices", "sameAcrossServices"},
		"OneMore":     {"one letter too many", "patternn", "pattern"},
		"Exact":       {"nearest wins", "values", "values"},
		"Unrelated":   {"a wild guess would mislead", "timeout", ""},
		"TwoLetters":  {"every short word is near every other", "xy", ""},
		"Nothing":     {"an empty name is no slip", "", ""},
		"MuchTooLong": {"no slip is that long", strings.Repeat("value", 100), ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Closest(tc.name, known); got != tc.want {
				t.Errorf("%s: Closest(%q) = %q, want %q", tc.reason, tc.name, got, tc.want)
			}
		})
	}
}
