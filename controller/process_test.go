package controller

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestBornTellsProcessesApart(t *testing.T) {
	proc := t.TempDir()
	put := func(name, content string) {
		t.Helper()
		path := filepath.Join(proc, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := bornIn(proc, 7); got != "" {
		t.Errorf("a system without /proc tells %q", got)
	}
	put("sys/kernel/random/boot_id", "b00t\n")
	put("7/stat", "7 (a) b) c) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 "+"4242 1000 10 0\n")
	if got := bornIn(proc, 7); got != "b00t/4242" {
		t.Errorf("got %q, whatever the name of the program is", got)
	}
	put("8/stat", "8 (cut")
	if got := bornIn(proc, 8); got != "" {
		t.Errorf("half a line tells %q", got)
	}
}

func TestBornOfThisProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	own := born(os.Getpid())
	if own == "" || own != born(os.Getpid()) || own == born(os.Getppid()) || !strings.Contains(own, "/") {
		t.Errorf("this process is %q, its parent %q", own, born(os.Getppid()))
	}
}
