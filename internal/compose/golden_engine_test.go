package compose

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
)

var update = flag.Bool("update", false, "write what this compose gives to testdata/golden; look at the difference")

// TestEngineGolden has compose create the containers of testdata/golden.txtar and holds those that refer to no other against the
// values of its version. With -update it writes them: once for each version that scripts/compose.sh builds.
func TestEngineGolden(t *testing.T) {
	e := newEngine(t, "cmpc-golden", "cmpc-golden:1", "golden.txtar")
	version := strings.TrimPrefix(strings.TrimSpace(e.run(t, nil, "version", "--short")), "v")
	for _, file := range goldenFiles(version) {
		e.files = append(e.files, "-f", file)
	}
	e.run(t, []string{"FROM_SHELL=shell"}, "--profile", "*", "up", "-d", "--no-start", "--no-build")
	made := map[string]written{}
	for _, c := range e.containers(t) {
		made[c.Config.Labels[labelService]] = written{Hash: c.Config.Labels[labelHash], Shared: referred(c)}
	}
	path := filepath.Join("testdata", "golden", version+".json")
	if *update {
		content, err := json.MarshalIndent(made, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(content, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("testdata/golden has no values of compose %s", version)
	}
	want := golden(t, version)
	for _, values := range []map[string]written{want, made} {
		delete(values, "sidecar") // ids are others each time
		delete(values, "taking")
	}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Errorf("labels (-testdata +compose):\n%s", diff)
	}
}

// referred is what the container has of others.
func referred(c container.InspectResponse) Shared {
	s := sharedBy(c)
	for _, mode := range []*string{&s.Network, &s.Pid, &s.Ipc} {
		if !strings.HasPrefix(*mode, "container:") {
			*mode = ""
		}
	}
	return s
}
