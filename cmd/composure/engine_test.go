package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/hint"
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
			err := fmt.Errorf("reach engine %q: %w", tc.host, fmt.Errorf("%w: %s: %s", engine.ErrUnreachable, tc.host, tc.words))
			if got := unreachable(err); got != tc.want {
				t.Errorf("%s: %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
	if got := unreachable(engine.ErrUnreachable); got != engine.ErrUnreachable.Error() {
		t.Errorf("%q, want an error without an address as it is", got)
	}
}

// TestEngineErrorsHaveAdvice: an engine that answers with an error is no reason to leave a person alone.
func TestEngineErrorsHaveAdvice(t *testing.T) {
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(broken.Close)
	in, _, _ := invoked("", "DOCKER_HOST=tcp://"+strings.TrimPrefix(broken.URL, "http://"))
	opened, err := in.openEngine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opened.Info(t.Context()); err == nil || len(hint.Of(err)) == 0 {
		t.Errorf("info: error %v, want one with a hint", err)
	}
	if _, err := opened.List(t.Context()); err == nil || len(hint.Of(err)) == 0 {
		t.Errorf("list: error %v, want one with a hint", err)
	}
	for _, known := range []error{nil, engine.ErrUnreachable, engine.ErrTooOld, context.Canceled} {
		if err := advised(known); !errors.Is(err, known) || len(hint.Of(err)) > 0 {
			t.Errorf("%v has advice of its own, but was given %q", known, hint.Of(err))
		}
	}
}
