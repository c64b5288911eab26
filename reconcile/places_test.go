package reconcile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/state"
	"github.com/composure-dev/composure/policy"
)

// placed applies the archive's policy.yaml to its files, without an engine, and returns the files that differ afterwards and what
// was held.
func placed(t *testing.T, archive string, options compose.Options) (changed map[string]string, held []string) {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{}
	for _, f := range txtar.Parse([]byte(archive)).Files {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(f.Data)
	}
	policies, err := policy.Parse("policy.yaml", []byte(files["policy.yaml"]))
	if err != nil {
		t.Fatal(err)
	}
	options.Directory = dir
	source := Source{Compose: options, Policies: policies, Host: "here", Journal: state.Store{Dir: filepath.Join(t.TempDir(), "state")}}
	proposal, err := Propose(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range proposal.Plan.Held {
		held = append(held, strings.ReplaceAll(fmt.Sprintf("%s: %s; %s", h.Object, h.Reason, h.Next), dir, ""))
	}
	executor := &Executor{
		Roots: Roots(proposal.Snapshot.Project, nil), Log: logr.Discard(), Progress: func(string) {}, NewID: func() string { return "t1" },
	}
	if _, err := executor.Apply(t.Context(), source, proposal.Plan); err != nil {
		t.Fatal(err)
	}
	return differing(t, dir, files), held
}

func differing(t *testing.T, dir string, files map[string]string) map[string]string {
	t.Helper()
	changed := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), ".composure") {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		if string(content) != files[name] {
			changed[name] = string(content)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

func placePolicy(spec string) string {
	return "-- policy.yaml --\napiVersion: composure/v1alpha1\nkind: EnvironmentPolicy\nmetadata: {name: p}\nspec:\n" + spec
}

// TestPlaces: which file a declaration goes to, and what is left alone.
func TestPlaces(t *testing.T) {
	wantsK := placePolicy("  selector: {services: [app]}\n  variables:\n  - {name: K, value: \"1\"}\n")
	both := placePolicy("  selector: {services: [app, web]}\n  variables:\n  - {name: K, value: \"1\"}\n")
	absent := placePolicy("  selector: {services: [app]}\n  variables:\n  - {name: K, absent: true}\n")
	target := func(name string) string {
		return placePolicy("  selector: {services: [app]}\n  variables:\n  - {name: K, value: \"1\"}\n  patch: {target: " + name + "}\n")
	}
	cases := map[string]struct {
		reason  string
		archive string
		options compose.Options
		changed map[string]string
		held    []string
	}{
		"Included": {
			"the file that defines the service",
			wantsK + "-- compose.yaml --\ninclude: [sub/compose.yaml]\n-- sub/compose.yaml --\nservices:\n  app:\n    image: i\n", compose.Options{},
			map[string]string{"sub/compose.yaml": "services:\n  app:\n    image: i\n    environment:\n      K: \"1\"\n"}, nil,
		},
		"IncludedWrong": {
			"the line that sets it, in the file that sets it",
			wantsK + "-- compose.yaml --\ninclude: [{path: [sub/a.yaml, sub/b.yaml]}]\n-- sub/a.yaml --\nservices:\n  app:\n    image: i\n    environment: {K: 2}\n-- sub/b.yaml --\nservices:\n  app:\n    environment: {K: 3} # b\n",
			compose.Options{},
			map[string]string{"sub/b.yaml": "services:\n  app:\n    environment: {K: 1} # b\n"}, nil,
		},
		"Extended": {
			"the service that extends, not the base",
			wantsK + "-- compose.yaml --\nservices:\n  app:\n    extends: {file: base.yaml, service: base}\n    image: i\n-- base.yaml --\nservices:\n  base:\n    environment: {K: 2}\n", compose.Options{},
			map[string]string{"compose.yaml": "services:\n  app:\n    extends: {file: base.yaml, service: base}\n    image: i\n    environment:\n      K: \"1\"\n"}, nil,
		},
		"ExtendedByOther": {
			"a service of another file extends this one and would change too",
			wantsK + "-- compose.yaml --\nservices:\n  app:\n    image: i\n    environment:\n      A: 1\n-- compose.override.yaml --\nservices:\n  other:\n    extends: {file: compose.yaml, service: app}\n",
			compose.Options{}, map[string]string{},
			[]string{"app.K (compose.yaml:2): the edit would also change other.K; declare other.K in the policy too, or give it a value of its own"},
		},
		"LastOverride": {
			"where a later file does not drop it again",
			wantsK + "-- compose.yaml --\nservices:\n  app:\n    image: i\n    environment: {A: 1}\n-- compose.override.yaml --\nservices:\n  app:\n    environment: !override\n      A: 2\n", compose.Options{},
			map[string]string{"compose.override.yaml": "services:\n  app:\n    environment: !override\n      A: 2\n      K: \"1\"\n"}, nil,
		},
		"ResetKey": {
			"where a later file takes it away",
			wantsK + "-- compose.yaml --\nservices:\n  app:\n    image: i\n    environment: {K: 1}\n-- compose.override.yaml --\nservices:\n  app:\n    environment:\n      K: !reset null\n", compose.Options{},
			map[string]string{"compose.override.yaml": "services:\n  app:\n    environment:\n      K: \"1\"\n"}, nil,
		},
		"SharedByAll": {
			"one line for both",
			both + "-- compose.yaml --\nx-env: &env\n  A: 1\nservices:\n  app:\n    image: i\n    environment: *env\n  web:\n    image: i\n    environment: *env\n", compose.Options{},
			map[string]string{"compose.yaml": "x-env: &env\n  A: 1\n  K: \"1\"\nservices:\n  app:\n    image: i\n    environment: *env\n  web:\n    image: i\n    environment: *env\n"}, nil,
		},
		"SharedBySome": {
			"beside the merge",
			wantsK + "-- compose.yaml --\nx-env: &env\n  A: 1\nservices:\n  app:\n    image: i\n    environment: *env\n  web:\n    image: i\n    environment: *env\n", compose.Options{},
			map[string]string{"compose.yaml": "x-env: &env\n  A: 1\nservices:\n  app:\n    image: i\n    environment:\n      <<: *env\n      K: \"1\"\n  web:\n    image: i\n    environment: *env\n"}, nil,
		},
		"Removed": {
			"out of every file that sets it",
			absent + "-- compose.yaml --\nservices:\n  app:\n    image: i\n    environment:\n      A: 1\n      K: 1\n-- compose.override.yaml --\nservices:\n  app:\n    environment:\n    - K=2\n    - B=1\n", compose.Options{},
			map[string]string{
				"compose.yaml":          "services:\n  app:\n    image: i\n    environment:\n      A: 1\n",
				"compose.override.yaml": "services:\n  app:\n    environment:\n    - B=1\n",
			}, nil,
		},
		"RemovedAllOrNone": {
			"what cannot be taken out of one file is left in the other",
			absent + "-- compose.yaml --\nx-env: &env\n  K: 1\nservices:\n  app:\n    image: i\n    environment: *env\n  web:\n    image: i\n    environment: *env\n-- compose.override.yaml --\nservices:\n  app:\n    environment:\n    - K=2\n    - B=1\n",
			compose.Options{}, map[string]string{},
			[]string{"app.K (compose.override.yaml:4): other services have it from the same place and are not to change: web; " +
				"give the others a value of their own first, or ask for the same in all of them; to do it by hand: remove K under services.app.environment"},
		},
		"RemovedFromBase": {
			"others may extend the base",
			absent + "-- compose.yaml --\nservices:\n  app:\n    extends: {file: base.yaml, service: base}\n    image: i\n-- base.yaml --\nservices:\n  base:\n    environment: {K: 2}\n", compose.Options{}, map[string]string{},
			[]string{"app.K (base.yaml:3): it comes from service base of /base.yaml, which other services may extend too; remove K at /base.yaml:3:19, then run docker compose up -d app"},
		},
		"OverrideNew": {
			"a new file that compose reads by itself",
			target("Override") + "-- docker-compose.yml --\nservices:\n  app:\n    image: i\n    environment: {K: 2}\n", compose.Options{},
			map[string]string{"docker-compose.override.yml": "services:\n  app:\n    environment:\n      K: \"1\"\n"}, nil,
		},
		"OverrideThere": {
			"the one that there is",
			target("Override") + "-- compose.yaml --\nservices:\n  app:\n    image: i\n-- docker-compose.override.yml --\n# mine\nservices:\n    web:\n        image: w\n", compose.Options{},
			map[string]string{"docker-compose.override.yml": "# mine\nservices:\n    web:\n        image: w\n    app:\n        environment:\n            K: \"1\"\n"}, nil,
		},
		"OverrideListed": {
			"COMPOSE_FILE in .env must name it, or compose would not read it",
			target("Override") + "-- .env --\n# files\nCOMPOSE_FILE=compose.yaml:dev.yaml\nX=1\n-- compose.yaml --\nservices:\n  app:\n    image: i\n-- dev.yaml --\nservices: {}\n", compose.Options{},
			map[string]string{
				".env":                  "# files\nCOMPOSE_FILE=compose.yaml:dev.yaml:compose.override.yaml\nX=1\n",
				"compose.override.yaml": "services:\n  app:\n    environment:\n      K: \"1\"\n",
			}, nil,
		},
		"OverrideExplicit": {
			"with -f compose reads no override file",
			target("Override") + "-- compose.yaml --\nservices:\n  app:\n    image: i\n", compose.Options{Files: []string{"compose.yaml"}}, map[string]string{},
			[]string{"app.K (compose.yaml:2): the compose files are named one by one, so compose reads no override file by itself; run composure in the project's folder without -f"},
		},
		"EnvFile": {
			"the service's env file",
			target("EnvFile") + "-- compose.yaml --\nservices:\n  app:\n    image: i\n    env_file: [a.env, b.env]\n-- a.env --\nA=1\n-- b.env --\n# b\nB=2\n", compose.Options{},
			map[string]string{"b.env": "# b\nB=2\nK=1\n"}, nil,
		},
		"EnvFileWrong": {
			"the line that sets it",
			target("EnvFile") + "-- compose.yaml --\nservices:\n  app:\n    image: i\n    env_file: [a.env, b.env]\n-- a.env --\nexport K='2' # old\n-- b.env --\nB=2\n", compose.Options{},
			map[string]string{"a.env": "export K='1' # old\n"}, nil,
		},
		"EnvFileShared": {
			"another service reads the file too",
			target("EnvFile") + "-- compose.yaml --\nservices:\n  app:\n    image: i\n    env_file: a.env\n  web:\n    image: i\n    env_file: a.env\n-- a.env --\nA=1\n", compose.Options{}, map[string]string{},
			[]string{"app.K (compose.yaml:2): the edit would also change web.K; declare web.K in the policy too, or give it a value of its own"},
		},
		"DotEnv": {
			".env decides",
			target("EnvFile") + "-- .env --\nSYNC=2 # two\n-- compose.yaml --\nservices:\n  app:\n    image: i\n    env_file: a.env\n    environment:\n      K: ${SYNC:-1}\n-- a.env --\nA=1\n", compose.Options{},
			map[string]string{".env": "SYNC=1 # two\n"}, nil,
		},
		"DotEnvShared": {
			"another variable takes the same value",
			target("EnvFile") + "-- .env --\nSYNC=2\n-- compose.yaml --\nservices:\n  app:\n    image: i\n    environment:\n      K: ${SYNC:-1}\n      L: ${SYNC:-1}\n", compose.Options{}, map[string]string{},
			[]string{"app.K (compose.yaml:5): the edit would also change app.L; declare app.L in the policy too, or give it a value of its own"},
		},
		"DotEnvElsewhere": {
			"what is no environment takes the same value",
			target("EnvFile") + "-- .env --\nSYNC=2\n-- compose.yaml --\nservices:\n  app:\n    image: i:${SYNC}\n    environment:\n      K: ${SYNC:-1}\n", compose.Options{}, map[string]string{},
			[]string{"app.K (compose.yaml:5): the edit would also change services.app.image; give the environment a value of its own, or write patch.target: Inline in the policy"},
		},
		"DotEnvProject": {
			"the project would be another one",
			target("EnvFile") + "-- .env --\nCOMPOSE_PROJECT_NAME=2\n-- compose.yaml --\nservices:\n  app:\n    image: i\n    environment:\n      K: ${COMPOSE_PROJECT_NAME:-1}\n", compose.Options{}, map[string]string{},
			[]string{"app.K (compose.yaml:5): the edit would also change the project's name; give the environment a value of its own, or write patch.target: Inline in the policy"},
		},
		"IncludedDotEnv": {
			"an included file has an .env of its own",
			wantsK + "-- compose.yaml --\ninclude: [sub/compose.yaml]\n-- sub/.env --\nSYNC=2\n-- sub/compose.yaml --\nservices:\n  app:\n    image: i\n    environment:\n      K: ${SYNC:-1}\n", compose.Options{}, map[string]string{},
			[]string{"app.K (sub/compose.yaml:5): the value comes from outside the compose files; change or remove SYNC in /sub/.env"},
		},
		"IncludedDotEnvTarget": {
			"and that is edited when the policy says so",
			target("EnvFile") + "-- compose.yaml --\ninclude: [sub/compose.yaml]\n-- sub/.env --\nSYNC=2\n-- sub/compose.yaml --\nservices:\n  app:\n    image: i\n    environment:\n      K: ${SYNC:-1}\n", compose.Options{},
			map[string]string{"sub/.env": "SYNC=1\n"}, nil,
		},
		"HeldIsNotWritten": {
			"what could be taken out of one file only is taken out of none",
			absent + "-- compose.yaml --\nservices:\n  app:\n    image: i\n    environment: {K: 1}\n  ext:\n    image: i\n    extends: app\n-- compose.override.yaml --\nservices:\n  app:\n    environment: [K=1]\n",
			compose.Options{}, map[string]string{},
			[]string{"app.K (compose.override.yaml:3): other services have it from the same place and are not to change: ext; " +
				"give the others a value of their own first, or ask for the same in all of them; to do it by hand: remove K under services.app.environment"},
		},
		"RefusedInOneFile": {
			"what one file refuses is no matter of the other",
			placePolicy("  selector: {services: [app]}\n  variables:\n  - {name: K, value: \"1\"}\n  patch: {files: [compose.yaml, dev.yaml]}\n") +
				"-- compose.yaml --\nservices:\n  app:\n    image: i\n    environment:\n    - A=1\n-- dev.yaml --\nservices:\n  app:\n    environment: !reset []\n", compose.Options{},
			map[string]string{"compose.yaml": "services:\n  app:\n    image: i\n    environment:\n    - A=1\n    - K=1\n"},
			[]string{"app.K (dev.yaml:2): the file resets the service or its environment (!reset), so nothing that it says there counts; " +
				"take the !reset away if the service is to have an environment; then add this line under services.app.environment: - K=1"},
		},
		"OverrideListedByName": {
			"the list stays as it is written",
			target("Override") + "-- .env --\nBASE=compose\nCOMPOSE_FILE=\"${BASE}.yaml\"\n-- compose.yaml --\nservices:\n  app:\n    image: i\n", compose.Options{},
			map[string]string{
				".env":                  "BASE=compose\nCOMPOSE_FILE=\"${BASE}.yaml:compose.override.yaml\"\n",
				"compose.override.yaml": "services:\n  app:\n    environment:\n      K: \"1\"\n",
			}, nil,
		},
		"NegativeZero": {
			"what another variable is read as does not matter to the edit",
			wantsK + "-- compose.yaml --\nservices:\n  app:\n    image: i\n    environment:\n      A: -0\n", compose.Options{},
			map[string]string{"compose.yaml": "services:\n  app:\n    image: i\n    environment:\n      A: -0\n      K: \"1\"\n"}, nil,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			changed, held := placed(t, tc.archive, tc.options)
			if diff := cmp.Diff(tc.changed, changed); diff != "" {
				t.Errorf("%s: files (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.held, held); diff != "" {
				t.Errorf("%s: held (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
