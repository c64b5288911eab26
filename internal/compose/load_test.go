package compose

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestLoadLayers: what a variable ends up as, for every rule that layers one source over another.
func TestLoadLayers(t *testing.T) {
	two := service(`
    environment: {A: base, B: base}
`) + "-- compose.override.yaml --\nservices:\n  app:\n    environment:\n    - A=override\n"
	cases := map[string]struct {
		reason  string
		archive string
		opts    Options
		want    map[string]string
	}{
		"Override":         {"the override file is loaded by itself, list over map by key", two, Options{}, map[string]string{"A": "override", "B": "base"}},
		"ExplicitFile":     {"-f switches the override file off", two, Options{Files: []string{"compose.yaml"}}, map[string]string{"A": "base", "B": "base"}},
		"FilesInOrder":     {"the later -f wins", two, Options{Files: []string{"compose.override.yaml", "compose.yaml"}}, map[string]string{"A": "base", "B": "base"}},
		"ComposeFile":      {"COMPOSE_FILE with its own separator", two, Options{Environ: []string{"COMPOSE_FILE=compose.yaml,compose.override.yaml", "COMPOSE_PATH_SEPARATOR=,"}}, map[string]string{"A": "override", "B": "base"}},
		"ComposeFileInEnv": {"COMPOSE_FILE may stand in .env", two + "-- .env --\nCOMPOSE_FILE=compose.yaml\n", Options{}, map[string]string{"A": "base", "B": "base"}},
		"ShellBeatsDotEnv": {"shell over .env", service("    environment: {A: $A, B: $B}\n") + "-- .env --\nA=dotenv\nB=dotenv\n", Options{Environ: []string{"A=shell"}}, map[string]string{"A": "shell", "B": "dotenv"}},
		"LastEnvFileWins":  {"the last --env-file wins, .env is off", service("    environment: ['A=${A}', 'B=${B}', 'C=${C:-none}']\n") + "-- one --\nA=1\nB=1\n-- two --\nB=2${A}\n-- .env --\nC=dotenv\n", Options{EnvFiles: []string{"one", "two"}}, map[string]string{"A": "1", "B": "21", "C": "none"}},
		"ComposeEnvFiles":  {"COMPOSE_ENV_FILES stands for --env-file", service("    environment: {A: $A}\n") + "-- one --\nA=1\n", Options{Environ: []string{"COMPOSE_ENV_FILES=one"}}, map[string]string{"A": "1"}},
		"DisableEnvFile":   {"COMPOSE_DISABLE_ENV_FILE turns .env off", service("    environment: {A: \"${A-none}\"}\n") + "-- .env --\nA=1\n", Options{Environ: []string{"COMPOSE_DISABLE_ENV_FILE=1"}}, map[string]string{"A": "none"}},
		"EnvFileNull":      {"--env-file /dev/null is no env file", service("    environment: {A: \"${A-none}\"}\n") + "-- .env --\nA=1\n", Options{EnvFiles: []string{os.DevNull}}, map[string]string{"A": "none"}},
		"EnvironmentFirst": {"environment beats env_file, the later env_file beats the earlier", service("    env_file: [one, two]\n    environment: {A: own}\n") + "-- one --\nA=1\nB=1\nC=1\n-- two --\nB=2\nPREV=${C}\n", Options{}, map[string]string{"A": "own", "B": "2", "C": "1", "PREV": "1"}},
		"EnvFileSees":      {"env_file interpolates from the service's environment", service("    env_file: one\n    environment: {A: own}\n") + "-- one --\nB=${A}\n", Options{}, map[string]string{"A": "own", "B": "own"}},
		"EnvFileRaw":       {"the format raw takes values as they are", service("    env_file: [{path: one, format: raw}]\n") + "-- one --\nA='x' # $B\n  # c\nB=\nC\nD\n", Options{Environ: []string{"C=shell"}}, map[string]string{"A": "'x' # $B", "B": "", "C": "shell"}},
		"EnvFileBareUnset": {"a bare key of an env_file that nobody sets is absent", service("    env_file: one\n") + "-- one --\nA\nB\n", Options{Environ: []string{"B=shell"}}, map[string]string{"B": "shell"}},
		"Forms":            {"default, empty default, alternative, escape", service("    environment:\n    - A=${X-def}\n    - B=${X:-def}\n    - C=${X:+alt}\n    - D=$$X\n    - E=\n    - F\n    - G=${Y:+alt}\n"), Options{Environ: []string{"X=", "Y=y"}}, map[string]string{"A": "", "B": "def", "C": "", "D": "$X", "E": "", "F": "<unset>", "G": "alt"}},
		"Typed":            {"YAML types a scalar before compose makes a string of it", service("    environment: {A: 022, B: 1.10, C: 1e3, D: yes, E: true, F: , G: \"022\"}\n"), Options{}, map[string]string{"A": "18", "B": "1.1", "C": "1000", "D": "yes", "E": "true", "F": "<unset>", "G": "022"}},
		"BareFromProject":  {"a bare key takes the shell's or .env's", service("    environment: {A: , B: , C: }\n") + "-- .env --\nB=dotenv\n", Options{Environ: []string{"A=shell"}}, map[string]string{"A": "shell", "B": "dotenv", "C": "<unset>"}},
		"LastOfList":       {"the last of two equal keys wins", service("    environment: [A=1, A=2]\n"), Options{}, map[string]string{"A": "2"}},
		"OverrideTag":      {"!override drops what the earlier files say", service("    environment: {A: base}\n") + "-- compose.override.yaml --\nservices:\n  app:\n    environment: !override {B: b}\n", Options{}, map[string]string{"B": "b"}},
		"ResetTag":         {"!reset removes one key", service("    environment: {A: base, B: base}\n") + "-- compose.override.yaml --\nservices:\n  app:\n    environment: {A: !reset null}\n", Options{}, map[string]string{"B": "base"}},
		"Merge":            {"an explicit key beats a merged one, the first merged one wins", "-- compose.yaml --\nx-a: &a {A: a, B: a, C: a}\nx-b: &b {B: b, D: b}\nservices:\n  app:\n    image: i\n    environment:\n      <<: [*a, *b]\n      C: own\n", Options{}, map[string]string{"A": "a", "B": "a", "C": "own", "D": "b"}},
		"Extends":          {"the child wins", service("    extends: {file: base.yaml, service: base}\n    environment: {A: own}\n") + "-- base.yaml --\nservices:\n  base:\n    environment: {A: base, B: base}\n", Options{}, map[string]string{"A": "own", "B": "base"}},
		"Include":          {"an included file sees its own .env", "-- compose.yaml --\ninclude: [sub/compose.yaml]\n-- sub/compose.yaml --\nservices: {app: {image: i, environment: {A: $A}}}\n-- sub/.env --\nA=sub\n", Options{}, map[string]string{"A": "sub"}},
		"Home":             {"HOME is the given environment's", service("    environment: {A: $HOME}\n"), Options{Environ: []string{"HOME=/given"}}, map[string]string{"A": "/given"}},
		"Also":             {"further files are loaded on top", service("    environment: {A: base}\n") + "-- dev.yaml --\nservices: {app: {environment: {A: dev}}}\n", Options{Also: []string{"dev.yaml"}}, map[string]string{"A": "dev"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.opts.Directory = write(t, tc.archive)
			p := mustLoad(t, tc.opts)
			if diff := cmp.Diff(tc.want, values(p.Services["app"].Environment)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestLoadProject(t *testing.T) {
	dir := write(t, `
-- stack/compose.yaml --
name: shop
version: "3"
services:
  app:
    image: i:$TAG
    labels: {a: b}
    volumes: ["~/data:/data:ro", "~/a//b:/c", "./x:/x", "$UNSET:/y"]
    env_file: [one.env, {path: missing.env, required: false}]
  debug:
    image: i
    profiles: [debug]
    env_file: gone.env
    scale: 2
-- stack/one.env --
A=1
-- stack/.env --
TAG=2
-- stack/deep/er/.env --
TAG=1
`)
	p := mustLoad(t, Options{Directory: filepath.Join(dir, "stack/deep/er"), Environ: []string{"HOME=/home/user", "UNSET=/u"}})
	if p.Name != "shop" || p.Directory != filepath.Join(dir, "stack") {
		t.Errorf("found project %q in %q", p.Name, p.Directory)
	}
	app, debug := p.Services["app"], p.Services["debug"]
	if app.Image != "i:1" || !app.Active || app.Labels["a"] != "b" || app.Replicas != 1 {
		t.Errorf("app = %+v; the .env where the command runs comes before the project's", app)
	}
	if debug.Active || debug.Replicas != 2 || debug.EditHeld == "" || debug.SwapHeld != debug.EditHeld {
		t.Errorf("debug = %+v, want inactive, and held because its env_file is missing", debug)
	}
	if _, err := p.Hash("debug", 0); err == nil {
		t.Error("a service without a resolved environment was hashed")
	}
	var sources []string
	for _, v := range p.configs["app"].Volumes {
		sources = append(sources, v.Source)
	}
	if diff := cmp.Diff([]string{"/home/user/data", "/home/user/a/b", filepath.Join(dir, "stack/x"), "/u"}, sources); diff != "" {
		t.Errorf("~ is HOME of the given environment (-want +got):\n%s", diff)
	}
	if len(p.EnvFiles) != 2 || len(p.ServiceEnvFiles) != 1 || !strings.HasPrefix(p.Files[0].Digest, "sha256:") {
		t.Errorf("files: %v %v %v", p.Files, p.EnvFiles, p.ServiceEnvFiles)
	}
	want := EnvironmentValue{Value: "1", Source: filepath.Join(dir, "stack/deep/er/.env")}
	if diff := cmp.Diff(want, p.Environment["TAG"]); diff != "" {
		t.Errorf("source of TAG (-want +got):\n%s", diff)
	}
	if got := p.Environment["HOME"].Source; got != "the shell" {
		t.Errorf("source of HOME = %q", got)
	}
}

func TestLoadProfiles(t *testing.T) {
	dir := write(t, "-- compose.yaml --\nservices:\n  a: {image: i}\n  b: {image: i, profiles: [p]}\n  c: {image: i, profiles: [q]}\n")
	cases := map[string]struct {
		reason string
		opts   Options
		want   map[string]bool
	}{
		"None":     {"only services without a profile are on", Options{}, map[string]bool{"a": true, "b": false, "c": false}},
		"Flag":     {"--profile beats COMPOSE_PROFILES", Options{Profiles: []string{"p"}, Environ: []string{"COMPOSE_PROFILES=q"}}, map[string]bool{"a": true, "b": true, "c": false}},
		"Variable": {"COMPOSE_PROFILES is a list", Options{Environ: []string{"COMPOSE_PROFILES=p, q"}}, map[string]bool{"a": true, "b": true, "c": true}},
		"All":      {"* is every profile", Options{Profiles: []string{"*"}}, map[string]bool{"a": true, "b": true, "c": true}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.opts.Directory = dir
			got := map[string]bool{}
			for name, s := range mustLoad(t, tc.opts).Services {
				got[name] = s.Active
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestLoadName(t *testing.T) {
	dir := write(t, "-- Some Folder/compose.yaml --\nservices: {a: {image: i}}\n-- named.yaml --\nname: ${N:-file}\nservices: {a: {image: i}}\n")
	cases := map[string]struct {
		reason string
		opts   Options
		want   string
	}{
		"Folder":   {"the folder's name, normalized", Options{Directory: filepath.Join(dir, "Some Folder")}, "somefolder"},
		"File":     {"name: in the file is interpolated", Options{Directory: dir, Files: []string{"named.yaml"}}, "file"},
		"Variable": {"COMPOSE_PROJECT_NAME beats the file", Options{Directory: dir, Files: []string{"named.yaml"}, Environ: []string{"COMPOSE_PROJECT_NAME=var"}}, "var"},
		"Flag":     {"-p beats all", Options{Directory: dir, Files: []string{"named.yaml"}, Name: "flag", Environ: []string{"COMPOSE_PROJECT_NAME=var"}}, "flag"},
		"ProjDir":  {"--project-directory names the project", Options{Directory: dir, Files: []string{"Some Folder/compose.yaml"}, ProjectDirectory: "/tmp/elsewhere"}, "elsewhere"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := mustLoad(t, tc.opts).Name; got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

func TestLoadOverlay(t *testing.T) {
	dir := write(t, service("    environment: {A: disk}\n"))
	path := filepath.Join(dir, "compose.yaml")
	candidate := []byte("services: {app: {image: i, environment: {A: candidate}}}\n")
	p := mustLoad(t, Options{Directory: dir, Overlay: map[string][]byte{path: candidate}})
	if got := text(p.Services["app"].Environment["A"].Value); got != "candidate" {
		t.Errorf("A = %q, want the overlay's", got)
	}
	if string(p.Files[0].Content) != string(candidate) {
		t.Error("File.Content is not what was loaded")
	}
}

func TestLoadWarnings(t *testing.T) {
	dir := write(t, "-- compose.yaml --\nversion: '3'\nservices: {app: {image: \"i:$TAG\", environment: [\"A=${TAG}${TAG}\", \"B=$$NOT\", \"C=${D:-x}\"]}}\n-- docker-compose.yml --\nx: y\n")
	p := mustLoad(t, Options{Directory: dir})
	want := []string{
		filepath.Join(dir, "compose.yaml") + ": the attribute version is obsolete and is ignored",
		"several compose files side by side: " + filepath.Join(dir, "compose.yaml") + ", " + filepath.Join(dir, "docker-compose.yml") + "; using " + filepath.Join(dir, "compose.yaml"),
		"the TAG variable is not set: it becomes an empty string",
	}
	if diff := cmp.Diff(want, p.Warnings); diff != "" {
		t.Errorf("warnings, each once (-want +got):\n%s", diff)
	}
}

func TestLoadErrors(t *testing.T) {
	cases := map[string]struct {
		reason  string
		archive string
		want    ParseError // File is relative to the folder
	}{
		"Syntax":    {"the parser's own place", service("    environment: {A: 1\n"), ParseError{File: "compose.yaml", Line: 5, Column: 1}},
		"Duplicate": {"a key twice in one mapping", service("    image: j\n"), ParseError{File: "compose.yaml", Line: 4}},
		"Schema":    {"a key that compose does not know", service("    environmentt: {}\n"), ParseError{File: "compose.yaml", Line: 4, Column: 5}},
		"Type":      {"a value of the wrong type", service("    environment: text\n"), ParseError{File: "compose.yaml", Line: 4, Column: 5}},
		"Required":  {"a required variable", service("    environment: {A: '${NEEDED:?say why}'}\n"), ParseError{File: "compose.yaml", Line: 4, Column: 19}},
		"Template":  {"a broken reference, its text left out", service("    environment: {A: 'hunter2${'}\n"), ParseError{File: "compose.yaml", Line: 4, Column: 19}},
		"Override":  {"the file that is wrong is the one named", service("") + "-- compose.override.yaml --\nservices:\n  app:\n    prts: []\n", ParseError{File: "compose.override.yaml", Line: 3, Column: 5}},
		"Scalar":    {"a compose file is a mapping", "-- compose.yaml --\n- a\n", ParseError{File: "compose.yaml", Line: 1, Column: 1}},
		"Space":     {"a list entry that is no assignment", service("    environment:\n    - \"B = hunter2\"\n"), ParseError{File: "compose.yaml", Line: 4, Column: 5}},
		"TopLevel":  {"a top-level key that compose does not know", "-- compose.yaml --\n\nservces: {}\n", ParseError{File: "compose.yaml", Line: 2, Column: 1}},
		"Infinite":  {"a number that JSON has not", service("    environment:\n      A: x\n      B: .inf\n"), ParseError{File: "compose.yaml", Line: 6, Column: 10}},
		"Alias":     {"what looks like an alias may be a secret", service("    environment: {A: *hunter2}\n"), ParseError{File: "compose.yaml", Line: 4, Column: 22}},
		"Number":    {"a text where a number belongs, left out", service("    cpus: hunter2\n"), ParseError{File: "compose.yaml", Line: 4, Column: 5}},
		"Duration":  {"a text where a duration belongs, left out", service("    stop_grace_period: hunter2\n"), ParseError{File: "compose.yaml", Line: 4, Column: 5}},
		"Boolean":   {"a text where a boolean belongs, left out", service("    tty: hunter2\n"), ParseError{File: "compose.yaml", Line: 4, Column: 5}},
		"Host":      {"a text where a host belongs, left out", service("    extra_hosts: [hunter2]\n"), ParseError{File: "compose.yaml", Line: 4, Column: 5}},
		"Pattern":   {"a text that does not match, left out", service("    pull_policy: hunter2\n"), ParseError{File: "compose.yaml", Line: 4, Column: 5}},
		"EnvQuote":  {"an env_file's open quote, its text left out", service("    env_file: e\n") + "-- e --\nA=1\nB=\"hunter2\nC=3\n", ParseError{File: "e", Line: 2}},
		"EnvBroken": {"an env_file's broken reference, its text left out", service("    env_file: e\n") + "-- e --\nA=1\nB=hunter2${\n", ParseError{File: "e", Line: 2}},
		"EnvNeeds":  {"an env_file's required variable", service("    env_file: e\n") + "-- e --\nA=${B:-1}\nC=${NEEDED:?hunter2}\n", ParseError{File: "e", Line: 2}},
		"EnvKey":    {"an env_file's bad key, its text left out", service("    env_file: e\n") + "-- e --\nA=1\nhunter2 x=1\n", ParseError{File: "e", Line: 2}},
		"DotQuote":  {"an .env's open quote, its text left out", service("") + "-- .env --\nA='hunter2\n", ParseError{File: ".env", Line: 1}},
		"DotBroken": {"an .env's broken reference, its text left out", service("") + "-- .env --\nA=1\nB=hunter2${\n", ParseError{File: ".env", Line: 2}},
		"LabelFile": {"a label_file's open quote, its text left out", service("    label_file: e\n") + "-- e --\nA='hunter2\n", ParseError{File: "e", Line: 1}},
		"Raw":       {"an env file of the format raw, its text left out", service("    env_file: [{path: e, format: raw}]\n") + "-- e --\nA=1\nhunter2 x\n", ParseError{File: "e", Line: 2}},
		"DotEnv":    {"an env file's line, its text left out", service("") + "-- .env --\nA=1\nhunter2!=x\n", ParseError{File: ".env", Line: 2}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			dir := write(t, tc.archive)
			_, err := Load(t.Context(), Options{Directory: dir})
			var got *ParseError
			if !errors.As(err, &got) {
				t.Fatalf("%s: got %v, want a ParseError", tc.reason, err)
			}
			t.Log(err)
			tc.want.File = filepath.Join(dir, tc.want.File)
			if got.Message == "" || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: message %q", tc.reason, err)
			}
			if diff := cmp.Diff(tc.want, ParseError{File: got.File, Line: got.Line, Column: got.Column}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestLoadErrorText: the words of an error are those of its cause.
func TestLoadErrorText(t *testing.T) {
	cases := map[string]struct{ reason, archive, want string }{
		"Cause":    {"the line below the decoder's heading", service("    environment: [\"B = 2\"]\n"), "compose.yaml:4:5: services.app.environment: environment variable B is declared with a trailing space"},
		"Unknown":  {"a key of a service", service("    imgae: x\n"), "compose.yaml:4:5: services.app.imgae is not a key that compose knows"},
		"TopLevel": {"a top-level key", "-- compose.yaml --\n\nservces: {}\n", "compose.yaml:2:1: servces is not a key that compose knows"},
		"Names":    {"names are no content", service("    depends_on: [db]\n"), `compose.yaml:2:3: service "app" depends on undefined service "db": invalid compose project`},
		"Schema":   {"nor is what the schema wants", service("    healthcheck: {test: [x]}\n"), `compose.yaml: healthcheck.test must start either by "CMD", "CMD-SHELL" or "NONE"`},
		"Value":    {"a value is", service("    mem_limit: hunter2\n"), "compose.yaml:4:5: services.app.mem_limit: strconv.ParseFloat: parsing …: invalid syntax"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			dir := write(t, tc.archive)
			_, err := Load(t.Context(), Options{Directory: dir})
			if err == nil {
				t.Fatalf("%s: loaded", tc.reason)
			}
			if diff := cmp.Diff(tc.want, strings.ReplaceAll(err.Error(), dir+"/", "")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestLoadWithoutFile(t *testing.T) {
	dir := t.TempDir()
	_, err := Load(t.Context(), Options{Directory: dir})
	if !errors.Is(err, ErrNoComposeFile) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v, want ErrNoComposeFile and the folder", err)
	}
}

func TestLoadRefusesLargeFile(t *testing.T) {
	dir := write(t, service("    environment: {A: "+strings.Repeat("x", maxFileSize)+"}\n"))
	if _, err := Load(t.Context(), Options{Directory: dir}); err == nil || !strings.Contains(err.Error(), "larger than 4 MiB") {
		t.Errorf("got %v", err)
	}
	if _, err := Load(t.Context(), Options{Directory: dir, Files: []string{"."}}); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("got %v for a folder", err)
	}
}

// TestLoadBombs: a small file that expands without end is refused, and soon.
func TestLoadBombs(t *testing.T) {
	cases := map[string]struct {
		reason  string
		archive string
	}{
		"Lists":  {"nine lists of nine aliases each", bomb("[%s]")},
		"Merges": {"mappings that merge mappings", bomb("{k: [%s]}")},
		"Self":   {"an anchor that holds itself", "-- compose.yaml --\nx-a: &a [*a]\nservices: {app: {image: i, environment: *a}}\n"},
		"Cycle":  {"a file that includes itself", service("") + "include: [compose.yaml]\n"},
		"Other":  {"a bomb in an extended file", strings.ReplaceAll(bomb("[%s]"), "compose.yaml", "bomb.yaml") + service("    extends: {file: bomb.yaml, service: app}\n")},
		"Deep":   {"a bomb in an included file's environment", strings.ReplaceAll(strings.ReplaceAll(bomb("{k: [%s]}"), "compose.yaml", "bomb.yaml"), "x-bomb", "environment") + "-- compose.yaml --\ninclude: [bomb.yaml]\n"},
		"Many":   {"includes without end", "-- compose.yaml --\ninclude: [{path: [a.yaml, b.yaml]}, {path: [b.yaml, a.yaml]}]\n-- a.yaml --\ninclude: [{path: [b.yaml, a.yaml]}]\n-- b.yaml --\ninclude: [{path: [a.yaml, b.yaml]}]\n"},
		"Extend": {"services that extend each other", "-- compose.yaml --\nservices: {a: {extends: b}, b: {extends: a}}\n"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			dir := write(t, tc.archive)
			began := time.Now()
			_, err := Load(t.Context(), Options{Directory: dir})
			if err == nil {
				t.Errorf("%s: was loaded", tc.reason)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("%s: took %v", tc.reason, took)
			}
		})
	}
}

func bomb(form string) string {
	var b strings.Builder
	b.WriteString("-- compose.yaml --\nx-a0: &a0 [lol]\n")
	for i := 1; i < 10; i++ {
		previous := "*a" + string(rune('0'+i-1))
		list := strings.TrimSuffix(strings.Repeat(previous+", ", 9), ", ")
		b.WriteString("x-a" + string(rune('0'+i)) + ": &a" + string(rune('0'+i)) + " " + strings.Replace(form, "%s", list, 1) + "\n")
	}
	b.WriteString("services: {app: {image: i, x-bomb: *a9}}\n")
	return b.String()
}

// TestLoadNeverPanics: files on which compose-go is known to have panicked give an error or a project.
func TestLoadNeverPanics(t *testing.T) {
	for _, content := range []string{
		"services:\n  app:\n", "services: {app: null}\n", "networks: {n: {external: $X}}\nservices: {a: {image: i}}\n",
		"include: [null]\n", "include: [{path: [null]}]\n", "services: {app: {extends: null}}\n", "volumes: {v: {driver: local, driver_opts: null}}\nservices: {a: {image: i}}\n",
		"services: {app: {image: i, volumes: [{type: bind}]}}\n", "services: {app: {image: i, environment: [1, null, [a]]}}\n", "? [a]\n: b\n", "<<: 1\n", "services: {<<: [1]}\n", "--- \n--- \n", "",
	} {
		dir := write(t, "-- compose.yaml --\n"+content)
		p, err := Load(t.Context(), Options{Directory: dir, Environ: []string{"X=yes"}})
		if (p == nil) == (err == nil) {
			t.Errorf("%q: project %v, error %v", content, p, err)
		}
	}
}

func TestLoadContainsPanics(t *testing.T) {
	for _, body := range []string{
		"    extends: {file: 1, service: a}\n",
		"    extends: {file: [hunter2], service: a}\n",
		"    env_file: [{path: 1}]\n",
	} {
		p, err := Load(t.Context(), Options{Directory: write(t, service(body))})
		if p != nil || err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: project %v, error %v; want an error without content of the file", body, p, err)
		}
	}
}

// FuzzReached is FuzzLoad for what includes and extends, and for what is included and extended.
func FuzzReached(f *testing.F) {
	f.Add([]byte("include: [other.yaml]\nservices: {app: {image: i, extends: {file: other.yaml, service: b}, environment: !override [A=1]}}\n"), []byte("services: {b: {environment: {A: 1, B: }}}\n"))
	f.Add([]byte("include: [{path: [other.yaml, compose.yaml], env_file: other.yaml}]\n"), []byte("services: !reset {b: {extends: b}}\n---\n<<: &a {services: *a}\n"))
	f.Fuzz(func(t *testing.T, content, other []byte) {
		dir := t.TempDir()
		for name, data := range map[string][]byte{"compose.yaml": content, "other.yaml": other} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		opts := Options{Directory: dir, Files: []string{"compose.yaml"}}
		began := time.Now()
		p, err := Load(t.Context(), opts)
		if (p == nil) == (err == nil) {
			t.Fatalf("project %v, error %v", p, err)
		}
		if err == nil {
			opts.Overlay = map[string][]byte{filepath.Join(dir, "other.yaml"): other}
			if _, err := Load(t.Context(), opts); err != nil && !strings.Contains(err.Error(), "cannot be followed") {
				t.Fatalf("the same bytes in the overlay do not load: %v", err)
			}
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Fatalf("took %v", took)
		}
	})
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("services: {app: {image: i, environment: [A=1, B]}}\n"), []byte("A=1\n"))
	f.Add([]byte("x: &x {A: 1}\nservices:\n  app:\n    environment: {<<: *x, B: !reset null}\n"), []byte("export A='\n'"))
	f.Fuzz(func(t *testing.T, content, env []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "compose.yaml")
		if err := os.WriteFile(filepath.Join(dir, ".env"), env, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := Load(t.Context(), Options{Directory: dir, Files: []string{path}, Overlay: map[string][]byte{path: content}})
		if (p == nil) == (err == nil) {
			t.Fatalf("project %v, error %v", p, err)
		}
		if err != nil && strings.Contains(err.Error(), "gave up") {
			t.Logf("contained: %v", err)
		}
	})
}
