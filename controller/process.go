package controller

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
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
