package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const mainFile, devFile = "/shop/compose.yml", "/shop/compose.dev.yml"

// policyOf returns a policy named name with its defaults and one rule on K.
func policyOf(name string, r Rule, change ...func(*Policy)) Policy {
	r.Name, r.Origin = "K", Origin{File: name + ".yaml", Line: 7, Column: 5}
	p := Policy{Metadata: Metadata{Name: name}, Spec: Spec{Variables: []Rule{r}}}
	setDefaults(&p)
	for _, c := range change {
		c(&p)
	}
	return p
}

// in returns K as an environment block of file has it.
func in(file, text string, value *string) Variable {
	return Variable{Value: value, Text: text, Layer: LayerEnvironment, Origin: Origin{File: file, Line: 20, Column: 7}}
}

// service returns a service defined in the main file at line 10; resolved may be nil.
func service(name string, resolved *Variable, containers ...Container) Service {
	s := Service{Name: name, Resolved: map[string]Variable{}, Containers: containers}
	d := Definition{File: mainFile, Loaded: true, Declared: map[string]Variable{}, Service: Origin{mainFile, 10, 3}}
	if resolved != nil {
		s.Resolved["K"] = *resolved
		if resolved.Layer == LayerEnvironment {
			d.Declared["K"] = *resolved
		}
	}
	s.Definitions = []Definition{d}
	return s
}

func running(env map[string]*string) Container {
	return Container{ID: "c1", Name: "shop-app-1", Running: true, State: "running", Env: env}
}

func with(value string) Container { return running(map[string]*string{"K": &value}) }

func facts(services ...Service) Facts {
	return Facts{Project: "shop", Directory: "/shop", Services: services}
}

// lines renders findings as "service layer verdict: message [fix text] [held]".
func lines(findings []Finding) []string {
	var out []string
	for _, f := range findings {
		line := f.Service + " " + string(f.Layer) + " " + string(f.Verdict) + ": " + f.Message
		if f.Fix != nil {
			line += " [" + f.Fix.File + " " + f.Fix.Key + "=" + f.Fix.Text + "]"
		}
		if f.Held != "" {
			line += " [held: " + f.Held + "]"
		}
		out = append(out, line)
	}
	return out
}

