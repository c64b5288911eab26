package policy

import (
	"cmp"
	"fmt"
	"slices"
)

// settled is what the files give a service in the end, as the containers are judged by it.
type settled struct {
	compliant bool
	value     *string // the compliant value; nil when the files leave the variable unset
}

// view is a variable as one file, or all of them together, have it.
type view struct {
	name     string // effective, or the file's path
	variable Variable
	set      bool   // the key stands there, with or without a value
	place    Origin // where to point when it does not
	file     string // where a fix goes; empty when no file can take one
}

// judgeFiles returns c's findings in the file layers.
func (q *question) judgeFiles(c *claim, r remedy) ([]Finding, settled) {
	if q.facts.FilesUnreachable != "" {
		return []Finding{q.unreachable(c)}, settled{}
	}
	var findings []Finding
	var wrong []Definition
	for _, d := range q.listed(c, q.service) {
		variable, set := d.Declared[c.Name]
		f := q.judge(c, view{name: d.File, variable: variable, set: set, place: d.Service, file: d.File}, r)
		if f.Difference() {
			wrong = append(wrong, d)
		}
		findings = append(findings, f)
	}
	if q.service.foreign() {
		return findings, settled{compliant: len(wrong) == 0}
	}
	whole := q.effectiveView(c)
	f := q.judge(c, whole, r)
	if len(findings) == 0 || f.Difference() && !explained(whole, wrong) {
		findings = append(findings, f)
	}
	if !f.Difference() {
		return findings, settled{compliant: true, value: whole.variable.Value}
	}
	return findings, settled{}
}

func (q *question) unreachable(c *claim) Finding {
	f := q.finding(c)
	f.Verdict = FilesUnreachable
	f.Message = "no compose file can be read, " + c.want()
	f.Held = q.facts.FilesUnreachable
	f.Hint = "run composure where the project's compose files are, or allow their folder with --allow-root"
	return f
}

func (d Definition) loaded() bool { return d.Loaded }

// foreign reports whether only files that the project does not load define the service: the project has no such service.
func (s *Service) foreign() bool {
	return len(s.Definitions) > 0 && !slices.ContainsFunc(s.Definitions, Definition.loaded)
}

// explained reports whether a finding in one of the listed files already says why the project's value is wrong.
func explained(whole view, wrong []Definition) bool {
	own := whole.set && whole.variable.Layer == LayerEnvironment
	return slices.ContainsFunc(wrong, func(d Definition) bool {
		if own {
			return d.File == whole.variable.definition()
		}
		return d.Loaded
	})
}

// effectiveView is what all files together say. A fix goes to the file whose environment block has the key, else to the file
// that defines the service: environment beats env_file.
func (q *question) effectiveView(c *claim) view {
	variable, set := q.service.Resolved[c.Name]
	v := view{name: effective, variable: variable, set: set}
	if i := slices.IndexFunc(q.service.Definitions, Definition.loaded); i >= 0 {
		v.place, v.file = q.service.Definitions[i].Service, q.service.Definitions[i].File
	}
	switch {
	case set && variable.Layer == LayerEnvironment:
		v.file = variable.definition()
	default:
		v.file = cmp.Or(q.service.Places[c.Name], q.service.Place, v.file)
	}
	return v
}

// judge returns c's finding in one view.
func (q *question) judge(c *claim, v view, r remedy) Finding {
	f := q.finding(c)
	place := v.place
	if v.set {
		place = v.variable.Origin
		f.Layer = cmp.Or(v.variable.Layer, LayerEnvironment)
	}
	if place.File != "" {
		f.Origin = &place
	}
	value := v.variable.Value
	f.Message = "is not set"
	if value != nil {
		f.Message = "is " + c.quote(*value)
	}
	switch {
	case c.Absent && value == nil, c.meets(value, v.name):
		f.Verdict = Compliant
	case c.Absent:
		q.forbid(&f, c, v)
	case c.AllowImage && v.name == effective && !v.set && q.imageSuffices(c):
		f.Verdict = Compliant
		f.Message = "is left to the image"
	default:
		q.mend(&f, c, v, r)
	}
	return f
}

