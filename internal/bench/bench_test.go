// Package bench measures composure run as people have it: a process of its own, of which nothing is known but what it tells and what
// the operating system counts for it.
//
// The tests play a sample by default, which asserts what does not depend on how busy the machine is; with COMPOSURE_BENCH=full, as
// scripts/bench.sh has it, they play everything and assert the figures that are promised.
package bench

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

// build makes the static binary that people run, once for all tests.
var build = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "composure-bench-")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(folder, "composure")
	return binary, compile(binary, "../../cmd/composure")
})

func compile(to, from string) error {
	command := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", to, from)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", command, err, out)
	}
	return nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	if binary, err := build(); err == nil {
		_ = os.RemoveAll(filepath.Dir(binary))
	}
	os.Exit(code)
}

// full reports whether everything is to be measured, and not only a sample.
func full() bool { return os.Getenv("COMPOSURE_BENCH") == "full" }

// patience bounds every wait. A test that needs it is red: it is long for a machine that is busy with other things.
const patience = 20 * time.Minute

// eventually looks again and again until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s did not come true within %s", what, patience)
		}
	}
}

// freeAddress is one on loopback that nothing listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// table prints rows of which the first is the heading.
func table(t *testing.T, title string, rows ...[]string) {
	t.Helper()
	var text bytes.Buffer
	writer := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range rows {
		fmt.Fprintln(writer, strings.Join(row, "\t")+"\t")
	}
	if err := writer.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s\n%s", title, text.String())
}
