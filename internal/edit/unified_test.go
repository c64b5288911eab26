package edit

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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
			got, err := Apply(c.path, []byte(c.data), []Change{{"a", "A", "1"}, {"a", "B", "2"}})
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