// imageSuffices reports whether the images satisfy the rule. Without a container nobody can say, and that is no finding.
func (q *question) imageSuffices(c *claim) bool {
	return !slices.ContainsFunc(imageValues(c, q.service), func(value *string) bool { return !c.meets(value, effective) })
}

// mend fills in f for a missing or wrong variable: its verdict, and the fix or why there is none.
func (q *question) mend(f *Finding, c *claim, v view, r remedy) {
	if names := q.overriding(c, v); len(names) > 0 {
		q.override(f, c, overriding{v.variable.Text, names, q.environmentOf(v.variable)})
		return
	}
	f.Verdict = FileWrong
	if v.variable.Value == nil {
		f.Verdict = FileMissing
	}
	if len(r.overriding) > 0 {
		f.Message += " and would not comply"
		q.override(f, c, overriding{r.text, r.overriding, q.facts.Environment})
		return
	}
	f.Message += ", " + q.wantIn(c, v)
	if f.Held, f.Hint = q.held(c, v, r); f.Held != "" {
		return
	}
	fix, problem := q.fix(c, v, r.text)
	if f.Held, f.Hint = problem.held, problem.hint; f.Held == "" {
		f.Fix = &fix
	}
}

// overriding names what makes a variable wrong that is right by its text.
func (q *question) overriding(c *claim, v view) []string {
	value := v.variable.Value
	if value == nil || c.accepts(*value) {
		return nil
	}
	if v.variable.Literal {
		return nil
	}
	environment := q.environmentOf(v.variable)
	if v.variable.Bare {
		if _, ok := environment[c.Name]; ok {
			return []string{c.Name}
		}
		return nil
	}
	plain, _, err := interpolate(v.variable.Text, nil)
	if err != nil || !c.accepts(plain) {
		return nil
	}
	_, used, _ := interpolate(v.variable.Text, environment)
	return used
}

// environmentOf is what ${...} in a variable's text resolves to.
func (q *question) environmentOf(v Variable) map[string]EnvironmentValue {
	if v.References != nil {
		return v.References
	}
	return q.facts.Environment
}

// wantIn says what the variable must be, and which services disagree when that is what is wrong.
func (q *question) wantIn(c *claim, v view) string {
	if c.agreement == nil || v.variable.Value != nil && !c.accepts(*v.variable.Value) || len(c.agreement.differs) == 0 {
		return c.want()
	}
	if c.agreement.want != nil {
		return fmt.Sprintf("must be %s in every selected service", c.quote(*c.agreement.want))
	}
	if sides := c.agreement.differs[v.name]; sides != "" {
		return "must be the same in every selected service: " + sides
	}
	return c.want()
}

// held says why a fix is left to a person and what that person can do; empty when it is not.
func (q *question) held(c *claim, v view, r remedy) (held, hint string) {
	switch {
	case c.unsupported() != "":
		return c.unsupported(), fmt.Sprintf("edit %s by hand, or change the policy", cmp.Or(v.file, "the compose file"))
	case q.service.Held != "":
		return q.service.Held, "edit the file by hand"
	case v.file == "":
		return "no file of the project defines the service", "edit the file that does by hand"
	case c.undecided(v) && (r.held != "" || v.variable.Value != nil && c.accepts(*v.variable.Value)):
		return "which side is right?", fmt.Sprintf("add declare: to the rule at %s with the value that all shall have", c.Rule.Origin)
	}
	return r.held, r.hint
}

// undecided reports whether services disagree in a view and the rule does not say what all of them shall have.
func (c *claim) undecided(v view) bool {
	return c.agreement != nil && c.agreement.want == nil && c.agreement.differs[v.name] != ""
}
