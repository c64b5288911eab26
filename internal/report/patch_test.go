package report

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/internal/edit"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

// patchReport is a report whose one step turns old into edited.
func patchReport(directory, file, old, edited string) Report {
	return Report{Verb: VerbDiff, Projects: []Project{{Name: "shop", Directory: directory, Plan: plan.Plan{Steps: []plan.Step{{
		ID: "patch:" + file, Verb: plan.VerbPatch, Object: file, Diff: edit.Unified(file, []byte(old), []byte(edited)),
		Patch: &plan.Patch{File: filepath.Join(directory, file), Before: []byte(old), After: []byte(edited)},
	}}}}}}
}

// applies writes old into a file, hands it to a command that takes a patch, and wants edited to be there then.
func applies(t *testing.T, name, old, edited string, command ...string) {
	t.Helper()
	if _, err := exec.LookPath(command[0]); err != nil {
		t.Skip(command[0] + " is not installed")
	}
	directory := t.TempDir()
	file := filepath.Join(directory, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(old), 0o644); err != nil {
		t.Fatal(err)
	}
	var patch bytes.Buffer
	if _, err := Patch(&patch, patchReport(directory, name, old, edited)); err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), command[0], command[1:]...)
	run.Dir, run.Stdin = directory, &patch
	run.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(directory))
	if output, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", command, err, output)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(edited, string(got)); diff != "" {
		t.Errorf("%v (-want +got):\n%s", command, diff)
	}
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
			var patch bytes.Buffer
			warnings, err := Patch(&patch, patchReport("/srv/shop", "compose.yaml", tc.old, tc.edited))
			if err != nil || len(warnings) != tc.warnings {
				t.Errorf("%s: %v, warnings %q, want %d", tc.reason, err, warnings, tc.warnings)
			}
			if strings.Contains(patch.String(), "hunter2") {
				t.Errorf("%s: the patch shows the secret:\n%s", tc.reason, patch.String())
			}
			applies(t, "compose.yaml", tc.old, tc.edited, append([]string{"git", "apply"}, tc.flags...)...)
		})
	}
}

func TestPatchNames(t *testing.T) {
	for _, name := range []string{"compose.yaml", "deploy/compose.yaml", "my stack/my compose.yaml", `a"b.yaml`, "übung.yaml"} {
		for _, command := range [][]string{{"git", "apply"}, {"patch", "-p1"}} {
			t.Run(name+"/"+command[0], func(t *testing.T) { applies(t, name, "a: 1\nb: 1\n", "a: 1\nb: 2\n", command...) })
		}
	}
}

// TestPatchBase: a patch is relative to the folder in which the reader stands, be it above the project.
func TestPatchBase(t *testing.T) {
	r := patchReport("/srv/shop", "compose.yaml", "a: 1\n", "a: 2\n")
	for base, want := range map[string]string{"": "--- a/compose.yaml\n", "/srv": "--- a/shop/compose.yaml\n"} {
		r.Projects[0].Base = base
		var out bytes.Buffer
		if _, err := Patch(&out, r); err != nil || !strings.HasPrefix(out.String(), want) {
			t.Errorf("base %q: %v, want %q first in\n%s", base, err, want, &out)
		}
	}
}

// TestPatchTellsOfFailures: a project without a patch may be one that could not be looked at.
func TestPatchTellsOfFailures(t *testing.T) {
	var out bytes.Buffer
	warnings, err := Patch(&out, Report{Projects: []Project{{Name: "shop", Result: ResultError, Failure: "no such file"}}})
	if want := []string{"shop: failed: no such file"}; err != nil || out.Len() > 0 || !cmp.Equal(warnings, want) {
		t.Errorf("%v, %q, %s, want %q alone", err, warnings, &out, want)
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
