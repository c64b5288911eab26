package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/consts"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/edit"
	"github.com/composure-dev/composure/internal/envfile"
	"github.com/composure-dev/composure/internal/files"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

// edit applies every fix that is left to the bytes of its file. Refused ones become held findings.
func (d *drafter) edit() (map[string][]byte, error) {
	byFile := map[string][]policy.Fix{}
	for _, fix := range d.fixes() {
		byFile[fix.File] = append(byFile[fix.File], fix)
	}
	contents := map[string][]byte{}
	for _, path := range slices.Sorted(maps.Keys(byFile)) {
		file, found := d.file(path)
		if !found {
			d.hold(func(fix policy.Fix) bool { return fix.File == path }, "the file is not one of the project's", "edit it by hand")
			continue
		}
		content, err := d.apply(file, byFile[path])
		if err != nil {
			return nil, err
		}
		if content != nil {
			contents[path] = content
		}
	}
	return contents, d.listOverride(contents)
}

// apply makes the fixes of one file; those of an env file are of one format.
func (d *drafter) apply(file compose.File, fixes []policy.Fix) ([]byte, error) {
	if fixes[0].Target == policy.TargetEnvFile {
		return d.applyEnvFile(file, fixes)
	}
	changes := make([]edit.Change, len(fixes))
	for i, fix := range fixes {
		changes[i] = edit.Change{
			Service: fix.Service, Key: fix.Key, Text: fix.Text, Bare: fix.Bare, Remove: fix.Remove,
			Create: fix.Target == policy.TargetOverride, Sensitive: fix.Sensitive,
		}
	}
	result, err := edit.Apply(file.Path, file.Content, changes)
	if err != nil {
		return nil, fmt.Errorf("edit %q: %w", file.Path, err)
	}
	for _, refused := range result.Refused {
		d.hold(func(fix policy.Fix) bool {
			return fix.File == file.Path && fix.Service == refused.Change.Service && fix.Key == refused.Change.Key
		}, refused.Message, refused.Hint)
	}
	return result.Content, nil
}

func (d *drafter) applyEnvFile(file compose.File, fixes []policy.Fix) ([]byte, error) {
	var changes []envfile.Change
	for _, fix := range fixes {
		change := envfile.Change{Key: fix.Key, Text: fix.Text, Remove: fix.Remove, Sensitive: fix.Sensitive}
		if !slices.Contains(changes, change) {
			changes = append(changes, change)
		}
	}
	result, err := envfile.Apply(file.Path, file.Content, fixes[0].Format, changes)
	if err != nil {
		return nil, fmt.Errorf("edit %q: %w", file.Path, err)
	}
	for _, refused := range result.Refused {
		d.hold(func(fix policy.Fix) bool { return fix.File == file.Path && fix.Key == refused.Change.Key }, refused.Message, refused.Hint)
	}
	return result.Content, nil
}

// file is a file of the project as it was read; the override file may be one that does not exist yet.
func (d *drafter) file(path string) (compose.File, bool) {
	for _, known := range [][]compose.File{d.snap.Extended.Files, d.snap.Extended.Reached, d.snap.Extended.EnvFiles, d.snap.Extended.ServiceEnvFiles} {
		if i := slices.IndexFunc(known, func(f compose.File) bool { return f.Path == path }); i >= 0 {
			return known[i], true
		}
	}
	return compose.File{Path: path}, path == d.snap.Override.Path
}

