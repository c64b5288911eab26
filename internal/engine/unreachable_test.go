package engine

import (
	"errors"
	"fmt"
	"testing"
)

func TestUnreachable(t *testing.T) {
	tests := map[string]struct{ reason, host, words, want string }{
		"NoSocket": {"the path is said once", "unix:///x.sock", "failed to connect to the docker API at unix:///x.sock; check if the path is correct and if the daemon is running: dial unix /x.sock: connect: no such file or directory", "no engine answers at unix:///x.sock: connect: no such file or directory"},
		"Refused":  {"the client tells no cause", "tcp://h:1", "Cannot connect to the Docker daemon at tcp://h:1. Is the docker daemon running?", "no engine answers at tcp://h:1"},
		"Denied":   {"what keeps this user out", "unix:///x.sock", "permission denied while trying to connect to the docker API at unix:///x.sock", "no engine answers at unix:///x.sock: permission denied"},
		"NoHost":   {"a name that is none", "tcp://h:1", "failed to connect to the docker API at tcp://h:1: lookup h: no such host", "no engine answers at tcp://h:1: lookup h: no such host"},
		"Other":    {"words of another client stay", "tcp://h:1", "the line is wet", "no engine answers at tcp://h:1: the line is wet"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			err := newUnreachable(tc.host, tc.words)
			if got := err.Error(); got != tc.want {
				t.Errorf("%s: %q, want %q", tc.reason, got, tc.want)
			}
			if !errors.Is(fmt.Errorf("reach engine: %w", err), ErrUnreachable) {
				t.Errorf("%s: it is not ErrUnreachable", tc.reason)
			}
		})
	}
}
