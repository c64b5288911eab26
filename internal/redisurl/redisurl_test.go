package redisurl

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/composure-dev/composure/internal/hint"
)

const secret = "hunter2"

func TestConnect(t *testing.T) {
	plain, locked, users := miniredis.RunT(t), miniredis.RunT(t), miniredis.RunT(t)
	locked.RequireAuth(secret)
	users.RequireUserAuth("operator", secret)
	socket := filepath.Join(t.TempDir(), "redis.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	forward(t, listener, plain.Addr())

	cases := map[string]struct{ reason, url, cause string }{
		"Plain":     {"no user, database 0", "redis://" + plain.Addr(), ""},
		"Database":  {"one by its number", "redis://" + plain.Addr() + "/3", ""},
		"Parameter": {"the other way to name one", "redis://" + plain.Addr() + "?db=3", ""},
		"Password":  {"the default user's", "redis://:" + secret + "@" + locked.Addr(), ""},
		"User":      {"one of an access list", "redis://operator:" + secret + "@" + users.Addr(), ""},
		"Socket":    {"on this machine", "unix://" + socket + "?db=1", ""},
		"WrongPass": {"the server's word for it is not quoted", "redis://:" + secret + "x@" + locked.Addr(), "wrong user or password"},
		"NoPass":    {"it is missing", "redis://" + locked.Addr(), "it wants a password"},
		"NoTLS":     {"TLS with a server that has none", "rediss://" + deaf(t, "-ERR\r\n"), "no TLS there, or its certificate is not trusted"},
		"NoHost":    {"a name nobody resolves", "redis://:" + secret + "@redis.invalid", "no such host redis.invalid"},
		"NoSocket":  {"the place is told", "unix:///nowhere/redis.sock", "dial unix /nowhere/redis.sock: connect: no such file or directory"},
		"Silent":    {"it hangs", "redis://" + deaf(t, ""), "no answer in time"},
		"Web":       {"something else listens there", "redis://" + deaf(t, "HTTP/1.1 400 Bad Request\r\n\r\n"+secret), "it does not answer as Redis does"},
		"Echo":      {"a server that repeats what it was sent", "redis://" + deaf(t, "-ERR unknown command `AUTH`, beginning with: "+secret+"\r\n"), "it refuses the command"},
		"Odd":       {"no word of Redis'", "redis://" + deaf(t, "-"+secret+" x\r\n"), "it refuses the command"},
		"Loading":   {"its own word says why", "redis://" + deaf(t, "-LOADING Redis is loading the dataset in memory\r\n"), "it refuses: LOADING"},
		"NoAuthOld": {"Redis 5 and earlier", "redis://" + deaf(t, "-ERR Client sent AUTH, but no password is set\r\n"), "wrong password, or it has none"},
		"Forbidden": {"an access list", "redis://" + deaf(t, "-NOPERM this user has no permissions to run the 'ping' command\r\n"), "the user lacks a permission"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			client, err := Connect(tc.url)
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			t.Cleanup(func() { _ = client.Close() })
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			var cause string
			if err := client.Ping(ctx).Err(); err != nil {
				cause = Cause(err)
			}
			if cause != tc.cause || strings.Contains(cause, secret) {
				t.Errorf("%s: %q, want %q", tc.reason, cause, tc.cause)
			}
		})
	}
}

