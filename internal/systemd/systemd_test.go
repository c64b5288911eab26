package systemd

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// manager is the other end of NOTIFY_SOCKET.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

func newManager(t *testing.T) manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return manager{t, conn}
}

// told is what has come, to the status that says that it was all.
func (m manager) told() []string {
	m.t.Helper()
	const end = "that was all"
	Status(end)
	if err := m.conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		m.t.Fatal(err)
	}
	var told []string
	for message := make([]byte, 1024); ; {
		n, err := m.conn.Read(message)
		if err != nil {
			m.t.Fatalf("after %q: %v", told, err)
		}
		if string(message[:n]) == "STATUS="+end {
			return told
		}
		told = append(told, string(message[:n]))
	}
}

func TestTold(t *testing.T) {
	tests := map[string]struct {
		reason string
		say    func()
		want   []string
	}{
		"ready":       {"Type=notify waits for it", Ready, []string{"READY=1"}},
		"stopping":    {"the manager then waits for TimeoutStopSec", Stopping, []string{"STOPPING=1"}},
		"status":      {"shown as it is", func() { Status("3 projects, 1 held") }, []string{"STATUS=3 projects, 1 held"}},
		"second line": {"a line of its own would be another message to the manager", func() { Status("held\nREADY=1\r\n") }, []string{"STATUS=held READY=1"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			m := newManager(t)
			tc.say()
			if diff := cmp.Diff(tc.want, m.told()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// A service that is not well is not said to be alive.
func TestWatchdog(t *testing.T) {
	const alive = "WATCHDOG=1"
	tests := map[string]struct {
		reason string
		pid    int
		limit  string
		health []bool // as it is each time it is asked for
		want   []string
	}{
		"healthy":      {"each half of the limit", os.Getpid(), "2000", []bool{true, true, true}, []string{alive, alive, alive}},
		"now and then": {"it goes by how it is now, not by how it was once", os.Getpid(), "2000", []bool{true, false, true}, []string{alive, alive}},
		"never":        {"it is started anew", os.Getpid(), "2000", []bool{false, false}, nil},
		"too often":    {"the shortest limit there is", os.Getpid(), "1", []bool{true}, []string{alive}},
		"not wanted":   {"no WatchdogSec=", os.Getpid(), "", nil, nil},
		"no number":    {"nothing is known of what is wanted", os.Getpid(), "soon", nil, nil},
		"not for us":   {"a child has its parent's environment", os.Getppid(), "2000", nil, nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			m := newManager(t)
			t.Setenv("WATCHDOG_PID", strconv.Itoa(tc.pid))
			t.Setenv("WATCHDOG_USEC", tc.limit)
			ctx, cancel := context.WithCancel(t.Context())
			left := tc.health
			Watchdog(ctx, func() bool {
				if len(left) == 0 { // the tick came with the end
					return false
				}
				now := left[0]
				if left = left[1:]; len(left) == 0 {
					cancel()
				}
				return now
			})
			if len(left) > 0 {
				t.Errorf("%s: it was asked %d times too few", tc.reason, len(left))
			}
			if diff := cmp.Diff(tc.want, m.told()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestWithoutManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	Ready()
	Status("nobody hears it")
	Watchdog(t.Context(), func() bool { t.Error("asked although nobody wants to know"); return true })
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	Stopping() // a manager that went away is no reason to fail
}
