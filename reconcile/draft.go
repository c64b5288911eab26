package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/composure-dev/composure/internal/compose"
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
	further  []further
}

// further is an edit that a finding turned out to need beside its own: what is taken out of one file may stand in another, too.
type further struct {
	finding key
	fix     policy.Fix
}

// key is what findings are about.
type key struct{ policy, service, variable string }

func keyOf(f policy.Finding) key { return key{f.Policy, f.Service, f.Variable} }

func (d *drafter) run(ctx context.Context) (draft, error) {
	d.holdAudited()
	d.holdReadOnly()
	for {
		before := len(d.fixes())
		contents, err := d.edit()
		if err != nil {
			return draft{}, err
		}
		if len(d.fixes()) < before {
			continue // what was edited for a finding that is held now must not be written
		}
		after, err := d.reload(ctx, contents)
		if err != nil {
			if ctx.Err() != nil {
				return draft{}, ctx.Err()
			}
			d.holdAll("the edited files do not load: " + firstLine(err))
			continue
		}
		judged := policy.Evaluate(d.src.Policies, after.Facts())
		if d.extend(judged) || d.holdStray(after) || d.holdUseless(judged) {
			continue
		}
		return draft{after: after, findings: d.findings, patches: d.patches(contents)}, nil
	}
}

// fixes are the distinct fixes in the order of the policies' variables: that is how a person would write them down.
func (d *drafter) fixes() []policy.Fix {
	var fixes []policy.Fix
	for _, p := range d.src.Policies {
		for _, rule := range p.Spec.Variables {
			for _, f := range d.findings {
				if f.Policy == p.Metadata.Name && f.Variable == rule.Name {
					fixes = append(fixes, d.fixesOf(f)...)
				}
			}
		}
	}
	var distinct []policy.Fix
	for _, fix := range fixes {
		if !slices.Contains(distinct, fix) {
			distinct = append(distinct, fix)
		}
	}
	return distinct
}

// fixesOf are those of one finding; none when it is held.
func (d *drafter) fixesOf(f policy.Finding) []policy.Fix {
	if f.Fix == nil {
		return nil
	}
	fixes := []policy.Fix{*f.Fix}
	for _, more := range d.further {
		if more.finding == keyOf(f) {
			fixes = append(fixes, more.fix)
		}
	}
	return fixes
}

// maxFurther bounds how many files one variable may have to be taken out of.
const maxFurther = 100

// extend adds the fixes that are found to be needed only with the present ones made. It reports whether there was one. judged are the
// findings on the edited project.
func (d *drafter) extend(judged []policy.Finding) bool {
	extended := false
	known := d.fixes()
	for _, f := range judged {
		if f.Fix == nil || slices.Contains(known, *f.Fix) || len(d.further) >= maxFurther || d.heldAt(f) {
			continue
		}
		mending := slices.ContainsFunc(d.findings, func(own policy.Finding) bool { return own.Fix != nil && keyOf(own) == keyOf(f) })
		if mending && d.writable(f.Fix.File) == nil {
			d.further = append(d.further, further{keyOf(f), *f.Fix})
			known, extended = append(known, *f.Fix), true
		}
	}
	return extended
}

// holdUseless holds the fixes after which the variable still does not comply, a later layer winning over the edit for instance.
func (d *drafter) holdUseless(judged []policy.Finding) bool {
	held := false
	for _, f := range judged {
		if f.Layer == policy.LayerContainer || !f.Difference() || d.heldAt(f) {
			continue
		}
		reason := "writing it would not help: afterwards it " + f.Message
		held = d.holdFinding(func(own policy.Finding) bool { return own.Service == f.Service && own.Variable == f.Variable }, reason, f.Hint) || held
	}
	return held
}

// heldAt reports whether the place of a finding is one that is held already: what is wrong there says nothing of the other places.
func (d *drafter) heldAt(f policy.Finding) bool {
	return slices.ContainsFunc(d.findings, func(known policy.Finding) bool {
		return known.Held != "" && keyOf(known) == keyOf(f) &&
			known.Origin != nil && f.Origin != nil && known.Origin.File == f.Origin.File
	})
}

