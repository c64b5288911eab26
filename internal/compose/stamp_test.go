package compose

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// parseEnv reads a Config.Env.
func parseEnv(env []string) map[string]*string {
	out := map[string]*string{}
	for _, kv := range env {
		key, value, ok := strings.Cut(kv, "=")
		out[key] = nil
		if ok {
			out[key] = &value
		}
	}
	return out
}

// created is the question about the container that p's service was created as.
func created(t testing.TB, p *Project, image map[string]string, version string) ReplaceQuestion {
	t.Helper()
	flavor, ok := FlavorOf(version)
	if !ok {
		t.Fatalf("version %s is not known", version)
	}
	hash, err := p.Hash("app", flavor)
	if err != nil {
		t.Fatal(err)
	}
	return ReplaceQuestion{Service: "app", Env: parseEnv(p.newEnv("app", image, nil)), ImageEnv: image, Hash: hash, Version: version}
}

// replacement is a container that was created from up while the files are now as in now.
type replacement struct {
	reason  string
	up, now string
	shell   []string // at up
	extra   []string // in the container, from the client's proxy settings
	version string
	want    string // part of the reason it is not provable; empty: proved
}

func replacements() map[string]replacement {
	base := service("    environment:\n    - A=1\n    - B=2\n")
	return map[string]replacement{
		"Unchanged":     {"nothing was edited", base, base, nil, nil, "2.40.3", ""},
		"Changed":       {"a value was edited, then only restarted", base, service("    environment:\n    - A=9\n    - B=2\n"), nil, nil, "2.40.3", ""},
		"Added":         {"a key was added", base, service("    environment:\n    - A=1\n    - B=2\n    - C=3\n"), nil, nil, "2.40.3", ""},
		"Removed":       {"the whole block was removed", base, service(""), nil, nil, "2.40.3", ""},
		"Introduced":    {"the whole block is new", service(""), base, nil, nil, "2.40.3", ""},
		"EnvFile":       {"env_file was edited", service("    env_file: e\n") + "-- e --\nA=1\n", service("    env_file: e\n") + "-- e --\nA=2\nB=3\n", nil, nil, "2.40.3", ""},
		"EnvFileGone":   {"env_file was dropped", service("    env_file: e\n") + "-- e --\nA=1\n", base, nil, nil, "2.40.3", ""},
		"Shell":         {"another shell at up", service("    environment: {A: \"${S:-none}\"}\n"), service("    environment: {A: \"${S:-none}\"}\n"), []string{"S=shell"}, nil, "2.40.3", ""},
		"SameAsImage":   {"declared as the image has it", service("    environment: {IMAGE: image}\n"), service("    environment: {IMAGE: image}\n"), nil, nil, "2.40.3", ""},
		"ImageRemoved":  {"such a key was removed by hand: it must have been declared", service("    environment: {IMAGE: image, A: 1}\n"), service("    environment: {A: 1}\n"), nil, nil, "2.40.3", ""},
		"ImageAdded":    {"such a key was added by hand: it must not have been declared", service("    environment: {A: 1}\n"), service("    environment: {A: 1, IMAGE: image}\n"), nil, nil, "2.40.3", ""},
		"Proxy":         {"the client's proxy settings are no declaration", base, base, nil, []string{"HTTP_PROXY=http://p", "no_proxy=x"}, "2.40.3", ""},
		"ProxyDeclared": {"a declared proxy is one", service("    environment: {HTTP_PROXY: a}\n"), service("    environment: {HTTP_PROXY: b}\n"), nil, nil, "2.40.3", ""},
		"ProxyRemoved":  {"a declared proxy was removed by hand and goes, the client's stays", service("    environment: {HTTP_PROXY: a}\n"), service(""), nil, []string{"NO_PROXY=client"}, "2.40.3", ""},
		"ProxyAdded":    {"a file now declares what the client gave: the file wins", service(""), service("    environment: {HTTP_PROXY: file}\n"), nil, []string{"HTTP_PROXY=client"}, "2.40.3", ""},
		"ProxyImage":    {"a proxy that is the image's too was removed by hand: the image's is left", service("    environment: {IMAGE: image, https_proxy: file}\n"), service("    environment: {IMAGE: image}\n"), nil, nil, "2.40.3", ""},
		"Bare":          {"a bare key hides the image's", service("    environment: {IMAGE: }\n"), service("    environment: {IMAGE: , A: 1}\n"), nil, nil, "2.40.3", ""},
		"Markup":        {"bytes that JSON escapes", service("    environment: ['A=<&>é$$x']\n"), service("    environment: ['A=<&>é$$y']\n"), nil, nil, "2.40.3", ""},
		"Old":           {"an older compose, with all that it hashed", service("    environment: {A: 1}\n    profiles: [p]\n    volumes: [/b:/b]\n"), service("    environment: {A: 2}\n    profiles: [p]\n    volumes: [/b:/b]\n"), nil, nil, "2.28.1", ""},
		"Image":         {"another field was edited too", base, strings.ReplaceAll(base, "image: i", "image: j"), nil, nil, "2.40.3", "more than its environment"},
		"DependsOn":     {"a hand-added depends_on that this version hashes: a wrong flavor would match", base, base + "    depends_on: [db]\n  db: {image: i}\n", nil, nil, "2.28.1", "not one that compose 2.28.1 writes"},
		"DependsNew":    {"a hand-added depends_on that this version does not hash", base, base + "    depends_on: [db]\n  db: {image: i}\n", nil, nil, "2.40.3", ""},
		"OldSelf":       {"an env_file that refers to the service's environment, which an old compose does not see", base, service("    env_file: e\n    environment: {A: 1}\n") + "-- e --\nB=${A}\n", nil, nil, "2.28.1", "resolves its environment otherwise"},
		"OldBare":       {"a bare key does not hide the image's in an old compose", base, service("    environment: {IMAGE: }\n"), nil, nil, "2.28.1", "resolves its environment otherwise"},
		"OldBareFree":   {"a bare key that the image does not set is the same to all", base, service("    environment: {FREE: }\n"), nil, nil, "2.28.1", ""},
		"LabelToo":      {"the override reaches a label", service("    environment: {A: $S}\n    labels: {l: $S}\n"), service("    environment: {A: $S}\n    labels: {l: $S}\n"), []string{"S=shell"}, nil, "2.40.3", "more than its environment"},
	}
}

