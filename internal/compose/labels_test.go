package compose

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFromLabels(t *testing.T) {
	dir := write(t, "-- root/shop/compose.yaml --\nservices: {app: {image: i}}\n-- root/shop/.env --\nA=1\n-- outside/compose.yaml --\nx\n-- rootless/compose.yaml --\nx\n")
	if err := os.Symlink(filepath.Join(dir, "outside"), filepath.Join(dir, "root/link")); err != nil {
		t.Fatal(err)
	}
	shop := filepath.Join(dir, "root/shop")
	file := filepath.Join(shop, "compose.yaml")
	good := map[string]string{labelProject: "shop", labelWorkingDir: shop, labelFiles: file, labelEnvFiles: filepath.Join(shop, ".env")}
	cases := map[string]struct {
		reason string
		label  string // changed
		value  string
		want   string // part of the reason; empty: reachable
	}{
		"Good":     {"all inside", labelProject, "shop", ""},
		"NoEnv":    {"no --env-file was given", labelEnvFiles, "", ""},
		"NoName":   {"not a compose container", labelProject, "", "no label com.docker.compose.project"},
		"NoDir":    {"no working directory", labelWorkingDir, "", "working_dir"},
		"NoFiles":  {"no files", labelFiles, "", "config_files"},
		"Relative": {"a path of another kind of system", labelFiles, `C:\compose.yaml`, "not an absolute path"},
		"Stdin":    {"the project came from standard input", labelFiles, "-", "not an absolute path"},
		"Gone":     {"a file of another machine", labelFiles, filepath.Join(shop, "gone.yaml"), "cannot be read here"},
		"Outside":  {"one of several files outside", labelFiles, file + "," + filepath.Join(dir, "outside/compose.yaml"), "outside of the allowed roots"},
		"Symlink":  {"a symbolic link that leads out", labelFiles, filepath.Join(dir, "root/link/compose.yaml"), "outside of the allowed roots"},
		"Dots":     {"dots that lead out", labelFiles, filepath.Join(dir, "root") + "/../outside/compose.yaml", "outside of the allowed roots"},
		"Prefix":   {"a folder whose name begins like the root's", labelFiles, filepath.Join(dir, "rootless/compose.yaml"), "outside of the allowed roots"},
		"EnvFile":  {"an env file outside", labelEnvFiles, "/etc/passwd", "outside of the allowed roots"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			labels := map[string]string{tc.label: tc.value}
			for k, v := range good {
				if k != tc.label {
					labels[k] = v
				}
			}
			opts, err := FromLabels(labels, []string{filepath.Join(dir, "nowhere"), filepath.Join(dir, "root")}, []string{"H=1"})
			if tc.want == "" {
				if err != nil || opts.Name != "shop" {
					t.Errorf("%s: %+v, %v", tc.reason, opts, err)
				}
				return
			}
			var unreachable *Unreachable
			if !errors.As(err, &unreachable) || !strings.Contains(unreachable.Reason, tc.want) {
				t.Errorf("%s: got %v", tc.reason, err)
			}
		})
	}
	opts, err := FromLabels(good, []string{dir}, []string{"COMPOSE_FILE=other.yaml", "COMPOSE_PROJECT_NAME=other", "PWD=/elsewhere"})
	if err != nil {
		t.Fatal(err)
	}
	p := mustLoad(t, opts)
	if diff := cmp.Diff([]string{"shop", shop, file, shop}, []string{p.Name, p.Directory, p.Files[0].Path, p.Environment["PWD"].Value}); diff != "" {
		t.Errorf("the labels decide, not the variables (-want +got):\n%s", diff)
	}
	if _, err := FromLabels(good, nil, nil); err == nil {
		t.Error("without a root nothing is reachable")
	}
}
