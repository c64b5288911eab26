package policy

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var words = []string{"", "1", "5", "true", "a$b"}

// drawRule draws a rule such as Parse would let through.
func drawRule(t *rapid.T) Rule {
	word := rapid.SampledFrom(words)
	var r Rule
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		r.Value = new(word.Draw(t, "value"))
	case 1:
		r.Values = rapid.SliceOfN(word, 1, 3).Draw(t, "values")
	case 2:
		r.Pattern = rapid.SampledFrom([]string{"[0-9]+", "t.*", "1|5"}).Draw(t, "pattern")
	case 3:
		r.Minimum = new(rapid.SampledFrom([]float64{1, 3}).Draw(t, "minimum"))
	case 4:
		r.Present = true
		r.AllowImage = rapid.Bool().Draw(t, "allowImage")
	case 5:
		r.SameAcrossServices = true
	case 6:
		r.Absent = true
		return r
	}
	r.SameAcrossServices = r.SameAcrossServices || rapid.IntRange(0, 3).Draw(t, "same") == 0
	declare := rapid.SampledFrom([]string{"1", "5", "${K:-5}", "${K:-true}", "a$$b"}).Draw(t, "declare")
	if value, _, _ := interpolate(declare, nil); rapid.Bool().Draw(t, "declares") && acceptor(&r)(value) {
		r.Declare = &declare
	}
	return r
}

func drawPolicies(t *rapid.T, most int) []Policy {
	policies := make([]Policy, rapid.IntRange(1, most).Draw(t, "policies"))
	for i := range policies {
		policies[i] = policyOf(fmt.Sprintf("p%d", i), drawRule(t))
		policies[i].Spec.Selector.Services = rapid.SampledFrom([][]string{nil, {"app"}, {"app", "beat"}}).Draw(t, "services")
		policies[i].Spec.Patch.Files = rapid.SampledFrom([][]string{nil, {"compose.yml"}, {"compose.dev.yml"}, {"compose.yml", "compose.dev.yml"}}).Draw(t, "files")
	}
	return policies
}

func drawFacts(t *rapid.T) Facts {
	f := facts()
	if rapid.Bool().Draw(t, "shell") {
		f.Environment = map[string]EnvironmentValue{"K": {rapid.SampledFrom(words).Draw(t, "K"), "the shell"}}
	}
	for _, name := range []string{"app", "beat", "web"} {
		f.Services = append(f.Services, drawService(t, name, f.Environment))
	}
	return f
}

func drawService(t *rapid.T, name string, environment map[string]EnvironmentValue) Service {
	s := service(name, nil)
	s.Definitions = append(s.Definitions, Definition{File: devFile, Declared: map[string]Variable{}, Service: Origin{devFile, 4, 3}})
	for i := range s.Definitions {
		if rapid.Bool().Draw(t, "declared") {
			declareIn(&s, s.Definitions[i].File, rapid.SampledFrom([]string{"", "1", "true", "${K:-1}", "${K:-true}"}).Draw(t, "text"), environment)
		}
	}
	if _, set := s.Resolved["K"]; !set && rapid.Bool().Draw(t, "envFile") {
		s.Resolved["K"] = Variable{Value: new("1"), Text: "1", Layer: LayerEnvFile, Origin: Origin{"/shop/app.env", 1, 1}}
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "containers") {
		c := with(rapid.SampledFrom(words).Draw(t, "running"))
		c.ID, c.Running = fmt.Sprintf("%s-%d", name, i), rapid.Bool().Draw(t, "up")
		if rapid.Bool().Draw(t, "fromImage") {
			c.ImageEnv = map[string]string{"K": rapid.SampledFrom(words).Draw(t, "image")}
		}
		s.Containers = append(s.Containers, c)
	}
	return s
}

// declareIn does to a service what editing its environment block in file does.
func declareIn(s *Service, file, text string, environment map[string]EnvironmentValue) {
	value, _, err := interpolate(text, environment)
	if err != nil {
		panic(err)
	}
	v := in(file, text, &value)
	for _, d := range s.Definitions {
		if d.File == file {
			d.Declared["K"] = v
		}
		if d.File == file && d.Loaded {
			s.Resolved["K"] = v
		}
	}
}

// removeFrom does to a service what taking the key out of its environment block in file does.
func removeFrom(s *Service, file string) {
	for _, d := range s.Definitions {
		if d.File == file {
			delete(d.Declared, "K")
		}
	}
	if s.Resolved["K"].Origin.File == file {
		delete(s.Resolved, "K")
	}
}

func TestEvaluateIgnoresOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies, f := drawPolicies(t, 3), drawFacts(t)
		want := Evaluate(policies, f)
		if diff := cmp.Diff(want, Evaluate(policies, f)); diff != "" {
			t.Fatalf("two answers to one question:\n%s", diff)
		}
		slices.Reverse(policies)
		slices.Reverse(f.Services)
		if diff := cmp.Diff(want, Evaluate(policies, f)); diff != "" {
			t.Fatalf("the order of the input matters:\n%s", diff)
		}
	})
}

// A fix mends what it was made for: one round of a single policy's fixes leaves none, and several policies come to rest.
func TestFixesMend(t *testing.T) {
	for rounds, most := range map[int]int{1: 1, 3: 3} {
		t.Run(fmt.Sprintf("Policies%d", most), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				policies, f := drawPolicies(t, most), drawFacts(t)
				for range rounds {
					for _, finding := range Evaluate(policies, f) {
						applyFix(f, finding.Fix)
					}
				}
				for _, finding := range Evaluate(policies, f) {
					if finding.Fix != nil {
						t.Fatalf("still to be mended after %d rounds: %s", rounds, lines([]Finding{finding}))
					}
				}
			})
		})
	}
}

func applyFix(f Facts, fix *Fix) {
	for i := range f.Services {
		switch {
		case fix == nil || f.Services[i].Name != fix.Service:
		case fix.Remove:
			removeFrom(&f.Services[i], fix.File)
		default:
			declareIn(&f.Services[i], fix.File, fix.Text, f.Environment)
		}
	}
}

// A fix is never written where Composure leaves the variable to a person, and every difference says why it is wrong.
func TestFindingsAreConsistent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, f := range Evaluate(drawPolicies(t, 3), drawFacts(t)) {
			mendable := f.Verdict == FileMissing || f.Verdict == FileWrong || f.Verdict == Forbidden
			if (f.Fix != nil) != (mendable && f.Held == "") {
				t.Fatalf("fix %v, held %q, verdict %s", f.Fix, f.Held, f.Verdict)
			}
			if f.Message == "" || f.Verdict == Compliant && f.Held != "" {
				t.Fatalf("%+v", f)
			}
		}
	})
}
