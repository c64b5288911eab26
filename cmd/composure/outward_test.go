package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/controller"
	"github.com/composure-dev/composure/internal/api"
	"github.com/composure-dev/composure/internal/metrics"
)

// What is sent outside is counted, whichever way it goes.
func TestOutwardIsCounted(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }))
	defer receiver.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("k", 24)), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := outwardFlags{redis: "redis://" + miniredis.RunT(t).Addr(), channel: "results", webhook: receiver.URL, secretFile: secret}
	counted, options := metrics.New("test"), controller.RunOptions{}
	end, err := flags.open(t.Context(), logr.Discard(), counted, &options)
	if err != nil {
		t.Fatal(err)
	}
	options.Publish(api.Result{Project: "shop"})
	options.Publish(api.Result{Project: "blog"})
	options.Notify("1", api.Event{})
	end()
	scraped := httptest.NewRecorder()
	counted.Handler().ServeHTTP(scraped, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	got := slices.DeleteFunc(strings.Split(scraped.Body.String(), "\n"), func(line string) bool {
		return !strings.HasPrefix(line, "composure_notifications_total") || strings.HasSuffix(line, " 0")
	})
	want := []string{
		`composure_notifications_total{result="delivered",target="redis"} 2`, `composure_notifications_total{result="failed",target="webhook"} 1`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