// listOverride adds a new override file to the COMPOSE_FILE of an env file: compose reads no file by itself then.
func (d *drafter) listOverride(contents map[string][]byte) error {
	o := d.snap.Override
	if _, written := contents[o.Path]; !written || o.ListedIn == "" {
		return nil
	}
	file, _ := d.file(o.ListedIn)
	if content, edited := contents[file.Path]; edited {
		file.Content = content
	}
	change := envfile.Change{Key: consts.ComposeFilePath}
	for _, s := range envfile.Scan(file.Content) {
		if s.Key == change.Key {
			change.Text = s.Text // as written: it may refer to other variables
			if s.Literal {
				change.Text = strings.ReplaceAll(s.Text, "$", "$$")
			}
		}
	}
	change.Text += o.Listing
	result, err := envfile.Apply(file.Path, file.Content, "", []envfile.Change{change})
	if err != nil {
		return fmt.Errorf("edit %q: %w", file.Path, err)
	}
	for _, refused := range result.Refused {
		d.hold(func(fix policy.Fix) bool { return fix.Target == policy.TargetOverride }, refused.Message, refused.Hint)
		delete(contents, o.Path)
		return nil
	}
	contents[file.Path] = result.Content
	return nil
}

// holdAudited holds the fixes of variables of which a policy only wants to know, or only wants to know now, while nobody has asked for
// them: of several policies on one variable the most cautious one counts.
func (d *drafter) holdAudited() {
	if !d.src.Unattended {
		return
	}
	if f := foreign(d.src, d.snap); f.Reason != "" {
		d.holdFinding(func(policy.Finding) bool { return true }, f.Reason, f.Next)
		return
	}
	held := map[string]string{}
	for _, p := range d.src.Policies {
		held[p.Metadata.Name] = p.FilesHeld(d.src.Now)
	}
	cautious := map[variable]string{}
	for _, f := range d.findings {
		if v := (variable{f.Service, f.Variable}); cautious[v] == "" {
			cautious[v] = held[f.Policy]
		}
	}
	for i, f := range d.findings {
		reason := cautious[variable{f.Service, f.Variable}]
		if f.Fix == nil || reason == "" {
			continue
		}
		d.findings[i].Fix, d.findings[i].Held, d.findings[i].Hint = nil, reason, "composure apply"
	}
}

// holdReadOnly holds the fixes of files that could not be written.
func (d *drafter) holdReadOnly() {
	for _, fix := range d.fixes() {
		if err := d.writable(fix.File); err != nil {
			reason, next := err.Error(), "make the file writable, then run composure again"
			if readOnly, ok := errors.AsType[*files.ReadOnlyError](err); ok {
				reason, next = "the file cannot be written: "+readOnly.Reason, readOnly.Advice
			}
			d.hold(func(other policy.Fix) bool { return other.File == fix.File }, reason, next)
		}
	}
}

func (d *drafter) writable(path string) error {
	return files.Writable(path, Roots(d.snap.Project, d.src.AllowRoots))
}

func (d *drafter) reload(ctx context.Context, contents map[string][]byte) (Snapshot, error) {
	after := d.snap
	if len(contents) == 0 {
		return after, nil
	}
	options := d.src.Compose
	options.Overlay = contents
	project, err := d.src.load(ctx, options)
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
	after.Extended, err = d.src.load(ctx, options)
	return after, err
}

func (d *drafter) patches(contents map[string][]byte) []plan.Patch {
	var patches []plan.Patch
	for _, path := range slices.Sorted(maps.Keys(contents)) {
		file, _ := d.file(path)
		patch := plan.Patch{File: path, Digest: file.Digest, Before: file.Content, After: contents[path]}
		if file.Digest == "" {
			patch.Create, patch.Like = true, d.snap.Project.Files[0].Path
		}
		patch.EnvFile = path == d.snap.Override.ListedIn
		for _, fix := range d.fixes() {
			if fix.File == path {
				patch.EnvFile = fix.Target == policy.TargetEnvFile
				patch.Keys = append(patch.Keys, fix.Service+"."+fix.Key)
			}
		}
		if path == d.snap.Override.ListedIn && len(patch.Keys) == 0 {
			patch.Keys = []string{consts.ComposeFilePath}
		}
		slices.Sort(patch.Keys)
		if string(patch.Before) != string(patch.After) {
			patches = append(patches, patch)
		}
	}
	return patches
}
