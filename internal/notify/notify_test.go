package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/composure-dev/composure/internal/hint"
)

const (
	secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	target = "https://someone:hunter2@hooks.example/hunter3?token=hunter4"
)

// secrets are what nobody may read in a log.
var secrets = []string{"hunter2", "hunter3", "hunter4", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}

// answer is what the receiver says to one try.
type answer struct {
	status     int
	retryAfter string
	err        error
	slow       time.Duration
}

// receiver is the other end, in memory. It has an answer for each try; the last one stays.
type receiver struct {
	mu      sync.Mutex
	answers []answer
	start   time.Time
	tries   []string // id and when, since the start
	headers []http.Header
	told    []string
	log     strings.Builder
}

func (r *receiver) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	a := r.note(request, body)
	select {
	case <-time.After(a.slow):
	case <-request.Context().Done():
		return nil, request.Context().Err()
	}
	if a.err != nil {
		return nil, a.err
	}
	response := &http.Response{StatusCode: a.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("thank you"))}
	response.Header.Set("Retry-After", a.retryAfter)
	return response, nil
}

func (r *receiver) note(request *http.Request, body []byte) answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.answers[0]
	if len(r.answers) > 1 {
		r.answers = r.answers[1:]
	}
	signer, err := standardwebhooks.NewWebhook(secret)
	if err == nil {
		err = signer.Verify(body, request.Header)
	}
	if err != nil {
		a = answer{status: http.StatusUnauthorized}
	}
	r.tries = append(r.tries, fmt.Sprintf("%s %v", request.Header.Get("webhook-id"), time.Since(r.start)))
	r.headers = append(r.headers, request.Header)
	return a
}

