package compose

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// golden are the labels com.docker.compose.config-hash that compose itself wrote for testdata/golden.txtar, by its version, read
// from the containers after: HOME=/home/user FROM_SHELL=shell docker-compose --profile '*' up -d --no-start --no-build
func golden() map[string]map[string]string {
	return map[string]map[string]string{
		"2.28.1": {
			"built":      "fb39d2ad81fb3c35aeb335fd2a97aa963a64d7c6d92260fe4aaeaab8af04f65e",
			"dependent":  "3ce37afa68a9f358c6b44cc3029ce072db058ff5b7e8c12bb2c6ba168093964f",
			"envfile":    "c91b7080ab2f3106c0869af6bd60fb821f3bb015420003ac5272bd2c38c88e53",
			"extending":  "89c55dda5d345fb11a6b05c0af98d3b082c7a0aac36103bca2edacaa5014242d",
			"list":       "48cd4728be0b8a80e918b3838882574e7e61c0ce85751e814986cd74a2d3ff50",
			"map":        "663e4135c06185d5e0deb152749243b57c9ed009750167a1f38fddbf1a527c34",
			"replicated": "5e6ad00a3e6be101e2235e42f2c85e3e5067707c1f62faa5087dd835ae03da7e",
			"volumes":    "57cd498c0f05111497c0f87b51695f2d1f65ac06c04e6cec4733c50053d58106",
		},
		"2.40.3": {
			"built":      "8c70596a5b11c3c99de9c5546c035dca42ed4bb100774c7a4abf596782832be0",
			"dependent":  "fe27c1b5e3ec466d11f63c6d1e253568176293db3a6ee6eb8779a3705628ec6e",
			"envfile":    "c91b7080ab2f3106c0869af6bd60fb821f3bb015420003ac5272bd2c38c88e53",
			"extending":  "a622ab245546003cfe8f5ad7e1242a7b747262fd4dd6361bed5f71fe8e438794",
			"list":       "63a3a799856a25ca51a9e47ec427a9b8aa5f027539d686e82980b4784aba3656",
			"map":        "c29993a231139e0443eef8500bbaf8c3f1377d79ac19709c58007449120641ed",
			"replicated": "5e6ad00a3e6be101e2235e42f2c85e3e5067707c1f62faa5087dd835ae03da7e",
			"volumes":    "3551ffd57ca86a5f5156a682b11e3a0c3f76a6b1ecf9a08fc43d2f2edf094a0d",
		},
		"5.6.0": {
			"built":      "8c70596a5b11c3c99de9c5546c035dca42ed4bb100774c7a4abf596782832be0",
			"dependent":  "fe27c1b5e3ec466d11f63c6d1e253568176293db3a6ee6eb8779a3705628ec6e",
			"envfile":    "c91b7080ab2f3106c0869af6bd60fb821f3bb015420003ac5272bd2c38c88e53",
			"extending":  "a622ab245546003cfe8f5ad7e1242a7b747262fd4dd6361bed5f71fe8e438794",
			"list":       "63a3a799856a25ca51a9e47ec427a9b8aa5f027539d686e82980b4784aba3656",
			"map":        "c29993a231139e0443eef8500bbaf8c3f1377d79ac19709c58007449120641ed",
			"replicated": "5e6ad00a3e6be101e2235e42f2c85e3e5067707c1f62faa5087dd835ae03da7e",
			"volumes":    "bece4574a71d60f3b3544d76aaf8f63500728acf17c47fc31bc53d0b439754f9",
		},
	}
}

func loadGolden(t *testing.T) *Project {
	t.Helper()
	archive, err := os.ReadFile(filepath.Join("testdata", "golden.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	dir := write(t, string(archive))
	return mustLoad(t, Options{Directory: dir, Environ: []string{"HOME=/home/user", "FROM_SHELL=shell"}})
}

func TestHashGolden(t *testing.T) {
	p := loadGolden(t)
	for version, want := range golden() {
		t.Run(version, func(t *testing.T) {
			flavor, ok := FlavorOf(version)
			if !ok {
				t.Fatalf("version %s is not known", version)
			}
			got := map[string]string{}
			for name := range want {
				hash, err := p.Hash(name, flavor)
				if err != nil {
					t.Fatal(err)
				}
				got[name] = hash
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("hashes (-compose +here):\n%s", diff)
			}
		})
	}
}

func TestHashOfUnknownService(t *testing.T) {
	if _, err := loadGolden(t).Hash("nobody", 0); err == nil {
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
