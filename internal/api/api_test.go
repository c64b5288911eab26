package api_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/internal/api"
	"github.com/composure-dev/composure/internal/hint"
)

// world is a daemon that a test decides over.
type world struct {
	mu        sync.Mutex
	projects  []api.Project
	suspended map[string]string
	asked     []string
	answers   bool
	log       *api.Log
}

func newWorld() *world {
	shop := api.Project{Name: "shop", Conditions: []api.Condition{{Type: api.Ready, Status: api.True, Reason: "Compliant"}}}
	return &world{projects: []api.Project{shop}, suspended: map[string]string{}, answers: true, log: api.NewLog()}
}

func (w *world) backend() api.Backend {
	known := func(project string) error {
		if project != "shop" {
			return &api.NotFoundError{Message: "no project"}
		}
		return nil
	}
	locked := func(do func() error) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		return do()
	}
	return api.Backend{
		Log:     w.log,
		Answers: func() (is bool) { _ = locked(func() error { is = w.answers; return nil }); return is },
		Projects: func() (list []api.Project) {
			_ = locked(func() error { list = append(list, w.projects...); return nil })
			return list
		},
		Policies: func() []api.Policy { return nil },
		Describe: func(_ context.Context, project string) (api.Description, error) {
			return api.Description{Project: api.Project{Name: project}, Findings: []api.Finding{{Variable: "SYNC"}}}, known(project)
		},
		Reconcile: func(project string) error {
			return locked(func() error {
				w.asked = append(w.asked, project)
				if project == "" {
					return nil
				}
				return known(project)
			})
		},
		Suspend: func(project, reason string) error {
			return locked(func() error { w.suspended[project] = reason; return known(project) })
		},
		Resume: func(project string) error {
			return locked(func() error { delete(w.suspended, project); return known(project) })
		},
	}
}

// change puts other projects in place, and says that something has happened.
func (w *world) change(projects ...api.Project) {
	w.mu.Lock()
	w.projects = projects
	w.mu.Unlock()
	w.log.Append(api.Event{Project: "shop", Reason: "Changed"})
}

// serve has the world served on a unix socket.
func (w *world) serve(t *testing.T, guard api.Guard) *api.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "composure.sock")
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: guard.Protect(api.Handler(t.Context(), w.backend())), ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	client, err := api.NewClient("unix://"+path, guard.Token)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestClientAndServer(t *testing.T) {
	w := newWorld()
	client := w.serve(t, api.Guard{Token: "secret"})
	ctx := t.Context()
	projects, err := client.Projects(ctx)
	if err != nil || !cmp.Equal(projects, w.projects) {
		t.Errorf("projects: %+v, %v", projects, err)
	}
	if policies, err := client.Policies(ctx); err != nil || len(policies) != 0 {
		t.Errorf("policies: %+v, %v", policies, err)
	}
	description, err := client.Describe(ctx, "shop")
	if err != nil || description.Name != "shop" || len(description.Findings) != 1 {
		t.Errorf("description: %+v, %v", description, err)
	}
	if err := client.Suspend(ctx, "shop", "a\x1b[31m test\nover lines"); err != nil || w.suspended["shop"] != "a?[31m test over lines" {
		t.Errorf("suspend: %q, %v", w.suspended, err)
	}
	if err := client.Resume(ctx, "shop"); err != nil || len(w.suspended) > 0 {
		t.Errorf("resume: %q, %v", w.suspended, err)
	}
	if err := errors.Join(client.Reconcile(ctx, ""), client.Reconcile(ctx, "shop")); err != nil || !cmp.Equal(w.asked, []string{"", "shop"}) {
		t.Errorf("reconcile: %q, %v", w.asked, err)
	}
	for name, err := range map[string]error{
		"describe": func() error { _, err := client.Describe(ctx, "no/where?"); return err }(),
		"suspend":  client.Suspend(ctx, "nowhere", ""), "resume": client.Resume(ctx, "nowhere"), "reconcile": client.Reconcile(ctx, "nowhere"),
	} {
		if !errors.Is(err, api.ErrNotFound) || len(hint.Of(err)) == 0 {
			t.Errorf("%s of a project that is not there: %v", name, err)
		}
	}
	w.log.Append(api.Event{Project: "shop", Reason: "One"})
	w.log.Append(api.Event{Project: "other", Reason: "Two"})
	events, err := client.Events(ctx, "other")
	if err != nil || len(events) != 1 || events[0].Reason != "Two" || events[0].ID != 2 {
		t.Errorf("events: %+v, %v", events, err)
	}
}

func TestHealthy(t *testing.T) {
	w := newWorld()
	w.answers = false
	client := w.serve(t, api.Guard{})
	if err := client.Healthy(t.Context(), false); err != nil {
		t.Errorf("it runs, but %v", err)
	}
	if err := client.Healthy(t.Context(), true); err == nil || !strings.Contains(err.Error(), "the engine does not answer") {
		t.Errorf("without an engine: %v", err)
	}
}

var errEnough = errors.New("enough")