func TestEvaluate(t *testing.T) {
	isTrue := Rule{Value: new("true"), Declare: new("${K:-true}")}
	literal := func(v string) *Variable { return new(in(mainFile, v, &v)) }
	fromEnvFile := func(v string) *Variable {
		return &Variable{Value: &v, Text: v, Layer: LayerEnvFile, Origin: Origin{"/shop/app.env", 3, 1}}
	}
	shell := func(v string) map[string]EnvironmentValue { return map[string]EnvironmentValue{"K": {v, "the shell"}} }
	files := func(names ...string) func(*Policy) { return func(p *Policy) { p.Spec.Patch.Files = names } }
	exited := Container{ID: "c2", Name: "shop-app-2", State: "exited"}
	cases := map[string]struct {
		reason string
		policy Policy
		facts  Facts
		want   []string
	}{
		"Compliant": {"file and container are right", policyOf("p", isTrue), facts(service("app", literal("true"), with("true"))), []string{
			`app environment Compliant: is "true"`, `app container Compliant: runs with "true"`}},
		"FileMissing": {"declared in the file that defines the service; the container is told too", policyOf("p", isTrue), facts(service("app", nil, running(nil))), []string{
			`app environment FileMissing: is not set, must be "true" [/shop/compose.yml K=${K:-true}]`, `app container ContainerStale: runs without it, must be "true"`}},
		"FileMissingContainerRight": {"the container happens to be right", policyOf("p", isTrue), facts(service("app", nil, with("true"))), []string{
			`app environment FileMissing: is not set, must be "true" [/shop/compose.yml K=${K:-true}]`, `app container Compliant: runs with "true"`}},
		"FileWrong": {"mended where it stands; a value's dollar is doubled", policyOf("p", Rule{Value: new("a$b")}), facts(service("app", new(in("/shop/override.yml", "x", new("x"))))), []string{
			`app environment FileWrong: is "x", must be "a$b" [/shop/override.yml K=a$$b]`, `app container NotCreated: no container`}},
		"ContainerStale": {"files right, container old", policyOf("p", isTrue), facts(service("app", literal("true"), with("false"))), []string{
			`app environment Compliant: is "true"`, `app container ContainerStale: runs with "false", the files say "true"`}},
		"ContainerOtherThanFile": {"both satisfy the rule, but the container is not what the file says", policyOf("p", Rule{Minimum: new(1.0)}), facts(service("app", literal("5"), with("6"))), []string{
			`app environment Compliant: is "5"`, `app container ContainerStale: runs with "6", the files say "5"`}},
		"BareInContainer": {"a bare key is unset", policyOf("p", isTrue), facts(service("app", literal("true"), running(map[string]*string{"K": nil}))), []string{
			`app environment Compliant: is "true"`, `app container ContainerStale: runs without it, the files say "true"`}},
		"Overridden": {"right by its text", policyOf("p", isTrue), func() Facts {
			f := facts(service("app", new(in(mainFile, "${K:-true}", new("false"))), with("false")))
			f.Environment = shell("false")
			return f
		}(), []string{
			`app environment OverriddenByEnvironment: is "false" because K is "false" in the shell, must be "true" [held: the value comes from outside the compose files]`,
			`app container ContainerStale: runs with "false", must be "true" [held: the files do not comply yet]`}},
		"OverriddenBare": {"a bare key takes the shell's", policyOf("p", isTrue), func() Facts {
			f := facts(service("app", &Variable{Value: new("0"), Bare: true, Layer: LayerEnvironment, Origin: Origin{mainFile, 20, 7}}))
			f.Environment = shell("0")
			return f
		}(), []string{
			`app environment OverriddenByEnvironment: is "0" because K is "0" in the shell, must be "true" [held: the value comes from outside the compose files]`,
			`app container NotCreated: no container`}},
		"OverriddenBeforeWritten": {"what would be written does not help", policyOf("p", isTrue), func() Facts {
			f := facts(service("app", nil))
			f.Environment = shell("false")
			return f
		}(), []string{
			`app environment OverriddenByEnvironment: is not set and would not comply because K is "false" in the shell, must be "true" [held: the value comes from outside the compose files]`,
			`app container NotCreated: no container`}},
		"BareUnset": {"a bare key that nothing sets is missing", policyOf("p", isTrue), facts(service("app", &Variable{Bare: true, Layer: LayerEnvironment, Origin: Origin{mainFile, 20, 7}})), []string{
			`app environment FileMissing: is not set, must be "true" [/shop/compose.yml K=${K:-true}]`, `app container NotCreated: no container`}},
		"EnvFileRight": {"env_file is good enough", policyOf("p", isTrue), facts(service("app", fromEnvFile("true"))), []string{
			`app env_file Compliant: is "true"`, `app container NotCreated: no container`}},
		"EnvFileWrong": {"environment beats env_file", policyOf("p", isTrue), facts(service("app", fromEnvFile("no"))), []string{
			`app env_file FileWrong: is "no", must be "true" [/shop/compose.yml K=${K:-true}]`, `app container NotCreated: no container`}},
		"EnvFileNotExplicit": {"patch.files asks for the key itself", policyOf("p", isTrue, files("compose.yml")), facts(service("app", fromEnvFile("true"))), []string{
			`app environment FileMissing: is not set, must be "true" [/shop/compose.yml K=${K:-true}]`, `app container NotCreated: no container`}},
		"Forbidden": {"removing is a person's", policyOf("p", Rule{Absent: true}), facts(service("app", literal("x"), with("x"))), []string{
			`app environment Forbidden: is "x", must not be set [held: removing a variable is not supported yet]`,
			`app container ContainerStale: runs with "x", must not be set [held: the files do not comply yet]`}},
		"AbsentStale": {"the file is rid of it, the container not yet", policyOf("p", Rule{Absent: true}), facts(service("app", nil, with("x"))), []string{
			`app environment Compliant: is not set`, `app container ContainerStale: runs with "x", must not be set`}},
		"AbsentFromImage": {"a swap would bring it back", policyOf("p", Rule{Absent: true}), facts(service("app", nil, func() Container {
			c := with("x")
			c.ImageEnv = map[string]string{"K": "x"}
			return c
		}())), []string{
			`app environment Compliant: is not set`, `app image Forbidden: runs with "x" from its image, must not be set [held: removing a variable is not supported yet]`}},
		"NotCreated": {"a stopped container is left alone", policyOf("p", isTrue), facts(service("app", literal("true"), exited)), []string{
			`app environment Compliant: is "true"`, `app container NotCreated: shop-app-2 is exited`}},
		"Unreachable": {"containers are compared, nothing is swapped", policyOf("p", isTrue), func() Facts {
			f := facts(Service{Name: "app", Containers: []Container{with("false")}})
			f.FilesUnreachable = "no file here"
			return f
		}(), []string{
			`app environment FilesUnreachable: no compose file can be read, must be "true" [held: no file here]`,
			`app container ContainerStale: runs with "false", must be "true" [held: no file here]`}},
		"UnreachableSame": {"without files the running containers are the sides", policyOf("p", Rule{SameAcrossServices: true}), func() Facts {
			f := facts(Service{Name: "app", Containers: []Container{with("a")}}, Service{Name: "beat", Containers: []Container{with("b"), exited}})
			f.FilesUnreachable = "no file here"
			return f
		}(), []string{
			`app environment FilesUnreachable: no compose file can be read, must be set [held: no file here]`,
			`app container ContainerStale: runs with "a", must be the same in every selected service: app "a", beat "b" [held: no file here]`,
			`beat environment FilesUnreachable: no compose file can be read, must be set [held: no file here]`,
			`beat container NotCreated: shop-app-2 is exited`,
			`beat container ContainerStale: runs with "b", must be the same in every selected service: app "a", beat "b" [held: no file here]`}},
		"ServiceHeld": {"the verdict stays", policyOf("p", isTrue), facts(func() Service {
			s := service("app", nil)
			s.Held = "include is not supported yet"
			return s
		}()), []string{
			`app environment FileMissing: is not set, must be "true" [held: include is not supported yet]`, `app container NotCreated: no container`}},
		"NothingToDeclare": {"can find but not mend", policyOf("p", Rule{Minimum: new(1.0), Maximum: new(30.0)}), facts(service("app", literal("60"))), []string{
			`app environment FileWrong: is "60", must be between 1 and 30 [held: say what to declare]`, `app container NotCreated: no container`}},
		"Unsupported": {"a later release's policy is not carried out", policyOf("p", isTrue, func(p *Policy) { p.Spec.Patch.Target = TargetOverride }), facts(service("app", nil, with("false"))), []string{
			`app environment FileMissing: is not set, must be "true" [held: patch.target Override is not supported yet]`,
			`app container ContainerStale: runs with "false", must be "true" [held: patch.target Override is not supported yet]`}},
		"Never": {"files only", policyOf("p", isTrue, func(p *Policy) { p.Spec.Rollout.Strategy = StrategyNever }), facts(service("app", literal("true"), with("no"))), []string{
			`app environment Compliant: is "true"`, `app container ContainerStale: runs with "no", the files say "true" [held: rollout.strategy is Never]`}},
		"Sensitive": {"no value in a message", policyOf("p", Rule{Value: new("hunter2"), Sensitive: new(true)}), facts(service("app", literal("hunter1"), with("hunter3"))), []string{
			`app environment FileWrong: is "********", must be "********" [/shop/compose.yml K=hunter2]`, `app container ContainerStale: runs with "********", must be "********"`}},
		"PresentEmpty": {"empty is not present", policyOf("p", Rule{Present: true}), facts(service("app", literal(""))), []string{
			`app environment FileWrong: is "", must be set and not empty [held: say what to declare]`, `app container NotCreated: no container`}},
		"AllowEmpty": {"unless it is", policyOf("p", Rule{Present: true, AllowEmpty: true}), facts(service("app", literal(""))), []string{
			`app environment Compliant: is ""`, `app container NotCreated: no container`}},
		"AllowImage": {"the image's ENV is enough", policyOf("p", Rule{Present: true, AllowImage: true}), facts(service("app", nil, func() Container {
			c := with("x")
			c.ImageEnv = map[string]string{"K": "x"}
			return c
		}())), []string{
			`app environment Compliant: is left to the image`, `app container Compliant: runs with "x"`}},
		"ImageNotAllowed": {"without allowImage the file must say it", policyOf("p", Rule{Present: true, Declare: new("y")}), facts(service("app", nil, func() Container {
			c := with("x")
			c.ImageEnv = map[string]string{"K": "x"}
			return c
		}())), []string{
			`app environment FileMissing: is not set, must be set and not empty [/shop/compose.yml K=y]`, `app container Compliant: runs with "x"`}},
		"PatchFiles": {"every named file must say it, loaded or not", policyOf("p", isTrue, files("compose.yml", "./compose.dev.yml", "other.yml")), facts(func() Service {
			s := service("app", literal("true"))
			s.Definitions = append(s.Definitions, Definition{File: devFile, Service: Origin{devFile, 4, 3}})
			return s
		}()), []string{
			`app environment FileMissing: is not set, must be "true" [/shop/compose.dev.yml K=${K:-true}]`, `app environment Compliant: is "true"`, `app container NotCreated: no container`}},
		"PatchFilesLaterWins": {"a file that is not named wins with a wrong value", policyOf("p", isTrue, files("compose.yml")), facts(func() Service {
			s := service("app", literal("true"))
			s.Resolved["K"] = in("/shop/zz.yml", "no", new("no"))
			return s
		}()), []string{
			`app environment Compliant: is "true"`, `app environment FileWrong: is "no", must be "true" [/shop/zz.yml K=${K:-true}]`, `app container NotCreated: no container`}},
		"SameHeld": {"which side is right?", policyOf("p", Rule{SameAcrossServices: true}), facts(service("app", literal("a")), service("beat", literal("b"))), []string{
			`app environment FileWrong: is "a", must be the same in every selected service: app "a", beat "b" [held: which side is right?]`, `app container NotCreated: no container`,
			`beat environment FileWrong: is "b", must be the same in every selected service: app "a", beat "b" [held: which side is right?]`, `beat container NotCreated: no container`}},
		"SameDeclare": {"all sides are set to what declare says", policyOf("p", Rule{SameAcrossServices: true, Declare: new("${K:-b}")}), facts(service("app", literal("a"), with("a")), service("beat", literal("b"))), []string{
			`app environment FileWrong: is "a", must be "b" in every selected service [/shop/compose.yml K=${K:-b}]`, `app container ContainerStale: runs with "a", must be "b" in every selected service`,
			`beat environment Compliant: is "b"`, `beat container NotCreated: no container`}},
		"SameAgree": {"agreement on another value than declare is agreement", policyOf("p", Rule{SameAcrossServices: true, Declare: new("b")}), facts(service("app", literal("a")), service("beat", literal("a"))), []string{
			`app environment Compliant: is "a"`, `app container NotCreated: no container`, `beat environment Compliant: is "a"`, `beat container NotCreated: no container`}},
		"Ignored": {"the label takes it out", policyOf("p", isTrue), facts(Service{Name: "app", Labels: map[string]string{IgnoreLabel: "true"}}), nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, lines(Evaluate([]Policy{tc.policy}, tc.facts))); diff != "" {
				t.Errorf("%s:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestEvaluatePlaces(t *testing.T) {
	p := policyOf("p", Rule{Value: new("true")})
	missing := Evaluate([]Policy{p}, facts(service("app", nil)))[0]
	if got := missing.Origin.String(); got != "/shop/compose.yml:10:3" {
		t.Errorf("a missing key points at the service, got %s", got)
	}
	wrong := Evaluate([]Policy{p}, facts(service("app", new(in(mainFile, "x", new("x"))))))[0]
	if got := wrong.Origin.String(); got != "/shop/compose.yml:20:7" {
		t.Errorf("a wrong value points at itself, got %s", got)
	}
	forbidden := Evaluate([]Policy{policyOf("p", Rule{Absent: true})}, facts(service("app", new(in(mainFile, "x", new("x"))))))[0]
	if !strings.Contains(forbidden.Hint, "/shop/compose.yml:20:7") {
		t.Errorf("the hint says where to remove it, got %q", forbidden.Hint)
	}
}

// A file that the project does not load is mended, but that does not help the container.
func TestUnloadedFixHoldsContainer(t *testing.T) {
	p := policyOf("p", Rule{Minimum: new(5.0), Declare: new("7")}, func(p *Policy) {
		p.Spec.Patch.Files = []string{"compose.dev.yml"}
	})
	s := service("app", new(in(mainFile, "${N:-6}", new("1"))), with("1"))
	s.Definitions = append(s.Definitions, Definition{File: devFile, Service: Origin{devFile, 4, 3}})
	f := facts(s)
	f.Environment = map[string]EnvironmentValue{"N": {"1", "/shop/.env"}}
	want := []string{
		"app environment FileMissing: is not set, must be at least 5 [/shop/compose.dev.yml K=7]",
		`app environment OverriddenByEnvironment: is "1" because N is "1" in /shop/.env, must be at least 5 [held: the value comes from outside the compose files]`,
		`app container ContainerStale: runs with "1", must be at least 5 [held: the files do not comply yet]`,
	}
	if diff := cmp.Diff(want, lines(Evaluate([]Policy{p}, f))); diff != "" {
		t.Error(diff)
	}
}

// A service that no file defines has nowhere to be mended and nothing to point at.
func TestNoDefinition(t *testing.T) {
	f := Evaluate([]Policy{policyOf("p", Rule{Value: new("x")})}, facts(Service{Name: "app"}))[0]
	if f.Origin != nil || f.Fix != nil || f.Held != "no file of the project defines the service" {
		t.Errorf("got %+v", f)
	}
}

func TestConflicts(t *testing.T) {
	cases := map[string]struct {
		reason   string
		a, b     Rule
		conflict bool
	}{
		"Values":         {"two values", Rule{Value: new("1")}, Rule{Value: new("2")}, true},
		"SameValue":      {"the same value", Rule{Value: new("1")}, Rule{Value: new("1")}, false},
		"ValueInList":    {"one of the list", Rule{Value: new("1")}, Rule{Values: []string{"1", "2"}}, false},
		"ValueNotInList": {"not of the list", Rule{Value: new("3")}, Rule{Values: []string{"1", "2"}}, true},
		"ValuePattern":   {"does not match", Rule{Value: new("ab")}, Rule{Pattern: "a"}, true},
		"ValueRange":     {"out of range", Rule{Value: new("9")}, Rule{Maximum: new(5.0)}, true},
		"ValueEmpty":     {"empty is not present", Rule{Value: new("")}, Rule{Present: true}, true},
		"Lists":          {"nothing in common", Rule{Values: []string{"1"}}, Rule{Values: []string{"2"}}, true},
		"ListsMeet":      {"one in common; nothing says which to write, so only the finding is held", Rule{Values: []string{"1", "2"}}, Rule{Values: []string{"2"}}, false},
		"Ranges":         {"nothing in common", Rule{Maximum: new(1.0)}, Rule{Minimum: new(2.0)}, true},
		"RangesMeet":     {"one number in common", Rule{Maximum: new(2.0)}, Rule{Minimum: new(2.0)}, false},
		"Absent":         {"absent against present", Rule{Absent: true}, Rule{Present: true}, true},
		"AbsentSame":     {"absent against agreement", Rule{Absent: true}, Rule{SameAcrossServices: true}, true},
		"AbsentTwice":    {"both want it gone", Rule{Absent: true}, Rule{Absent: true}, false},
		"NoCommonText":   {"the rules could agree, what they declare does not", Rule{Maximum: new(5.0), Declare: new("1")}, Rule{Minimum: new(4.0), Declare: new("9")}, true},
		"CommonText":     {"the second's text satisfies both", Rule{Maximum: new(5.0), Declare: new("1")}, Rule{Minimum: new(4.0), Declare: new("4")}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			policies := []Policy{policyOf("a", tc.a), policyOf("b", tc.b)}
			findings := Evaluate(policies, facts(service("app", nil, with("x"))))
			if got := findings[0].Verdict == Conflict; got != tc.conflict {
				t.Fatalf("%s: got\n%s", tc.reason, strings.Join(lines(findings), "\n"))
			}
			if !tc.conflict {
				return
			}
			if len(findings) != 1 || findings[0].Held == "" || findings[0].Fix != nil {
				t.Errorf("%s: a conflict is the only finding, and held: %v", tc.reason, lines(findings))
			}
			for _, place := range []string{"a.yaml:7:5", "b.yaml:7:5"} {
				if !strings.Contains(findings[0].Message, place) {
					t.Errorf("%s: both places are named: %s", tc.reason, findings[0].Message)
				}
			}
		})
	}
}
