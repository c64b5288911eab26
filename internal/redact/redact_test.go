package redact

import (
	"slices"
	"strings"
	"testing"
)

func TestKey(t *testing.T) {
	for name, want := range map[string]bool{
		"DB_PASSWORD": true, "PGPASSWORD": true, "dbPassword": true, "API_KEY": true, "STRIPE_APIKEY": true, "GITHUB_TOKEN": true,
		"secret-key-base": true, "MYSQL_PWD": true, "SENTRY_DSN": true, "AWS_SECRET_ACCESS_KEY": true, "PASSWORD2": true,
		"PWD": false, "OLDPWD": false, "SSH_PUBLIC_KEY": false, "AUTHOR": false, "REDIS_URL": false, "LOG_LEVEL": false, "COMPASS": false, "": false,
	} {
		if got := Key(name); got != want {
			t.Errorf("Key(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestValue(t *testing.T) {
	cases := map[string]struct {
		reason, value string
		sensitive     bool
		want          string
	}{
		"Plain":      {"nothing to hide", "info", false, "info"},
		"Sensitive":  {"hidden whole", "info", true, Mask},
		"Empty":      {"an empty value is no secret", "", true, ""},
		"NoPassword": {"a user alone is shown", "amqp://guest@mq:5672/", false, "amqp://guest@mq:5672/"},
		"URL":        {"only the password goes", "redis://u:pw@r:6379/0", false, "redis://u:" + Mask + "@r:6379/0"},
		"NoUser":     {"redis has passwords without users", "redis://:pw@r", false, "redis://:" + Mask + "@r"},
		"Odd":        {"an unescaped @ and / hide too", "redis://u:p@w/d@r", false, "redis://u:" + Mask + "@r"},
		"Two":        {"each URL for itself", "redis://:a@h,redis://:b@i", false, "redis://:" + Mask + "@h,redis://:" + Mask + "@i"},
		"Port":       {"a port is no password", "http://h:80/x", false, "http://h:80/x"},
		"Token":      {"a long user is a token", "https://ghp_0123456789abcdef@h", false, "https://" + Mask + "@h"},
		"Query":      {"a query holds secrets too", "http://h/?a=1&token=x&b=2", false, "http://h/?a=1&token=" + Mask + "&b=2"},
		"Connection": {"as do connection strings", "host=db password=x port=1", false, "host=db password=" + Mask + " port=1"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := Value(tc.value, tc.sensitive); got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

// TestValueHides: X is the secret; whatever else is lost with it, it does not show.
func TestValueHides(t *testing.T) {
	for _, value := range []string{
		`redis://u:p"X@h`, "redis://u:p X@h", "redis://u:p\tX@h", "redis://u:a://X@h", "redis://u:,a://X@h", "redis://u/x:X@h", "redis://u:p'X@h:1/0",
		"redis://u:p@X@h", "redis://u:p/X?X#X@h", "redis://h:6379 redis://u:X@h", "redis://a:X@h,redis://b:X@i", "redis://a:X@h redis://b:p X@i",
		"user:X@tcp(h)/db", "user:a:X@/X@tcp(h:1)/db?x=y", "u:X@unix(/s)/db", "u:X@/db", "mysql://u:X@tcp(h)/db",
		"Server=x;Uid=sa;Pwd=X", "Server=x;Uid=sa;PWD = a X;Database=d", "http://h/?pwd=X", "http://h/?a=b&pwd=X&c=d", "Password=X;", "a=b;Password='X;X';c=d",
		"password='a X'", `password="X"`, `password="a\"X"`, "password='a\\'X'", "password='a''X'", "password=a,X", "password=a&X", "password=a\"X", "password = X", `password="X`, `password="a"X`,
		`{"password":"X"}`, `{"password": "a\"X"}`, `{'db_password' : 'X'}`, `{\"password\":\"X\"}`, `{"pin":X}`, `{"token":["X"]}`, `{"auth": {"a": "X"}, "b": "X"}`,
		"${DB_PASSWORD:-X}", "${DB_PASSWORD-X}", "${DB_PASSWORD:+a${B:-b}X}",
	} {
		if got := Value(value, false); strings.Contains(got, "X") || !strings.Contains(got, Mask) {
			t.Errorf("%q shows as %q", value, got)
		}
	}
}

// TestValueShows: what is no secret stays byte for byte.
func TestValueShows(t *testing.T) {
	for _, value := range []string{
		"", "info", "http://h:80/x", "http://h:80,http://i:81", "amqp://guest@mq/", "https://example.com/a/long/path/@user", "unix:///var/run/docker.sock", "see https://h.example/a and ask bob@x",
		"app@sha256:0123", "a=b;c=d", "password", "password=", "password= ", `{"password":""}`, `{"a":"b"}`, "${DB_PASSWORD}", "${DB_PASSWORD:?is needed}", "${LEVEL:-info}",
		"compass=x", "public_key=x", "invalid token: unexpected end", "PATH=/bin:/usr/bin",
	} {
		if got := Value(value, false); got != value {
			t.Errorf("%q shows as %q", value, got)
		}
	}
}

func TestWithin(t *testing.T) {
	got := Within(`redis://u:one@h,redis://:two@i password='three' {"token":"four"} five`)
	if want := []string{"one", "two", "three", "four"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRedactor(t *testing.T) {
	r := New("hunter2", "redis://u:pass%40word@h", "abcd", "cdef", "no", "line one\nsecond-line", `qu"ote`)
	cases := map[string]struct{ reason, text, want string }{
		"Value":       {"wherever it stands", "x=hunter2;hunter2", "x=" + Mask + ";" + Mask},
		"URLPassword": {"the password of a known URL alone", "auth pass%40word", "auth " + Mask},
		"Unescaped":   {"as the server sees it", "auth pass@word", "auth " + Mask},
		"Overlap":     {"no tail is left over", "abcdef", Mask},
		"Short":       {"too short to search for", "no", "no"},
		"Line":        {"each line of several", "- second-line", "- " + Mask},
		"Quoted":      {"as %q prints it", `got "qu\"ote"`, `got "` + Mask + `"`},
		"Unknown":     {"URLs always", "redis://:new@h", "redis://:" + Mask + "@h"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := r.String(tc.text); got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
	if got := r.Without(func(secret string) bool { return secret == "hunter2" }).String("hunter2 abcd"); got != "hunter2 "+Mask {
		t.Errorf("without a public one: %q", got)
	}
	if got := r.Known("redis://:new@h hunter2"); got != "redis://:new@h "+Mask {
		t.Errorf("known ones only: %q", got)
	}
	var none *Redactor
	if got := none.String("x"); got != "x" {
		t.Errorf("nil Redactor: %q", got)
	}
}

func FuzzValue(f *testing.F) {
	f.Add("environment: {TOKEN=x, URL: redis://:p@h}")
	f.Add(`redis://u:a://b@h,c://d password="e\"f" {"token":'g'} ${KEY:-h} u:p@tcp(i)`)
	f.Fuzz(func(t *testing.T, value string) {
		got := Value(value, false)
		if !strings.ContainsAny(value, "=:-") && got != value {
			t.Errorf("no name and no URL, but %q became %q", value, got)
		}
		rest := value
		for part := range strings.SplitSeq(got, Mask) {
			_, after, found := strings.Cut(rest, part)
			if !found {
				t.Fatalf("%q became %q, which is not it with parts masked", value, got)
			}
			rest = after
		}
	})
}

func FuzzValueHides(f *testing.F) {
	f.Add("hunter2", uint8(0))
	f.Add("a, b}", uint8(3))
	f.Add("//x://", uint8(1))
	f.Fuzz(func(t *testing.T, secret string, form uint8) {
		forms := []string{"redis://u:%@h/0", "a://b,redis://:%@h:1", `{"password":"%"}`, "x=1;Password='%';y=2", `password="%" port=1`, "token=%", "u:%@tcp(h)/d"}
		plain := !strings.ContainsAny(secret, "\r\n\t \"'\\;&=*")
		if len(secret) < 4 || strings.ContainsAny(secret, "\n\"'\\") || form%7 == 5 && !plain {
			t.Skip()
		}
		around := forms[form%7]
		if got := Value(strings.Replace(around, "%", secret, 1), false); strings.Contains(got, secret) && !strings.Contains(strings.Replace(around, "%", Mask, 1), secret) {
			t.Errorf("%q leaks: %q", around, got)
		}
	})
}

func FuzzRedactor(f *testing.F) {
	f.Add("hunter2", "a hunter2 b")
	f.Fuzz(func(t *testing.T, secret, text string) {
		if len(secret) < shortest || len(secret)+len(text) > 1000 || strings.Contains(secret, "*") {
			t.Skip()
		}
		if got := New(secret).String(text + secret + text); strings.Contains(got, secret) {
			t.Errorf("%q leaks in %q", secret, got)
		}
	})
}
