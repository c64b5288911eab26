package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/hint"
)

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