// A watch begins with all that there is, tells of changes alone, and of what is gone.
func TestWatch(t *testing.T) {
	w := newWorld()
	client := w.serve(t, api.Guard{})
	var got []string
	err := client.WatchProjects(t.Context(), func(c api.Change[api.Project]) error {
		got = append(got, fmt.Sprintf("%s %s %d", c.Type, c.Object.Name, c.Object.Differences))
		switch len(got) {
		case 1:
			w.change(api.Project{Name: "shop", LookedAt: time.Now(), Conditions: w.projects[0].Conditions}, api.Project{Name: "blog"})
		case 2:
			w.change(api.Project{Name: "shop", Differences: 2}, api.Project{Name: "blog"})
		case 3:
			w.change(api.Project{Name: "blog"})
		case 4:
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Error(err)
	}
	want := []string{"ADDED shop 0", "ADDED blog 0", "MODIFIED shop 2", "DELETED shop 2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWatchEvents(t *testing.T) {
	w := newWorld()
	client := w.serve(t, api.Guard{})
	w.log.Append(api.Event{Project: "shop", Reason: "Before"})
	w.log.Append(api.Event{Project: "other", Reason: "Elsewhere"})
	var got []string
	err := client.WatchEvents(t.Context(), "shop", func(c api.Change[api.Event]) error {
		got = append(got, c.Object.Reason)
		if len(got) == 1 {
			w.log.Append(api.Event{Project: "shop", Reason: "After"})
			return nil
		}
		return errEnough
	})
	if !errors.Is(err, errEnough) || !cmp.Equal(got, []string{"Before", "After"}) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestWatchEndsWithTheDaemon(t *testing.T) {
	w := newWorld()
	ctx, end := context.WithCancel(t.Context())
	server := httptest.NewServer(api.Handler(ctx, w.backend()))
	defer server.Close()
	client, err := api.NewClient(server.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	err = client.WatchProjects(t.Context(), func(api.Change[api.Project]) error { end(); return nil })
	if err == nil || len(hint.Of(err)) == 0 {
		t.Errorf("a watch whose daemon has ended: %v", err)
	}
}

func TestGuard(t *testing.T) {
	tests := map[string]struct {
		reason string
		guard  api.Guard
		change func(*http.Request)
		path   string
		want   int
	}{
		"Loopback":     {"the usual way", api.Guard{Names: true}, nil, "/healthz", 200},
		"IPv6":         {"the other loopback", api.Guard{Names: true}, func(r *http.Request) { r.Host = "[::1]:8421" }, "/healthz", 200},
		"Name":         {"as people type it", api.Guard{Names: true}, func(r *http.Request) { r.Host = "localhost:8421" }, "/healthz", 200},
		"NoHost":       {"HTTP/1.0, which no browser speaks", api.Guard{Names: true}, func(r *http.Request) { r.Host = "" }, "/healthz", 200},
		"Rebinding":    {"a name of somebody else's that points here", api.Guard{Names: true}, func(r *http.Request) { r.Host = "example.com" }, "/healthz", 403},
		"Origin":       {"a form of another page", api.Guard{Names: true}, func(r *http.Request) { r.Header.Set("Origin", "https://example.com") }, "/healthz", 403},
		"Token":        {"it knows the token", api.Guard{Token: "t"}, func(r *http.Request) { r.Header.Set("Authorization", "Bearer t") }, "/api/v1/projects", 200},
		"NoToken":      {"it has none", api.Guard{Token: "t"}, nil, "/api/v1/projects", 401},
		"WrongToken":   {"it has another", api.Guard{Token: "t"}, func(r *http.Request) { r.Header.Set("Authorization", "Bearer u") }, "/api/v1/projects", 401},
		"NoScheme":     {"a token without its scheme", api.Guard{Token: "t"}, func(r *http.Request) { r.Header.Set("Authorization", "t") }, "/healthz", 401},
		"Public":       {"health was opened", api.Guard{Token: "t", Public: []string{"/healthz"}}, nil, "/healthz", 200},
		"PublicBeside": {"and nothing beside it", api.Guard{Token: "t", Public: []string{"/healthz"}}, nil, "/healthz/", 401},
	}
	handler := api.Handler(t.Context(), newWorld().backend())
	for name, tc := range tests {
		request := httptest.NewRequestWithContext(t.Context(), "GET", tc.path, nil)
		request.Host = "127.0.0.1:8421"
		if tc.change != nil {
			tc.change(request)
		}
		recorder := httptest.NewRecorder()
		tc.guard.Protect(handler).ServeHTTP(recorder, request)
		if recorder.Code != tc.want {
			t.Errorf("%s: %s: %d, want %d", name, tc.reason, recorder.Code, tc.want)
		}
	}
}

func TestNewClientSaysWhatAnAddressIs(t *testing.T) {
	for _, address := range []string{"", "ftp://host", "http://", "://"} {
		if _, err := api.NewClient(address, ""); err == nil || len(hint.Of(err)) == 0 {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// A log forgets what is old, and never which id comes next.
func TestLog(t *testing.T) {
	log := api.NewLog()
	for range 5000 {
		log.Append(api.Event{})
	}
	events, _ := log.After(0)
	if len(events) < 1000 || events[len(events)-1].ID != 5000 || events[0].ID != 5001-uint64(len(events)) {
		t.Errorf("%d events, from %d to %d", len(events), events[0].ID, events[len(events)-1].ID)
	}
	more := log.More()
	if events, _ := log.After(5000); len(events) != 0 {
		t.Errorf("%d events after the last", len(events))
	}
	log.Append(api.Event{Reason: "New"})
	<-more
	if events, _ := log.After(5000); len(events) != 1 || events[0].Reason != "New" {
		t.Errorf("after one more: %+v", events)
	}
}
