package policy

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

var dnsLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// validator finds what the types cannot express: contradictions, bad patterns, unknown words.
type validator struct{ *decoder }

// given reports whether the document has something at path.
func (v *validator) given(path string) bool {
	_, ok := v.places[path]
	return ok
}

// problem reports one at path, or at the nearest object that the document has. What follows from an earlier problem is dropped.
func (v *validator) problem(path, message, hint string) {
	if v.broken[path] || v.broken[parentPath(path)] {
		return
	}
	at := path
	for !v.given(at) && at != "" {
		at = parentPath(at)
		if v.broken[at] {
			return
		}
	}
	v.problems = append(v.problems, Problem{v.places[at], message, hint})
}

// header returns the problems of a document that is something else than a policy of this release.
// Its other problems would be noise and are left out.
func (v *validator) header(p *Policy) Problems {
	own := &validator{&decoder{document: v.document, places: v.places, broken: map[string]bool{}}}
	for _, field := range []struct{ name, got, want string }{{"apiVersion", p.APIVersion, APIVersion}, {"kind", p.Kind, Kind}} {
		hint := fmt.Sprintf("write %s: %s", field.name, field.want)
		switch {
		case field.got == field.want:
		case field.got != "":
			own.problem(field.name, fmt.Sprintf("%s %q is not known", field.name, field.got), hint)
		default:
			v.problem(field.name, field.name+" is missing", hint)
		}
	}
	return own.problems
}

func (v *validator) policy(p *Policy) {
	if !dnsLabel.MatchString(p.Metadata.Name) {
		v.problem("metadata.name", fmt.Sprintf("metadata.name %q is not a DNS label", p.Metadata.Name),
			"use lower-case letters, digits and dashes, at most 63, such as redis-sync")
	}
	s := &p.Spec
	oneOf(v, "spec.severity", s.Severity, SeverityError, SeverityWarning, SeverityInfo)
	oneOf(v, "spec.enforcement.files", s.Enforcement.Files, ModeAudit, ModeEnforce)
	oneOf(v, "spec.enforcement.containers", s.Enforcement.Containers, ModeAudit, ModeEnforce)
	v.windows("spec.enforcement.windows", s.Enforcement.Windows)
	oneOf(v, "spec.patch.target", s.Patch.Target, TargetInline, TargetOverride, TargetEnvFile)
	oneOf(v, "spec.rollout.strategy", s.Rollout.Strategy, StrategyStopFirst, StrategyStartFirst, StrategyCompose, StrategyNever)
	oneOf(v, "spec.onFailure", s.OnFailure, OnFailureRollback, OnFailureKeep)
	v.positive("spec.rollout.stableFor", s.Rollout.StableFor)
	v.positive("spec.rollout.timeout", s.Rollout.Timeout)
	if s.Rollout.Force && s.Rollout.Strategy != StrategyStartFirst {
		v.problem("spec.rollout.force", "spec.rollout.force needs strategy StartFirst", "add strategy: StartFirst, or remove force")
	}
	v.globs("spec.selector.projects", s.Selector.Projects)
	v.globs("spec.selector.services", s.Selector.Services)
	v.globs("spec.selector.exclude", s.Selector.Exclude)
	v.globs("spec.selector.images", s.Selector.Images)
	v.files(s.Patch.Files)
	v.rules(s.Variables)
	for i := range s.Verify {
		v.check(fmt.Sprintf("spec.verify[%d]", i), &s.Verify[i])
	}
}

func oneOf[T ~string](v *validator, path string, got T, allowed ...T) {
	if !v.given(path) || slices.Contains(allowed, got) {
		return
	}
	words := make([]string, len(allowed))
	for i, word := range allowed {
		words[i] = string(word)
	}
	v.problem(path, fmt.Sprintf("%s %q is not known", path, got), "use one of "+strings.Join(words, ", "))
}

func (v *validator) positive(path string, d Duration) {
	if v.given(path) && d <= 0 {
		v.problem(path, fmt.Sprintf("%s must be longer than zero", path), "remove the line to get the default")
	}
}

