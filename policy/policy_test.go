package policy

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSelectorMatches(t *testing.T) {
	svc := Service{Name: "celery-beat", Image: "registry/app:1.2", Labels: map[string]string{"tier": "back"}}
	cases := map[string]struct {
		reason string
		s      Selector
		want   bool
	}{
		"Empty":        {"selects everything", Selector{}, true},
		"Project":      {"the project's name", Selector{Projects: []string{"blog", "sh*"}}, true},
		"OtherProject": {"another project", Selector{Projects: []string{"blog"}}, false},
		"Service":      {"one of the globs", Selector{Services: []string{"app", "celery-*"}}, true},
		"Exclude":      {"exclude wins", Selector{Services: []string{"celery-*"}, Exclude: []string{"*-beat"}}, false},
		"ExcludeOther": {"excludes somebody else", Selector{Exclude: []string{"app"}}, true},
		"Image":        {"a star does not cross a slash", Selector{Images: []string{"registry/app:*"}}, true},
		"ImageSlash":   {"a star does not cross a slash", Selector{Images: []string{"*:1.2"}}, false},
		"Label":        {"label and value", Selector{MatchLabels: map[string]string{"tier": "back"}}, true},
		"LabelOther":   {"another value", Selector{MatchLabels: map[string]string{"tier": "front"}}, false},
		"All":          {"every given field must match", Selector{Projects: []string{"shop"}, Services: []string{"app"}}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.s.Matches("shop", svc); got != tc.want {
				t.Errorf("%s: got %v", tc.reason, got)
			}
		})
	}
	svc.Labels[IgnoreLabel] = "true"
	if (Selector{}).Matches("shop", svc) {
		t.Error("an ignored service is never selected")
	}
}

func TestAcceptor(t *testing.T) {
	cases := map[string]struct {
		reason  string
		rule    Rule
		yes, no []string
	}{
		"Value":      {"exactly", Rule{Value: new("a")}, []string{"a"}, []string{"", "A", "a "}},
		"Values":     {"one of", Rule{Values: []string{"a", ""}}, []string{"a", ""}, []string{"b"}},
		"Pattern":    {"the whole value, each alternative", Rule{Pattern: "a|b+"}, []string{"a", "bb"}, []string{"ab", "a\n", ""}},
		"Range":      {"decimal numbers, bounds included", Rule{Minimum: new(1.0), Maximum: new(30.0)}, []string{"1", "30", "2.5", "1e1"}, []string{"0", "31", "", "x", "NaN", " 2", "0x2", "1_0"}},
		"Minimum":    {"no upper bound, but a number", Rule{Minimum: new(1.0)}, []string{"1e9"}, []string{"inf", "Infinity", "0"}},
		"Present":    {"not empty", Rule{Present: true}, []string{"x"}, []string{""}},
		"AllowEmpty": {"set is enough", Rule{Present: true, AllowEmpty: true}, []string{"x", ""}, nil},
		"Same":       {"any value by itself", Rule{SameAcrossServices: true}, []string{"x", ""}, nil},
		"Absent":     {"none", Rule{Absent: true}, nil, []string{"x", ""}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			accepts := acceptor(&tc.rule)
			for _, value := range tc.yes {
				if !accepts(value) {
					t.Errorf("%s: %q refused", tc.reason, value)
				}
			}
			for _, value := range tc.no {
				if accepts(value) {
					t.Errorf("%s: %q accepted", tc.reason, value)
				}
			}
		})
	}
}

func TestExpand(t *testing.T) {
	env := map[string]*string{"URL": new("redis://h"), "N": new("$(URL)"), "BARE": nil}
	cases := map[string]struct {
		reason, text, want, err string
	}{
		"Plain":    {"nothing to expand", "a $b $ ${C}", "a $b $ ${C}", ""},
		"Value":    {"inside text", "<$(URL)/0>", "<redis://h/0>", ""},
		"Once":     {"a value is not expanded again", "$(N)", "$(URL)", ""},
		"Escaped":  {"a doubled dollar is literal", "$$(URL)", "$(URL)", ""},
		"Unset":    {"no such variable", "$(NOPE)", "", "expand $(NOPE): the container does not set it"},
		"Bare":     {"a bare key is unset", "$(BARE)", "", "expand $(BARE): the container does not set it"},
		"Open":     {"no end", "$(URL", "", "expand $(NAME): a reference has no end or no valid name"},
		"BadName":  {"no name", "$(a b)", "", "expand $(NAME): a reference has no end or no valid name"},
		"NoName":   {"no name", "$()", "", "expand $(NAME): a reference has no end or no valid name"},
		"Adjacent": {"side by side", "$(URL)$(URL)", "redis://hredis://h", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Expand(tc.text, env)
			message := ""
			if err != nil {
				message = err.Error()
			}
			if got != tc.want || message != tc.err {
				t.Errorf("%s: got %q, %v", tc.reason, got, err)
			}
		})
	}
}

func TestStrictest(t *testing.T) {
	defaults, onFailure := Strictest(nil)
	want := Rollout{Strategy: StrategyStopFirst, StableFor: Duration(3 * time.Second), Timeout: Duration(90 * time.Second)}
	if diff := cmp.Diff(want, defaults); diff != "" || onFailure != OnFailureRollback {
		t.Errorf("no policies give the defaults: %s %s", onFailure, diff)
	}
	keep := func(name string, r Rollout) Policy {
		return Policy{Metadata: Metadata{name}, Spec: Spec{Rollout: r, OnFailure: OnFailureKeep}}
	}
	b := keep("b", Rollout{Order: []string{"b"}, Strategy: StrategyCompose, StableFor: 5, Timeout: 1})
	a := keep("a", Rollout{Strategy: StrategyStartFirst, StableFor: 1, Timeout: 9})
	c := keep("c", Rollout{Order: []string{"c"}, Strategy: StrategyStopFirst})
	got, onFailure := Strictest([]Policy{c, b, a})
	want = Rollout{Order: []string{"b"}, Strategy: StrategyCompose, StableFor: 5, Timeout: 9}
	if diff := cmp.Diff(want, got); diff != "" || onFailure != OnFailureKeep {
		t.Errorf("%s %s", onFailure, diff)
	}
	c.Spec.OnFailure = OnFailureRollback
	if _, onFailure = Strictest([]Policy{a, b, c}); onFailure != OnFailureRollback {
		t.Error("one Rollback beats every Keep")
	}
}

