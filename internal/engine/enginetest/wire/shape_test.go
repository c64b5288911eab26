package wire_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
)

// ask is a request without our client, and its answer.
func ask(t *testing.T, socket, method, target string) (status int, body []byte) {
	t.Helper()
	dialer := net.Dialer{}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://docker"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, body
}

// linked has a container that publishes a port, one that is linked to it, and one that was never started.
func linked(t *testing.T) *enginetest.Engine {
	t.Helper()
	e := enginetest.New(enginetest.Options{})
	e.AddImage(enginetest.Image{Name: "app:1", Config: container.Config{Entrypoint: []string{"/app"}}})
	port := network.MustParsePort("80/tcp")
	for _, spec := range []engine.Spec{
		{Name: "db", Config: &container.Config{Image: "app:1", Labels: map[string]string{"a": "b"}}, Host: &container.HostConfig{
			PortBindings: network.PortMap{port: {{HostPort: "8080"}}}}},
		{Name: "app", Config: &container.Config{Image: "app:1", Cmd: []string{"x", "y z"}}, Host: &container.HostConfig{Links: []string{"db:store"}}},
		{Name: "idle", Config: &container.Config{Image: "app:1"}},
	} {
		id, err := e.Create(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if spec.Name == "idle" {
			continue
		}
		if err := e.Start(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// TestListHasTheShapeOfAnEngine compares with what Docker Engine 20.10 answers, field by field, and with the types of the API.
func TestListHasTheShapeOfAnEngine(t *testing.T) {
	_, socket := serve(t, linked(t))
	status, body := ask(t, socket, http.MethodGet, "/v1.41/containers/json?all=1")
	var fields []map[string]any
	if err := json.Unmarshal(body, &fields); err != nil || status != http.StatusOK {
		t.Fatalf("%d, %v: %s", status, err, body)
	}
	want := []string{"Command", "Created", "HostConfig", "Id", "Image", "ImageID", "Labels", "Mounts", "Names", "NetworkSettings", "Ports", "State", "Status"}
	for _, entry := range fields {
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(entry))); diff != "" {
			t.Errorf("(-an engine +the wire):\n%s", diff)
		}
	}
	var list []container.Summary
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&list); err != nil {
		t.Fatal(err)
	}
	byName := map[string]container.Summary{}
	for _, entry := range list {
		byName[entry.Names[0]] = entry
	}
	db, app, idle := byName["/db"], byName["/app"], byName["/idle"]
	if !slices.Equal(db.Names, []string{"/db", "/app/store"}) || len(db.Ports) != 1 || db.Ports[0].PublicPort != 8080 || db.Labels["a"] != "b" {
		t.Errorf("db: %+v", db)
	}
	if app.Command != "/app x 'y z'" || app.Status != "Up Less than a second" || app.State != container.StateRunning {
		t.Errorf("app: %+v", app)
	}
	if idle.Status != "Created" || idle.State != container.StateCreated || idle.ImageID == "" || idle.HostConfig.NetworkMode != "default" {
		t.Errorf("idle: %+v", idle)
	}
	if _, body := ask(t, socket, http.MethodGet, "/v1.41/containers/json"); bytes.Contains(body, []byte(`"/idle"`)) {
		t.Error("what does not run was listed without being asked for")
	}
}

func TestRefusals(t *testing.T) {
	_, socket := serve(t, linked(t))
	tests := map[string]struct {
		reason string
		method string
		target string
		want   int
	}{
		"Newer":     {"it speaks no newer API than it says", "GET", "/v1.99/containers/json", http.StatusBadRequest},
		"Older":     {"nor one that is as old as that", "GET", "/v1.1/containers/json", http.StatusBadRequest},
		"Filter":    {"a filter that is passed over would make the answer wrong", "GET", `/v1.41/containers/json?filters={"status":{"exited":true}}`, http.StatusNotImplemented},
		"Container": {"there is none", "GET", "/v1.41/containers/none/json", http.StatusNotFound},
		"Image":     {"there is none", "GET", "/v1.41/images/none:1/json", http.StatusNotFound},
		"Taken":     {"the name is another's", "POST", "/v1.41/containers/db/rename?name=app", http.StatusConflict},
		"Running":   {"what runs is not removed", "DELETE", "/v1.41/containers/db", http.StatusConflict},
		"Kill":      {"there are no signals", "POST", "/v1.41/containers/db/kill", http.StatusNotImplemented},
		"Path":      {"there is no such call", "GET", "/v1.41/nothing", http.StatusNotFound},
	}
	for name, tc := range tests {
		if got, body := ask(t, socket, tc.method, tc.target); got != tc.want {
			t.Errorf("%s: %s: %d, want %d: %s", name, tc.reason, got, tc.want, body)
		}
	}
}

// TestEventsTellWhoseTheyAre: the attributes are the labels, the image and the name, also of a container that is gone.
func TestEventsTellWhoseTheyAre(t *testing.T) {
	e := linked(t)
	_, socket := serve(t, e)
	other, err := client.New(client.WithHost("unix://" + socket))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	stream := other.Events(t.Context(), client.EventsListOptions{Filters: client.Filters{}.Add("type", "container").Add("event", "die", "destroy")})
	db, err := e.Inspect(t.Context(), "/db")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Remove(t.Context(), db.ID, true); err != nil {
		t.Fatal(err)
	}
	for _, action := range []string{"die", "destroy"} {
		select {
		case m := <-stream.Messages:
			if string(m.Action) != action || m.Actor.ID != db.ID || m.Actor.Attributes["name"] != "db" || m.Actor.Attributes["a"] != "b" || m.Time == 0 || m.TimeNano == 0 {
				t.Errorf("want %s, got %+v", action, m)
			}
		case err := <-stream.Err:
			t.Fatal(err)
		}
	}
}
