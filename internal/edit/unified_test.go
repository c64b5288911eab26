package edit

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestUnified(t *testing.T) {
	before := "1\n2\n3\n4\n5\n6\n7\n8\n"
	want := "--- a/compose.yml\n+++ b/compose.yml\n@@ -2,6 +2,7 @@\n 2\n 3\n 4\n+new\n 5\n 6\n 7\n"
	if got := Unified("compose.yml", []byte(before), []byte(strings.Replace(before, "5", "new\n5", 1))); got != want {
		t.Errorf("want\n%s\ngot\n%s", want, got)
	}
	if got := Unified("compose.yml", []byte(before), []byte(before)); got != "" {
		t.Errorf("equal files have no diff, got\n%s", got)
	}
}

func TestUnifiedAppliesWithGit(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not installed")
	}
	data := "services:\n  a:\n    environment:\n      - A=ü\n"
	cases := map[string]struct{ path, data string }{
		"Plain":          {"compose.yml", data},
		"Folder":         {"deploy/prod/compose.yml", data},
		"Spaces":         {"my compose.yml", data},
		"Quotes":         {`a"b\c.yml`, data},
		"NonASCII":       {"übung.yml", data},
		"CRLF":           {"compose.yml", strings.ReplaceAll(data, "\n", "\r\n")},
		"NoFinalNewline": {"compose.yml", strings.TrimSuffix(data, "\n")},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Apply(c.path, []byte(c.data), []Change{{Service: "a", Key: "A", Text: "1"}, {Service: "a", Key: "B", Text: "2"}})
			if err != nil || len(got.Refused) > 0 {
				t.Fatal(err, refusals(got))
			}
			dir := t.TempDir()
			file := filepath.Join(dir, c.path)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(c.data), 0o644); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), git, "apply", "-")
			cmd.Dir = dir
			cmd.Stdin = strings.NewReader(Unified(c.path, []byte(c.data), got.Content))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("git apply: %v\n%s", err, out)
			}
			patched, err := os.ReadFile(file)
			if err != nil || string(patched) != string(got.Content) {
				t.Errorf("%v: want\n%q\ngot\n%q", err, got.Content, patched)
			}
		})
	}
}

// Changes that share a hunk must not shift the hunks behind it: where lines repeat, a patch tool believes the header.
func TestUnifiedHeadersAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.SampledFrom([]string{"a\n", "b\n", "c\n"})
		before := rapid.SliceOfN(line, 0, 60).Draw(t, "before")
		var after []string
		for _, l := range before {
			switch rapid.IntRange(0, 12).Draw(t, "edit") {
			case 0:
				after = append(after, "new\n", l)
			case 1:
				after = append(after, "changed\n")
			case 2: // removed
			default:
				after = append(after, l)
			}
		}
		old, want := strings.Join(before, ""), strings.Join(after, "")
		for _, context := range []int{0, 1, 3} {
			diff := UnifiedContext("f", []byte(old), []byte(want), context)
			if got := applyStrictly(t, before, diff); got != want {
				t.Fatalf("context %d: the diff does not lead to the new file:\n%s", context, diff)
			}
		}
	})
}

var hunkHeader = regexp.MustCompile(`^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@\n$`)

// applyStrictly applies a diff by its line numbers alone, and wants the lines that it expects to stand exactly there.
func applyStrictly(t *rapid.T, before []string, diff string) string {
	var out []string
	at := 0
	for line := range strings.Lines(diff) {
		header := hunkHeader.FindStringSubmatch(line)
		switch {
		case strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "+++ "):
		case header != nil:
			from, to := hunkStart(header[1], header[2]), hunkStart(header[3], header[4])
			out = append(out, before[at:from]...)
			at = from
			if len(out) != to {
				t.Fatalf("%q: the new side begins at line %d, not %d, of\n%s", line, len(out)+1, to+1, diff)
			}
		case line[0] == '+':
			out = append(out, line[1:])
		default:
			if at >= len(before) || before[at] != line[1:] {
				t.Fatalf("line %d is not %q in\n%s", at+1, line[1:], diff)
			}
			if line[0] == ' ' {
				out = append(out, before[at])
			}
			at++
		}
	}
	return strings.Join(append(out, before[at:]...), "")
}

// hunkStart is the number of lines before a side of a hunk.
func hunkStart(start, count string) int {
	n, _ := strconv.Atoi(start)
	if count == "0" {
		return n
	}
	return n - 1
}
