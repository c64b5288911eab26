package controller

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// alive reports whether a process of this machine exists, be it another user's.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// born tells a process from any other that has had its id, or will: by the boot and the instant of its start. It is empty where the
// system does not tell, and for a process that is gone.
func born(pid int) string { return bornIn("/proc", pid) }

func bornIn(proc string, pid int) string {
	stat, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "stat"))
	boot, bootErr := os.ReadFile(filepath.Join(proc, "sys/kernel/random/boot_id"))
	if err != nil || bootErr != nil {
		return ""
	}
	// The name comes second, in parentheses, and may hold anything; the start is the 22nd field.
	const start = 22 - 3
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) <= start {
		return ""
	}
	return strings.TrimSpace(string(boot)) + "/" + fields[start]
}

// ownContainer is the full id of the container that this process runs in, and "" outside of one: the engine mounts files of the
// container's own folder into it. Into one that has joined the network of another it mounts those of the other: then it is that one's id.
func ownContainer(proc string) string {
	mounts, err := os.ReadFile(filepath.Join(proc, "self/mountinfo"))
	if err != nil {
		return ""
	}
	found := ownFolder.FindSubmatch(mounts)
	if found == nil {
		return ""
	}
	return string(found[1])
}

var ownFolder = regexp.MustCompile(`/containers/([0-9a-f]{64})/(?:hostname|hosts|resolv\.conf) `)
