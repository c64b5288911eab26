package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aymanbagabas/go-udiff"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

// planted are all the secrets of the fixtures.
var planted = []string{
	"pw-in-url", "pw-in-file", "old-secret", "new-secret", "token-secret", "check-secret", "env-secret", "other-secret",
	"hunter2hunter2", "-----BEGIN",
}

// leaky is a report in which every place that takes free text quotes a secret it should not.
func leaky() Report {
	r := keptReport()
	p := &r.Projects[0]
	leak := " redis://:old-secret@redis:6379/0 token-secret other-secret postgres://u:hunter2hunter2@db/x"
	p.Context += leak
	p.Failure += leak
	p.Restored = []string{"x" + leak}
	p.Warnings = []string{"x" + leak}
	p.Plan.Held = []plan.Hold{{Object: "app", Reason: "x" + leak, Next: "x" + leak}}
	for i := range p.Findings {
		p.Findings[i].Message += leak
		p.Findings[i].Held, p.Findings[i].Hint = "x"+leak, "x"+leak
	}
	for i := range p.Plan.Steps {
		p.Plan.Steps[i].Object += leak
		p.Plan.Steps[i].Cause += leak
	}
	for i := range p.Outcomes {
		p.Outcomes[i].Detail, p.Outcomes[i].Error = "x"+leak, "x"+leak
	}
	return r
}

func TestNoFormHoldsASecret(t *testing.T) {
	text := func(o TextOptions) func(*bytes.Buffer, Report) error {
		return func(out *bytes.Buffer, r Report) error { return Text(out, r, o) }
	}
	forms := map[string]func(*bytes.Buffer, Report) error{
		"text":    text(TextOptions{Width: 80}),
		"wide":    text(TextOptions{Width: 400}),
		"color":   text(TextOptions{Width: 80, Color: true}),
		"verbose": text(TextOptions{Width: 80, Verbose: true}),
		"quiet":   text(TextOptions{Quiet: true}),
		"json":    func(out *bytes.Buffer, r Report) error { return JSON(out, r) },
		"patch": func(out *bytes.Buffer, r Report) error {
			warnings, err := Patch(out, r)
			out.WriteString(strings.Join(warnings, "\n"))
			return err
		},
	}
	all := reports()
	all["leaky"] = leaky()
	for form, render := range forms {
		for name, r := range all {
			t.Run(form+"/"+name, func(t *testing.T) {
				var out bytes.Buffer
				if err := render(&out, r); err != nil {
					t.Fatal(err)
				}
				for _, secret := range planted {
					if strings.Contains(out.String(), secret) {
						t.Errorf("%q shows in\n%s", secret, out.String())
					}
				}
			})
		}
	}
}

