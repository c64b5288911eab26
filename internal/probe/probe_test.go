package probe

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"
)

const (
	secret  = "hunter2-s3cr3t"
	channel = "celery_beat_schedule_updates"
)

// ask runs a whole probe, from the job's JSON to the result's.
func ask(t *testing.T, job Job) Result {
	t.Helper()
	input, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	if err := Run(t.Context(), bytes.NewReader(input), &stdout); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(stdout.String(), secret) {
		t.Errorf("the result holds the password: %s", stdout.String())
	}
	var result Result
	if err := json.Unmarshal(stdout.Bytes(), &result); err != nil {
		t.Fatal(err)
	}
	return result
}

func TestRedis(t *testing.T) {
	plain := miniredis.RunT(t)
	locked := miniredis.RunT(t)
	locked.RequireAuth(secret)
	users := miniredis.RunT(t)
	users.RequireUserAuth("beat", secret)

	subscriber := redis.NewClient(&redis.Options{Addr: plain.Addr()})
	t.Cleanup(func() { _ = subscriber.Close() })
	subscription := subscriber.Subscribe(t.Context(), channel)
	if _, err := subscription.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}

	type want struct {
		ping        bool
		subscribers int64
		class       Class
	}
	tests := map[string]struct {
		reason string
		job    RedisJob
		want   want
	}{
		"Ping":        {"a server that answers", RedisJob{URL: "redis://" + plain.Addr()}, want{ping: true}},
		"Subscribed":  {"one client listens on the channel", RedisJob{URL: "redis://" + plain.Addr() + "/0", Channel: channel}, want{ping: true, subscribers: 1}},
		"NoListener":  {"a channel nobody listens on has 0", RedisJob{URL: "redis://" + plain.Addr(), Channel: "other"}, want{ping: true}},
		"Password":    {"the right password", RedisJob{URL: "redis://:" + secret + "@" + locked.Addr()}, want{ping: true}},
		"User":        {"the right user and password", RedisJob{URL: "redis://beat:" + secret + "@" + users.Addr()}, want{ping: true}},
		"WrongPass":   {"a wrong password", RedisJob{URL: "redis://:" + secret + "x@" + locked.Addr()}, want{class: ClassAuth}},
		"NoPass":      {"a password is missing", RedisJob{URL: "redis://" + locked.Addr()}, want{class: ClassAuth}},
		"WrongUser":   {"a user the server does not know", RedisJob{URL: "redis://app:" + secret + "@" + users.Addr()}, want{class: ClassAuth}},
		"Unix":        {"a socket path cannot be reached from a network namespace", RedisJob{URL: "unix:///run/" + secret}, want{class: ClassURL}},
		"HTTP":        {"another scheme", RedisJob{URL: "http://:" + secret + "@" + plain.Addr()}, want{class: ClassURL}},
		"Garbage":     {"not a URL at all", RedisJob{URL: "redis://%zz" + secret}, want{class: ClassURL}},
		"HashInPass":  {"an unescaped # would make the password the host", RedisJob{URL: "redis://:" + secret + "#x@" + plain.Addr()}, want{class: ClassURL}},
		"SlashInPass": {"an unescaped / would make the password the host", RedisJob{URL: "redis://:1/" + secret + "@" + plain.Addr()}, want{class: ClassURL}},
		"Database":    {"a database that is no number", RedisJob{URL: "redis://" + plain.Addr() + "/" + secret}, want{class: ClassURL}},
		"Option":      {"an option go-redis does not know", RedisJob{URL: "redis://" + plain.Addr() + "?" + secret + "=1"}, want{class: ClassURL}},
		"NoHost":      {"a name nobody resolves", RedisJob{URL: "redis://:" + secret + "@redis.invalid:6379"}, want{class: ClassResolve}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := ask(t, Job{Redis: &tc.job})
			if diff := cmp.Diff(tc.want, want{got.Ping, got.Subscribers, got.Class}, cmp.AllowUnexported(want{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s\nerror: %s", tc.reason, diff, got.Error)
			}
		})
	}
}

func TestRedisNoServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}

	got := ask(t, Job{Redis: &RedisJob{URL: "redis://:" + secret + "@" + address}})
	want := Result{Class: ClassConnect, Error: "connect: " + address + ": connection refused"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a port nobody listens on (-want +got):\n%s", diff)
	}
}

// serve answers whatever it is sent with reply; an empty reply keeps silent.
func serve(t *testing.T, reply string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answer(conn, reply)
		}
	}()
	return listener.Addr().String()
}

