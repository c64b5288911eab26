package policy

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// minimal is a valid policy whose spec is given, indented by two.
func minimal(spec string) string {
	return "apiVersion: composure/v1alpha1\nkind: EnvironmentPolicy\nmetadata: {name: p}\nspec:\n" + spec
}

// windows is a policy with these maintenance windows, which begin in line 7.
func windows(list string) string {
	return minimal("  enforcement:\n    windows:\n    " + list + "\n" + oneRule)
}

const oneRule = "  variables:\n  - {name: A, present: true}\n"

// problemCase is a file that is refused.
type problemCase struct {
	reason string
	file   string
	want   []string // "line:column: part of the message | part of the hint", in order
}

// formProblems: what is wrong with a file before it means anything.
func formProblems() map[string]problemCase {
	return map[string]problemCase{
		"Empty":          {"a file without a policy is a mistake", "# nothing\n---\n", []string{"1:1: no policy | apiVersion"}},
		"Syntax":         {"YAML errors keep their place", minimal("  a: [1\n"), []string{"6:1: not valid YAML |"}},
		"SyntaxInSecond": {"lines count over documents", minimal(oneRule) + "---\na: b: c\n", []string{"8:5: not valid YAML |"}},
		"NotUTF8":        {"other encodings are refused", "\xff\xfe", []string{"1:1: not UTF-8 | UTF-8"}},
		"List":           {"a policy is a mapping", "- a\n", []string{"1:1: a policy must be a mapping, not a list | key: value"}},
		"ForeignKind":    {"another kind's fields are not judged", "apiVersion: composure/v1alpha1\nkind: Service\nfoo: 1\n", []string{`2:7: kind "Service" | EnvironmentPolicy`}},
		"ForeignVersion": {"the version is exact", "apiVersion: v1\nkind: EnvironmentPolicy\n", []string{`1:13: apiVersion "v1" | composure/v1alpha1`}},
		"MissingHeader":  {"both header fields are required", "metadata: {name: p}\nspec:\n" + oneRule, []string{"1:1: apiVersion is missing | write", "1:1: kind is missing | write"}},
		"CaseOfField":    {"keys are exact-case", strings.Replace(minimal(oneRule), "spec:", "SPEC:", 1), []string{`4:1: unknown field "SPEC" | did you mean "spec"`}},
		"UnknownField":   {"a typing slip is shown", minimal("  variables:\n  - name: A\n    vaule: x\n"), []string{`7:5: unknown field "spec.variables[0].vaule" | did you mean "value"`}},
		"UnknownFar":     {"no near word: all are listed", minimal("  zzz: 1\n" + oneRule), []string{`5:3: unknown field "spec.zzz" | known fields are description, severity`}},
		"UnknownEmpty":   {"the fields that no document gives have no name", minimal("  variables:\n  - name: A\n    present: true\n    \"\": {file: x}\n"), []string{`8:5: unknown field "spec.variables[0]." | known fields are name`}},
		"DuplicateKey":   {"the second would win silently", minimal("  severity: error\n  severity: info\n" + oneRule), []string{`6:3: key "spec.severity" is given twice | keep one`}},
		"YesValue":       {"YAML 1.1 reads yes as true", minimal("  variables:\n  - name: A\n    value: yes\n"), []string{`7:12: must be a string, not the boolean yes | quote it`}},
		"TrueValue":      {"a boolean is no string", minimal("  variables:\n  - {name: A, value: true}\n"), []string{`6:22: not the boolean true | quote it`}},
		"NumberValue":    {"a number is no string", minimal("  variables:\n  - {name: A, values: [a, 022]}\n"), []string{`6:27: not a number | quote it`}},
		"DateValue":      {"a date is no string", minimal("  variables:\n  - {name: A, value: 2001-12-14}\n"), []string{`6:22: not a timestamp | quote it`}},
		"NullValue":      {"a forgotten value", minimal("  variables:\n  - name: A\n    value:\n"), []string{"7:11: has no value | remove the line"}},
		"BoolQuoted":     {"a string is no boolean", minimal("  variables:\n  - {name: A, present: \"true\"}\n"), []string{"6:24: must be true or false | without quotes"}},
		"NumberQuoted":   {"a string is no number", minimal("  variables:\n  - {name: A, minimum: \"1\"}\n"), []string{"6:24: must be a number | without quotes"}},
		"Infinite":       {"bounds are finite", minimal("  variables:\n  - {name: A, minimum: .inf}\n"), []string{"6:24: must be a number |"}},
		"BareDuration":   {"which unit?", minimal("  rollout: {timeout: 90}\n" + oneRule), []string{"5:22: must be a duration, not 90 | say the unit: 90s"}},
		"BadDuration":    {"not a duration", minimal("  rollout: {timeout: soon}\n" + oneRule), []string{"5:22: must be a duration, not soon | 90s"}},
		"NegativeTime":   {"time runs forwards", minimal("  rollout: {timeout: -1s}\n" + oneRule), []string{"5:22: longer than zero | default"}},
		"ListForScalar":  {"wrong shape", minimal("  severity: [error]\n" + oneRule), []string{"5:13: must be a string, not a list |"}},
		"ScalarForList":  {"wrong shape", minimal("  selector: {services: app}\n" + oneRule), []string{"5:24: must be a list, not a single value | [item, item]"}},
		"UnknownAnchor":  {"what looks like an alias may be a secret", minimal("  variables:\n  - {name: A, value: *hunter2}\n"), []string{"6:22: no such anchor | quote"}},
		"TagForValue":    {"what looks like a tag may be a secret", minimal("  variables:\n  - {name: A, value: !hunter2 }\n"), []string{"6:22: must be a string, not a value with a tag of its own | quote"}},
		"TextForBool":    {"a text that went astray is not repeated", minimal("  variables:\n  - {name: A, present: hunter2}\n"), []string{"6:24: must be true or false, not a string |"}},
		"TextForNumber":  {"a text that went astray is not repeated", minimal("  variables:\n  - {name: A, minimum: hunter2}\n"), []string{"6:24: must be a number, not a string |"}},
		"Directive":      {"the version of a YAML to come is not known", "%YAML 2.0\n---\n" + minimal(oneRule), []string{"1:1: not valid YAML |"}},
	}
}