func TestReplace(t *testing.T) {
	image := map[string]string{"PATH": "/bin", "IMAGE": "image"}
	for name, tc := range replacements() {
		t.Run(name, func(t *testing.T) {
			dir := write(t, tc.up)
			up := mustLoad(t, Options{Directory: dir, Environ: tc.shell, Profiles: []string{"*"}})
			q := created(t, up, image, tc.version)
			maps.Copy(q.Env, parseEnv(tc.extra))
			replace(t, dir, tc.now) // in the same folder: paths are hashed
			checkReplacement(t, tc, mustLoad(t, Options{Directory: dir}), q)
		})
	}
}

func checkReplacement(t *testing.T, tc replacement, now *Project, q ReplaceQuestion) {
	t.Helper()
	got, err := now.Replace(q)
	if tc.want != "" {
		var unprovable *Unprovable
		if !errors.As(err, &unprovable) || !strings.Contains(unprovable.Reason, tc.want) {
			t.Errorf("%s: got %v, %v", tc.reason, got, err)
		}
		return
	}
	flavor, _ := FlavorOf(q.Version)
	hash, hashErr := now.Hash("app", flavor)
	want := Replacement{Env: now.newEnv("app", q.ImageEnv, parseEnv(tc.extra)), Hash: hash}
	if diff := cmp.Diff(want, got); err != nil || hashErr != nil || diff != "" {
		t.Errorf("%s: %v, %v (-want +got):\n%s", tc.reason, err, hashErr, diff)
	}
}

// replace puts the files of an archive into dir.
func replace(t *testing.T, dir, archive string) {
	t.Helper()
	for _, f := range parseArchive(archive) {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReplaceUnprovable(t *testing.T) {
	p := mustLoad(t, Options{Directory: write(t, service("    environment: {A: 1}\n"))})
	good := created(t, p, nil, "2.40.3")
	cases := map[string]struct {
		reason string
		change func(*ReplaceQuestion)
		want   string
	}{
		"Service": {"a service the files do not have", func(q *ReplaceQuestion) { q.Service = "gone" }, "not in the project"},
		"Hash":    {"a container without the label", func(q *ReplaceQuestion) { q.Hash = "" }, "no config hash"},
		"Version": {"a compose before the known ones", func(q *ReplaceQuestion) { q.Version = "2.10.0" }, `"2.10.0" is not known`},
		"Label":   {"a hash nothing gives", func(q *ReplaceQuestion) { q.Hash = "0" }, "more than its environment"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			q := good
			tc.change(&q)
			_, err := p.Replace(q)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: got %v", tc.reason, err)
			}
		})
	}
}

