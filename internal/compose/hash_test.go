package compose

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// goldenVersions are those of which testdata/golden has what they wrote for testdata/golden.txtar.
func goldenVersions() []string {
	return []string{"2.20.3", "2.24.7", "2.28.1", "2.35.1", "2.40.3", "5.0.2", "5.6.0"}
}

// written is what compose wrote of a service's container: the label com.docker.compose.config-hash, and of one that refers to
// others what it has in their place.
type written struct {
	Hash   string
	Shared Shared `json:",omitzero"`
}

// golden are the containers that compose made of testdata/golden.txtar; TestEngineGolden does, told to -update.
func golden(t *testing.T, version string) map[string]written {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", "golden", version+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]written
	if err := json.Unmarshal(content, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func goldenFiles(version string) []string {
	if version == "2.20.3" {
		return []string{"compose.yaml"}
	}
	return []string{"compose.yaml", "newer.yaml"}
}

func loadGolden(t *testing.T, version string) *Project {
	t.Helper()
	archive, err := os.ReadFile(filepath.Join("testdata", "golden.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	dir := write(t, string(archive))
	return mustLoad(t, Options{Directory: dir, Files: goldenFiles(version), Environ: []string{"HOME=/home/user", "FROM_SHELL=shell"}})
}

// unknowable are the services of which old versions hash what compose-go has not kept: devices and modes of files that were
// text, ports without the defaults, limits of CPUs as written, and in 2.20 the references of volumes_from.
func unknowable() map[string][]string {
	return map[string][]string{
		"2.20.3": {"device", "modes", "published", "replicated", "secret", "taking"},
		"2.24.7": {"device", "modes", "published", "replicated", "watched"},
		"2.28.1": {"device", "modes", "published", "watched"},
	}
}

// TestHashGolden: of files that have not changed, each container is proved and gets its label again, or it is held.
func TestHashGolden(t *testing.T) {
	for _, version := range goldenVersions() {
		t.Run(version, func(t *testing.T) {
			p := loadGolden(t, version)
			containers := golden(t, version)
			if len(containers) != len(p.Services) {
				t.Errorf("%d labels of %d services", len(containers), len(p.Services))
			}
			for name, c := range containers {
				got, err := p.Replace(ReplaceQuestion{
					Service: name, Env: parseEnv(p.newEnv(name, nil, nil)), Hash: c.Hash, Version: version, Shared: c.Shared,
				})
				_, held := errors.AsType[*Unprovable](err)
				switch {
				case slices.Contains(unknowable()[version], name):
					if !held {
						t.Errorf("%s: %q, %v; want it held", name, got.Hash, err)
					}
				case err != nil || got.Hash != c.Hash:
					t.Errorf("%s: %q, %v; compose wrote %q", name, got.Hash, err, c.Hash)
				}
			}
		})
	}
}

func TestHashOfUnknownService(t *testing.T) {
	if _, err := loadGolden(t, "5.6.0").Hash("nobody", 0); err == nil {
		t.Error("a service that the project does not have was hashed")
	}
}

func TestFlavorOf(t *testing.T) {
	type want struct {
		Flavor Flavor
		Known  bool
	}
	const (
		b, n, g = FlavorBind, FlavorNull, FlavorNetwork
		p, d, r = FlavorProfiles, FlavorDependsOn, FlavorDeploy
	)
	cases := map[string]struct {
		reason  string
		version string
		want    want
	}{
		"TooOld":      {"before 2.19 the bytes are not known", "2.18.1", want{0, false}},
		"Oldest":      {"deploy always there, nulls kept", "2.20.3", want{b | g | p | d | r, true}},
		"ComposeGo2":  {"nulls dropped from 2.24", "2.24.0", want{b | n | g | p | d, true}},
		"DependsOn":   {"the last with depends_on", "2.29.2", want{b | n | g | p | d, true}},
		"NoDependsOn": {"the first without", "2.29.3", want{b | n | g | p, true}},
		"NoProfiles":  {"profiles left the hash", "2.30.2", want{b | n | g, true}},
		"NullsKept":   {"bare keys unset the image's", "2.35.0", want{b | g, true}},
		"Networks":    {"the priority lost its place", "2.36.0", want{b, true}},
		"Last2":       {"the last 2.x", "2.40.3", want{b, true}},
		"First5":      {"canonical", "5.0.0", want{0, true}},
		"Later":       {"a later version is proved by the hash itself", "5.9.1", want{0, true}},
		"Desktop":     {"a build of a release", "v2.40.3-desktop.1", want{b, true}},
		"NoRelease":   {"there is no compose 3", "3.0.0", want{0, false}},
		"Dev":         {"not a release", "dev", want{0, false}},
		"Empty":       {"no label", "", want{0, false}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			flavor, known := FlavorOf(tc.version)
			if diff := cmp.Diff(tc.want, want{flavor, known}); diff != "" {
				t.Errorf("%s: FlavorOf(%q) (-want +got):\n%s", tc.reason, tc.version, diff)
			}
		})
	}
}
