package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

func environment(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

func TestExitCodes(t *testing.T) {
	const unreachable = "redis://127.0.0.1:1"
	cases := map[string]struct {
		reason string
		args   []string
		env    map[string]string
		want   int
		says   string
	}{
		"NoVerb":      {reason: "Nothing to do is a mistake.", want: 2, says: "usage: shop VERB"},
		"UnknownVerb": {reason: "An unknown verb is a mistake.", args: []string{"worker"}, want: 2, says: `"worker"`},
		"SyncFlagIsNotBoolean": {
			reason: "A wrong switch stops the start.",
			args:   []string{"app"}, env: map[string]string{"CELERY_BEAT_REDIS_SYNC_ENABLED": "ja", "REDIS_URL": unreachable},
			want: 2, says: `CELERY_BEAT_REDIS_SYNC_ENABLED="ja" is neither true nor false`,
		},
		"IntervalIsNotANumber": {
			reason: "A wrong interval stops beat.",
			args:   []string{"beat"}, env: map[string]string{"CELERY_BEAT_MIN_SYNC_INTERVAL": "soon", "REDIS_URL": unreachable},
			want: 2, says: `CELERY_BEAT_MIN_SYNC_INTERVAL="soon" is not a number of seconds`,
		},
		"PollIsNotADuration": {
			reason: "A wrong poll interval stops beat.",
			args:   []string{"beat"}, env: map[string]string{"BEAT_POLL_INTERVAL": "60", "REDIS_URL": unreachable},
			want: 2, says: `BEAT_POLL_INTERVAL="60" is not a duration`,
		},
		"NoRedisURL":    {reason: "Beat needs a store.", args: []string{"beat"}, want: 2, says: "REDIS_URL is not set"},
		"RedisGone":     {reason: "A store that is away is no mistake of the arguments.", args: []string{"healthcheck", unreachable}, want: 1, says: "ping redis"},
		"HealthRefused": {reason: "A server that is away fails its healthcheck.", args: []string{"healthcheck", "http://127.0.0.1:1/"}, want: 1, says: "request http://127.0.0.1:1/"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var said bytes.Buffer
			p := process{getenv: environment(tc.env), stdout: io.Discard, log: log.New(&said, "", 0)}
			got := p.run(t.Context(), tc.args)
			if got != tc.want || !strings.Contains(said.String(), tc.says) {
				t.Errorf("%s\nexit %d, want %d; said %q, want %q in it", tc.reason, got, tc.want, said.String(), tc.says)
			}
		})
	}
}

func TestDefaultIsOff(t *testing.T) {
	got, err := parseBeat(environment(nil))
	if err != nil {
		t.Fatal(err)
	}
	want := beatConfig{sync: syncConfig{channel: "celery_beat_schedule_updates"}, poll: time.Minute, minSync: 5 * time.Second}
	if got != want {
		t.Errorf("an empty environment gives %+v, want %+v", got, want)
	}
}

// lines is a log that a test can wait on.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) contains(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), s)
}

// eventually polls until done reports true.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline.Done():
			t.Fatalf("%s: not within 10 s", what)
		case <-tick.C:
		}
	}
}

// TestSyncOverRedis runs app and beat against a real server with a poll so long that only the announcement can explain a run.
func TestSyncOverRedis(t *testing.T) {
	server := miniredis.RunT(t)
	var said lines
	p := process{
		getenv: environment(map[string]string{
			"REDIS_URL":                      "redis://" + server.Addr(),
			"BEAT_POLL_INTERVAL":             "1h",
			"CELERY_BEAT_REDIS_SYNC_ENABLED": "true",
			"CELERY_BEAT_MIN_SYNC_INTERVAL":  "1",
			"CELERY_BEAT_REDIS_CHANNEL":      "updates",
		}),
		stdout: io.Discard,
		log:    log.New(&said, "", 0),
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() { ended <- p.run(ctx, []string{"beat"}) }()
	eventually(t, "beat subscribes", func() bool { return said.contains("Subscribed to Redis channel: updates") })

	client, err := redisClient("redis://" + server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	api := httptest.NewServer((&app{store: redisStore{client}, sync: syncConfig{enabled: true, channel: "updates"}, log: p.log}).handler())
	defer api.Close()

	var made created
	call(t, http.MethodPost, api.URL+"/schedules", `{"name":"nightly report"}`, &made)
	if made.PublishedTo == nil || *made.PublishedTo != 1 {
		t.Errorf("published to %v subscribers, want 1", made.PublishedTo)
	}
	eventually(t, "the schedule runs", func() bool {
		var history []execution
		call(t, http.MethodGet, api.URL+"/schedules/"+made.ID+"/history", "", &history)
		return len(history) > 0
	})

	stop()
	if code := <-ended; code != 0 {
		t.Errorf("beat ended with %d when asked to stop, want 0", code)
	}
}

func call(t *testing.T, method, url, body string, answer any) {
	t.Helper()
	text, err := fetch(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), answer); err != nil {
		t.Fatalf("decode %q: %v", text, err)
	}
}

func TestAPIAnswers(t *testing.T) {
	server := miniredis.RunT(t)
	client, err := redisClient("redis://" + server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	handler := (&app{store: redisStore{client}, log: log.New(io.Discard, "", 0)}).handler()
	steps := []struct {
		reason, method, path, body string
		want                       int
	}{
		{"The store answers.", "GET", "/health", "", 200},
		{"A schedule is made.", "POST", "/schedules", `{"name":"a"}`, 201},
		{"It has a history, if an empty one.", "GET", "/schedules/1/history", "", 200},
		{"An ID that was never given is unknown.", "GET", "/schedules/9/history", "", 404},
		{"A schedule needs a name.", "POST", "/schedules", `{}`, 400},
		{"A body that is not JSON is refused.", "POST", "/schedules", `name=a`, 400},
	}
	for _, step := range steps {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), step.method, step.path, strings.NewReader(step.body)))
		if recorder.Code != step.want {
			t.Errorf("%s\n%s %s is %d, want %d", step.reason, step.method, step.path, recorder.Code, step.want)
		}
	}
	server.Close()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/health", http.NoBody))
	if recorder.Code != http.StatusServiceUnavailable {
		t.Errorf("health without a store is %d, want 503", recorder.Code)
	}
}
