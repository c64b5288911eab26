package files

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestRemoveAndBringBack(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "override.yaml")
	content := []byte("services: {}\n")
	if err := os.WriteFile(path, content, 0o640); err != nil {
		t.Fatal(err)
	}
	remove := Write{Path: path, Digest: Digest(content), Remove: true}
	written, err := WriteAll([]Write{remove}, []string{dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("it is still there: %v", err)
	}
	for range 2 { // it may be repeated
		if err := Restore(written); err != nil {
			t.Fatal(err)
		}
	}
	back, err := Read(path)
	if err != nil || string(back.Content) != string(content) || back.Mode.Perm() != 0o640 {
		t.Errorf("brought back: %v, %q, %v", err, back.Content, back.Mode)
	}
}

func TestRemoveTakesOnlyWhatWasSeen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "override.yaml")
	if err := os.WriteFile(path, []byte("edited\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	remove := Write{Path: path, Digest: Digest([]byte("seen\n")), Remove: true}
	_, err := WriteAll([]Write{remove}, nil)
	if _, changed := errors.AsType[*ChangedError](err); !changed {
		t.Errorf("error = %v, want that it changed", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error("somebody's edit is gone")
	}
}

func TestRemovedIsNotBroughtBackOverAnother(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "override.yaml")
	if err := os.WriteFile(path, []byte("another's\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := Restore([]Before{{Path: path, Content: []byte("ours\n"), Removed: true, Mode: 0o600, UID: -1, GID: -1}})
	if _, changed := errors.AsType[*ChangedError](err); !changed {
		t.Errorf("error = %v, want that there is another", err)
	}
	if content, _ := os.ReadFile(path); string(content) != "another's\n" {
		t.Errorf("it is %q now", content)
	}
}
