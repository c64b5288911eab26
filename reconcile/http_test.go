package reconcile

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/probe"
	"github.com/composure-dev/composure/reconcile/plan"
)

func TestHTTPCheck(t *testing.T) {
	const login = "http://app:$(APP_TOKEN)@127.0.0.1:8000/health"
	tests := map[string]struct {
		reason  string
		check   string
		before  probe.Result // of the old container
		after   []probe.Result
		want    Result
		wantURL string
		told    string
	}{
		"Passes": {
			"the page answers", "url: '" + login + "'", probe.Result{Status: 200}, []probe.Result{{Status: 200}},
			ResultCommitted, "http://app:tok-0123456789@127.0.0.1:8000/health", "status 200",
		},
		"StatusOfItsOwn": {
			"the policy says which status", "url: 'http://127.0.0.1/', status: 401", probe.Result{Status: 401}, []probe.Result{{Status: 401}},
			ResultCommitted, "http://127.0.0.1/", "status 401",
		},
		"PassesLater": {
			"a server needs a while", "url: 'http://127.0.0.1/'", probe.Result{Status: 200},
			[]probe.Result{{Class: probe.ClassConnect, Error: "connect: 127.0.0.1:80: connection refused"}, {Status: 503}, {Status: 200}},
			ResultCommitted, "http://127.0.0.1/", "status 200",
		},
		"Fails": {
			"the page tells of trouble to the end", "url: 'http://127.0.0.1/'", probe.Result{Status: 200}, []probe.Result{{Status: 503}},
			ResultRolledBack, "http://127.0.0.1/", "status 503, want 200 (tried for 10s)",
		},
		"Redirect": {
			"what it leads to is not asked", "url: 'http://127.0.0.1/'", probe.Result{Status: 200}, []probe.Result{{Status: 302}},
			ResultRolledBack, "http://127.0.0.1/", "status 302, want 200: redirects are not followed",
		},
		"Silence": {
			"an error is no status, and repeats no secret", "url: 'http://127.0.0.1/'", probe.Result{Status: 200},
			[]probe.Result{{Status: 200, Class: probe.ClassProtocol, Error: "protocol: the answer breaks off at tok-0123456789"}},
			ResultRolledBack, "http://127.0.0.1/", "protocol: the answer breaks off",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, withoutChecks()+"  verify:\n  - http: {service: app, within: 10s, "+tc.check+"}\n")
				old := w.inspect("shop-app-1").ID
				asked := 0
				w.engine.HandleProbe(func(target engine.Container, raw []byte) ([]byte, error) {
					var job probe.Job
					if err := json.Unmarshal(raw, &job); err != nil {
						return nil, err
					}
					if job.HTTP == nil || job.HTTP.URL != tc.wantURL {
						t.Errorf("%s: asked %s, want %s", tc.reason, raw, tc.wantURL)
					}
					if target.ID == old {
						return json.Marshal(tc.before)
					}
					answer := tc.after[min(asked, len(tc.after)-1)]
					asked++
					return json.Marshal(answer)
				})
				applied := w.apply()
				if applied.Result != tc.want || !strings.Contains(w.told(applied), tc.told) {
					t.Errorf("%s: result %q, want %q and %q:\n%s", tc.reason, applied.Result, tc.want, tc.told, w.told(applied))
				}
				w.wantNoSecrets(applied)
			})
		})
	}
}

func TestHTTPCheckThatCannotPassIsHeld(t *testing.T) {
	tests := map[string]struct {
		reason, check, want string
	}{
		"NoContainer": {"a slip in the name", "service: web, url: 'http://127.0.0.1/'", "service web has no running container"},
		"NoVariable":  {"a slip in the variable", "service: app, url: 'http://127.0.0.1:$(PORT)/'", "expand $(PORT): the container does not set it"},
		"NoURL":       {"a variable that holds something else", "service: app, url: $(REDIS_URL)", "its URL must begin with http:// or https://"},
		"WillBeThere": {"a variable that the patch brings", "service: app, url: 'http://127.0.0.1/$(SYNC_CHANNEL)'", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, withoutChecks()+"  verify:\n  - http: {"+tc.check+"}\n")
				p := w.propose().Plan
				if tc.want == "" {
					if len(p.Held) > 0 || len(p.Of(plan.VerbSwap)) != 2 {
						t.Errorf("%s: held = %+v", tc.reason, p.Held)
					}
					return
				}
				if len(p.Of(plan.VerbSwap)) != 0 || len(p.Held) == 0 || !strings.Contains(p.Held[0].Reason, tc.want) {
					t.Errorf("%s: held = %+v, want %q", tc.reason, p.Held, tc.want)
				}
				for _, held := range p.Held {
					if strings.Contains(held.Reason+held.Next, secretValues[0]) {
						t.Errorf("%s: %q was told", tc.reason, held.Reason)
					}
				}
			})
		})
	}
}

// The virtual clock shows that a check is given the time that its policy says, not the default.
func TestHTTPCheckIsGivenItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withoutChecks()+"  verify:\n  - http: {service: app, url: 'http://127.0.0.1/', within: 45s}\n")
		w.engine.HandleProbe(func(engine.Container, []byte) ([]byte, error) { return json.Marshal(probe.Result{Status: 500}) })
		begin := time.Now()
		w.apply()
		if took := time.Since(begin); took < 45*time.Second {
			t.Errorf("the check was given up after %s, want 45s", took)
		}
	})
}
