package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/edit"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

// draft is the set of edits that were found to work, and the project as it would be with them.
type draft struct {
	after    Snapshot // the same containers, the candidate files
	findings []policy.Finding
	patches  []plan.Patch
}

// drafter turns the fixes of findings into proved file contents. An edit is kept only when the whole project, loaded again with
// it, gives the variable a value that complies; the others are held with the reason, and the rest is tried without them.
type drafter struct {
	src      Source
	snap     Snapshot
	findings []policy.Finding
}

func (d *drafter) run(ctx context.Context) (draft, error) {
	for {
		contents, err := d.edit()
		if err != nil {
			return draft{}, err
		}
		after, err := d.reload(ctx, contents)
		if err != nil {
			if ctx.Err() != nil {
				return draft{}, ctx.Err()
			}
			d.holdAll("the edited files do not load: " + firstLine(err))
			continue
		}
		if d.holdUseless(after) || d.holdStray(after) {
			continue
		}
		return draft{after: after, findings: d.findings, patches: d.patches(contents)}, nil
	}
}

// edit applies every fix that is left to the bytes of its file. Refused ones become held findings.
func (d *drafter) edit() (map[string][]byte, error) {
	byFile := map[string][]edit.Change{}
	for _, fix := range d.fixes() {
		byFile[fix.File] = append(byFile[fix.File], edit.Change{Service: fix.Service, Key: fix.Key, Text: fix.Text, Sensitive: fix.Sensitive})
	}
	contents := map[string][]byte{}
	for _, path := range slices.Sorted(maps.Keys(byFile)) {
		file, found := d.file(path)
		if !found {
			d.hold(func(fix policy.Fix) bool { return fix.File == path }, "the file is not one of the project's", "edit it by hand")
			continue
		}
		result, err := edit.Apply(path, file.Content, byFile[path])
		if err != nil {
			return nil, fmt.Errorf("edit %q: %w", path, err)
		}
		for _, refused := range result.Refused {
			d.hold(func(fix policy.Fix) bool {
				return fix.File == path && fix.Service == refused.Change.Service && fix.Key == refused.Change.Key
			}, refused.Message, refused.Hint)
		}
		contents[path] = result.Content
	}
	return contents, nil
}

// fixes are the distinct fixes in the order of the policies' variables: that is how a person would write them down.
func (d *drafter) fixes() []policy.Fix {
	var fixes []policy.Fix
	for _, p := range d.src.Policies {
		for _, rule := range p.Spec.Variables {
			for _, f := range d.findings {
				if f.Fix != nil && f.Policy == p.Metadata.Name && f.Variable == rule.Name && !slices.Contains(fixes, *f.Fix) {
					fixes = append(fixes, *f.Fix)
				}
			}
		}
	}
	return fixes
}

func (d *drafter) file(path string) (compose.File, bool) {
	i := slices.IndexFunc(d.snap.Extended.Files, func(f compose.File) bool { return f.Path == path })
	if i < 0 {
		return compose.File{}, false
	}
	return d.snap.Extended.Files[i], true
}

func (d *drafter) reload(ctx context.Context, contents map[string][]byte) (Snapshot, error) {
	after := d.snap
	if len(contents) == 0 {
		return after, nil
	}
	options := d.src.Compose
	options.Overlay = contents
	project, err := compose.Load(ctx, options)
	if err != nil {
		return after, err
	}
	after.Project, after.Extended = project, project
	if d.snap.Extended == d.snap.Project {
		return after, nil
	}
	options.Also = nil
	for _, file := range d.snap.Extended.Files[len(d.snap.Project.Files):] {
		options.Also = append(options.Also, file.Path)
	}
	after.Extended, err = compose.Load(ctx, options)
	return after, err
}

