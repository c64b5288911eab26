package controller

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/composure-dev/composure/internal/api"
)

func ask(d *daemon, method, target string, change func(*http.Request)) *httptest.ResponseRecorder {
	request := httptest.NewRequestWithContext(d.t.Context(), method, target, nil)
	request.Host = "127.0.0.1:8421"
	if change != nil {
		change(request)
	}
	recorder := httptest.NewRecorder()
	d.loop.routes(d.t.Context()).ServeHTTP(recorder, request)
	return recorder
}

func TestHTTP(t *testing.T) {
	run(t, enforced, nil, func(t *testing.T, d *daemon) {
		if got := ask(d, "GET", "/healthz", nil).Code; got != http.StatusOK {
			t.Errorf("healthz = %d", got)
		}
		d.after(10 * time.Second)
		if got := ask(d, "GET", "/readyz", nil).Code; got != http.StatusOK {
			t.Errorf("readyz = %d", got)
		}
		var list api.List[api.Project]
		answer := ask(d, "GET", "/api/v1/projects", nil)
		if err := json.Unmarshal(answer.Body.Bytes(), &list); err != nil || list.Kind != api.KindProjectList {
			t.Fatalf("%v: %s", err, answer.Body)
		}
		if len(list.Items) != 1 {
			t.Fatalf("items: %+v", list.Items)
		}
		shop := list.Items[0]
		if shop.Name != "shop" || api.Find(shop.Conditions, api.Ready).Status != api.True || shop.LastTransaction == nil || shop.LastTransaction.Outcome != "committed" ||
			shop.AppliedDigest == "" || shop.AppliedDigest != shop.ObservedDigest || shop.AttemptedDigest == shop.AppliedDigest || !shop.NextLook.After(shop.LookedAt) {
			t.Errorf("shop: %+v", shop)
		}
		if got := ask(d, "POST", "/api/v1/reconcile?project=nowhere", nil).Code; got != http.StatusNotFound {
			t.Errorf("reconcile of what is not there = %d", got)
		}
		before := d.status().LookedAt
		for _, target := range []string{"/api/v1/reconcile?project=shop", "/api/v1/reconcile"} {
			if got := ask(d, "POST", target, nil).Code; got != http.StatusAccepted {
				t.Errorf("%s = %d", target, got)
			}
			d.after(time.Second)
			if now := d.status().LookedAt; !now.After(before) {
				t.Errorf("%s: it has not looked", target)
			} else {
				before = now
			}
		}
	})
}

// A page from elsewhere may lead a browser to ask, by a name that it has let point here.
func TestHTTPAnswersThisMachineAlone(t *testing.T) {
	run(t, enforced, nil, func(t *testing.T, d *daemon) {
		tests := map[string]struct {
			reason string
			change func(*http.Request)
			want   int
		}{
			"Name":      {"the usual way", func(r *http.Request) { r.Host = "localhost:8421" }, http.StatusAccepted},
			"IPv6":      {"the other loopback", func(r *http.Request) { r.Host = "[::1]:8421" }, http.StatusAccepted},
			"Rebinding": {"a name of somebody else's", func(r *http.Request) { r.Host = "example.com" }, http.StatusForbidden},
			"Origin":    {"a form of another page", func(r *http.Request) { r.Header.Set("Origin", "https://example.com") }, http.StatusForbidden},
		}
		for name, tc := range tests {
			if got := ask(d, "POST", "/api/v1/reconcile", tc.change).Code; got != tc.want {
				t.Errorf("%s: %s: %d, want %d", name, tc.reason, got, tc.want)
			}
		}
	})
}
