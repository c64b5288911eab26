package compose

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// chain is what the places of a variable say, the weakest first: "file:line value", and what is special.
func chain(dir string, settings []Setting) []string {
	var out []string
	short := func(path string) string {
		rel, err := filepath.Rel(dir, path)
		if path == "" || err != nil {
			return path
		}
		return rel
	}
	for _, s := range settings {
		line := fmt.Sprintf("%s:%d %s", short(s.File), s.Line, text(s.Value))
		if s.Definition != s.File {
			line += " for " + short(s.Definition)
		}
		if s.Extends {
			line += " extends " + s.Service
		}
		if s.Fragment {
			line += fmt.Sprintf(" at %d:%d", s.At.Line, s.At.Column)
		}
		if s.Removed {
			line += " removed"
		}
		if s.Dropped {
			line += " dropped"
		}
		out = append(out, line)
	}
	return out
}

func TestSettings(t *testing.T) {
	const override = "-- compose.override.yaml --\nservices:\n  app:\n"
	cases := map[string]struct {
		reason  string
		archive string
		want    []string // of A
		place   string   // where A is put right
	}{
		"One":           {"a single place", service("    environment:\n      A: 1\n"), []string{"compose.yaml:5 1"}, "compose.yaml"},
		"Override":      {"the later file wins", service("    environment:\n      A: 1\n") + override + "    environment:\n      A: 2\n", []string{"compose.yaml:5 1", "compose.override.yaml:4 2"}, "compose.override.yaml"},
		"OverrideBlock": {"!override drops what was there", service("    environment:\n      A: 1\n") + override + "    environment: !override\n      A: 2\n", []string{"compose.yaml:5 1 dropped", "compose.override.yaml:4 2"}, "compose.override.yaml"},
		"OverrideGone":  {"a variable that !override does not take over belongs to the file with the tag", service("    environment:\n      A: 1\n") + override + "    environment: !override\n      B: 2\n", []string{"compose.yaml:5 1 dropped"}, "compose.override.yaml"},
		"ResetKey":      {"!reset takes it away, and is what has to be put right", service("    environment:\n      A: 1\n      B: 1\n") + override + "    environment:\n      A: !reset null\n", []string{"compose.yaml:5 1", "compose.override.yaml:4 <unset> removed"}, "compose.override.yaml"},
		"ResetList":     {"a !reset takes nothing from a list", service("    environment:\n    - A=1\n") + override + "    environment:\n      A: !reset null\n", []string{"compose.yaml:5 1", "compose.override.yaml:4 <unset> removed dropped"}, "compose.yaml"},
		"ResetFragment": {"a !reset in a fragment counts where it is brought in", "-- compose.yaml --\nservices:\n  app: {image: i, environment: {A: 1}}\n-- compose.override.yaml --\nx-e: &e\n  A: !reset null\nservices:\n  app:\n    environment:\n      <<: *e\n", []string{"compose.yaml:2 1", "compose.override.yaml:2 <unset> at 6:11 removed"}, "compose.override.yaml"},
		"ResetMerged":   {"behind a !reset the merged value shows up again", "-- compose.yaml --\nx-e: &e\n  A: 2\nservices:\n  app:\n    image: i\n    environment:\n      <<: *e\n      A: !reset null\n", []string{"compose.yaml:8 <unset> removed", "compose.yaml:2 2 at 7:11"}, "compose.yaml"},
		"ResetBlock":    {"!reset of the block", service("    environment:\n      A: 1\n") + override + "    environment: !reset null\n", []string{"compose.yaml:5 1 dropped"}, "compose.override.yaml"},
		"ResetService":  {"!override of the service", service("    environment:\n      A: 1\n") + "-- compose.override.yaml --\nservices:\n  app: !override\n    image: j\n    environment:\n      A: 2\n", []string{"compose.yaml:5 1 dropped", "compose.override.yaml:5 2"}, "compose.override.yaml"},
		"ResetServices": {"!override of all services", service("    environment:\n      A: 1\n") + "-- compose.override.yaml --\nservices: !override\n  app:\n    image: j\n", []string{"compose.yaml:5 1 dropped"}, "compose.override.yaml"},
		"ResetEnvFile":  {"!override of env_file", service("    env_file: one\n") + override + "    env_file: !override two\n-- one --\nA=1\n-- two --\nA=2\n", []string{"one:1 1 for compose.yaml dropped", "two:1 2 for compose.override.yaml"}, "compose.yaml"},
		"EnvFile":       {"env files are the weaker layer", service("    env_file: [one, two]\n    environment:\n    - A=3\n") + "-- one --\nA=1\n-- two --\n\nA=2\n", []string{"one:1 1 for compose.yaml", "two:2 2 for compose.yaml", "compose.yaml:6 3"}, "compose.yaml"},
		"EnvFileBelow":  {"behind a !reset the env file shows up", service("    env_file: one\n    environment:\n      A: 2\n") + override + "    environment:\n      A: !reset null\n-- one --\nA=1\n", []string{"one:1 1 for compose.yaml", "compose.yaml:6 2", "compose.override.yaml:4 <unset> removed"}, "compose.override.yaml"},
		"Fragment":      {"a merge key", "-- compose.yaml --\nx-e: &e\n  A: 1\nservices:\n  app:\n    image: i\n    environment:\n      <<: [*e]\n", []string{"compose.yaml:2 1 at 7:12"}, "compose.yaml"},
		"FragmentOwn":   {"an own key over a merge key: the merged one was never there", "-- compose.yaml --\nx-e: &e\n  A: 1\nservices:\n  app:\n    image: i\n    environment:\n      <<: *e\n      A: 2\n", []string{"compose.yaml:8 2"}, "compose.yaml"},
		"FragmentDeep":  {"fragments in fragments: brought in where the service's own text ends", "-- compose.yaml --\nx-e: &e\n  A: 1\nx-f: &f\n  <<: *e\nx-s: &s\n  environment: *f\nservices:\n  app:\n    <<: *s\n    image: i\n", []string{"compose.yaml:2 1 at 9:9"}, "compose.yaml"},
		"ServiceAlias":  {"another service by its anchor", "-- compose.yaml --\nservices:\n  one: &one\n    image: i\n    environment:\n      A: 1\n  app: *one\n", []string{"compose.yaml:5 1 at 6:8"}, "compose.yaml"},
		"ValueAlias":    {"an alias for the value alone is no fragment", "-- compose.yaml --\nx-v: &v 1\nservices:\n  app:\n    image: i\n    environment:\n      A: *v\n", []string{"compose.yaml:6 1"}, "compose.yaml"},
		"ExtendsSame":   {"a base in the same file, and its base", service("    extends: b\n    environment: {B: 1}\n  b:\n    image: i\n    extends: c\n  c:\n    image: i\n    environment:\n      A: 1\n"), []string{"compose.yaml:12 1 extends c"}, "compose.yaml"},
		"ExtendsFile":   {"a chain over files: it belongs to the file of the service that extends", service("    extends: {file: sub/b.yaml, service: b}\n") + "-- sub/b.yaml --\nservices:\n  b:\n    extends: {file: c.yaml, service: c}\n    environment:\n      A: 2\n-- sub/c.yaml --\nservices:\n  c:\n    environment:\n      A: 1\n", []string{"sub/c.yaml:4 1 for compose.yaml extends c", "sub/b.yaml:5 2 for compose.yaml extends b"}, "compose.yaml"},
		"ExtendsReset":  {"an extending service takes away what its base sets", service("    extends: {file: b.yaml, service: b}\n    environment:\n      A: !reset null\n") + "-- b.yaml --\nservices: {b: {environment: {A: 1}}}\n", []string{"b.yaml:1 1 for compose.yaml extends b", "compose.yaml:6 <unset> removed"}, "compose.yaml"},
		"ExtendsTag":    {"!override drops the base's block", service("    extends: {file: b.yaml, service: b}\n    environment: !override\n      B: 1\n") + "-- b.yaml --\nservices: {b: {environment: {A: 1}}}\n", []string{"b.yaml:1 1 for compose.yaml extends b dropped"}, "compose.yaml"},
		"ExtendsEnv":    {"the env_file of a base is beside the base", service("    extends: {file: sub/b.yaml, service: b}\n") + "-- sub/b.yaml --\nservices: {b: {env_file: e}}\n-- sub/e --\nA=1\n", []string{"sub/e:1 1 for compose.yaml extends b"}, "compose.yaml"},
		"ExtendsDotEnv": {"the .env beside a base is not read", service("    extends: {file: sub/b.yaml, service: b}\n") + "-- sub/b.yaml --\nservices: {b: {environment: {A: \"${X-none}\"}}}\n-- sub/.env --\nX=1\n", []string{"sub/b.yaml:1 none for compose.yaml extends b"}, "compose.yaml"},
		"Include":       {"an included file", "-- compose.yaml --\ninclude: [sub/c.yaml]\n-- sub/c.yaml --\nservices:\n  app:\n    image: i\n    environment:\n      A: $X\n-- sub/.env --\nX=1\n", []string{"sub/c.yaml:5 1"}, "sub/c.yaml"},
		"IncludeOver":   {"what includes comes over what is included", "-- compose.yaml --\ninclude: [sub/c.yaml]\nservices:\n  app:\n    environment:\n      A: 2\n-- sub/c.yaml --\nservices: {app: {image: i, environment: {A: 1}}}\n", []string{"sub/c.yaml:1 1", "compose.yaml:5 2"}, "compose.yaml"},
		"IncludeTwice":  {"of two included files the first is the stronger one", "-- compose.yaml --\ninclude: [one.yaml, two.yaml]\n-- one.yaml --\nservices: {app: {image: i, environment: {A: 1}}}\n-- two.yaml --\nservices: {app: {image: i, environment: {A: 2}}}\n", []string{"two.yaml:1 2", "one.yaml:1 1"}, "one.yaml"},
		"IncludePaths":  {"of the paths of one entry the last", "-- compose.yaml --\ninclude:\n- path: [one.yaml, two.yaml]\n-- one.yaml --\nservices: {app: {image: i, environment: {A: 1}}}\n-- two.yaml --\nservices: {app: {environment: {A: 2}}}\n", []string{"one.yaml:1 1", "two.yaml:1 2"}, "two.yaml"},
		"Diamond":       {"a file that is included twice counts once", "-- compose.yaml --\ninclude: [one.yaml, two.yaml]\n-- one.yaml --\ninclude: [c.yaml]\n-- two.yaml --\ninclude: [c.yaml]\n-- c.yaml --\nservices: {app: {image: i, environment: {A: 1}}}\n", []string{"c.yaml:1 1"}, "c.yaml"},
		"IncludeLong":   {"project_directory and env_file of an include", "-- compose.yaml --\ninclude:\n- path: sub/c.yaml\n  project_directory: .\n  env_file: x.env\n-- x.env --\nX=1\n-- sub/c.yaml --\nservices:\n  app:\n    image: i\n    env_file: e\n    environment:\n      B: $X\n-- e --\nA=1\n", []string{"e:1 1 for sub/c.yaml"}, "sub/c.yaml"},
		"IncludeExtend": {"a service that extends one that is included", "-- compose.yaml --\ninclude: [sub/c.yaml]\nservices:\n  app:\n    extends: b\n-- sub/c.yaml --\nservices: {b: {image: i, environment: {A: 1}}}\n", []string{"sub/c.yaml:1 1 for compose.yaml extends b"}, "compose.yaml"},
		"Documents":     {"documents of one file are merged like files", service("    environment:\n      A: 1\n---\nservices:\n  app:\n    environment:\n      A: 2\n"), []string{"compose.yaml:5 1", "compose.yaml:10 2"}, "compose.yaml"},
		"ListTwice":     {"of equal entries of a list the last counts", service("    environment:\n    - A=1\n    - A=2\n"), []string{"compose.yaml:5 1", "compose.yaml:6 2"}, "compose.yaml"},
		"Bare":          {"a bare key beats an env file", service("    env_file: e\n    environment:\n      A:\n") + "-- e --\nA=1\n", []string{"e:1 1 for compose.yaml", "compose.yaml:6 <unset>"}, "compose.yaml"},
		"Nowhere":       {"what nobody sets goes to the first file", service("    environment:\n      B: 1\n") + override + "    environment:\n      C: 1\n", nil, "compose.yaml"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			dir := write(t, tc.archive)
			s := mustLoad(t, Options{Directory: dir}).Services["app"]
			if diff := cmp.Diff(tc.want, chain(dir, s.Settings["A"])); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if got := strings.TrimPrefix(s.PlaceOf("A"), dir+"/"); got != tc.place {
				t.Errorf("%s: put right in %q, want %q", tc.reason, got, tc.place)
			}
			if s.EditHeld != "" {
				t.Errorf("%s: held: %s", tc.reason, s.EditHeld)
			}
		})
	}
}