// webhook sends to r, whatever the URL says.
func (r *receiver) webhook(t *testing.T) *Webhook {
	t.Helper()
	r.start = time.Now()
	w, err := New(Options{
		URL: target, Secret: []byte(secret + "\n"), Client: &http.Client{Transport: r},
		Log: funcr.New(func(_, args string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.log.WriteString(args + "\n")
		}, funcr.Options{Verbosity: 9}),
		Told: func(result string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.told = append(r.told, result)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (r *receiver) wantNoSecrets(t *testing.T) {
	t.Helper()
	for _, s := range secrets {
		if strings.Contains(r.log.String(), s) {
			t.Errorf("the log tells %q:\n%s", s, r.log.String())
		}
	}
}

// running runs w until the test has done what it does, and for while after that.
func running(t *testing.T, w *Webhook, while time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), while)
	defer cancel()
	w.Run(ctx)
}

func TestDelivery(t *testing.T) {
	ok, busy := answer{status: 200}, answer{status: 503}
	cases := map[string]struct {
		reason  string
		answers []answer
		tries   int
		within  [2]time.Duration // of the last try
		told    string
		log     string
	}{
		"AtOnce":       {"the usual case", []answer{ok}, 1, [2]time.Duration{0, 0}, Delivered, ""},
		"Accepted":     {"any 2xx is yes", []answer{{status: 204}}, 1, [2]time.Duration{0, 0}, Delivered, ""},
		"Busy":         {"twice busy: pauses of 1 s and 2 s, half as much more or less", []answer{busy, busy, ok}, 3, [2]time.Duration{1500 * time.Millisecond, 4500 * time.Millisecond}, Delivered, "answered 503 Service Unavailable"},
		"Unreachable":  {"the network may come back", []answer{{err: errors.New("connection refused")}, ok}, 2, [2]time.Duration{500 * time.Millisecond, 1500 * time.Millisecond}, Delivered, "connection refused"},
		"Timeout":      {"408 may pass", []answer{{status: 408}, ok}, 2, [2]time.Duration{500 * time.Millisecond, 1500 * time.Millisecond}, Delivered, "408"},
		"TooEarly":     {"425 may pass", []answer{{status: 425}, ok}, 2, [2]time.Duration{500 * time.Millisecond, 1500 * time.Millisecond}, Delivered, "425"},
		"Hangs":        {"a try ends after 10 s", []answer{{status: 200, slow: time.Hour}, ok}, 2, [2]time.Duration{10500 * time.Millisecond, 11500 * time.Millisecond}, Delivered, "deadline"},
		"Asked":        {"the receiver says when", []answer{{status: 429, retryAfter: "30"}, ok}, 2, [2]time.Duration{30 * time.Second, 30 * time.Second}, Delivered, "retry after 30s"},
		"AskedByDate":  {"or until when", []answer{{status: 503, retryAfter: "Sat, 01 Jan 2000 00:01:30 GMT"}, ok}, 2, [2]time.Duration{90 * time.Second, 90 * time.Second}, Delivered, "retry after 1m30s"},
		"AskedTooLong": {"10 minutes are the most", []answer{{status: 503, retryAfter: "86400"}, ok}, 2, [2]time.Duration{10 * time.Minute, 10 * time.Minute}, Delivered, ""},
		"AskedNoPause": {"a second is the least, or it were a storm", []answer{{status: 503, retryAfter: "0"}, ok}, 2, [2]time.Duration{time.Second, time.Second}, Delivered, ""},
		"AskedPast":    {"a clock of its own", []answer{{status: 503, retryAfter: "Fri, 31 Dec 1999 00:00:00 GMT"}, ok}, 2, [2]time.Duration{time.Second, time.Second}, Delivered, ""},
		"AskedNothing": {"what cannot be read does not count", []answer{{status: 503, retryAfter: "soon"}, ok}, 2, [2]time.Duration{500 * time.Millisecond, 1500 * time.Millisecond}, Delivered, ""},
		"NotFound":     {"it would be so for ever", []answer{{status: 404}, ok}, 1, [2]time.Duration{0, 0}, Failed, "answered 404 Not Found"},
		"Gone":         {"it would be so for ever", []answer{{status: 410}, ok}, 1, [2]time.Duration{0, 0}, Failed, "answered 410 Gone"},
		"Redirect":     {"nobody is followed", []answer{{status: 308}, ok}, 1, [2]time.Duration{0, 0}, Failed, "answered 308"},
		"ForEver":      {"12 tries", []answer{busy}, 12, [2]time.Duration{10 * time.Minute, time.Hour}, Failed, "given up"},
		"ForEverSlow":  {"an hour: the next try would come after it", []answer{{status: 503, retryAfter: "600"}}, 7, [2]time.Duration{time.Hour, time.Hour}, Failed, "given up"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &receiver{answers: tc.answers}
				w := r.webhook(t)
				w.Notify("m", map[string]string{"reason": "Compliant"})
				running(t, w, 2*time.Hour)
				if !slices.Equal(r.told, []string{tc.told}) {
					t.Errorf("%s: told %q, want %q", tc.reason, r.told, tc.told)
				}
				if len(r.tries) != tc.tries {
					t.Fatalf("%s: %d tries, want %d: %q", tc.reason, len(r.tries), tc.tries, r.tries)
				}
				id, after, _ := strings.Cut(r.tries[len(r.tries)-1], " ")
				last, err := time.ParseDuration(after)
				if err != nil || id != "m" || last < tc.within[0] || last > tc.within[1] {
					t.Errorf("%s: the last of the tries %q is not within %v", tc.reason, r.tries, tc.within)
				}
				if !strings.Contains(r.log.String(), tc.log) || tc.log == "" && tc.tries == 1 && r.log.Len() > 0 {
					t.Errorf("%s: log:\n%s", tc.reason, r.log.String())
				}
				if r.log.Len() > 0 && !strings.Contains(r.log.String(), `"webhook"="https://hooks.example"`) {
					t.Errorf("the log does not say which webhook:\n%s", r.log.String())
				}
				r.wantNoSecrets(t)
			})
		})
	}
}

// Each try is signed with its own time, or a receiver would take a late one for an old one that somebody sends again.
func TestEachTryIsSignedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answers: []answer{{status: 429, retryAfter: "600"}, {status: 200}}}
		w := r.webhook(t)
		w.Notify("m", 1)
		running(t, w, time.Hour)
		var got []string
		for _, h := range r.headers {
			got = append(got, h.Get("webhook-id")+" "+h.Get("webhook-timestamp"))
		}
		first := r.start.Unix()
		if diff := cmp.Diff([]string{fmt.Sprintf("m %d", first), fmt.Sprintf("m %d", first+600)}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if r.headers[0].Get("webhook-signature") == r.headers[1].Get("webhook-signature") {
			t.Error("both tries have one signature")
		}
	})
}

func TestOrderIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answers: []answer{{status: 500}, {status: 500}, {status: 500}, {status: 404}, {status: 200}}}
		w := r.webhook(t)
		for i := range 3 {
			w.Notify(strconv.Itoa(i), i)
		}
		running(t, w, time.Hour)
		var ids []string
		for _, try := range r.tries {
			id, _, _ := strings.Cut(try, " ")
			ids = append(ids, id)
		}
		if want := []string{"0", "0", "0", "0", "1", "2"}; !slices.Equal(ids, want) {
			t.Errorf("tries of %q, want %q", ids, want)
		}
		if want := []string{Failed, Delivered, Delivered}; !slices.Equal(r.told, want) {
			t.Errorf("told %q, want %q", r.told, want)
		}
	})
}

// What waited longer than an hour behind another message is tried once.
func TestOldMessagesAreTriedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answers: []answer{{status: 503, retryAfter: "600"}}}
		w := r.webhook(t)
		for i := range 3 {
			w.Notify(strconv.Itoa(i), i)
		}
		running(t, w, 3*time.Hour)
		if want := []string{"0 1h0m0s", "1 1h0m0s", "2 1h0m0s"}; len(r.tries) != 9 || !slices.Equal(r.tries[6:], want) {
			t.Errorf("tries %q", r.tries)
		}
		if want := []string{Failed, Failed, Failed}; !slices.Equal(r.told, want) {
			t.Errorf("told %q", r.told)
		}
	})
}

func TestFullQueueDropsTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answers: []answer{{status: 200}}}
		w := r.webhook(t)
		for i := range maxQueued + 2 {
			w.Notify(strconv.Itoa(i), i)
		}
		if want := []string{Dropped, Dropped}; !slices.Equal(r.told, want) {
			t.Errorf("told %q, want %q", r.told, want)
		}
		running(t, w, time.Minute)
		if len(r.tries) != maxQueued || r.tries[0] != "2 0s" || r.tries[maxQueued-1] != fmt.Sprintf("%d 0s", maxQueued+1) {
			t.Errorf("%d tries: %q", len(r.tries), r.tries)
		}
	})
}

func TestMessageThatIsNoJSON(t *testing.T) {
	r := &receiver{}
	w := r.webhook(t)
	w.Notify("m", func() {})
	if !slices.Equal(r.told, []string{Failed}) || !strings.Contains(r.log.String(), "cannot be written as JSON") {
		t.Errorf("told %q, log:\n%s", r.told, r.log.String())
	}
}

func TestEnd(t *testing.T) {
	ok, busy, hangs := answer{status: 200}, answer{status: 500}, answer{status: 200, slow: time.Hour}
	again := func(after string) answer { return answer{status: 429, retryAfter: after} }
	cases := map[string]struct {
		reason  string
		answers []answer // the context ends after 60 s
		tries   int
		took    time.Duration // from the end of the context to that of Run
		told    []string
	}{
		"Idle":     {"nothing is left to do", []answer{ok}, 3, 0, []string{Delivered, Delivered, Delivered}},
		"Pause":    {"a pause is cut short, and the rest follows", []answer{again("40"), again("40"), ok}, 5, 0, []string{Delivered, Delivered, Delivered}},
		"Away":     {"who does not answer now is not asked for each message", []answer{again("40"), again("40"), busy}, 3, 0, []string{Dropped, Dropped, Dropped}},
		"Refused":  {"one that is not taken is no reason to keep the others", []answer{again("40"), again("40"), {status: 400}, ok}, 5, 0, []string{Failed, Delivered, Delivered}},
		"AllGone":  {"each is told of by itself", []answer{again("40"), again("40"), {status: 410}}, 5, 0, []string{Failed, Failed, Failed}},
		"NotTwice": {"what is refused as the end comes is not sent again", []answer{again("57"), {status: 400, slow: 6 * time.Second}, ok}, 4, 3 * time.Second, []string{Failed, Delivered, Delivered}},
		"ThenAway": {"a receiver that goes away meanwhile is not asked for each", []answer{again("40"), again("40"), {status: 400}, busy}, 4, 0, []string{Failed, Dropped, Dropped}},
		"Hangs":    {"5 seconds are the most", []answer{again("40"), again("40"), hangs}, 3, 5 * time.Second, []string{Dropped, Dropped, Dropped}},
		"UnderWay": {"a try that has begun may end", []answer{again("57"), {status: 200, slow: 6 * time.Second}, ok}, 4, 3 * time.Second, []string{Delivered, Delivered, Delivered}},
		"HungTry":  {"but not for ever", []answer{again("57"), hangs}, 2, 5 * time.Second, []string{Dropped, Dropped, Dropped}},
		"Slow":     {"5 seconds are for all of them", []answer{again("57"), {status: 200, slow: 4500 * time.Millisecond}}, 3, 5 * time.Second, []string{Delivered, Dropped, Dropped}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &receiver{answers: tc.answers}
				w := r.webhook(t)
				for i := range 3 {
					w.Notify(strconv.Itoa(i), i)
				}
				running(t, w, 60*time.Second)
				if took := time.Since(r.start) - 60*time.Second; took != tc.took {
					t.Errorf("%s: ended after %v, want %v", tc.reason, took, tc.took)
				}
				if len(r.tries) != tc.tries || !slices.Equal(r.told, tc.told) {
					t.Errorf("%s: %d tries, told %q, want %d, %q", tc.reason, len(r.tries), r.told, tc.tries, tc.told)
				}
				r.wantNoSecrets(t)
			})
		})
	}
}

