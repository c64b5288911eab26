package compose

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestOverlay: a candidate in memory gives what the same bytes on disk give: values, places and config hashes.
func TestOverlay(t *testing.T) {
	const include = "-- compose.yaml --\ninclude: [sub/c.yaml]\nservices:\n  app:\n    image: i\n    extends: {file: base.yaml, service: b}\n    env_file: [{path: one.env, required: false}]\n    environment: {OWN: $V}\n" +
		"-- sub/c.yaml --\nservices: {inc: {image: i, environment: {A: $V, B: 1}}}\n-- base.yaml --\nservices: {b: {environment: {BASE: 1, GONE: 1}}}\n-- one.env --\nE=1\n"
	cases := map[string]struct {
		reason  string
		archive string
		overlay map[string]string
	}{
		"Included":   {"an included file", include, map[string]string{"sub/c.yaml": "services: {inc: {image: i, environment: {A: 2, C: 3}}}\n"}},
		"Extended":   {"an extended file", include, map[string]string{"base.yaml": "services: {b: {environment: {BASE: 2, NEW: 3}}}\n"}},
		"Both":       {"several at once, a top-level one too", include, map[string]string{"base.yaml": "services: {b: {environment: [BASE=2]}}\n", "compose.yaml": "include: [sub/c.yaml]\nservices:\n  app:\n    image: i\n    extends: {file: base.yaml, service: b}\n    environment: {OWN: 5}\n"}},
		"EnvFile":    {"a file of env_file", include, map[string]string{"one.env": "E=2\nF=${E}\n"}},
		"EnvFileNew": {"a file of env_file that is new", strings.ReplaceAll(include, "-- one.env --\nE=1\n", ""), map[string]string{"one.env": "E=2\n"}},
		"DotEnv":     {"the project's .env", include + "-- .env --\nV=disk\n", map[string]string{".env": "V=overlay\n"}},
		"DotEnvNew":  {"an .env that is new", include, map[string]string{".env": "V=overlay\n"}},
		"SubDotEnv":  {"the .env of an included folder", include + "-- sub/.env --\nV=disk\n", map[string]string{"sub/.env": "V=overlay\n"}},
		"SubNew":     {"a new .env of an included folder", include, map[string]string{"sub/.env": "V=overlay\n"}},
		"Override":   {"an override file that is new", include, map[string]string{"compose.override.yaml": "services:\n  app:\n    environment: {OWN: override}\n  inc:\n    environment: {B: 4}\n"}},
		"TopReached": {"a file that is top-level and extended", service("    environment: {A: 1}\n") + "-- compose.override.yaml --\nservices: {two: {image: i, extends: {file: compose.yaml, service: app}}}\n", map[string]string{"compose.yaml": "services: {app: {image: i, environment: {A: 2, B: 3}}}\n"}},
		"Emptied":    {"a variable less", include, map[string]string{"sub/c.yaml": "services: {inc: {image: i}}\n"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			dir := write(t, tc.archive)
			overlay := map[string][]byte{}
			for path, content := range tc.overlay {
				overlay[filepath.Join(dir, path)] = []byte(content)
			}
			got := mustLoad(t, Options{Directory: dir, Overlay: overlay})
			for path, content := range overlay {
				if err := os.WriteFile(path, content, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want := mustLoad(t, Options{Directory: dir})
			if diff := cmp.Diff(want.Services, got.Services); diff != "" {
				t.Errorf("%s: services (-disk +overlay):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(hashes(t, want), hashes(t, got)); diff != "" {
				t.Errorf("%s: hashes (-disk +overlay):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff([][]File{want.Files, want.Reached, want.EnvFiles, want.ServiceEnvFiles}, [][]File{got.Files, got.Reached, got.EnvFiles, got.ServiceEnvFiles}); diff != "" {
				t.Errorf("%s: files (-disk +overlay):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(want.Environment, got.Environment); diff != "" {
				t.Errorf("%s: environment (-disk +overlay):\n%s", tc.reason, diff)
			}
		})
	}
}

func hashes(t *testing.T, p *Project) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name := range maps.Keys(p.Services) {
		hash, err := p.Hash(name, 0)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = hash
	}
	return out
}

// TestOverlayRefused: a candidate that compose-go could not load, or that does more than change an environment.
func TestOverlayRefused(t *testing.T) {
	const archive = "-- compose.yaml --\ninclude: [sub/c.yaml]\nservices: {app: {image: i, extends: {file: base.yaml, service: b}, env_file: e}}\n-- sub/c.yaml --\nservices: {inc: {image: i}}\n-- base.yaml --\nservices: {b: {environment: {A: 1}}}\n-- e --\nE=1\n"
	cases := map[string]struct{ reason, file, content, want string }{
		"Schema":   {"the schema", "sub/c.yaml", "services: {inc: {image: i, hunter2: 1}}\n", "sub/c.yaml"},
		"Syntax":   {"YAML", "base.yaml", "services: {b: {environment: {A: [hunter2}}}\n", "base.yaml:"},
		"Template": {"a broken reference in an extended file", "base.yaml", "services: {b: {environment: {A: 'hunter2${'}}}\n", "invalid interpolation"},
		"Required": {"a required variable in an included file", "sub/c.yaml", "services: {inc: {image: i, environment: {A: '${NEEDED:?x}'}}}\n", "required variable NEEDED"},
		"EnvFile":  {"an env file", "e", "A='hunter2\n", "e:1"},
		"Service":  {"a service more", "sub/c.yaml", "services: {inc: {image: i}, more: {image: i}}\n", `adds service "more"`},
		"Missing":  {"an env file that is not there", "base.yaml", "services: {b: {env_file: gone}}\n", "does not exist"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			dir := write(t, archive)
			_, err := Load(t.Context(), Options{Directory: dir, Overlay: map[string][]byte{filepath.Join(dir, tc.file): []byte(tc.content)}})
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2") && name != "Schema" {
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
}

// TestOverlayBehindSymlink: a candidate counts by whatever name its file is reached.
func TestOverlayBehindSymlink(t *testing.T) {
	dir := write(t, service("    environment: {A: 1}\n")+"include: [sub.yaml]\n-- sub.yaml --\nservices: {other: {extends: {file: link.yaml, service: app}}}\n")
	if err := os.Symlink("compose.yaml", filepath.Join(dir, "link.yaml")); err != nil {
		t.Skip(err)
	}
	path := filepath.Join(dir, "compose.yaml")
	candidate := strings.ReplaceAll(string(mustLoad(t, Options{Directory: dir}).Files[0].Content), "A: 1", "A: 2")
	p := mustLoad(t, Options{Directory: dir, Overlay: map[string][]byte{path: []byte(candidate)}})
	if got := text(p.Services["other"].Environment["A"].Value); got != "2" {
		t.Errorf("A of the service that extends it through a link = %q, want the candidate's", got)
	}
}

// TestNestedIncludeDependsOnFolder: what compose resolves against the folder that it runs in is only resolved where that is the same.
func TestNestedIncludeDependsOnFolder(t *testing.T) {
	const archive = "-- compose.yaml --\ninclude: [sub/c.yaml]\n-- sub/c.yaml --\ninclude: [{path: more.yaml, env_file: x.env}]\n-- sub/more.yaml --\nservices: {app: {image: i, environment: {A: $X}}}\n-- sub/x.env --\nX=1\n"
	dir := write(t, archive)
	if _, err := Load(t.Context(), Options{Directory: dir}); err == nil || !strings.Contains(err.Error(), "depends on the folder") {
		t.Errorf("from elsewhere: got %v", err)
	}
	t.Chdir(dir)
	s := mustLoad(t, Options{Directory: dir}).Services["app"]
	if diff := cmp.Diff([]string{"sub/more.yaml:1 1"}, chain(dir, s.Settings["A"])); diff != "" {
		t.Errorf("there (-want +got):\n%s", diff)
	}
}
