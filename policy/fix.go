package policy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/composure-dev/composure/internal/redact"
)

// problem is why nothing is edited, and what a person can do; empty when something can be.
type problem struct{ held, hint string }

// fix is the edit that gives a variable its text, in the kind of place that the policy wants.
func (q *question) fix(c *claim, v view, text string) (Fix, problem) {
	f := Fix{File: v.file, Target: TargetInline, Service: q.service.Name, Key: c.Name, Text: text, Sensitive: c.sensitive}
	if v.name != effective {
		return f, problem{} // patch.files names the very place
	}
	switch c.policy.Spec.Patch.Target {
	case TargetOverride:
		o := q.facts.Override
		if o.File == "" && o.Held == "" {
			o.Held = "the project has no override file that compose reads by itself"
		}
		f.Target, f.File = TargetOverride, o.File
		return f, problem{o.Held, o.Hint}
	case TargetEnvFile:
		return q.fixEnvFile(f, v)
	default:
		return f, problem{}
	}
}

// fixEnvFile turns a fix into one of the env file that sets the variable, else of the last one of the service.
func (q *question) fixEnvFile(f Fix, v view) (Fix, problem) {
	if len(q.service.EnvFiles) == 0 {
		return f, problem{
			"patch.target is EnvFile, and the service has no env_file that exists",
			fmt.Sprintf("give %s an env_file, or write patch.target: Inline in the policy", q.service.Name),
		}
	}
	if v.set && v.variable.Layer == LayerEnvironment {
		return f, problem{
			"patch.target is EnvFile, but environment sets it, which beats env_file",
			fmt.Sprintf("remove %s at %s, or write patch.target: Inline in the policy", f.Key, v.variable.Origin),
		}
	}
	file := q.service.EnvFiles[len(q.service.EnvFiles)-1]
	if i := q.envFile(v.variable.Origin.File); v.set && i >= 0 {
		file = q.service.EnvFiles[i]
	}
	f.Target, f.File, f.Format = TargetEnvFile, file.Path, file.Format
	if f.Format == formatRaw { // nothing is interpolated there
		f.Text, _, _ = interpolate(f.Text, nil)
	}
	return f, problem{}
}

func (q *question) envFile(path string) int {
	return slices.IndexFunc(q.service.EnvFiles, func(f EnvFile) bool { return f.Path == path })
}

// forbid fills in f for a variable that must not be set: where it is taken out, or why it is not.
func (q *question) forbid(f *Finding, c *claim, v view) {
	f.Verdict = Forbidden
	f.Message += ", " + c.want()
	if source, ok := q.facts.Environment[c.Name]; ok && v.variable.Bare && q.imageMaySet(c.Name) {
		f.Verdict = OverriddenByEnvironment
		f.Held = fmt.Sprintf("a bare %s takes the value of %s; without that it hides the image's", c.Name, source.Source)
		f.Hint = fmt.Sprintf("change or remove %s in %s", c.Name, source.Source)
		return
	}
	fix := Fix{File: v.file, Target: TargetInline, Service: q.service.Name, Key: c.Name, Remove: true, Sensitive: c.sensitive}
	var p problem
	switch target := c.policy.Spec.Patch.Target; {
	case c.unsupported() != "":
		p.held = c.unsupported()
	case q.service.Held != "":
		p.held = q.service.Held
	case v.variable.Base != "":
		p.held = "it comes from " + v.variable.Base + ", which other services may extend too"
	case v.name == effective && target == TargetOverride:
		p.held = "an override file cannot take a variable away"
	case v.variable.Layer == LayerEnvFile && target == TargetEnvFile:
		fix, p = q.fixEnvFile(fix, v)
	case v.variable.Layer == LayerEnvFile:
		p.held = "it comes from an env file, which others may use too"
	}
	if p.held == "" {
		f.Fix = &fix
		return
	}
	f.Held, f.Hint = p.held, p.hint
	if f.Hint == "" {
		f.Hint = fmt.Sprintf("remove %s at %s, then run docker compose up -d %s", c.Name, v.variable.Origin, q.service.Name)
	}
}

// imageMaySet reports whether an image of the service sets the variable. Without a container nobody can say.
func (q *question) imageMaySet(name string) bool {
	return len(q.service.Containers) == 0 || slices.ContainsFunc(q.service.Containers, func(c Container) bool {
		_, set := c.ImageEnv[name]
		return set
	})
}

// hide fills in f for a variable that the image sets and that must not be: a bare key hides it, with a compose that knows that.
func (q *question) hide(f *Finding, c *claim, container *Container) {
	f.Verdict, f.Layer = Forbidden, LayerImage
	f.Message += " from its image, " + c.want()
	v := q.effectiveView(c)
	_, given := q.facts.Environment[c.Name]
	switch {
	case c.unsupported() != "":
		f.Held = c.unsupported()
	case q.service.Held != "":
		f.Held = q.service.Held
	case v.file == "":
		f.Held = "no file of the project defines the service"
	case given:
		f.Held = fmt.Sprintf("a bare %s would hide the image's, but takes the value of %s", c.Name, q.facts.Environment[c.Name].Source)
	case !hidesWithBare(container.ComposeVersion):
		f.Held = "a bare key hides the image's value with compose 2.35 or newer only"
	default:
		f.Fix = &Fix{File: v.file, Target: TargetInline, Service: q.service.Name, Key: c.Name, Bare: true, Sensitive: c.sensitive}
		return
	}
	f.Hint = fmt.Sprintf("use an image that does not set it, or add a bare %s to the environment of %s", c.Name, q.service.Name)
}

// hidesWithBare reports whether a version of compose, "2.40.3", unsets an image's variable for a bare key: since 2.35 it does.
func hidesWithBare(version string) bool {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	x, errX := strconv.Atoi(major)
	y, errY := strconv.Atoi(minor)
	return errX == nil && errY == nil && (x > 2 || x == 2 && y >= 35)
}

// fixOverriding is the edit of .env, or of an --env-file, after which text complies: where patch.target allows it, and one variable
// of such a file alone decides. The shell's cannot be edited.
func (q *question) fixOverriding(c *claim, o overriding) *Fix {
	if c.policy.Spec.Patch.Target != TargetEnvFile || len(o.names) != 1 || c.unsupported() != "" {
		return nil
	}
	name := o.names[0]
	source := o.environment[name].Source
	if !strings.HasPrefix(source, "/") {
		return nil
	}
	plain, _, _ := interpolate(o.text, nil)
	for _, candidate := range append([]string{plain}, c.finite()...) {
		environment := maps.Clone(o.environment)
		environment[name] = EnvironmentValue{Value: candidate, Source: source}
		value, _, err := interpolate(o.text, environment)
		if o.text == "" { // a bare key takes the variable itself
			value = candidate
		}
		if err == nil && q.refusing(value) == nil {
			return &Fix{
				File: source, Target: TargetEnvFile, Service: q.service.Name, Key: name, Text: escapeDollar(candidate), Sensitive: c.sensitive || redact.Key(name),
			}
		}
	}
	return nil
}
