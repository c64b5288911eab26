package report

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func reports() map[string]Report {
	return map[string]Report{
		"check": checkReport(), "diff": diffReport(), "applied": appliedReport(), "rolled-back": rolledBackReport(),
		"rollback-failed": rollbackFailedReport(), "held": heldReport(), "nothing": nothingReport(), "kept": keptReport(),
	}
}

func TestText(t *testing.T) {
	for name, r := range reports() {
		for _, columns := range []int{80, 120} {
			t.Run(fmt.Sprintf("%s-%d", name, columns), func(t *testing.T) {
				var out bytes.Buffer
				if err := Text(&out, r, TextOptions{Width: columns}); err != nil {
					t.Fatal(err)
				}
				golden(t, fmt.Sprintf("%s-%d", name, columns), out.Bytes())
			})
		}
	}
}

func TestTextOptions(t *testing.T) {
	several := diffReport()
	second := nothingReport().Projects[0]
	second.Name = "shop-staging"
	several.Projects = append(several.Projects, second)

	failed := nothingReport()
	failed.Projects = append(failed.Projects, Project{Name: "blog", Directory: "/srv/blog", Result: ResultError, Failure: "/srv/blog/compose.yaml:3:1: invalid YAML"})

	saved := appliedReport()
	saved.Projects[0].Backup, saved.Projects[0].Commit = "/backup/20260102T030405Z-0a1b2c3d", "1a2b3c4d5e6f1a2b3c4d5e6f1a2b3c4d5e6f1a2b"

	tests := map[string]struct {
		report  Report
		options TextOptions
	}{
		"quiet-check":       {checkReport(), TextOptions{Quiet: true}},
		"quiet-diff":        {several, TextOptions{Quiet: true}},
		"quiet-applied":     {appliedReport(), TextOptions{Quiet: true}},
		"quiet-rolled-back": {rolledBackReport(), TextOptions{Quiet: true}},
		"verbose-diff":      {diffReport(), TextOptions{Verbose: true}},
		"color-diff":        {diffReport(), TextOptions{Color: true}},
		"saved":             {saved, TextOptions{PlanShown: true}},
		"plan-shown":        {appliedReport(), TextOptions{PlanShown: true}},
		"several":           {several, TextOptions{}},
		"failed":            {failed, TextOptions{}},
		"based":             {basedReport(), TextOptions{}},
		"held-swap":         {heldSwapReport(), TextOptions{}},
		"blocked":           {blockedReport(), TextOptions{}},
		"unreachable":       {unreachableReport(), TextOptions{}},
		"announced":         {diffReport(), TextOptions{Announced: true}},
		"quiet-unreachable": {unreachableReport(), TextOptions{Quiet: true}},
		"quiet-remaining":   {remainingReport(), TextOptions{Quiet: true}},
		"quiet-kept":        {keptReport(), TextOptions{Quiet: true}},
		"quiet-failed":      {failed, TextOptions{Quiet: true}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.options.Width = 100
			var out bytes.Buffer
			if err := Text(&out, tc.report, tc.options); err != nil {
				t.Fatal(err)
			}
			golden(t, name, out.Bytes())
		})
	}
}

// TestTextFitsWidth looks at everything but unified diffs and commands, which a person copies: no other line with a space to break at is longer than the width.
func TestTextFitsWidth(t *testing.T) {
	for name, r := range reports() {
		for i := range r.Projects {
			for j := range r.Projects[i].Plan.Steps {
				r.Projects[i].Plan.Steps[j].Diff = ""
			}
		}
		for columns := 60; columns <= 140; columns += 10 {
			var out bytes.Buffer
			if err := Text(&out, r, TextOptions{Width: columns}); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(out.String()) {
				line = strings.TrimSuffix(line, "\n")
				command := strings.HasPrefix(strings.TrimSpace(line), "docker ")
				if !command && width(line) > columns && len(strings.Fields(line)) > 4 {
					t.Errorf("%s: %d columns at width %d: %s", name, width(line), columns, line)
				}
			}
		}
	}
}

// TestTextKeepsCommandsWhole: a command that was broken or whose id was shortened does something else, or nothing.
func TestTextKeepsCommandsWhole(t *testing.T) {
	command := "docker rm -f $(docker ps -aq --filter label=composure.replaces=" + beatID + ")\n"
	for _, r := range []Report{heldReport(), rollbackFailedReport()} {
		for _, o := range []TextOptions{{Width: 60}, {Width: 60, Quiet: r.Projects[0].Result == ResultRollbackFailed}} {
			var out bytes.Buffer
			if err := Text(&out, r, o); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), command) {
				t.Errorf("%+v: the command is not whole in\n%s", o, &out)
			}
		}
	}
}

// TestTextControlCharacters: what a container logged must not move the cursor of whoever reads the report.
func TestTextControlCharacters(t *testing.T) {
	r := rolledBackReport()
	r.Projects[0].Failure = "log: \x1b[2J\x1b]0;title\a\rgone"
	r.Projects[0].Plan.Steps[0].Diff = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-\x1b[2J\n+\u009b2J\n"
	var out bytes.Buffer
	if err := Text(&out, r, TextOptions{Width: 80}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\a\r\u009b") {
		t.Errorf("control characters in %q", out.String())
	}
}