// holdUseless holds the fixes after which the variable still does not comply, a later layer winning over the edit for instance.
func (d *drafter) holdUseless(after Snapshot) bool {
	held := false
	for _, f := range policy.Evaluate(d.src.Policies, after.Facts()) {
		if f.Layer == policy.LayerContainer || !f.Difference() || d.heldAt(f) {
			continue
		}
		reason := "writing it would not help: afterwards it " + f.Message
		held = d.hold(func(fix policy.Fix) bool { return fix.Service == f.Service && fix.Key == f.Variable }, reason, f.Hint) || held
	}
	return held
}

// heldAt reports whether the place of a finding is one that is held already: what is wrong there says nothing of the other places.
func (d *drafter) heldAt(f policy.Finding) bool {
	return slices.ContainsFunc(d.findings, func(known policy.Finding) bool {
		return known.Held != "" && known.Policy == f.Policy && known.Service == f.Service && known.Variable == f.Variable &&
			known.Origin != nil && f.Origin != nil && known.Origin.File == f.Origin.File
	})
}

// holdStray holds every fix when the edited project differs from the present one in anything but the intended variables.
func (d *drafter) holdStray(after Snapshot) bool {
	intended := map[string]bool{}
	for _, fix := range d.fixes() {
		intended[fix.Service+"."+fix.Key] = true
	}
	stray := strayChanges(d.snap.Project, after.Project, intended)
	if d.snap.Extended != d.snap.Project {
		stray = append(stray, strayChanges(d.snap.Extended, after.Extended, intended)...)
	}
	if len(stray) == 0 {
		return false
	}
	return d.holdAll("the edit would also change " + strings.Join(stray, ", "))
}

func strayChanges(before, after *compose.Project, intended map[string]bool) []string {
	if before == nil || before == after {
		return nil
	}
	var stray []string
	for _, service := range slices.Sorted(maps.Keys(before.Services)) {
		if after.Services[service] == nil {
			stray = append(stray, service)
			continue
		}
		for _, key := range changedVariables(before.Services[service], after.Services[service]) {
			if name := service + "." + key; !intended[name] {
				stray = append(stray, name)
			}
		}
	}
	return stray
}

// changedVariables are the variables, sorted, that the files give a service otherwise than before.
func changedVariables(before, after *compose.Service) []string {
	was, is := before.Environment, after.Environment
	keys := map[string]compose.Variable{}
	maps.Copy(keys, was)
	maps.Copy(keys, is)
	return slices.DeleteFunc(slices.Sorted(maps.Keys(keys)), func(key string) bool { return sameVariable(was, is, key) })
}

func sameVariable(a, b map[string]compose.Variable, key string) bool {
	x, inA := a[key]
	y, inB := b[key]
	if inA != inB || (x.Value == nil) != (y.Value == nil) {
		return false
	}
	return x.Value == nil || *x.Value == *y.Value
}

func (d *drafter) holdAll(reason string) bool {
	return d.hold(func(policy.Fix) bool { return true }, reason, "edit the file by hand, then run composure again")
}

// hold takes the fixes that match out of the draft. It reports whether there was one.
func (d *drafter) hold(match func(policy.Fix) bool, reason, next string) bool {
	held := false
	for i, f := range d.findings {
		if f.Fix != nil && match(*f.Fix) {
			d.findings[i].Fix, d.findings[i].Held, d.findings[i].Hint = nil, reason, next
			held = true
		}
	}
	return held
}

func (d *drafter) patches(contents map[string][]byte) []plan.Patch {
	var patches []plan.Patch
	for _, path := range slices.Sorted(maps.Keys(contents)) {
		file, _ := d.file(path)
		patch := plan.Patch{File: path, Digest: file.Digest, Before: file.Content, After: contents[path]}
		for _, fix := range d.fixes() {
			if fix.File == path {
				patch.Keys = append(patch.Keys, fix.Service+"."+fix.Key)
			}
		}
		slices.Sort(patch.Keys)
		if string(patch.Before) != string(patch.After) {
			patches = append(patches, patch)
		}
	}
	return patches
}

func firstLine(err error) string {
	if parse, ok := errors.AsType[*compose.ParseError](err); ok {
		return parse.Message
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