func answer(conn net.Conn, reply string) {
	defer conn.Close()
	buffer := make([]byte, 4096)
	for {
		if _, err := conn.Read(buffer); err != nil {
			return
		}
		_, _ = io.WriteString(conn, reply)
	}
}

func TestRedisStrangeServers(t *testing.T) {
	tests := map[string]struct {
		reason string
		scheme string
		reply  string
		want   Class
	}{
		"HTTP":      {"a web server is not a Redis, and its answer is not quoted", "redis", "HTTP/1.1 400 Bad Request\r\n\r\n" + secret, ClassProtocol},
		"Loading":   {"a server that is not ready yet", "redis", "-LOADING Redis is loading " + secret + "\r\n", ClassConnect},
		"NoPerm":    {"a user who may not PING", "redis", "-NOPERM this user " + secret + " has no permissions\r\n", ClassAuth},
		"Protected": {"protected mode", "redis", "-DENIED Redis is running in protected mode " + secret + "\r\n", ClassAuth},
		"Unknown":   {"an error nobody knows", "redis", "-ERR " + secret + "\r\n", ClassProtocol},
		"NoTLS":     {"TLS is asked of a server without", "rediss", "-ERR unknown\r\n", ClassTLS},
		"Silence":   {"a server that never answers costs one timeout", "redis", "", ClassTimeout},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			got := ask(t, Job{Redis: &RedisJob{URL: tc.scheme + "://" + serve(t, tc.reply)}})
			if got.Class != tc.want {
				t.Errorf("%s: class %q (%s), want %q", tc.reason, got.Class, got.Error, tc.want)
			}
			if took := time.Since(begin); took > 2*Timeout {
				t.Errorf("%s: took %s", tc.reason, took)
			}
		})
	}
}

func TestRunRefusesBadJobs(t *testing.T) {
	tests := map[string]struct {
		reason string
		job    string
	}{
		"Empty":     {"no job", ""},
		"Nothing":   {"a job that asks nothing", "{}"},
		"Unknown":   {"a field of another release", `{"redis":{"url":"redis://x","` + secret + `":1}}`},
		"Truncated": {"half a job", `{"redis":{"url":"` + secret},
		"Syntax":    {"not JSON", secret},
		"Type":      {"a field of another type", `{"redis":{"url":["` + secret + `"]}}`},
		"Both":      {"two questions", `{"redis":{"url":"redis://x"},"http":{"url":"http://` + secret + `"}}`},
		"Two":       {"two jobs", `{"redis":{"url":"redis://x"}} {"redis":{}}`},
		"Huge":      {"more than a job can be", `{"redis":{"url":"` + strings.Repeat("x", maxJob) + `"}}`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var stdout bytes.Buffer
			err := Run(t.Context(), strings.NewReader(tc.job), &stdout)
			if err == nil {
				t.Fatalf("%s: no error", tc.reason)
			}
			if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: the error quotes the job or has several lines: %v", tc.reason, err)
			}
			if stdout.Len() != 0 {
				t.Errorf("%s: a result was written: %s", tc.reason, stdout.String())
			}
		})
	}
}

func TestMatch(t *testing.T) {
	pattern := regexp.MustCompile(`Subscribed to \w+`)
	type want struct {
		Line string
		OK   bool
	}
	tests := map[string]struct {
		reason string
		log    string
		want   want
	}{
		"Line":      {"the line is returned without its end", "start\r\nSubscribed to Redis\r\nmore\n", want{"Subscribed to Redis", true}},
		"First":     {"the first match wins", "Subscribed to A\nSubscribed to B\n", want{"Subscribed to A", true}},
		"Last":      {"a last line without an end counts", "start\nSubscribed to A", want{"Subscribed to A", true}},
		"None":      {"no line matches", "start\nstop\n", want{}},
		"Empty":     {"no log", "", want{}},
		"NotAcross": {"a match never spans two lines", "Subscribed to\nRedis\n", want{}},
		"LongLine":  {"the end of an endless line is not matched", strings.Repeat("x", 2*maxLine) + "Subscribed to A\n", want{}},
		"AfterLong": {"the line after an endless one is", strings.Repeat("x", 3*maxLine) + "\nSubscribed to A\n", want{"Subscribed to A", true}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			line, ok, err := Match(strings.NewReader(tc.log), pattern)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, want{line, ok}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestMatchError(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("start\n"), brokenReader{})
	if _, ok, err := Match(broken, regexp.MustCompile("never")); ok || !cmp.Equal(err, io.ErrClosedPipe, cmpopts.EquateErrors()) {
		t.Errorf("a broken log: ok %v, error %v, want io.ErrClosedPipe", ok, err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }
