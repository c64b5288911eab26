package redact

import (
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

func TestLine(t *testing.T) {
	cases := map[string]struct{ reason, line, want string }{
		"List":        {"list form", "      - DB_PASSWORD=x y # why\r\n", "      - DB_PASSWORD=@ # why\r\n"},
		"ListQuoted":  {"the quotes stay", `- "DB_PASSWORD=a\"b" # c`, `- "DB_PASSWORD=@" # c`},
		"ListSingle":  {"doubled quotes are inside", `- 'DB_PASSWORD=a''b'`, `- 'DB_PASSWORD=@'`},
		"Map":         {"map form", "  DB_PASSWORD:   x\t\n", "  DB_PASSWORD:   @\t\n"},
		"MapQuoted":   {"the quotes stay", `  "DB_PASSWORD": 'x' # y`, `  "DB_PASSWORD": '@' # y`},
		"MapTight":    {"a quoted key needs no space", `{"DB_PASSWORD":"x"}`, `{"DB_PASSWORD":"@"}`},
		"Env":         {"env file", "export TOKEN=x", "export TOKEN=@"},
		"EnvQuoted":   {"env file", `TOKEN="x" # y`, `TOKEN="@" # y`},
		"Flow":        {"only the entry goes", "environment: {A: b, TOKEN: x, C: d}", "environment: {A: b, TOKEN: @, C: d}"},
		"FlowList":    {"only the entry goes", "environment: [A=b, TOKEN=x, C=d]", "environment: [A=b, TOKEN=@, C=d]"},
		"Default":     {"a default is a secret", "- TOKEN=${TOKEN:-x,y}", "- TOKEN=@"},
		"Diff":        {"a line of a diff", "+  - TOKEN=x", "+  - TOKEN=@"},
		"Comment":     {"what is commented out is a secret still", "# TOKEN=x", "# TOKEN=@"},
		"Open":        {"a quote that the next line closes", `TOKEN: "x`, `TOKEN: "@`},
		"Empty":       {"nothing to hide", "TOKEN=", "TOKEN="},
		"EmptyQuoted": {"nothing to hide", "TOKEN: ''", "TOKEN: ''"},
		"Block":       {"the header is no value", "TOKEN: |-", "TOKEN: |-"},
		"Plain":       {"nothing to hide", "  LOG_LEVEL: info # token", "  LOG_LEVEL: info # token"},
		"URL":         {"a URL anywhere", "  REDIS_URL: redis://:pw@r/0 # x", "  REDIS_URL: redis://:@@r/0 # x"},
		"URLQuoted":   {"the quotes stay", `- "REDIS_URL=redis://u:pw@r/0"`, `- "REDIS_URL=redis://u:@@r/0"`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			want := tc.want
			if strings.Contains(want, "@@") {
				want = strings.Replace(want, "@@", Mask+"@", 1)
			} else {
				want = strings.Replace(want, "@", Mask, 1)
			}
			if got := Line(tc.line); got != want {
				t.Errorf("%s:\n got %q\nwant %q", tc.reason, got, want)
			}
		})
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
	var none *Redactor
	if got := none.String("x"); got != "x" {
		t.Errorf("nil Redactor: %q", got)
	}
}

func FuzzLine(f *testing.F) {
	f.Add(`  - "DB_PASSWORD=x" # y`)
	f.Add("environment: {TOKEN: x, URL: redis://:p@h}")
	f.Fuzz(func(t *testing.T, line string) {
		got := Line(line)
		if again := Line(got); again != got {
			t.Errorf("not idempotent: %q, %q, %q", line, got, again)
		}
		if !strings.Contains(line, "=") && !strings.Contains(line, ":") && got != line {
			t.Errorf("no key and no URL, but %q became %q", line, got)
		}
	})
}

func FuzzLineHides(f *testing.F) {
	f.Add("hunter2", uint8(0))
	f.Add("a, b}", uint8(3))
	f.Fuzz(func(t *testing.T, secret string, form uint8) {
		forms := []string{"      - DB_PASSWORD=%", "  DB_PASSWORD: %", "DB_PASSWORD=%", `- "DB_PASSWORD=%"`, `  DB_PASSWORD: "%"`, "  DB_PASSWORD: '%' # note"}
		if len(secret) < 4 || strings.ContainsAny(secret, "\r\n\t \"'\\#*|>DB_PASSWORD:=-note") {
			t.Skip()
		}
		line := strings.Replace(forms[int(form)%len(forms)], "%", secret, 1)
		if got := Line(line); strings.Contains(got, secret) {
			t.Errorf("%q leaks: %q", line, got)
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
