package probe

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// site answers with what a test needs to see.
func site() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); r.URL.Query().Has("login") && (user != "app" || password != secret) {
			http.Error(w, secret, http.StatusUnauthorized)
		}
	})
	mux.Handle("/moved", http.RedirectHandler("/health?"+secret, http.StatusFound))
	mux.HandleFunc("/down", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, secret, http.StatusServiceUnavailable) })
	mux.HandleFunc("/huge", func(w http.ResponseWriter, _ *http.Request) {
		for range 64 {
			if _, err := w.Write([]byte(strings.Repeat("x", maxAnswer))); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/breaks", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte(secret))
	})
	return mux
}

func TestHTTP(t *testing.T) {
	plain, encrypted := httptest.NewServer(site()), httptest.NewTLSServer(site())
	t.Cleanup(plain.Close)
	t.Cleanup(encrypted.Close)

	type want struct {
		Status int
		Class  Class
	}
	tests := map[string]struct {
		reason string
		job    HTTPJob
		want   want
	}{
		"OK":         {"a page that is there", HTTPJob{URL: plain.URL + "/health"}, want{Status: 200}},
		"NotFound":   {"every status is an answer", HTTPJob{URL: plain.URL + "/" + secret}, want{Status: 404}},
		"Down":       {"what the page says is not repeated", HTTPJob{URL: plain.URL + "/down"}, want{Status: 503}},
		"Redirect":   {"redirects are not followed, nor is their target told", HTTPJob{URL: plain.URL + "/moved"}, want{Status: 302}},
		"Login":      {"a user and a password", HTTPJob{URL: strings.Replace(plain.URL, "://", "://app:"+secret+"@", 1) + "/health?login"}, want{Status: 200}},
		"WrongLogin": {"a wrong password", HTTPJob{URL: strings.Replace(plain.URL, "://", "://app:x"+secret+"@", 1) + "/health?login"}, want{Status: 401}},
		"Huge":       {"an answer is not read to its end", HTTPJob{URL: plain.URL + "/huge"}, want{Status: 200}},
		"Stream":     {"an answer without an end is one", HTTPJob{URL: plain.URL + "/stream"}, want{Status: 200}},
		"Breaks":     {"half an answer is none", HTTPJob{URL: plain.URL + "/breaks"}, want{200, ClassProtocol}},
		"Hang":       {"no answer costs one timeout", HTTPJob{URL: plain.URL + "/hang"}, want{Class: ClassTimeout}},
		"Insecure":   {"any certificate will do", HTTPJob{URL: encrypted.URL + "/health", InsecureSkipVerify: true}, want{Status: 200}},
		"HTTPS":      {"there is no certificate authority", HTTPJob{URL: encrypted.URL + "/health"}, want{Class: ClassURL}},
		"NoTLS":      {"TLS is asked of a server without", HTTPJob{URL: strings.Replace(plain.URL, "http:", "https:", 1), InsecureSkipVerify: true}, want{Class: ClassTLS}},
		"NoWeb":      {"something else answers", HTTPJob{URL: "http://" + serve(t, "-ERR "+secret+"\r\n")}, want{Class: ClassProtocol}},
		"NoHost":     {"a name nobody resolves", HTTPJob{URL: "http://app:" + secret + "@web.invalid/"}, want{Class: ClassResolve}},
		"NoPort":     {"a port nobody listens on", HTTPJob{URL: "http://app:" + secret + "@127.0.0.1:1/"}, want{Class: ClassConnect}},
		"Scheme":     {"another scheme", HTTPJob{URL: "redis://:" + secret + "@127.0.0.1/"}, want{Class: ClassURL}},
		"Garbage":    {"not a URL at all", HTTPJob{URL: "http://%zz" + secret}, want{Class: ClassURL}},
		"HashInPass": {"an unescaped # would make the password the host", HTTPJob{URL: "http://app:1#" + secret + "@127.0.0.1/"}, want{Class: ClassURL}},
		"Newline":    {"a value with a line break smuggles no header in", HTTPJob{URL: plain.URL + "/health\r\nX: " + secret}, want{Class: ClassURL}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			got := ask(t, Job{HTTP: &tc.job})
			if diff := cmp.Diff(tc.want, want{got.Status, got.Class}); diff != "" {
				t.Errorf("%s (-want +got):\n%s\nerror: %s", tc.reason, diff, got.Error)
			}
			if took := time.Since(begin); took > 2*Timeout {
				t.Errorf("%s: took %s", tc.reason, took)
			}
		})
	}
}