func TestMaskDiff(t *testing.T) {
	tests := map[string]struct {
		reason string
		diff   string
		want   string
	}{
		"Forms": {
			"maps, lists, quotes and env files",
			"--- a/x\n+++ b/x\n@@ -1,4 +1,4 @@\n       DB_PASSWORD: hunter2\n-      - API_TOKEN=hunter2\n+      - \"API_TOKEN=hunter3\"\n DB_PASSWORD=hunter2\n",
			"--- a/x\n+++ b/x\n@@ -1,4 +1,4 @@\n       DB_PASSWORD: ********\n-      - API_TOKEN=********\n+      - \"API_TOKEN=********\"\n DB_PASSWORD=********\n",
		},
		"Sensitive": {
			"keys that only a policy calls sensitive",
			"@@ -1,2 +1,3 @@\n       BROKER: amqp\n+      - BROKER=amqp # comment\n       BROKERS: amqp\n",
			"@@ -1,2 +1,3 @@\n       BROKER: ********\n+      - BROKER=********\n       BROKERS: amqp\n",
		},
		"Block": {
			"the lines of a block scalar, up to the next key",
			"@@ -1,4 +1,5 @@\n       PRIVATE_KEY: |\n         -----BEGIN KEY\n \n-        abc: def\n+        abc: deg\n       NEXT: x\n",
			"@@ -1,4 +1,5 @@\n       PRIVATE_KEY: |\n         ********\n \n-        ********\n+        ********\n       NEXT: x\n",
		},
		"Continued": {
			"a scalar that goes on, and one that begins below its key",
			"@@ -1,5 +1,5 @@\n   A_TOKEN: \"abc\n     def\"\n   B_TOKEN:\n     ghi\n   C: x\n",
			"@@ -1,5 +1,5 @@\n   A_TOKEN: \"********\n     ********\n   B_TOKEN:\n     ********\n   C: x\n",
		},
		"Mapping": {
			"a mapping or list below a key that looks secret is not its value",
			"@@ -1,5 +1,5 @@\n secrets:\n   db:\n     file: ./db.txt\n x-auth:\n   LEVEL: info\n   secrets:\n     - db\n",
			"@@ -1,5 +1,5 @@\n secrets:\n   db:\n     file: ./db.txt\n x-auth:\n   LEVEL: info\n   secrets:\n     - db\n",
		},
		"NoNewline": {
			"the marker of a missing final newline stays",
			"@@ -1 +1 @@\n-A_TOKEN=x1\n\\ No newline at end of file\n+A_TOKEN=x2\n\\ No newline at end of file\n",
			"@@ -1 +1 @@\n-A_TOKEN=********\n\\ No newline at end of file\n+A_TOKEN=********\n\\ No newline at end of file\n",
		},
		"CRLF": {
			"line ends stay",
			"@@ -1 +1 @@\n-A_TOKEN=x1\r\n+BROKER: x2\r\n",
			"@@ -1 +1 @@\n-A_TOKEN=********\r\n+BROKER: ********\r\n",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, maskDiff(tc.diff, map[string]bool{"BROKER": true}, nil, nil)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestMaskDiffHunkInsideSecret: the key of a long secret may stand above the hunk; the file's content tells.
func TestMaskDiffHunkInsideSecret(t *testing.T) {
	old := "services:\n  app:\n    environment:\n      PRIVATE_KEY: |\n" + strings.Repeat("        pem-line\n", 9) + "      LEVEL: info\n"
	edited := strings.Replace(old, "info", "debug", 1)
	step := plan.Step{
		Diff:  udiff.Unified("a/x", "b/x", old, edited),
		Patch: &plan.Patch{File: "/srv/x", Before: []byte(old), After: []byte(edited)},
	}
	if got := newMasker(Project{}).step(step).Diff; strings.Contains(got, "pem-line") || !strings.Contains(got, "+      LEVEL: debug") {
		t.Errorf("the diff shows the secret, or lacks the change:\n%s", got)
	}
}

// TestMaskDiffKeepsShape: whatever the file holds, masking keeps every line's sign and the number of lines.
func TestMaskDiffKeepsShape(t *testing.T) {
	line := rapid.SampledFrom([]string{"", "a: 1", "  TOKEN: x", "  TOKEN: |", "    pem", "- KEY=1", "TOKEN:", "# c", "-- x", "++ y", "  \"A_KEY\": 'x", "&a !b", "\tT"})
	file := rapid.Map(rapid.SliceOfN(line, 0, 20), func(lines []string) string { return strings.Join(lines, "\n") })
	rapid.Check(t, func(t *rapid.T) {
		diff := udiff.Unified("a/x", "b/x", file.Draw(t, "old"), file.Draw(t, "new"))
		got := maskDiff(diff, nil, nil, nil)
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

// patchReport is a report whose one step turns old into edited.
func patchReport(directory, file, old, edited string) Report {
	return Report{Verb: VerbDiff, Projects: []Project{{Name: "shop", Directory: directory, Plan: plan.Plan{Steps: []plan.Step{{
		ID: "patch:" + file, Verb: plan.VerbPatch, Object: file,
		Patch: &plan.Patch{File: filepath.Join(directory, file), Before: []byte(old), After: []byte(edited)},
	}}}}}}
}

func TestPatchApplies(t *testing.T) {
	const head = "services:\n  app:\n    image: x\n    environment:\n"
	tests := map[string]struct {
		reason      string
		old, edited string
		flags       []string
		warnings    int
	}{
		"Plain":     {"no secret near", head + "      A: 1\n", head + "      A: 1\n      B: 2\n", nil, 0},
		"Near":      {"a secret two lines away shrinks the context", head + "      TOKEN: hunter2hunter2\n      A: 1\n      C: 1\n", head + "      TOKEN: hunter2hunter2\n      A: 1\n      B: 2\n      C: 1\n", nil, 0},
		"Adjacent":  {"a secret on the next line takes all context", head + "      A: 1\n      TOKEN: hunter2hunter2\n", head + "      A: 1\n      B: 2\n      TOKEN: hunter2hunter2\n", []string{"--unidiff-zero"}, 1},
		"CRLF":      {"Windows line ends", "a: 1\r\nb: 2\r\n", "a: 1\r\nb: 3\r\n", nil, 0},
		"NoNewline": {"no final newline", "a: 1\nb: 2", "a: 1\nb: 3", nil, 0},
		"Empty":     {"an empty file", "", "a: 1\n", nil, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			directory := t.TempDir()
			if err := os.MkdirAll(filepath.Join(directory, "deploy"), 0o755); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(directory, "deploy", "compose.yaml")
			if err := os.WriteFile(file, []byte(tc.old), 0o644); err != nil {
				t.Fatal(err)
			}
			var patch bytes.Buffer
			warnings, err := Patch(&patch, patchReport(directory, "deploy/compose.yaml", tc.old, tc.edited))
			if err != nil {
				t.Fatal(err)
			}
			if len(warnings) != tc.warnings {
				t.Errorf("%s: warnings %q, want %d", tc.reason, warnings, tc.warnings)
			}
			if strings.Contains(patch.String(), "hunter2") {
				t.Errorf("%s: the patch shows the secret:\n%s", tc.reason, patch.String())
			}
			command := exec.CommandContext(t.Context(), "git", append([]string{"apply"}, tc.flags...)...)
			command.Dir, command.Stdin = directory, &patch
			command.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(directory))
			if output, err := command.CombinedOutput(); err != nil {
				t.Fatalf("%s: git apply: %v\n%s", tc.reason, err, output)
			}
			got, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.edited, string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestPatchRefuses(t *testing.T) {
	outside := patchReport("/srv/shop", "../x.yaml", "a: 1\n", "a: 2\n")
	two := patchReport("/srv/shop", "x.yaml", "a: 1\n", "a: 2\n")
	two.Projects = append(two.Projects, two.Projects[0])
	named := patchReport("/srv/shop", "x.yaml", "BROKER: x\n", "BROKER: hunter2hunter2\n")
	named.Projects[0].Findings = []policy.Finding{{Variable: "BROKER", Sensitive: true}}

	tests := map[string]struct {
		reason string
		report Report
		want   error
	}{
		"SecretLine": {"a changed line whose key looks secret", patchReport("/srv/shop", "x.yaml", "TOKEN: a\n", "TOKEN: hunter2hunter2\n"), errSecretLine},
		"Sensitive":  {"a changed line whose key a policy calls sensitive", named, errSecretLine},
		"Outside":    {"a file that no patch from the project directory reaches", outside, nil},
		"Two":        {"two projects have two directories", two, nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			_, err := Patch(&out, tc.report)
			switch {
			case err == nil || (tc.want != nil && !errors.Is(err, tc.want)):
				t.Errorf("%s: error %v, want %v", tc.reason, err, tc.want)
			case len(hint.Of(err)) == 0:
				t.Errorf("%s: no hint with %v", tc.reason, err)
			case out.Len() > 0:
				t.Errorf("%s: a half patch was written: %s", tc.reason, out.String())
			case strings.Contains(err.Error(), "hunter2"):
				t.Errorf("%s: the error shows the secret", tc.reason)
			}
		})
	}
}

func TestJSON(t *testing.T) {
	for name, r := range map[string]Report{"diff": diffReport(), "rolled-back": rolledBackReport(), "empty": {Verb: VerbCheck}} {
		t.Run(name, func(t *testing.T) {
			var first, second bytes.Buffer
			if err := errors.Join(JSON(&first, r), JSON(&second, r)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first.Bytes(), second.Bytes()) {
				t.Error("the same report gave different bytes")
			}
			if !json.Valid(first.Bytes()) {
				t.Error("not valid JSON")
			}
			golden(t, name+".json", first.Bytes())
		})
	}
}

func TestExitCode(t *testing.T) {
	finding := func(severity policy.Severity, verdict policy.Verdict) policy.Finding {
		return policy.Finding{Severity: severity, Verdict: verdict}
	}
	with := func(result Result, findings ...policy.Finding) Project {
		return Project{Result: result, Findings: findings}
	}
	heldBack := finding(policy.SeverityInfo, policy.FileWrong)
	heldBack.Held = "extends is not supported yet"
	hold := with(ResultDifferences)
	hold.Plan.Held = []plan.Hold{{Object: "app"}}
	kept := with(ResultDifferences)
	kept.Failure = "a check failed; onFailure is Keep"

	tests := map[string]struct {
		reason   string
		projects []Project
		failOn   policy.Severity
		want     int
	}{
		"None":          {"no project", nil, policy.SeverityError, 0},
		"Compliant":     {"all complies", []Project{with(ResultCompliant, finding(policy.SeverityError, policy.Compliant))}, policy.SeverityError, 0},
		"Applied":       {"what differed is mended", []Project{with(ResultApplied, finding(policy.SeverityError, policy.FileMissing))}, policy.SeverityError, 0},
		"Error":         {"an error differs", []Project{with(ResultDifferences, finding(policy.SeverityError, policy.FileWrong))}, policy.SeverityError, 1},
		"Warning":       {"a warning does not fail by default", []Project{with(ResultDifferences, finding(policy.SeverityWarning, policy.FileWrong))}, policy.SeverityError, 0},
		"FailOnWarning": {"a warning fails when asked", []Project{with(ResultDifferences, finding(policy.SeverityWarning, policy.FileWrong))}, policy.SeverityWarning, 1},
		"ErrorAlways":   {"an error fails with every threshold", []Project{with(ResultDifferences, finding(policy.SeverityError, policy.FileWrong))}, policy.SeverityWarning, 1},
		"Info":          {"info never fails", []Project{with(ResultDifferences, finding(policy.SeverityInfo, policy.FileWrong))}, policy.SeverityWarning, 0},
		"NotCreated":    {"nothing to compare is no difference", []Project{with(ResultDifferences, finding(policy.SeverityError, policy.NotCreated))}, policy.SeverityError, 0},
		"HeldInfo":      {"held fails at any severity", []Project{with(ResultApplied, heldBack)}, policy.SeverityError, 1},
		"Hold":          {"a hold of the plan fails", []Project{hold}, policy.SeverityError, 1},
		"Kept":          {"a failure that was kept fails", []Project{kept}, policy.SeverityError, 1},
		"RolledBack":    {"rolled back", []Project{with(ResultRolledBack)}, policy.SeverityError, 3},
		"Failed":        {"rollback failed", []Project{with(ResultRollbackFailed)}, policy.SeverityError, 4},
		"Highest":       {"the highest of several", []Project{with(ResultRolledBack), with(ResultCompliant), hold}, policy.SeverityError, 3},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := ExitCode(Report{Projects: tc.projects}, tc.failOn); got != tc.want {
				t.Errorf("%s: %d, want %d", tc.reason, got, tc.want)
			}
		})
	}
}
