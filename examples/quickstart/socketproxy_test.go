package quickstart_test

import (
	"cmp"
	"context"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"
)

// rules are what a socket proxy lets through: for each method the paths. They are applied as wollomatic/socket-proxy says it does.
type rules map[string]*regexp.Regexp

func (r rules) allow(method, path string) bool {
	return r[method] != nil && r[method].MatchString(path)
}

// profile reads the rules of an example.
func profile(t *testing.T, name string) rules {
	t.Helper()
	content, err := os.ReadFile("../deploy/socket-proxy/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Services map[string]struct {
			Command []string `json:"command"`
		} `json:"services"`
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	allowed := rules{}
	for _, flag := range file.Services["socket-proxy"].Command {
		if method, pattern, found := strings.Cut(strings.TrimPrefix(flag, "-allow"), "="); found && strings.ToUpper(method) == method {
			allowed[method] = regexp.MustCompile("^" + pattern + "$")
		}
	}
	return allowed
}

// documented are the endpoints that docs/operations.md names, each with its row of the table.
func documented(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for row := range strings.Lines(string(page)) {
		for _, endpoint := range regexp.MustCompile("`([A-Z]+ /[^`]*)`").FindAllStringSubmatch(row, -1) {
			rows[endpoint[1]] = row
		}
	}
	return rows
}

// looking holds for what looking takes: the endpoints of diff, and those that only run has.
func looking(row string) bool {
	return strings.Contains(row, "(`run` alone") || strings.HasSuffix(strings.TrimSpace(row), "| ● | ● |")
}

// The rules of the examples let through everything that the page names, and nothing that it does not.
func TestSocketProxyRules(t *testing.T) {
	all, audit := profile(t, "compose.yaml"), profile(t, "audit.yaml")
	id := strings.Repeat("0f", 32)
	for endpoint, row := range documented(t) {
		method, path, _ := strings.Cut(endpoint, " ")
		names := []string{"shop:latest", "registry.example:5000/team/shop@sha256:" + id, "composure-probe:0123456789ab"}
		if method == http.MethodDelete {
			names = names[2:]
		}
		for _, name := range names {
			path := strings.NewReplacer("{id}", id, "{name}", name).Replace(path)
			if method != http.MethodHead {
				path = "/v1.51" + path
			}
			if !all.allow(method, path) {
				t.Errorf("compose.yaml denies %s %s", method, path)
			}
			if audit.allow(method, path) != looking(row) {
				t.Errorf("audit.yaml: %s %s is let through: %v", method, path, audit.allow(method, path))
			}
		}
	}
	for _, request := range []string{
		"POST /containers/" + id + "/exec", "POST /exec/" + id + "/start", "POST /containers/" + id + "/kill", "GET /containers/" + id + "/export",
		"GET /containers/" + id + "/top", "POST /build", "POST /images/shop/push", "DELETE /images/shop:latest", "DELETE /volumes/data",
		"DELETE /networks/" + id, "POST /networks/create", "GET /secrets", "POST /swarm/init", "POST /plugins/pull", "POST /commit",
		"POST /containers/prune", "GET /containers/../secrets", "GET /system/df", "GET /events/../info", "PUT /containers/" + id + "/archive/x",
	} {
		method, path, _ := strings.Cut(request, " ")
		if all.allow(method, path) || all.allow(method, "/v1.41"+path) || audit.allow(method, path) {
			t.Errorf("%s is let through, and nothing needs it", request)
		}
	}
}

// proxy stands between Composure and the engine. It notes what is asked for, and refuses what the rules do not let through.
type proxy struct {
	t       *testing.T
	address string // for DOCKER_HOST
	mu      sync.Mutex
	rules   rules
	asked   map[string]bool
}

func newProxy(t *testing.T) *proxy {
	t.Helper()
	engine, isSocket := strings.CutPrefix(cmp.Or(os.Getenv("DOCKER_HOST"), "unix:///var/run/docker.sock"), "unix://")
	if !isSocket {
		t.Skip("needs an engine at a socket")
	}
	socket := filepath.Join(t.TempDir(), "docker.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, address: "unix://" + socket}
	forward := &httputil.ReverseProxy{
		FlushInterval: -1, // logs and events come when they come
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "docker"}) },
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", engine)
		}},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.note(r) {
			http.Error(w, http.StatusText(http.StatusForbidden), http.StatusForbidden)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return p
}

// obey begins anew, with other rules.
func (p *proxy) obey(rules rules) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules, p.asked = rules, map[string]bool{}
}