func (v *validator) globs(list string, globs []string) {
	for i, glob := range globs {
		if _, err := path.Match(glob, ""); err != nil || glob == "" {
			v.problem(fmt.Sprintf("%s[%d]", list, i), fmt.Sprintf("%q is not a valid glob pattern", glob),
				`use * ? and [a-z]; write \[ for a bracket itself`)
		}
	}
}

func (v *validator) files(files []string) {
	for i, file := range files {
		if file == "" || path.IsAbs(file) {
			v.problem(fmt.Sprintf("spec.patch.files[%d]", i), fmt.Sprintf("%q is not a relative path", file),
				"name the file as seen from the project directory, such as docker-compose.yml")
		}
	}
}

func (v *validator) rules(rules []Rule) {
	if len(rules) == 0 {
		v.problem("spec.variables", "spec.variables is empty", "name at least one variable and what it must be")
	}
	first := map[string]Origin{}
	for i := range rules {
		r := &rules[i]
		path := fmt.Sprintf("spec.variables[%d]", i)
		v.rule(path, r)
		if place, twice := first[r.Name]; twice {
			v.problem(path+".name", fmt.Sprintf("variable %q already has a rule at %s", r.Name, place), "put everything about a variable into one rule")
			continue
		}
		first[r.Name] = v.places[path+".name"]
	}
}

func (v *validator) rule(path string, r *Rule) {
	if !variableName.MatchString(r.Name) {
		v.problem(path+".name", fmt.Sprintf("%q is not a variable name", r.Name), "use letters, digits and underscores, such as REDIS_URL")
	}
	kinds := v.ruleKinds(path, r)
	switch {
	case len(kinds) > 1:
		v.problem(path, fmt.Sprintf("a rule cannot have both %s and %s", kinds[0], kinds[1]), "keep one of them")
	case len(kinds) == 0 && !r.SameAcrossServices:
		v.problem(path, fmt.Sprintf("the rule for %q does not say what it must be", r.Name),
			"add one of value, values, pattern, minimum, maximum, present, absent, sameAcrossServices")
	}
	if r.Absent && r.SameAcrossServices {
		v.problem(path+".sameAcrossServices", "a rule cannot have both absent and sameAcrossServices", "keep one of them")
	}
	if (r.AllowEmpty || r.AllowImage) && !r.Present {
		v.problem(path, "allowEmpty and allowImage need present: true", "add present: true, or remove them")
	}
	if v.given(path+".values") && len(r.Values) == 0 {
		v.problem(path+".values", "values is empty", "list the allowed values")
	}
	if r.Minimum != nil && r.Maximum != nil && *r.Minimum > *r.Maximum {
		v.problem(path+".minimum", fmt.Sprintf("minimum %s is above maximum %s", number(*r.Minimum), number(*r.Maximum)), "swap them")
	}
	if !v.regexp(path+".pattern", r.Pattern) {
		return
	}
	v.declare(path, r)
}

// ruleKinds names the kinds of rule that r holds.
func (v *validator) ruleKinds(path string, r *Rule) []string {
	var kinds []string
	for _, kind := range []struct {
		name string
		held bool
	}{
		{"value", r.Value != nil},
		{"values", v.given(path + ".values")},
		{"pattern", v.given(path + ".pattern")},
		{"minimum/maximum", r.Minimum != nil || r.Maximum != nil},
		{"present", r.Present},
		{"absent", r.Absent},
	} {
		if kind.held {
			kinds = append(kinds, kind.name)
		}
	}
	return kinds
}

func (v *validator) regexp(path, pattern string) bool {
	if !v.given(path) {
		return true
	}
	if pattern == "" {
		v.problem(path, "pattern is empty", "use present: true for any value that is not empty")
		return false
	}
	if _, err := regexp.Compile(pattern); err != nil {
		why := "not a regular expression"
		if broken, ok := errors.AsType[*syntax.Error](err); ok {
			why = string(broken.Code) // without the expression: it may be a secret
		}
		v.problem(path, "pattern is not valid: "+why, "write it in RE2 syntax: https://github.com/google/re2/wiki/Syntax")
		return false
	}
	return true
}

