package state

import (
	"os"
	"path/filepath"
	"testing"
)

func TestKeptPolicies(t *testing.T) {
	store := Store{Dir: filepath.Join(t.TempDir(), "state")}
	if content, err := store.KeptPolicy("/p/a.yaml"); content != nil || err != nil {
		t.Errorf("nothing was kept: %q, %v", content, err)
	}
	for _, content := range []string{"first", "second"} {
		if err := store.KeepPolicy("/p/a.yaml", []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.KeepPolicy("/p/b.yaml", []byte("other")); err != nil {
		t.Fatal(err)
	}
	if content, err := store.KeptPolicy("/p/a.yaml"); string(content) != "second" || err != nil {
		t.Errorf("kept: %q, %v", content, err)
	}
	for range 2 { // the second time there is nothing
		if err := store.ForgetPolicy("/p/a.yaml"); err != nil {
			t.Error(err)
		}
	}
	if content, err := store.KeptPolicy("/p/a.yaml"); content != nil || err != nil {
		t.Errorf("forgotten: %q, %v", content, err)
	}
	if content, err := store.KeptPolicy("/p/b.yaml"); string(content) != "other" || err != nil {
		t.Errorf("the other one: %q, %v", content, err)
	}
	if projects, err := store.Projects(); len(projects) != 0 || err != nil {
		t.Errorf("it is taken for a project: %q, %v", projects, err)
	}
}

func TestUsable(t *testing.T) {
	dir := t.TempDir()
	if err := (Store{Dir: filepath.Join(dir, "made", "here")}).Usable(); err != nil {
		t.Error(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below")} {
		if err := (Store{Dir: path}).Usable(); err == nil {
			t.Errorf("%s is taken for a folder", path)
		}
	}
	if left, err := os.ReadDir(filepath.Join(dir, "made", "here")); len(left) != 0 || err != nil {
		t.Errorf("left: %v, %v", left, err)
	}
}
