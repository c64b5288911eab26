package edit

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/aymanbagabas/go-udiff"
)

// Unified is the unified diff from before to after with three lines of context, as `git apply` takes it; empty when they are
// equal. path is relative to where the diff is to be applied. Values are shown as they are: masking is the caller's.
func Unified(path string, before, after []byte) string {
	return udiff.Unified(diffLabel("a/"+path), diffLabel("b/"+path), string(before), string(after))
}

// diffLabel writes a file name as git does: quoted where it must be, with a tab behind one with spaces.
func diffLabel(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return r == '"' || r == '\\' || unicode.IsControl(r) }) {
		return strconv.Quote(name)
	}
	if strings.Contains(name, " ") {
		return name + "\t"
	}
	return name
}