func TestReferences(t *testing.T) {
	dir := write(t, "-- compose.yaml --\ninclude: [sub/c.yaml]\nservices:\n  app:\n    image: i\n    env_file: [one, two]\n    environment:\n      OWN: own\n      ALL: ${SHELL_V}-${DOT:-x${DEEP}}-${NONE:-none}-$$X-$SHELL_V\n      PASSED:\n      DEFAULT: ${NONE:-$DOT}\n      NAME: $COMPOSE_PROJECT_NAME\n"+
		"-- .env --\nDOT=dot\n-- one --\nE1=1\n-- two --\nE2=${E1}${OWN}${NONE-}\nLIT='${E1}'\nSHELL_V\n-- sub/c.yaml --\nservices: {inc: {image: i, environment: [IN=$IN, IN]}}\n-- sub/.env --\nIN=in\n")
	p := mustLoad(t, Options{Directory: dir, Name: "shop", Environ: []string{"SHELL_V=s", "PASSED=p"}})
	cases := map[string]struct {
		reason       string
		service, key string
		want         []string
	}{
		"Order":   {"in the order of the text, each once, but not in a default that nobody needs", "app", "ALL", []string{"SHELL_V=s the shell", "DOT=dot .env", "NONE=<unset> "}},
		"Default": {"in a default that is needed", "app", "DEFAULT", []string{"NONE=<unset> ", "DOT=dot .env"}},
		"Bare":    {"a bare key refers to itself", "app", "PASSED", []string{"PASSED=p the shell"}},
		"Name":    {"compose itself sets one", "app", "NAME", []string{"COMPOSE_PROJECT_NAME=shop the project name"}},
		"EnvFile": {"an env file sees the earlier ones and the service", "app", "E2", []string{"E1=1 one", "OWN=own the service's own environment", "NONE=<unset> "}},
		"Literal": {"single quotes refer to nothing", "app", "LIT", nil},
		"Passed":  {"a bare key of an env file", "app", "SHELL_V", []string{"SHELL_V=s the shell"}},
		"Include": {"an included file has an .env of its own, for a bare key of a list, too", "inc", "IN", []string{"IN=in sub/.env"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			settings := p.Services[tc.service].Settings[tc.key]
			var got []string
			for _, r := range settings[len(settings)-1].References {
				got = append(got, r.Name+"="+text(r.Value)+" "+strings.TrimPrefix(r.Source, dir+"/"))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestDefinitionsOfReachedFiles(t *testing.T) {
	dir := write(t, "-- compose.yaml --\ninclude: [sub/c.yaml]\nservices:\n  app:\n    extends: {file: b.yaml, service: b}\n    environment: !override\n      A: 2\n"+
		"-- sub/c.yaml --\nx-e: &e {F: 1}\nservices:\n  app:\n    image: i\n    environment:\n      <<: *e\n      A: 1\n-- b.yaml --\nservices: {b: {environment: {BASE: 1}}}\n-- also.yaml --\ninclude: [more.yaml]\n-- more.yaml --\nservices: {app: {environment: {M: 1}}, new: {image: i}}\n")
	p := mustLoad(t, Options{Directory: dir, Also: []string{"also.yaml"}})
	s := p.Services["app"]
	var got []string
	for _, d := range s.Definitions {
		got = append(got, fmt.Sprintf("%s:%d %v %v", strings.TrimPrefix(d.File, dir+"/"), d.Line, d.Replaces, values(d.Declared)))
	}
	want := []string{"sub/c.yaml:3 false map[A:1 F:1]", "compose.yaml:3 true map[A:2]", "more.yaml:1 false map[M:1]"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("definitions in merge order, without what is extended (-want +got):\n%s", diff)
	}
	if got := strings.TrimPrefix(s.Place, dir+"/"); got != "compose.yaml" {
		t.Errorf("place %q, want the last file that replaces", got)
	}
	if got := strings.TrimPrefix(p.Services["new"].Place, dir+"/"); got != "more.yaml" {
		t.Errorf("place %q, want the only one there is", got)
	}
	var reached []string
	for _, f := range p.Reached {
		reached = append(reached, strings.TrimPrefix(f.Path, dir+"/"))
	}
	if diff := cmp.Diff([]string{"b.yaml", "more.yaml", "sub/c.yaml"}, reached); diff != "" {
		t.Errorf("reached (-want +got):\n%s", diff)
	}
}

func TestTyped(t *testing.T) {
	dir := write(t, "-- compose.yaml --\ninclude: [c.yaml]\nx-f: &f\n  UMASK: 022\nx-v: &v 1.10\nservices:\n  b: {image: i, environment: *f}\n  a:\n    image: i\n    environment:\n      <<: *f\n      SAME: 5\n      WORD: yes\n      TIME: 12:30\n      YES: true\n      QUOTED: \"022\"\n      NONE:\n      HEX: 0x1F\n      UP: TRUE\n      DATE: 2001-12-14\n      ALIAS: *v\n"+
		"  over:\n    image: i\n    extends: {service: base}\n    environment: {LOST: x}\n  base: {image: i, environment: {LOST: 1e3}}\n-- c.yaml --\nservices: {inc: {image: i, environment: {IN: +5}}}\n-- compose.override.yaml --\nservices: {over: {environment: {LOST: 010}}, c: {image: i, environment: [L=022]}}\n")
	var got []string
	for _, e := range mustLoad(t, Options{Directory: dir}).Typed {
		got = append(got, fmt.Sprintf("%s:%d:%d %s.%s %s %s %q %v", strings.TrimPrefix(e.File, dir+"/"), e.Line, e.Column, e.Service, e.Key, e.Kind, e.Text, e.Value, e.Used))
	}
	want := []string{
		`c.yaml:1:46 inc.IN number +5 "5" true`,
		`compose.override.yaml:1:39 over.LOST number 010 "8" true`,
		`compose.yaml:3:10 a.UMASK number 022 "18" true`,
		`compose.yaml:4:6 a.ALIAS number 1.10 "1.1" true`,
		`compose.yaml:17:12 a.HEX number 0x1F "31" true`,
		`compose.yaml:18:11 a.UP boolean TRUE "true" true`,
		`compose.yaml:19:13 a.DATE date 2001-12-14 "2001-12-14 00:00:00 +0000 UTC" true`,
		`compose.yaml:25:40 base.LOST number 1e3 "1000" true`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("each place once, sorted (-want +got):\n%s", diff)
	}
}

func TestServiceEnvFiles(t *testing.T) {
	dir := write(t, service("    extends: {file: sub/b.yaml, service: b}\n    env_file: [{path: gone, required: false}, {path: raw, format: raw}, one, ./one]\n")+
		"-- sub/b.yaml --\nservices: {b: {env_file: base}}\n-- sub/base --\nA=1\n-- raw --\nA=1\n-- one --\nA=1\n")
	var got []string
	for _, f := range mustLoad(t, Options{Directory: dir}).Services["app"].EnvFiles {
		got = append(got, fmt.Sprintf("%s %q %s %v", strings.TrimPrefix(f.Path, dir+"/"), f.Format, strings.TrimPrefix(f.Definition, dir+"/"), f.Extends))
	}
	want := []string{`sub/base "" compose.yaml true`, `raw "raw" compose.yaml false`, `one "" compose.yaml false`, `one "" compose.yaml false`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("those that exist, in order (-want +got):\n%s", diff)
	}
}
