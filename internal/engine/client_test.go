package engine_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/internal/engine"
)

// serve answers as an engine of the given API version whose further answers come from handle.
func serve(t *testing.T, api string, handle http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/_ping" {
			w.Header().Set("Api-Version", api)
			w.Header().Set("Ostype", "linux")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		handle(w, r)
	}))
	t.Cleanup(server.Close)
	return "tcp://" + strings.TrimPrefix(server.URL, "http://")
}

func open(t *testing.T, options engine.ClientOptions) *engine.Client {
	t.Helper()
	t.Setenv("DOCKER_CERT_PATH", "")
	t.Setenv("DOCKER_API_VERSION", "")
	client, err := engine.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestInfo(t *testing.T) {
	host := serve(t, "1.44", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"Version": "25.0.1", "Os": "linux", "Arch": "arm64", "Components": [{"Name": "Podman Engine"}]}`))
	})
	got, err := open(t, engine.ClientOptions{Host: host}).Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := engine.Info{APIVersion: "1.44", ServerVersion: "25.0.1", OSType: "linux", Architecture: "arm64", Podman: true, Host: host}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestInfoErrors(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	cases := map[string]struct {
		reason string
		host   string
		want   error
	}{
		"NoSocket": {reason: "The socket is missing.", host: "unix:///nonexistent/docker.sock", want: engine.ErrUnreachable},
		"Refused":  {reason: "Nobody listens.", host: "tcp://" + strings.TrimPrefix(gone.URL, "http://"), want: engine.ErrUnreachable},
		"TooOld":   {reason: "1.40 lacks what 1.41 has.", host: serve(t, "1.40", http.NotFound), want: engine.ErrTooOld},
		"Ancient":  {reason: "The client itself refuses it.", host: serve(t, "1.24", http.NotFound), want: engine.ErrTooOld},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, engine.ClientOptions{Host: tc.host}).Info(t.Context())
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.host) {
				t.Errorf("%s\ngot %v, want %v that names %s", tc.reason, err, tc.want, tc.host)
			}
		})
	}
}

func TestErrorsOfTheEngine(t *testing.T) {
	cases := map[string]struct {
		reason string
		status int
		want   error
	}{
		"NotFound": {reason: "A missing object is told apart.", status: http.StatusNotFound, want: engine.ErrNotFound},
		"Conflict": {reason: "A taken name is told apart.", status: http.StatusConflict, want: engine.ErrConflict},
		"Other":    {reason: "The engine's words are kept as they are.", status: http.StatusInternalServerError},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			host := serve(t, "1.41", func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				_, _ = w.Write([]byte(`{"message": "the engine's words"}`))
			})
			err := open(t, engine.ClientOptions{Host: host}).Start(t.Context(), oldID)
			if tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("%s\ngot %v, want %v", tc.reason, err, tc.want)
			}
			if err == nil || !strings.HasSuffix(err.Error(), "the engine's words") || strings.Contains(err.Error(), "daemon") {
				t.Errorf("%s\ngot %v", tc.reason, err)
			}
		})
	}
}

func TestCallsFollowTheContext(t *testing.T) {
	host := serve(t, "1.41", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	client := open(t, engine.ClientOptions{Host: host})
	if _, err := client.Info(canceled(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if err := client.Stop(canceled(t), oldID); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestHostPrecedence(t *testing.T) {
	dir := t.TempDir()
	write := func(path, content string) {
		path = filepath.Join(dir, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write("config.json", `{"currentContext": "current"}`)
	for _, name := range []string{"current", "named"} {
		digest := sha256.Sum256([]byte(name))
		write("contexts/meta/"+hex.EncodeToString(digest[:])+"/meta.json",
			`{"Name": "`+name+`", "Endpoints": {"docker": {"Host": "unix:///`+name+`.sock"}}}`)
	}
	cases := map[string]struct {
		reason  string
		options engine.ClientOptions
		want    string
	}{
		"Host":    {reason: "DOCKER_HOST beats all.", options: engine.ClientOptions{Host: "unix:///host.sock", Context: "named"}, want: "unix:///host.sock"},
		"Context": {reason: "DOCKER_CONTEXT beats the current context.", options: engine.ClientOptions{Context: "named"}, want: "unix:///named.sock"},
		"Current": {reason: "The current context is what docker uses without either.", want: "unix:///current.sock"},
		"Missing": {reason: "A context that does not exist is an error, not the default engine.", options: engine.ClientOptions{Context: "gone"}, want: `docker context "gone": not found`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.options.ConfigDir = dir
			client, err := engine.Open(tc.options)
			if err == nil {
				_, err = client.Info(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s\ngot %v, want one about %q", tc.reason, err, tc.want)
			}
		})
	}
}

func TestProbeNeedsStaticBinary(t *testing.T) {
	shell, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		t.Skip("no dynamically linked program to try")
	}
	_, err = open(t, engine.ClientOptions{Host: serve(t, "1.41", http.NotFound), ProbeBinary: shell}).EnsureImage(t.Context())
	if err == nil || !strings.Contains(err.Error(), "CGO_ENABLED=0") {
		t.Errorf("got %v, want what to build", err)
	}
}