func (p *proxy) note(r *http.Request) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[r.Method+" "+regexp.MustCompile(`^/v1\.\d+`).ReplaceAllString(r.URL.Path, "")] = true
	return p.rules.allow(r.Method, r.URL.Path)
}

// endpoints are those of the page that were asked for; each request must be of one, and let through.
func (p *proxy) endpoints(page map[string]string) []string {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	used := map[string]bool{}
	for request := range p.asked {
		method, path, _ := strings.Cut(request, " ")
		if !p.rules.allow(method, path) {
			p.t.Errorf("the rules deny %s", request)
		}
		of := ""
		for endpoint := range page {
			pattern := strings.NewReplacer(`\{id\}`, `[^/]+`, `\{name\}`, `.+`).Replace(regexp.QuoteMeta(endpoint))
			// GET /containers/json is not of GET /containers/{id}/json, and not of DELETE /containers/{id}.
			if regexp.MustCompile("^"+pattern+"$").MatchString(request) && len(endpoint) > len(of) {
				of = endpoint
			}
		}
		if used[of] = true; of == "" {
			p.t.Errorf("docs/operations.md does not name %s", request)
		}
	}
	return slices.Sorted(maps.Keys(used))
}

// through is the daemon behind the proxy.
func (p *project) through(proxy *proxy, rules rules, flags ...string) *daemon {
	p.t.Helper()
	proxy.obey(rules)
	cmd := exec.Command(p.made.composure, append([]string{"run", "--file", "compose.yaml", "--policy", "policy.yaml",
		"--state-dir", filepath.Join(p.dir, "state"), "--listen", "", "--log-format", "json"}, flags...)...)
	cmd.Env = append(os.Environ(), "COMPOSE_PROJECT_NAME="+p.name, "DOCKER_HOST="+proxy.address)
	return p.follow(cmd)
}

// A whole life behind a socket proxy that lets through what the examples say: looking alone, whatever the policy says, then mending, and
// in full a rollback.
func TestSocketProxy(t *testing.T) {
	p := newProject(t, "ways-proxy")
	page, proxy := documented(t), newProxy(t)

	d := p.through(proxy, profile(t, "audit.yaml"))
	d.says("it was looked at", func(line said) bool { return line.Reason == "Held" })
	d.terminate()
	for _, endpoint := range proxy.endpoints(page) {
		if !looking(page[endpoint]) || !strings.HasPrefix(endpoint, "GET ") && !strings.HasPrefix(endpoint, "HEAD ") {
			t.Errorf("Audit asks for %s", endpoint)
		}
	}

	p.replace("policy.yaml", "  selector:\n", "  enforcement: {files: Enforce, containers: Enforce}\n  selector:\n")
	p.replace("policy.yaml", "stableFor: 3s", "stableFor: 1s")
	ids, file := p.ids(), p.read("compose.yaml")
	d = p.through(proxy, profile(t, "audit.yaml"), "--once")
	d.says("refused", func(line said) bool { return line.Reason == "Failed" && strings.Contains(line.Message, "Forbidden") })
	for range d.lines { // to the end of its log
	}
	if err := d.cmd.Wait(); d.cmd.ProcessState.ExitCode() != 2 {
		t.Errorf("Enforce, and only looking is let through: it ends with %v, want exit code 2", err)
	}
	p.wantIDs(ids)
	if p.read("compose.yaml") != file {
		t.Error("the file was patched although no container can be replaced")
	}

	d = p.through(proxy, profile(t, "compose.yaml"))
	d.mended("at the start")
	p.wantSwapped(ids, "app", "beat")
	if torture() {
		p.replace("policy.yaml", "minimum: 1\n      maximum: 30\n      declare: ${CELERY_BEAT_MIN_SYNC_INTERVAL:-5}", "value: soon")
		d.says("a rollback", func(line said) bool { return line.Msg == "transaction ended" && line.Result == "rolled back" })
	}
	d.terminate()
	p.wantUpToDate()

	used := proxy.endpoints(page)
	t.Logf("%d of %d documented endpoints: %s", len(used), len(page), strings.Join(used, ", "))
	for _, must := range []string{"GET /events", "GET /containers/{id}/logs", "POST /containers/{id}/attach", "POST /containers/{id}/rename", "DELETE /containers/{id}"} {
		if !slices.Contains(used, must) {
			t.Errorf("%s was not asked for: this was no whole life", must)
		}
	}
}