// deaf answers whatever it is sent with the same, or with nothing.
func deaf(t *testing.T, answer string) (address string) {
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
			t.Cleanup(func() { _ = conn.Close() })
			go func() {
				for sent := make([]byte, 4096); ; {
					if _, err := conn.Read(sent); err != nil {
						return
					}
					_, _ = conn.Write([]byte(answer))
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// forward hands what comes to a socket on.
func forward(t *testing.T, listener net.Listener, address string) {
	t.Helper()
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", address)
			if err != nil {
				return
			}
			t.Cleanup(func() { _, _ = from.Close(), to.Close() })
			go func() { _, _ = io.Copy(to, from) }()
			go func() { _, _ = io.Copy(from, to) }()
		}
	}()
}

func TestConnectRefusesURL(t *testing.T) {
	cases := map[string]struct{ reason, url, want string }{
		"Empty":      {"nothing was given", "", "does not begin with"},
		"HTTP":       {"another scheme", "http://:" + secret + "@h", "does not begin with"},
		"NoHost":     {"localhost is not guessed", "redis://:" + secret + "@/0", "names no host"},
		"NoHostPort": {"go-redis would take localhost, of what may be a password that has lost its host", "redis://:6379", "names no host"},
		"Opaque":     {"a slash is missing", "redis:" + secret, "names no host"},
		"Garbage":    {"not a URL at all", "redis://%zz" + secret, "percent-encoded"},
		"Colon":      {"a password without an end", "redis://:" + secret, "percent-encoded"},
		"Hash":       {"what is left is no port", "redis://:" + secret + "#x@h", "percent-encoded"},
		"HashPort":   {"the password would be the port", "redis://:1#" + secret + "@h", "%23"},
		"Slash":      {"the password would be a database", "redis://:1/" + secret + "@h", "%2F"},
		"Question":   {"the password would be a parameter", "redis://:1?" + secret + "=@h", "%3F"},
		"Semicolon":  {"what is before the ? would be the host, and no parameter is read", "redis://" + secret + "?x;y@h:6379", "%3B"},
		"At":         {"a host behind a parameter is none", "redis://" + secret + "?db=1&skip_verify=@h", "%3F"},
		"NoAt":       {"a parameter that is cut short", "redis://" + secret + "?db=1;2", "%3B"},
		"Percent":    {"a parameter that cannot be read", "redis://h?db=%zz" + secret, "percent-encoded"},
		"Parameter":  {"deadlines are the caller's", "redis://h?read_timeout=1h&x=" + secret, "neither db nor skip_verify"},
		"Database":   {"one that is no number", "redis://h/" + secret, "names no place and database"},
		"SocketHost": {"two slashes make a folder a host", "unix://run/redis.sock", "three slashes"},
		"NoPath":     {"a socket has a path", "unix://", "names no place"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Connect(tc.url)
			if err == nil {
				t.Fatalf("%s: no error", tc.reason)
			}
			if got := err.Error(); !strings.Contains(got, tc.want) || strings.Contains(got+fmt.Sprint(hint.Of(err)), secret) {
				t.Errorf("%s: %q, want ... %q", tc.reason, got, tc.want)
			}
			if len(hint.Of(err)) == 0 {
				t.Errorf("%s: nothing says what to do", tc.reason)
			}
		})
	}
}

// The settings that a lease relies on: no call outlasts its deadline, and none is made twice behind its caller's back.
func TestConnectTriesOnce(t *testing.T) {
	server := miniredis.RunT(t)
	client, err := Connect("redis://" + server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if name, err := client.ClientGetName(t.Context()).Result(); err != nil || name != "composure" {
		t.Errorf("it is called %q, %v", name, err)
	}
	before := server.CommandCount()
	server.SetError("LOADING in a moment")
	if err := client.Ping(t.Context()).Err(); err == nil {
		t.Fatal("no error")
	}
	if made := server.CommandCount() - before; made > 1 {
		t.Errorf("one PING was sent %d times", made)
	}
}

func TestCauseOfTLS(t *testing.T) {
	want := "no TLS there, or its certificate is not trusted"
	for _, err := range []error{&tls.CertificateVerificationError{Err: errors.New("expired")}, &net.OpError{Op: "remote error", Err: tls.AlertError(42)}} {
		if got := Cause(fmt.Errorf("dial: %w", err)); got != want {
			t.Errorf("%v: %q", err, got)
		}
	}
	if got := Cause(redis.ErrPoolTimeout); got != "no answer in time" {
		t.Errorf("all connections in use: %q", got)
	}
}
