package report

import (
	"strings"
	"testing"

	"github.com/aymanbagabas/go-udiff"
	"pgregory.net/rapid"

	"github.com/composure-dev/composure/reconcile/plan"
)

// TestMaskDiffHunkInsideSecret: the key of a long secret may stand above the hunk; the file's content tells.
func TestMaskDiffHunkInsideSecret(t *testing.T) {
	for name, form := range map[string]struct{ key, indent string }{"Block": {"|", "        "}, "Quoted": {"\"", ""}, "Plain": {"x", "        "}} {
		t.Run(name, func(t *testing.T) {
			end := ""
			if form.key == "\"" {
				end = "      \"\n"
			}
			old := "services:\n  app:\n    environment:\n      PRIVATE_KEY: " + form.key + "\n" + strings.Repeat(form.indent+"pem-line\n", 9) + end + "      LEVEL: info\n"
			edited := strings.Replace(old, "info", "debug", 1)
			got := newMasker(Project{}).diff(udiff.Unified("a/x", "b/x", old, edited), plan.Patch{Before: []byte(old), After: []byte(edited)})
			if strings.Contains(got, "pem-line") || !strings.Contains(got, "+      LEVEL: debug") {
				t.Errorf("the diff shows the secret, or lacks the change:\n%s", got)
			}
		})
	}
}

func TestMaskDiffLines(t *testing.T) {
	tests := map[string]struct{ reason, diff, before, after, want string }{
		"NoNewline": {
			"the marker of a missing final newline stays",
			"@@ -1 +1 @@\n-A_TOKEN: x1\n\\ No newline at end of file\n+A_TOKEN: x2\n\\ No newline at end of file\n", "A_TOKEN: x1", "A_TOKEN: x2",
			"@@ -1 +1 @@\n-A_TOKEN: ********\n\\ No newline at end of file\n+A_TOKEN: ********\n\\ No newline at end of file\n",
		},
		"OneSide": {
			"what is a secret on one side only",
			"@@ -1,2 +1,2 @@\n-A_TOKEN:\n+A:\n   x\n", "A_TOKEN:\n  x\n", "A:\n  x\n",
			"@@ -1,2 +1,2 @@\n-A_TOKEN:\n+A:\n   ********\n",
		},
		"OtherFile": {
			"a line that is not the file's",
			"@@ -1 +1 @@\n-a: 1\n+a: 2\n", "b: 1\n", "a: 2\n",
			"@@ -1 +1 @@\n-********\n+a: 2\n",
		},
		"NoFile": {
			"nothing tells what the lines are",
			"--- a/x\n+++ b/x\n@@ -0,0 +1,2 @@\n+a: 1\n+  b: 2\n", "", "",
			"--- a/x\n+++ b/x\n@@ -0,0 +1,2 @@\n+********\n+  ********\n",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := newMasker(Project{}).diff(tc.diff, plan.Patch{Before: []byte(tc.before), After: []byte(tc.after)}); got != tc.want {
				t.Errorf("%s: want\n%s\ngot\n%s", tc.reason, tc.want, got)
			}
		})
	}
}

// TestMaskDiffKeepsShape: whatever the files hold, masking keeps every line's sign and the number of lines.
func TestMaskDiffKeepsShape(t *testing.T) {
	line := rapid.SampledFrom([]string{"", "a: 1", "  TOKEN: x", "  TOKEN: |", "    pem", "- KEY=1", "TOKEN:", "# c", "-- x", "++ y", "  \"A_KEY\": 'x", "&a !b", "\tT"})
	file := rapid.Map(rapid.SliceOfN(line, 0, 20), func(lines []string) string { return strings.Join(lines, "\n") })
	rapid.Check(t, func(t *rapid.T) {
		before, after := file.Draw(t, "old"), file.Draw(t, "new")
		diff := udiff.Unified("a/x", "b/x", before, after)
		got := newMasker(Project{}).diff(diff, plan.Patch{Before: []byte(before), After: []byte(after)})
		if strings.Count(got, "\n") != strings.Count(diff, "\n") {
			t.Fatalf("the number of lines changed:\n%s\n%s", diff, got)
		}
		masked := strings.Split(got, "\n")
		for i, line := range strings.Split(diff, "\n") {
			if line != "" && line[0] != masked[i][0] {
				t.Fatalf("line %d lost its sign: %q became %q", i, line, masked[i])
			}
		}
	})
}
