package engine_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
)

func specWithMAC() engine.Spec {
	return engine.Spec{
		Name:       "shop-web-1.composure-new",
		Config:     &container.Config{Image: "web:1", Entrypoint: []string{}},
		Host:       &container.HostConfig{NetworkMode: "front"},
		MACAddress: "02:00:00:00:00:01",
	}
}

func TestCreateWithMAC(t *testing.T) {
	var body map[string]any
	var asked, observed string
	host := serve(t, "1.41", func(w http.ResponseWriter, r *http.Request) {
		asked = r.Method + " " + r.URL.String() + " " + r.Header.Get("Content-Type")
		_ = json.NewDecoder(r.Body).Decode(&body)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"Id": "` + oldID + `"}`))
	})
	client := open(t, engine.ClientOptions{Host: host, Observe: func(method, path string) { observed = method + " " + path }})
	id, err := client.Create(t.Context(), specWithMAC())
	if err != nil || id != oldID {
		t.Fatalf("got %q and %v", id, err)
	}
	if want := "POST /v1.41/containers/create?name=shop-web-1.composure-new application/json"; asked != want {
		t.Errorf("asked for %q, want %q", asked, want)
	}
	if want := "POST /v1.41/containers/create"; observed != want {
		t.Errorf("observed %q, want %q", observed, want)
	}
	hostConfig, _ := body["HostConfig"].(map[string]any)
	got := []any{body["MacAddress"], body["Image"], body["Entrypoint"], hostConfig["NetworkMode"]}
	if diff := cmp.Diff([]any{"02:00:00:00:00:01", "web:1", []any{}, "front"}, got); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func TestCreateWithMACErrors(t *testing.T) {
	cases := map[string]struct {
		reason string
		status int
		answer string
		want   error
		words  string
	}{
		"NotFound": {reason: "A missing image is told apart.", status: http.StatusNotFound, answer: `{"message": "No such image"}`, want: engine.ErrNotFound, words: "No such image"},
		"Conflict": {reason: "A taken name is told apart.", status: http.StatusConflict, answer: `{"message": "in use"}`, want: engine.ErrConflict, words: "in use"},
		"Other":    {reason: "The engine's words are kept.", status: http.StatusBadRequest, answer: `{"message": "the engine's words"}`, words: "the engine's words"},
		"Proxy":    {reason: "A proxy speaks no JSON.", status: http.StatusForbidden, answer: `<html>`, words: "403 Forbidden"},
		"Garbage":  {reason: "An answer that cannot be read is no id.", status: http.StatusCreated, answer: `{"Id": `, words: "unexpected end"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			host := serve(t, "1.41", func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				_, _ = w.Write([]byte(tc.answer))
			})
			_, err := open(t, engine.ClientOptions{Host: host}).Create(t.Context(), specWithMAC())
			if tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("%s\ngot %v, want %v", tc.reason, err, tc.want)
			}
			if err == nil || !strings.Contains(err.Error(), tc.words) || !strings.Contains(err.Error(), "shop-web-1.composure-new") {
				t.Errorf("%s\ngot %v, want %q", tc.reason, err, tc.words)
			}
		})
	}
}

func TestCreateWithMACUnreachable(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	client := open(t, engine.ClientOptions{Host: "tcp://" + strings.TrimPrefix(gone.URL, "http://")})
	if _, err := client.Create(t.Context(), specWithMAC()); !errors.Is(err, engine.ErrUnreachable) {
		t.Errorf("got %v, want %v", err, engine.ErrUnreachable)
	}
}
