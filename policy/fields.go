package policy

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/composure-dev/composure/internal/hint"
)

// fieldsOf returns the names of a struct's fields in a document, by index; "" stands for a field that no document can give.
func fieldsOf(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "-" {
			names[i] = name
		}
	}
	return names
}

// suggest is the hint for a field that does not exist.
func suggest(name string, known []string) string {
	if closest := hint.Closest(name, known); closest != "" {
		return fmt.Sprintf("did you mean %q?", closest)
	}
	return "known fields are " + strings.Join(slices.DeleteFunc(known, func(k string) bool { return k == "" }), ", ")
}

func joinPath(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// parentPath returns the object or list that holds path; the top is "".
func parentPath(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}