func TestParseForce(t *testing.T) {
	policies, err := Parse("f.yaml", []byte(minimal("  rollout: {strategy: StartFirst, force: true}\n"+oneRule)))
	if err != nil || !policies[0].Spec.Rollout.Force {
		t.Errorf("force with StartFirst: got %+v, %v", policies, err)
	}
}

func TestStrictestForce(t *testing.T) {
	forced := Policy{Spec: Spec{Rollout: Rollout{Strategy: StrategyStartFirst, Force: true}}}
	careful := Policy{Spec: Spec{Rollout: Rollout{Strategy: StrategyStartFirst}}}
	cases := map[string]struct {
		reason   string
		policies []Policy
		want     bool
	}{
		"None":  {"nobody has said so", nil, false},
		"One":   {"its own word", []Policy{forced}, true},
		"All":   {"everybody's word", []Policy{forced, forced}, true},
		"Mixed": {"one that does not force is more cautious", []Policy{forced, careful}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got, _ := Strictest(tc.policies); got.Force != tc.want {
				t.Errorf("%s: force = %v", tc.reason, got.Force)
			}
		})
	}
}

func TestHTTPCheckProblemWith(t *testing.T) {
	cases := map[string]struct {
		reason, url string
		insecure    bool
		want        string
	}{
		"HTTP":        {"plain", "http://127.0.0.1:8000/health?deep=1", false, ""},
		"Password":    {"a login", "http://app:hunter2@api/", false, ""},
		"Insecure":    {"any certificate will do", "https://api/", true, ""},
		"HTTPS":       {"no certificate can be trusted", "https://api/", false, "is https, and the probe trusts no certificate authority"},
		"Needless":    {"it would do nothing", "http://api/", true, "is http, where insecureSkipVerify means nothing"},
		"Scheme":      {"another protocol", "redis://hunter2@api/", false, "must begin with http:// or https://"},
		"NoScheme":    {"a path", "/hunter2", false, "must begin with http:// or https://"},
		"Empty":       {"a variable that is empty", "", false, "must begin with http:// or https://"},
		"NoHost":      {"nobody to ask", "http:///hunter2", false, "names no host"},
		"Port":        {"no port", "http://app:hunter2", false, "is not a URL"},
		"Hash":        {"the front of a password would be the host", "http://app:1#hunter2@api/", false, "has a #"},
		"Slash":       {"the front of a password would be the host", "http://app:1/hunter2@api/", false, "has a @ behind the host"},
		"Question":    {"the front of a password would be the host", "http://app:1?hunter2@api/", false, "has a @ behind the host"},
		"At":          {"with a login of its own the host is known", "http://app:x@api/@hunter2", false, ""},
		"EncodedHash": {"as it should be written", "http://app:hunter%232@api/", false, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, hint := (&HTTPCheck{InsecureSkipVerify: tc.insecure}).ProblemWith(tc.url)
			if got != tc.want || (got == "") != (hint == "") || strings.Contains(got+hint, "hunter2") {
				t.Errorf("%s: got %q, hint %q", tc.reason, got, hint)
			}
		})
	}
}

func TestDurationJSON(t *testing.T) {
	var d Duration
	if err := json.Unmarshal([]byte(`"1m30s"`), &d); err != nil || d != Duration(90*time.Second) {
		t.Errorf("got %v, %v", d, err)
	}
	for _, bad := range []string{`90`, `"90"`, `"soon"`} {
		if err := json.Unmarshal([]byte(bad), &d); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
	if out, err := json.Marshal(Duration(time.Minute)); err != nil || string(out) != `"1m0s"` {
		t.Errorf("got %s, %v", out, err)
	}
}

// A channel that nobody need listen to would verify nothing.
func TestRedisSubscribersDefault(t *testing.T) {
	cases := map[string]struct {
		reason string
		check  RedisCheck
		want   int64
	}{
		"Channel":   {"somebody listens", RedisCheck{Channel: "c"}, 1},
		"Explicit":  {"as many as are asked for", RedisCheck{Channel: "c", Subscribers: 3}, 3},
		"NoChannel": {"nothing to listen on", RedisCheck{Ping: true}, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := Check{Redis: &tc.check}
			setCheckDefaults(&c)
			if c.Redis.Subscribers != tc.want {
				t.Errorf("%s: want %d, got %d", tc.reason, tc.want, c.Redis.Subscribers)
			}
		})
	}
}

func TestUnsupported(t *testing.T) {
	cases := map[string]struct {
		reason string
		checks []Check
		want   string
	}{
		"Supported": {"what this release does", []Check{{Healthy: true}, {Redis: &RedisCheck{}}, {Log: &LogCheck{}}, {HTTP: &HTTPCheck{}}}, ""},
		"Exec":      {"a check to come", []Check{{Healthy: true}, {Exec: &ExecCheck{}}}, "verify exec is not supported yet"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := Unsupported(tc.checks); got != tc.want {
				t.Errorf("%s: want %q, got %q", tc.reason, tc.want, got)
			}
		})
	}
}
