package state

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func record(id string, outcome Outcome) Record {
	return Record{
		Transaction: id, Project: "shop", Host: "h", Began: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Outcome: outcome,
		Plan:       json.RawMessage(`{}`),
		Files:      []FileImage{{Path: "/srv/compose.yaml", DigestBefore: "sha256:a", DigestAfter: "sha256:b", Before: []byte("a: 1\r\n\xff")}},
		Containers: []Container{{ID: "abc", Name: "shop-app-1", Inspect: json.RawMessage(`{}`)}},
	}
}

func TestSaveKeepsRecordsPrivateAndWhole(t *testing.T) {
	store := Store{Dir: filepath.Join(t.TempDir(), "state")}
	want := record("t1", "")
	if err := store.Save(want); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{store.Path(want): 0o600, filepath.Dir(store.Path(want)): 0o700, store.Dir: 0o700} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != mode {
			t.Errorf("mode of %s = %o, want %o: records hold secrets", path, info.Mode().Perm(), mode)
		}
	}
	data, err := os.ReadFile(store.Path(want))
	if err != nil {
		t.Fatal(err)
	}
	var got Record
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	// json.MarshalIndent re-indents raw messages; compare what they mean.
	got.Plan, got.Containers[0].Inspect = want.Plan, want.Containers[0].Inspect
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record read back (-want +got):\n%s", diff)
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(store.Path(want)), "*"))
	if len(left) != 1 {
		t.Errorf("files in the folder = %v, want the record alone", left)
	}
}

func TestDefaultDir(t *testing.T) {
	env := func(values map[string]string) func(string) string { return func(k string) string { return values[k] } }
	tests := map[string]struct {
		reason string
		uid    int
		env    map[string]string
		want   string
	}{
		"Root":     {"root's records lie with the system", 0, map[string]string{"XDG_STATE_HOME": "/x"}, "/var/lib/composure"},
		"XDG":      {"XDG_STATE_HOME is obeyed", 1000, map[string]string{"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/composure"},
		"Relative": {"the XDG specification says to ignore a relative path", 1000, map[string]string{"XDG_STATE_HOME": "x", "HOME": "/h"}, "/h/.local/state/composure"},
		"Home":     {"the default of the XDG specification", 1000, map[string]string{"HOME": "/h"}, "/h/.local/state/composure"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := DefaultDir(tc.uid, env(tc.env)); got != tc.want {
				t.Errorf("%s: DefaultDir = %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}