// meaningProblems: what is well-formed and still no policy.
func meaningProblems() map[string]problemCase {
	return map[string]problemCase{
		"Enum":            {"allowed words are told", minimal("  severity: fatal\n" + oneRule), []string{`5:13: spec.severity "fatal" | error, warning, info`}},
		"EnumEmpty":       {"an empty word is no default", minimal("  onFailure: \"\"\n" + oneRule), []string{`5:14: "" is not known | Rollback, Keep`}},
		"WindowsEmpty":    {"always, or never?", windows(""), []string{"6:13: windows is empty | at any time"}},
		"WindowsNone":     {"always, or never?", minimal("  enforcement:\n    windows: []\n" + oneRule), []string{"6:14: windows is empty | at any time"}},
		"WindowEmpty":     {"when, and how long?", windows("- {}"), []string{"7:7: windows[0].schedule is missing |", "7:7: windows[0].duration is missing | such as 3h"}},
		"WindowTypo":      {"a typing slip is shown", windows("- {schedule: 0 2 * * *, duration: 1h, timezone: UTC}"), []string{`7:43: unknown field "spec.enforcement.windows[0].timezone" | did you mean "timeZone"`}},
		"WindowNumber":    {"a schedule is a text", windows("- {schedule: 5, duration: 1h}"), []string{"7:18: schedule must be a string, not a number | quote"}},
		"WindowFields":    {"seconds are not told", windows("- {schedule: 0 0 2 * * *, duration: 1h}"), []string{"7:18: not a cron schedule: expected exactly 5 fields, found 6 | such as 0 2 * * 6,0"}},
		"WindowShort":     {"how often?", windows("- {schedule: 0 2, duration: 1h}"), []string{"7:18: not a cron schedule: expected exactly 5 fields, found 2 | such as 0 2 * * 6,0"}},
		"WindowRange":     {"no clock shows it", windows("- {schedule: 0 25 * * *, duration: 1h}"), []string{"7:18: (25) above maximum (23) | minute, hour"}},
		"WindowNickname":  {"five fields say it all", windows("- {schedule: '@daily', duration: 1h}"), []string{"7:18: not a cron schedule | minute, hour"}},
		"WindowZoneTwice": {"the zone has a field of its own", windows("- {schedule: TZ=America/New_York 0 2 * * *, duration: 1h}"), []string{"7:18: not minute, hour, day of the month, month and day of the week alone | timeZone"}},
		"WindowCronZone":  {"the other way that some crons have", windows("- {schedule: CRON_TZ=UTC 0 2 * * *, duration: 1h, timeZone: UTC}"), []string{"7:18: not minute, hour | timeZone"}},
		"WindowNever":     {"it would never open", windows("- {schedule: 0 2 30 2 *, duration: 1h}"), []string{"7:18: a day that never comes | month"}},
		"WindowBothDays":  {"crontab(5) opens it on more days than other crons", windows("- {schedule: 0 2 1-7 * 0, duration: 1h}"), []string{"7:18: understand differently | 0 2 * * 0#1"}},
		"WindowBare":      {"which unit?", windows("- {schedule: 0 2 * * *, duration: 3}"), []string{"7:39: must be a duration, not 3 | 3s"}},
		"WindowDays":      {"days are no unit", windows("- {schedule: 0 2 * * *, duration: 2d}"), []string{"7:39: must be a duration, not 2d | 90s"}},
		"WindowTooShort":  {"the next look may be later", windows("- {schedule: 0 2 * * *, duration: 59s}"), []string{"7:39: duration 59s is out of range | 1m0s to 168h0m0s"}},
		"WindowTooLong":   {"that is always", windows("- {schedule: 0 2 * * *, duration: 168h1s}"), []string{"7:39: duration 168h0m1s is out of range | act at any time"}},
		"WindowNegative":  {"time runs forwards", windows("- {schedule: 0 2 * * *, duration: -1h}"), []string{"7:39: duration -1h0m0s is out of range | 1m0s"}},
		"WindowZone":      {"no such place", windows("- {schedule: 0 2 * * *, duration: 1h, timeZone: Europe/Berlim}"), []string{`7:53: timeZone "Europe/Berlim" is not known | Europe/Berlin`}},
		"WindowZonePath":  {"a zone is no file", windows("- {schedule: 0 2 * * *, duration: 1h, timeZone: ../../../etc/hostname}"), []string{"7:53: is not known | IANA"}},
		"WindowZoneLocal": {"two hosts would differ", windows("- {schedule: 0 2 * * *, duration: 1h, timeZone: Local}"), []string{`7:53: timeZone "Local" is not a time zone | Europe/Berlin`}},
		"WindowZoneEmpty": {"an empty word is no default", windows("- {schedule: 0 2 * * *, duration: 1h, timeZone: ''}"), []string{`7:53: timeZone "" is not a time zone | UTC`}},
		"WindowSecond":    {"each is judged", windows("- {schedule: 0 2 * * *, duration: 1h}\n    - {schedule: x 2 * * *, duration: 1h}"), []string{"8:18: not a cron schedule | minute"}},
		"BadName":         {"names are DNS labels", strings.Replace(minimal(oneRule), "name: p", "name: My_P", 1), []string{`3:18: "My_P" is not a DNS label | lower-case`}},
		"NoVariables":     {"a policy without rules does nothing", minimal("  severity: error\n"), []string{"5:3: spec.variables is empty | at least one"}},
		"BadGlob":         {"globs are checked", minimal("  selector: {services: ['a[']}\n" + oneRule), []string{`5:25: "a[" is not a valid glob | bracket`}},
		"AbsoluteFile":    {"files are relative", minimal("  patch: {files: [/etc/passwd]}\n" + oneRule), []string{"5:19: not a relative path | project directory"}},
		"TwoKinds":        {"which one counts?", minimal("  variables:\n  - {name: A, value: x, absent: true}\n"), []string{"6:5: both value and absent | keep one"}},
		"NoKind":          {"says nothing", minimal("  variables:\n  - {name: A}\n"), []string{`6:5: does not say what it must be | add one of`}},
		"MinAboveMax":     {"no number fits", minimal("  variables:\n  - {name: A, minimum: 5, maximum: 1}\n"), []string{"6:24: minimum 5 is above maximum 1 | swap"}},
		"BadPattern":      {"patterns are checked", minimal("  variables:\n  - {name: A, pattern: 'a)(b'}\n"), []string{"6:24: pattern is not valid | RE2"}},
		"SecretPattern":   {"a pattern may hold a secret", minimal("  variables:\n  - {name: A, pattern: 'hunter2(', sensitive: true}\n"), []string{"6:24: pattern is not valid: missing closing ) | RE2"}},
		"BadVariable":     {"no environment has it", minimal("  variables:\n  - {name: 'A B', present: true}\n"), []string{`6:12: "A B" is not a variable name | letters`}},
		"TwiceVariable":   {"one rule for one variable", minimal("  variables:\n  - {name: A, present: true}\n  - {name: A, value: x}\n"), []string{`7:12: already has a rule at f.yaml:6:12 | one rule`}},
		"DeclareWrong":    {"declare must satisfy its own rule", minimal("  variables:\n  - {name: A, maximum: 5, declare: '${A:-9}'}\n"), []string{`6:36: declare gives "9" with an empty environment, must be at most 5 | default`}},
		"DeclareSecret":   {"a message holds no secret", minimal("  variables:\n  - {name: DB_PASSWORD, value: hunter2, declare: hunter3}\n"), []string{`6:50: declare gives "********" with an empty environment, must be "********" |`}},
		"DeclareSyntax":   {"interpolation is checked", minimal("  variables:\n  - {name: A, present: true, declare: '${'}\n"), []string{"6:39: cannot be interpolated | $$"}},
		"DeclareRequired": {"an empty environment must do", minimal("  variables:\n  - {name: A, present: true, declare: '${A:?}'}\n"), []string{"6:39: cannot be interpolated | default"}},
		"DeclareAbsent":   {"nothing to write", minimal("  variables:\n  - {name: A, absent: true, declare: x}\n"), []string{"6:38: nothing to declare | remove"}},
		"SameAbsent":      {"absent cannot agree", minimal("  variables:\n  - {name: A, absent: true, sameAcrossServices: true}\n"), []string{"6:49: both absent and sameAcrossServices | keep"}},
		"AllowAlone":      {"allowEmpty needs present", minimal("  variables:\n  - {name: A, value: x, allowEmpty: true}\n"), []string{"6:5: need present | add present"}},
		"EmptyValues":     {"nothing fits", minimal("  variables:\n  - {name: A, values: []}\n"), []string{"6:23: values is empty | allowed"}},
		"CheckNone":       {"a check checks", minimal(oneRule + "  verify: [{}]\n"), []string{"7:12: one kind, this has 0 | exactly one"}},
		"CheckTwo":        {"one at a time", minimal(oneRule + "  verify: [{healthy: true, log: {service: a, pattern: b}}]\n"), []string{"7:12: one kind, this has 2 | exactly one"}},
		"RedisNothing":    {"asks nothing", minimal(oneRule + "  verify: [{redis: {service: a, url: b}}]\n"), []string{"7:20: asks nothing | ping"}},
		"RedisCount":      {"count on what?", minimal(oneRule + "  verify: [{redis: {service: a, url: b, ping: true, subscribers: 1}}]\n"), []string{"7:66: needs a channel | channel"}},
		"RedisReference":  {"references are checked", minimal(oneRule + "  verify: [{redis: {service: a, url: '$(X', ping: true}}]\n"), []string{"7:38: has no end or no valid name | $(NAME)"}},
		"HTTPStatus":      {"statuses have three digits", minimal(oneRule + "  verify: [{http: {service: a, url: 'http://b', status: 42}}]\n"), []string{"7:57: status 42 | 100 to 599"}},
		"HTTPService":     {"asked from where?", minimal(oneRule + "  verify: [{http: {url: 'http://b'}}]\n"), []string{"7:19: http.service is missing |"}},
		"HTTPNoURL":       {"asks nothing", minimal(oneRule + "  verify: [{http: {service: a}}]\n"), []string{"7:19: http.url is missing |"}},
		"HTTPReference":   {"references are checked", minimal(oneRule + "  verify: [{http: {service: a, url: 'http://b/$(X'}}]\n"), []string{"7:37: has no end or no valid name | $(NAME)"}},
		"HTTPScheme":      {"the host alone is no URL", minimal(oneRule + "  verify: [{http: {service: a, url: 'localhost:80/hunter2'}}]\n"), []string{"7:37: must begin with http:// | such as"}},
		"HTTPS":           {"a check that can never pass", minimal(oneRule + "  verify: [{http: {service: a, url: 'https://b'}}]\n"), []string{"7:37: no certificate authority | insecureSkipVerify: true"}},
		"HTTPWithin":      {"time runs forwards", minimal(oneRule + "  verify: [{http: {service: a, url: 'http://b', within: 0s}}]\n"), []string{"7:57: longer than zero | default"}},
		"HTTPTypo":        {"a typing slip is shown", minimal(oneRule + "  verify: [{http: {service: a, url: 'http://b', insecureSkipVerfy: true}}]\n"), []string{`7:49: unknown field "spec.verify[0].http.insecureSkipVerfy" | did you mean "insecureSkipVerify"`}},
		"ForceAlone":      {"there is nothing to force", minimal("  rollout: {force: true}\n" + oneRule), []string{"5:20: force needs strategy StartFirst | add strategy: StartFirst"}},
		"ForceStopFirst":  {"the old one is stopped by then", minimal("  rollout: {strategy: StopFirst, force: true}\n" + oneRule), []string{"5:41: force needs strategy StartFirst | remove force"}},
		"ExecEmpty":       {"nothing to run", minimal(oneRule + "  verify: [{exec: {service: a}}]\n"), []string{"7:19: command is missing |"}},
		"Several": {"all problems are told together, sorted, over documents", minimal("  severity: fatal\n  bogus: 1\n  variables:\n  - {name: A, value: 5}\n") + "---\nkind: X\n", []string{
			`6:3: unknown field "spec.bogus" |`, `8:22: must be a string |`, `10:7: kind "X" |`}},
		"AliasPlace": {"a problem is shown at the alias", minimal("  description: &d 'x'\n  severity: *d\n" + oneRule), []string{`6:13: spec.severity "x" |`}},
	}
}