// holdStray holds the fixes that would change other variables too: those that could have, by their name or because they edit a file
// that others read; all, when none could.
func (d *drafter) holdStray(after Snapshot) bool {
	intended := map[variable]bool{}
	for _, f := range d.findings {
		if f.Fix != nil {
			intended[variable{f.Service, f.Variable}] = true
		}
	}
	stray := strayChanges(d.snap.Project, after.Project, intended)
	if d.snap.Extended != d.snap.Project {
		stray = append(stray, strayChanges(d.snap.Extended, after.Extended, intended)...)
	}
	held := false
	for _, v := range stray {
		reason := fmt.Sprintf("the edit would also change %s.%s", v.service, v.name)
		next := fmt.Sprintf("declare %s.%s in the policy too, or give it a value of its own", v.service, v.name)
		d.blame(reason, next, func(f policy.Finding) bool {
			return f.Variable == v.name || f.Fix.Target == policy.TargetEnvFile && d.reads(v.service, f.Fix.File)
		})
		held = true
	}
	if changed := d.snap.Project.Differs(after.Project); changed != "" && !held {
		d.blame("the edit would also change "+changed, "give the environment a value of its own, or write patch.target: Inline in the policy", inEnvFile)
		held = true
	}
	return held
}

// blame holds the findings whose edit could have caused something; for lack of one those of env files; else all.
func (d *drafter) blame(reason, next string, could func(policy.Finding) bool) {
	if !d.holdFinding(could, reason, next) && !d.holdFinding(inEnvFile, reason, next) {
		d.holdAll(reason)
	}
}

func inEnvFile(f policy.Finding) bool { return f.Fix.Target == policy.TargetEnvFile }

// reads reports whether the service has an env file in its env_file.
func (d *drafter) reads(service, path string) bool {
	s := d.snap.Extended.Services[service]
	return s != nil && slices.ContainsFunc(s.EnvFiles, func(f compose.EnvFile) bool { return f.Path == path })
}

// variable is one of one service.
type variable struct{ service, name string }

func strayChanges(before, after *compose.Project, intended map[variable]bool) []variable {
	if before == nil || before == after {
		return nil
	}
	var stray []variable
	for _, service := range slices.Sorted(maps.Keys(before.Services)) {
		is := after.Services[service]
		if is == nil {
			is = &compose.Service{}
		}
		for _, name := range changedVariables(before.Services[service], is) {
			if v := (variable{service, name}); !intended[v] {
				stray = append(stray, v)
			}
		}
	}
	return stray
}

// changedVariables are the variables, sorted, that the files give a service otherwise than before.
func changedVariables(before, after *compose.Service) []string {
	return otherwise(values(before), values(after))
}

// values are what the files give a service; nil is a bare KEY.
func values(service *compose.Service) map[string]*string {
	env := make(map[string]*string, len(service.Environment))
	for key, v := range service.Environment {
		env[key] = v.Value
	}
	return env
}

// otherwise are the keys, sorted, that two environments do not give alike.
func otherwise(a, b map[string]*string) []string {
	keys := maps.Clone(a)
	maps.Copy(keys, b)
	return slices.DeleteFunc(slices.Sorted(maps.Keys(keys)), func(key string) bool {
		x, inA := a[key]
		y, inB := b[key]
		return inA == inB && (x == nil) == (y == nil) && (x == nil || *x == *y)
	})
}

func (d *drafter) holdAll(reason string) {
	d.holdFinding(func(policy.Finding) bool { return true }, reason, "edit the file by hand, then run composure again")
}

// hold takes the findings with a fix that matches out of the draft.
func (d *drafter) hold(match func(policy.Fix) bool, reason, next string) {
	d.holdFinding(func(f policy.Finding) bool { return slices.ContainsFunc(d.fixesOf(f), match) }, reason, next)
}

// holdFinding takes the findings that match and have a fix out of the draft. It reports whether there was one.
func (d *drafter) holdFinding(match func(policy.Finding) bool, reason, next string) bool {
	held := false
	for i, f := range d.findings {
		if f.Fix != nil && match(f) {
			d.findings[i].Fix, d.findings[i].Held, d.findings[i].Hint = nil, reason, next
			held = true
		}
	}
	return held
}

func firstLine(err error) string {
	if parse, ok := errors.AsType[*compose.ParseError](err); ok {
		return parse.Message
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