// declare checks that the text a file would get satisfies the rule when nothing is set around it.
func (v *validator) declare(path string, r *Rule) {
	if r.Declare == nil {
		return
	}
	path += ".declare"
	if r.Absent {
		v.problem(path, "a rule with absent has nothing to declare", "remove declare")
		return
	}
	value, _, err := interpolate(*r.Declare, nil)
	if err != nil {
		v.problem(path, "declare cannot be interpolated with an empty environment", "write ${NAME:-default}, and $$ for a $ itself")
		return
	}
	c := newClaim(nil, r)
	if !c.accepts(value) {
		v.problem(path, fmt.Sprintf("declare gives %s with an empty environment, %s", c.quote(value), c.want()),
			"give it a default that complies: ${"+r.Name+":-...}")
	}
}

func (v *validator) check(path string, c *Check) {
	kinds := 0
	for _, held := range []bool{c.Healthy, c.Redis != nil, c.Log != nil, c.Exec != nil, c.HTTP != nil} {
		if held {
			kinds++
		}
	}
	if kinds != 1 {
		v.problem(path, fmt.Sprintf("a check must be of one kind, this has %d", kinds), "give exactly one of healthy: true, redis, log, exec, http")
	}
	if c.Redis != nil {
		v.redis(path+".redis", c.Redis)
	}
	if c.Log != nil {
		v.required(path+".log.service", c.Log.Service)
		v.required(path+".log.pattern", c.Log.Pattern)
		v.regexp(path+".log.pattern", c.Log.Pattern)
		v.positive(path+".log.within", c.Log.Within)
	}
	if c.Exec != nil {
		v.required(path+".exec.service", c.Exec.Service)
		v.required(path+".exec.command", strings.Join(c.Exec.Command, ""))
		v.positive(path+".exec.timeout", c.Exec.Timeout)
	}
	if c.HTTP != nil {
		v.http(path+".http", c.HTTP)
	}
}

func (v *validator) redis(path string, c *RedisCheck) {
	v.required(path+".service", c.Service)
	v.required(path+".url", c.URL)
	v.references(path+".url", c.URL)
	v.references(path+".channel", c.Channel)
	v.positive(path+".within", c.Within)
	if !c.Ping && c.Channel == "" {
		v.problem(path, "the redis check asks nothing", "add ping: true, or a channel")
	}
	if c.Subscribers < 0 {
		v.problem(path+".subscribers", "subscribers must not be negative", "")
	}
	if c.Subscribers != 0 && c.Channel == "" {
		v.problem(path+".subscribers", "subscribers needs a channel", "add the channel to count them on")
	}
}

func (v *validator) http(path string, c *HTTPCheck) {
	v.required(path+".service", c.Service)
	v.required(path+".url", c.URL)
	v.references(path+".url", c.URL)
	if url, err := Expand(c.URL, nil); err == nil && url != "" {
		if problem, hint := c.ProblemWith(url); problem != "" {
			v.problem(path+".url", path+".url "+problem, hint)
		}
	}
	v.positive(path+".within", c.Within)
	if v.given(path+".status") && (c.Status < 100 || c.Status > 599) {
		v.problem(path+".status", fmt.Sprintf("status %d is not an HTTP status", c.Status), "use a number from 100 to 599")
	}
}

func (v *validator) required(path, value string) {
	if value == "" {
		v.problem(path, path+" is missing", "")
	}
}

func (v *validator) references(path, text string) {
	if _, err := expand(text, func(string) (string, error) { return "", nil }); err != nil {
		v.problem(path, fmt.Sprintf("%s: %v", path, err), "write $(NAME) for a variable of the container, $$( for a $( itself")
	}
}