// TestReplaceAfter: the successor is one of the project as it is to be.
func TestReplaceAfter(t *testing.T) {
	dir := write(t, service("    environment: {A: 1}\n"))
	p := mustLoad(t, Options{Directory: dir})
	path := filepath.Join(dir, "compose.yaml")
	after := mustLoad(t, Options{Directory: dir, Overlay: map[string][]byte{path: []byte("services: {app: {image: i, environment: {A: 2}}}")}})
	q := created(t, p, nil, "5.6.0")
	q.After = after
	got, err := p.Replace(q)
	hash, _ := after.Hash("app", 0)
	if diff := cmp.Diff(Replacement{Env: []string{"A=2"}, Hash: hash}, got); err != nil || diff != "" || hash == q.Hash {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// TestReplaceIsFast: the worst case, a service of forty variables that all might be the image's, and no match.
func TestReplaceIsFast(t *testing.T) {
	var body strings.Builder
	image := map[string]string{}
	body.WriteString("    profiles: [p]\n    volumes: ['/b:/b']\n    depends_on: [db]\n    networks: {n: {priority: 1, aliases: [a]}}\n    environment:\n      BARE:\n")
	for i := range 40 {
		fmt.Fprintf(&body, "      KEY_%d: value of the variable\n", i)
	}
	for i := range 8 {
		image[fmt.Sprintf("KEY_%d", i)] = "value of the variable"
	}
	body.WriteString("  db: {image: i}\nnetworks: {n: {}}\n")
	p := mustLoad(t, Options{Directory: write(t, service(body.String()))})
	q := created(t, p, image, "2.28.1")
	q.Hash = "none"
	began := time.Now()
	if _, err := p.Replace(q); err == nil {
		t.Error("a hash that nothing gives was proved")
	}
	if took := time.Since(began); took > 500*time.Millisecond {
		t.Errorf("took %v", took)
	}
}

// TestReplaceUnchanged: whatever the environment, image and version, unchanged files give label and environment back.
func TestReplaceUnchanged(t *testing.T) {
	dir := write(t, service(""))
	path := filepath.Join(dir, "compose.yaml")
	name := rapid.StringMatching(`[A-E]|HTTP_PROXY|no_proxy`)
	value := rapid.StringMatching(`[ -#%-~é]{0,6}`)
	versions := rapid.SampledFrom([]string{"2.20.3", "2.24.7", "2.28.1", "2.35.1", "2.40.3", "5.0.2", "5.7.0"})
	rapid.Check(t, func(rt *rapid.T) {
		content := strings.Builder{}
		content.WriteString("services:\n  app:\n    image: i\n    profiles: [p]\n    volumes: ['/b:/b']\n    environment:\n")
		for key, v := range rapid.MapOfN(name, value, 1, -1).Draw(rt, "environment") {
			fmt.Fprintf(&content, "    - %q\n", key+"="+v)
		}
		p, err := Load(t.Context(), Options{Directory: dir, Overlay: map[string][]byte{path: []byte(content.String())}})
		if err != nil {
			rt.Fatal(err)
		}
		q := created(t, p, rapid.MapOf(name, value).Draw(rt, "image"), versions.Draw(rt, "version"))
		got, err := p.Replace(q)
		if err != nil || got.Hash != q.Hash {
			rt.Fatalf("got %q, %v; want the label %q", got.Hash, err, q.Hash)
		}
		if diff := cmp.Diff(q.Env, parseEnv(got.Env)); diff != "" {
			rt.Fatalf("environment (-container +successor):\n%s", diff)
		}
	})
}

func TestNewEnv(t *testing.T) {
	p := mustLoad(t, Options{Directory: write(t, service("    environment: {A: own, BARE: , NO_PROXY: files}\n"))})
	image := map[string]string{"A": "image", "BARE": "image", "I": "image", "http_proxy": "image"}
	got := p.newEnv("app", image, parseEnv([]string{"http_proxy=client", "NO_PROXY=client"}))
	want := []string{"A=own", "BARE", "I=image", "NO_PROXY=files", "http_proxy=client"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files over client's proxies over image (-want +got):\n%s", diff)
	}
}
