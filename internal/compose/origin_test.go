package compose

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// spotted is a variable without its value, files relative to the project.
type spotted struct {
	File         string
	Line, Column int
	Text         string
	Bare         bool
	Layer        Layer
}

func places(dir string, env map[string]Variable) map[string]spotted {
	out := map[string]spotted{}
	for key, v := range env {
		file, err := filepath.Rel(dir, v.File)
		if v.File == "" || err != nil {
			file = v.File
		}
		out[key] = spotted{file, v.Line, v.Column, v.Text, v.Bare, v.Layer}
	}
	return out
}

func TestOrigins(t *testing.T) {
	const env, envFile = LayerEnvironment, LayerEnvFile
	cases := map[string]struct {
		reason  string
		archive string
		want    map[string]spotted
	}{
		"Map":       {"the key of a map entry", service("    environment:\n      A: ${X:-1}\n      \"B\": 'two' # note\n      C:\n"), map[string]spotted{"A": {"compose.yaml", 5, 7, "${X:-1}", false, env}, "B": {"compose.yaml", 6, 7, "two", false, env}, "C": {"compose.yaml", 7, 7, "", true, env}}},
		"List":      {"the item of a list", service("    environment:\n    - A=1=2\n    - \"B=$$x\"\n    - C\n"), map[string]spotted{"A": {"compose.yaml", 5, 7, "1=2", false, env}, "B": {"compose.yaml", 6, 7, "$$x", false, env}, "C": {"compose.yaml", 7, 7, "", true, env}}},
		"Twice":     {"the last of equal keys", service("    environment:\n    - A=1\n    - A=1\n"), map[string]spotted{"A": {"compose.yaml", 6, 7, "1", false, env}}},
		"Typed":     {"the text is what is written", service("    environment:\n      A: 022\n"), map[string]spotted{"A": {"compose.yaml", 5, 7, "022", false, env}}},
		"Block":     {"a literal block begins at its key", service("    environment:\n      A: |\n        x\n        y\n      B: b\n"), map[string]spotted{"A": {"compose.yaml", 5, 7, "x\ny\n", false, env}, "B": {"compose.yaml", 8, 7, "b", false, env}}},
		"Override":  {"the file that wins, even with an equal value", service("    environment:\n      A: 1\n      B: 2\n") + "-- compose.override.yaml --\nservices:\n  app:\n    environment:\n    - A=1\n", map[string]spotted{"A": {"compose.override.yaml", 4, 7, "1", false, env}, "B": {"compose.yaml", 6, 7, "2", false, env}}},
		"EnvFile":   {"a line of the last env_file that has the key", service("    env_file: [one.env, two.env]\n    environment:\n      A: 1\n") + "-- one.env --\nA=0\nB=0\nC=0\n-- two.env --\n# note\n\nexport B = 'b' # note\nD=\"d\n${C}\"\nE=e # note\n", map[string]spotted{"A": {"compose.yaml", 6, 7, "1", false, env}, "B": {"two.env", 3, 1, "b", false, envFile}, "C": {"one.env", 3, 1, "0", false, envFile}, "D": {"two.env", 4, 1, "d\n${C}", false, envFile}, "E": {"two.env", 6, 1, "e", false, envFile}}},
		"Raw":       {"a line of an env_file in the format raw", service("    env_file: [{path: one.env, format: raw}]\n") + "-- one.env --\nA='\nB=2 # x\n", map[string]spotted{"A": {"one.env", 1, 1, "'", false, envFile}, "B": {"one.env", 2, 1, "2 # x", false, envFile}}},
		"Alias":     {"a variable from an anchor is where the anchor is", "-- compose.yaml --\nx-env: &env\n  A: 1\n  B: 2\nservices:\n  app:\n    image: i\n    environment:\n      <<: *env\n      B: 3\n", map[string]spotted{"A": {"compose.yaml", 2, 3, "1", false, env}, "B": {"compose.yaml", 9, 7, "3", false, env}}},
		"Extends":   {"what the base gives is in the base", service("    extends: {file: base.yaml, service: b}\n    environment:\n      A: 1\n") + "-- base.yaml --\nservices:\n  b:\n    environment: {A: 0, B: 0}\n", map[string]spotted{"A": {"compose.yaml", 6, 7, "1", false, env}, "B": {"base.yaml", 3, 25, "0", false, env}}},
		"Documents": {"the later document of a file wins", service("    environment:\n      A: 1\n---\nservices:\n  app:\n    environment:\n      A: 2\n"), map[string]spotted{"A": {"compose.yaml", 10, 7, "2", false, env}}},
		"Unicode":   {"columns count characters", service("    environment: {\"é\": 1, A: 2}\n"), map[string]spotted{"é": {"compose.yaml", 4, 19, "1", false, env}, "A": {"compose.yaml", 4, 27, "2", false, env}}},
		"CRLF":      {"a carriage return is no part of anything", strings.ReplaceAll(service("    environment:\n      A: x\n"), "\n      A: x\n", "\r\n      A: x\r\n"), map[string]spotted{"A": {"compose.yaml", 5, 7, "x", false, env}}},
		"OverTag":   {"!override leaves nothing of the earlier file", service("    environment: {A: 1, B: 1}\n") + "-- compose.override.yaml --\nservices:\n  app:\n    environment: !override\n      B: 2\n", map[string]spotted{"B": {"compose.override.yaml", 4, 7, "2", false, env}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			dir := write(t, tc.archive)
			got := places(dir, mustLoad(t, Options{Directory: dir}).Services["app"].Environment)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestDefinitions(t *testing.T) {
	dir := write(t, service("    environment:\n      UMASK: 022\n      A: $A\n")+
		"-- compose.override.yaml --\nservices:\n  other:\n    image: i\n-- dev.yaml --\nservices:\n  app:\n    environment:\n    - A=dev\n    - UNSET\n")
	opts := Options{Directory: dir, Environ: []string{"A=a"}}
	base := mustLoad(t, opts).Services["app"].Definitions
	if len(base) != 1 || base[0].File != filepath.Join(dir, "compose.yaml") || base[0].Line != 2 || base[0].Column != 3 {
		t.Fatalf("definitions of the project = %+v; an override that does not define the service has none", base)
	}
	if diff := cmp.Diff(map[string]string{"UMASK": "18", "A": "a"}, values(base[0].Declared)); diff != "" {
		t.Errorf("a file's own block is interpolated and typed (-want +got):\n%s", diff)
	}
	opts.Also = []string{"dev.yaml"}
	also := mustLoad(t, opts).Services["app"].Definitions
	if len(also) != 2 || also[1].File != filepath.Join(dir, "dev.yaml") {
		t.Fatalf("definitions with Also = %+v", also)
	}
	if diff := cmp.Diff(map[string]string{"A": "dev", "UNSET": "<unset>"}, values(also[1].Declared)); diff != "" {
		t.Errorf("the further file (-want +got):\n%s", diff)
	}
}

// TestLiteral: what an env_file gives literally is marked, whatever it looks like.
func TestLiteral(t *testing.T) {
	p := mustLoad(t, Options{Directory: write(t, service("    env_file: [one, {path: raw, format: raw}]\n    environment: {OWN: $$A}\n")+
		"-- one --\nSINGLE='${A:-x}'\nDOUBLE=\"${A:-x}\"\nPLAIN=${A:-x}\n-- raw --\nRAW=${A:-x}\n")})
	got := map[string]bool{}
	for key, v := range p.Services["app"].Environment {
		got[key] = v.Literal
	}
	want := map[string]bool{"SINGLE": true, "DOUBLE": false, "PLAIN": false, "RAW": true, "OWN": false}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("literal (-want +got):\n%s", diff)
	}
}
