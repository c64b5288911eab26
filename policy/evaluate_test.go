package policy

import (
	"slices"
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
			line += " [" + f.Fix.File + " " + describe(*f.Fix) + "]"
		}
		if f.Held != "" {
			line += " [held: " + f.Held + "]"
		}
		out = append(out, line)
	}
	return out
}

func describe(f Fix) string {
	text := f.Key + "=" + f.Text
	switch {
	case f.Remove:
		text = "-" + f.Key
	case f.Bare:
		text = f.Key
	}
	if f.Target != TargetInline {
		text = string(f.Target) + ": " + text
	}
	return text
}

// evaluationCase is one policy held against one project; want is as [lines] renders it.
type evaluationCase struct {
	reason string
	policy Policy
	facts  Facts
	want   []string
}

func isTrue() Rule { return Rule{Value: new("true"), Declare: new("${K:-true}")} }

func literal(v string) *Variable { return new(in(mainFile, v, &v)) }

func fromEnvFile(v string) *Variable {
	return &Variable{Value: &v, Text: v, Layer: LayerEnvFile, Origin: Origin{"/shop/app.env", 3, 1}}
}

func shell(v string) map[string]EnvironmentValue {
	return map[string]EnvironmentValue{"K": {v, "the shell"}}
}

func patching(names ...string) func(*Policy) {
	return func(p *Policy) { p.Spec.Patch.Files = names }
}

func exited() Container { return Container{ID: "c2", Name: "shop-app-2", State: "exited"} }

// foreign returns a service that only the dev file defines, which the project does not load.
func foreign(name string, values ...string) Service {
	d := Definition{File: devFile, Declared: map[string]Variable{}, Service: Origin{devFile, 4, 3}}
	for _, v := range values {
		d.Declared["K"] = in(devFile, v, &v)
	}
	return Service{Name: name, Definitions: []Definition{d}}
}

func TestEvaluate(t *testing.T) {
	for group, cases := range map[string]map[string]evaluationCase{
		"Files": fileCases(), "Overrides": overrideCases(), "Containers": containerCases(), "PatchFiles": patchFilesCases(), "Same": sameCases(),
	} {
		for name, tc := range cases {
			t.Run(group+"/"+name, func(t *testing.T) {
				if diff := cmp.Diff(tc.want, lines(Evaluate([]Policy{tc.policy}, tc.facts))); diff != "" {
					t.Errorf("%s:\n%s", tc.reason, diff)
				}
			})
		}
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
	forbidden := Evaluate([]Policy{policyOf("p", Rule{Absent: true})}, facts(service("app", fromEnvFile("x"))))[0]
	if !strings.Contains(forbidden.Hint, forbidden.Origin.String()) {
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
		"NoCommonText":   {"the rules could agree, what they declare does not: held, but no contradiction", Rule{Maximum: new(5.0), Declare: new("1")}, Rule{Minimum: new(4.0), Declare: new("9")}, false},
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

// Rules that agree are no conflict when what one of them declares does not suit the other.
func TestRivalDeclarations(t *testing.T) {
	policies := []Policy{
		policyOf("a", Rule{Maximum: new(5.0), Declare: new("1")}), policyOf("b", Rule{Minimum: new(4.0), Declare: new("9")}),
	}
	cases := map[string]struct {
		reason  string
		service Service
		want    []string
	}{
		"Missing": {"nothing can be written", service("app", nil), []string{
			`app environment FileMissing: is not set, must be at most 5 [held: what policy "a" declares does not satisfy policy "b"]`,
			`app environment FileMissing: is not set, must be at least 4 [held: what policy "a" declares does not satisfy policy "b"]`,
			`app container NotCreated: no container`, `app container NotCreated: no container`}},
		"Wrong": {"the verdict stays", service("app", literal("6")), []string{
			`app environment FileWrong: is "6", must be at most 5 [held: what policy "a" declares does not satisfy policy "b"]`,
			`app environment Compliant: is "6"`,
			`app container NotCreated: no container`, `app container NotCreated: no container`}},
		"Both": {"a value that suits both is fine", service("app", literal("4.5")), []string{
			`app environment Compliant: is "4.5"`, `app environment Compliant: is "4.5"`,
			`app container NotCreated: no container`, `app container NotCreated: no container`}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			findings := Evaluate(policies, facts(tc.service))
			if diff := cmp.Diff(tc.want, lines(findings)); diff != "" {
				t.Errorf("%s:\n%s", tc.reason, diff)
			}
			if f := findings[0]; f.Held != "" && f.Hint != "change declare in the rule at a.yaml:7:5, or the rule at b.yaml:7:5" {
				t.Errorf("the hint names both places, got %q", f.Hint)
			}
		})
	}
}

// What one policy calls sensitive no other policy shows.
func TestSensitiveIsShared(t *testing.T) {
	const value = "hunter2"
	hidden := policyOf("hides", Rule{Present: true, Sensitive: new(true)}, func(p *Policy) { p.Spec.Selector.Services = []string{"app"} })
	cases := map[string]struct {
		reason string
		other  Rule
		want   map[string]bool // is the service's variable sensitive?
	}{
		"Value":   {"a rule that shows what it wants", Rule{Value: new(value + "x")}, map[string]bool{"app": true, "beat": false}},
		"Pattern": {"a rule that shows what it is", Rule{Pattern: "[0-9]+"}, map[string]bool{"app": true, "beat": false}},
		"Same":    {"services that agree share a value, so all hide it", Rule{SameAcrossServices: true}, map[string]bool{"app": true, "beat": true}},
		"Open":    {"not even if the other says otherwise", Rule{Maximum: new(1.0), Sensitive: new(false)}, map[string]bool{"app": true, "beat": false}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := facts(service("app", literal(value), with(value)), service("beat", literal(value+"z"), with(value)))
			for _, finding := range Evaluate([]Policy{policyOf("shows", tc.other), hidden}, f) {
				if finding.Sensitive != tc.want[finding.Service] {
					t.Errorf("%s: %s by %s: sensitive %v", tc.reason, finding.Service, finding.Policy, finding.Sensitive)
				}
				if finding.Sensitive && strings.Contains(finding.Message+finding.Hint+finding.Held, value) {
					t.Errorf("%s: %s by %s: %s", tc.reason, finding.Service, finding.Policy, finding.Message)
				}
			}
		})
	}
}

// Secrecy goes on from agreement to agreement.
func TestSensitiveSpreads(t *testing.T) {
	on := func(services ...string) func(*Policy) {
		return func(p *Policy) { p.Spec.Selector.Services = services }
	}
	policies := []Policy{
		policyOf("a", Rule{SameAcrossServices: true}, on("one", "two")), policyOf("b", Rule{SameAcrossServices: true}, on("two", "three")),
		policyOf("c", Rule{Present: true, Sensitive: new(true)}, on("three")), policyOf("d", Rule{Present: true}, on("one", "four")),
	}
	var open []string
	for _, f := range Evaluate(policies, facts(service("one", nil), service("two", nil), service("three", nil), service("four", nil))) {
		if !f.Sensitive && !slices.Contains(open, f.Service) {
			open = append(open, f.Service)
		}
	}
	if diff := cmp.Diff([]string{"four"}, open); diff != "" {
		t.Errorf("services whose variable may be shown (-want +got):\n%s", diff)
	}
}