// The example of the specification.
func TestSignatureOfTheSpecification(t *testing.T) {
	w, err := New(Options{URL: target, Secret: []byte(secret)})
	if err != nil {
		t.Fatal(err)
	}
	m := message{id: "msg_p5jXN8AQM9LWM0D4loKWxJek", body: []byte(`{"test": 2432232314}`)}
	request, err := w.request(t.Context(), m, time.Unix(1614265330, 0))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := request.Header.Get("webhook-signature"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNewRefuses(t *testing.T) {
	cases := map[string]struct{ reason, url, secret, want string }{
		"NoURL":       {"nowhere to send to", "", secret, "not one of http or https"},
		"NoScheme":    {"the host alone is no URL", "hooks.example/hunter3", secret, "not one of http or https"},
		"OtherScheme": {"no client speaks it", "ftp://hunter2@hooks.example", secret, "not one of http or https"},
		"NoHost":      {"nobody listens there", "https:///hunter3", secret, "not one of http or https"},
		"Broken":      {"what cannot be read is not shown", "https://hooks.example/%zz?hunter4", secret, "not one of http or https"},
		"NoSecret":    {"an unsigned message could come from anybody", target, "\n", "has 0 bytes"},
		"ShortSecret": {"it could be guessed", target, "hunter2", "has 7 bytes, and must have 24"},
		"ShortBase64": {"what counts is what it stands for", target, "whsec_aHVudGVyMg==", "has 7 bytes"},
		"NoBase64":    {"a character was lost", target, "whsec_hunter2!", "not base64"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := New(Options{URL: tc.url, Secret: []byte(tc.secret)})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("%s: error = %v, want %q", tc.reason, err, tc.want)
			}
			if len(hint.Of(err)) == 0 || strings.Contains(err.Error()+strings.Join(hint.Of(err), ""), "hunter") {
				t.Errorf("%s: %v, hints %q", tc.reason, err, hint.Of(err))
			}
		})
	}
}

// Over a real connection, with the client that is made when none is given, and a receiver that checks as the documentation says.
func TestRoundTrip(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer elsewhere.Close()
	key := bytes.Repeat([]byte("k"), shortestSecret)
	type seen struct{ id, user, body, content string }
	got := make(chan seen, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), body)
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.Header.Get("webhook-signature") != want {
			t.Errorf("signature %q, want %q", r.Header.Get("webhook-signature"), want)
		}
		user, _, _ := r.BasicAuth()
		got <- seen{r.Header.Get("webhook-id"), user, string(body), r.Header.Get("Content-Type")}
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	told := make(chan string, 1)
	w, err := New(Options{URL: strings.Replace(server.URL, "://", "://someone:hunter2@", 1), Secret: key, Told: func(result string) { told <- result }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { w.Run(ctx) })
	w.Notify("m1", map[string]any{"project": "shop", "ready": true})
	if diff := cmp.Diff(seen{"m1", "someone", `{"project":"shop","ready":true}`, "application/json"}, <-got, cmp.AllowUnexported(seen{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if result := <-told; result != Failed {
		t.Errorf("a redirect is no answer, told %q", result)
	}
	cancel()
	run.Wait()
}