func TestParseProblems(t *testing.T) {
	cases := formProblems()
	maps.Copy(cases, meaningProblems())
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			policies, err := Parse("f.yaml", []byte(tc.file))
			var problems Problems
			if !errors.As(err, &problems) || policies != nil {
				t.Fatalf("%s: got %v, %v, want Problems", tc.reason, policies, err)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: leaks: %v", tc.reason, err)
			}
			if len(problems) != len(tc.want) {
				t.Fatalf("%s: want %d problems, got\n%v", tc.reason, len(tc.want), err)
			}
			for i, want := range tc.want {
				place, rest, _ := strings.Cut(want, ": ")
				message, hint, _ := strings.Cut(rest, " |")
				p := problems[i]
				got := fmt.Sprintf("%d:%d", p.Origin.Line, p.Origin.Column)
				if got != place || !strings.Contains(p.Message, message) || !strings.Contains(p.Hint, strings.TrimSpace(hint)) {
					t.Errorf("%s: want %s\ngot %v", tc.reason, want, Problems{p})
				}
			}
		})
	}
}

func TestProblemsText(t *testing.T) {
	_, err := Parse("shop/policy.yaml", []byte(minimal("  severity: fatal\n  variables:\n  - name: DEBUG\n    value: no\n")))
	want := `shop/policy.yaml:5:13: spec.severity "fatal" is not known
  hint: use one of error, warning, info
shop/policy.yaml:8:12: spec.variables[0].value must be a string, not the boolean no
  hint: quote it: "..."`
	if err == nil {
		t.Fatal("want an error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}

// A document may say which YAML it is. Its lines, and those of the documents below it, count all the same.
func TestParseDirectives(t *testing.T) {
	cases := map[string]struct {
		reason, file string
		want         []Origin
	}{
		"Version":   {"the parsers know 1.1 only, and read 1.2", "%YAML 1.2\n---\n" + minimal(oneRule), []Origin{{"f.yaml", 3, 1}}},
		"Older":     {"so do they 1.1", "# note\n\n%YAML 1.1 # why\n# note\n---\n" + minimal(oneRule), []Origin{{"f.yaml", 6, 1}}},
		"Windows":   {"with other line breaks", strings.ReplaceAll("%YAML 1.2\n---\n"+minimal(oneRule), "\n", "\r\n"), []Origin{{"f.yaml", 3, 1}}},
		"Tags":      {"a directive that nobody uses", "%TAG !e! tag:example.com,2000:\n---\n" + minimal(oneRule), []Origin{{"f.yaml", 3, 1}}},
		"Second":    {"below the end of another document", minimal(oneRule) + "...\n%YAML 1.2\n---\n" + minimal(oneRule), []Origin{{"f.yaml", 1, 1}, {"f.yaml", 10, 1}}},
		"None":      {"a comment is none", "# %YAML 1.2\n---\n" + minimal(oneRule), []Origin{{"f.yaml", 3, 1}}},
		"InContent": {"nor is a text", minimal("  description: |\n    %YAML 1.2\n    ---\n" + oneRule), []Origin{{"f.yaml", 1, 1}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			policies, err := Parse("f.yaml", []byte(tc.file))
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			var got []Origin
			for _, p := range policies {
				got = append(got, p.Origin)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestParseExample(t *testing.T) {
	data, err := os.ReadFile("testdata/celery.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse("celery.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	want := Policy{
		APIVersion: APIVersion, Kind: Kind, Metadata: Metadata{Name: "celery-beat-redis-sync"},
		Spec: Spec{
			Severity:    SeverityError,
			Enforcement: Enforcement{Files: ModeEnforce, Containers: ModeAudit},
			Selector:    Selector{Projects: []string{"shop"}, Services: []string{"app", "celery-*"}, MatchLabels: map[string]string{"tier": "back"}},
			Variables: []Rule{
				{Name: "SYNC", Value: new("true"), Declare: new("${SYNC:-true}"), Origin: Origin{"celery.yaml", 12, 5}},
				{Name: "INTERVAL", Minimum: new(1.0), Maximum: new(30.0), Origin: Origin{"celery.yaml", 15, 5}},
				{Name: "REDIS_URL", Present: true, Sensitive: new(true), Origin: Origin{"celery.yaml", 16, 5}},
			},
			Patch:   Patch{Files: []string{"docker-compose.yml"}, Target: TargetInline},
			Rollout: Rollout{Strategy: StrategyStopFirst, StableFor: Duration(3 * time.Second), Timeout: Duration(2 * time.Minute)},
			Verify: []Check{
				{Healthy: true, Origin: Origin{"celery.yaml", 20, 5}},
				{Redis: &RedisCheck{Service: "beat", URL: "$(REDIS_URL)", Ping: true, Within: Duration(30 * time.Second)}, Origin: Origin{"celery.yaml", 21, 5}},
				{Log: &LogCheck{Service: "beat", Pattern: "Subscribed", Within: Duration(time.Minute)}, Origin: Origin{"celery.yaml", 22, 5}},
				{HTTP: &HTTPCheck{Service: "app", URL: "http://127.0.0.1/", Status: 200, Within: Duration(30 * time.Second)}, Origin: Origin{"celery.yaml", 23, 5}},
				{Exec: &ExecCheck{Service: "app", Command: []string{"true"}, Timeout: Duration(30 * time.Second)}, Origin: Origin{"celery.yaml", 24, 5}},
			},
			OnFailure: OnFailureRollback,
		},
		Origin: Origin{"celery.yaml", 2, 1},
	}
	if len(got) != 2 {
		t.Fatalf("the file has two policies, got %d", len(got))
	}
	if !strings.HasPrefix(got[0].Digest, "sha256:") || got[0].Digest == got[1].Digest {
		t.Errorf("digests %q and %q", got[0].Digest, got[1].Digest)
	}
	got[0].Digest = ""
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Error(diff)
	}
	if got[1].Metadata.Name != "second" || got[1].Spec.Variables[1].Value == nil {
		t.Errorf("the second document with its merge key: %+v", got[1])
	}
}

func TestParseHostile(t *testing.T) {
	list := "[" + strings.Repeat("*v,", 20_000) + "]"
	cases := map[string]struct{ reason, file string }{
		"Bomb":   {"aliases of aliases", minimal("  description: x\n  variables:\n  - &r {name: A, values: &v [" + strings.Repeat("a,", 20_000) + "]}\n" + strings.Repeat("  - *r\n", 20_000))},
		"Lists":  {"a list of aliases to lists", minimal("  variables: &v " + list + "\n")},
		"Merge":  {"a mapping that merges itself", minimal("  variables:\n  - &r\n    <<: [" + strings.Repeat("*r,", 50) + "]\n")},
		"Deep":   {"nesting without end", strings.Repeat("[", 500_000)},
		"Large":  {"a file without end", strings.Repeat("#", 2<<20)},
		"Hidden": {"a document after a line break only YAML knows", minimal(oneRule) + "#\u2028---\u2028a: 1\n"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			if _, err := Parse("f.yaml", []byte(tc.file)); err == nil {
				t.Errorf("%s: accepted", tc.reason)
			}
			if took := time.Since(start); took > 20*time.Second { // without a bound it were hours
				t.Errorf("%s: took %v", tc.reason, took)
			}
		})
	}
}

func TestUnique(t *testing.T) {
	a := Policy{Metadata: Metadata{"a"}, Origin: Origin{"x.yaml", 1, 1}}
	b := Policy{Metadata: Metadata{"a"}, Origin: Origin{"y.yaml", 9, 1}}
	if err := Unique([]Policy{a, {Metadata: Metadata{"b"}}}); err != nil {
		t.Errorf("different names: %v", err)
	}
	for _, policies := range [][]Policy{{a, b}, {b, a}} {
		err := Unique(policies)
		if err == nil || !strings.HasPrefix(err.Error(), `y.yaml:9:1: policy name "a" is already taken at x.yaml:1:1`) {
			t.Errorf("got %v", err)
		}
	}
}

func FuzzParse(f *testing.F) {
	data, err := os.ReadFile("testdata/celery.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(minimal("  variables:\n  - &a {<<: *a, name: A, declare: '${A:-${B}}'}\n...\nx\n")))
	f.Add([]byte(windows("- {schedule: '*/5 22-2 * * FRI#L', duration: 90m, timeZone: Africa/Cairo}\n    - {schedule: 0 2 L 2 *, duration: 24h}")))
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		policies, err := Parse("f.yaml", data)
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
		if (err == nil) == (len(policies) == 0) {
			t.Errorf("got %d policies and %v", len(policies), err)
		}
	})
}

func TestParseRefusesWhatTwoYAMLVersionsReadDifferently(t *testing.T) {
	const text = `apiVersion: composure/v1alpha1
kind: EnvironmentPolicy
metadata: {name: p}
spec:
  variables:
  - {name: NUMBER, minimum: 010, declare: "12"}
`
	if _, err := Parse("p.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), "YAML 1.1 and 1.2") {
		t.Errorf("010 is ten to one reader and eight to the other; error = %v", err)
	}
}
