package report

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/composure-dev/composure/internal/edit"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/reconcile/plan"
)

// contextLines is how many unchanged lines stand around a change, as git has it.
const contextLines = 3

// errSecretLine tells that a diff cannot be had without a secret in it.
var errSecretLine = errors.New("a secret stands on a line that changes")

// Patch writes the file changes of r's one project as a unified diff that `git apply` and `patch -p1` take in the folder that paths
// are relative to (see [Project]). A patch cannot be masked and still apply, so context that holds a secret is left out; a secret on a line that
// changes is an error. The warnings say what the reader has to know to apply it.
func Patch(w io.Writer, r Report) (warnings []string, err error) {
	var out strings.Builder
	patched := 0
	for _, p := range r.Projects {
		m := newMasker(p)
		if p.Result == ResultError {
			warnings = append(warnings, fmt.Sprintf("%s: failed: %s", p.Name, m.text(p.Failure)))
		}
		steps := p.Plan.Of(plan.VerbPatch)
		if len(steps) > 0 {
			patched++
		}
		for _, step := range steps {
			diff, context, err := patchOf(p, m, step)
			if err != nil {
				return nil, err
			}
			if context == 0 {
				warnings = append(warnings, fmt.Sprintf("%s: lines around the change hold secrets and are left out; apply with: git apply --unidiff-zero", relative(p, step.Patch.File)))
			}
			out.WriteString(diff)
		}
	}
	if patched > 1 {
		return nil, hint.Wrap(errors.New("a patch covers one project, and several have changes"), "choose one with --project-name or --file")
	}
	if _, err := io.WriteString(w, out.String()); err != nil {
		return nil, fmt.Errorf("write patch: %w", err)
	}
	return warnings, nil
}

// patchOf is one file's diff with as much context, up to contextLines, as shows no secret.
func patchOf(p Project, m masker, step plan.Step) (diff string, context int, err error) {
	name := filepath.ToSlash(relative(p, step.Patch.File))
	if filepath.IsAbs(name) {
		return "", 0, hint.Wrap(fmt.Errorf("patch %q: the file is outside of %q, which a patch is relative to", name, base(p)), "use: composure apply")
	}
	for context = contextLines; context >= 0; context-- {
		diff = edit.UnifiedContext(name, step.Patch.Before, step.Patch.After, context)
		unchanged, changed := secretLines(diff, m.diff(diff, *step.Patch))
		if changed {
			return "", 0, hint.Wrap(fmt.Errorf("patch %q: %w", name, errSecretLine), "use: composure apply")
		}
		if !unchanged {
			return diff, context, nil
		}
	}
	return "", 0, fmt.Errorf("patch %q: %w", name, errSecretLine)
}

// secretLines compares a diff with its masked form, line by line.
func secretLines(diff, masked string) (unchanged, changed bool) {
	shown := strings.SplitAfter(masked, "\n")
	for i, line := range strings.SplitAfter(diff, "\n") {
		switch {
		case i < len(shown) && shown[i] == line:
		case strings.HasPrefix(line, " "):
			unchanged = true
		default:
			changed = true
		}
	}
	return unchanged, changed
}
