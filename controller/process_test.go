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

func TestOwnContainer(t *testing.T) {
	id := strings.Repeat("ab", 32)
	tests := map[string]struct{ reason, mounts, want string }{
		"Container": {
			"the engine mounts the container's own files",
			"600 590 0:50 / / rw - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/A\n" +
				"612 600 8:1 /var/lib/docker/containers/" + id + "/hostname /etc/hostname rw,relatime - ext4 /dev/sda1 rw\n", id,
		},
		"Host":    {"a host mounts no such files", "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n", ""},
		"Another": {"a folder of containers that is mounted is none of its own", "22 1 8:1 /var/lib/docker/containers/" + id + " /x rw - ext4 /dev/sda1 rw\n", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			proc := t.TempDir()
			if err := os.MkdirAll(filepath.Join(proc, "self"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(proc, "self", "mountinfo"), []byte(tc.mounts), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := ownContainer(proc); got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
	if got := ownContainer(t.TempDir()); got != "" {
		t.Errorf("a system without /proc tells %q", got)
	}
}
