package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"

	"github.com/composure-dev/composure/internal/engine"
)

// stream answers a request for events with lines, and keeps the connection open for hold.
func stream(lines string, hold func(*http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		_, _ = w.Write([]byte(lines))
		_ = http.NewResponseController(w).Flush()
		hold(r)
	}
}

func untilGone(r *http.Request) { <-r.Context().Done() }

func subscribe(t *testing.T, host string) *engine.Subscription {
	t.Helper()
	subscription, err := open(t, engine.ClientOptions{Host: host}).Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(subscription.Close)
	return subscription
}

func message(kind events.Type, action, id string, attributes map[string]string) string {
	encoded, _ := json.Marshal(events.Message{
		Type: kind, Action: events.Action(action), Actor: events.Actor{ID: id, Attributes: attributes}, TimeNano: 1,
	})
	return string(encoded) + "\n"
}

func TestSubscribeDropsNoise(t *testing.T) {
	var lines strings.Builder
	for _, action := range []string{"exec_create: sh -c start", "exec_start: sh", "exec_die", "top", "attach", "resize", "kill", "archive-path", "commit"} {
		lines.WriteString(message(events.ContainerEventType, action, oldID, nil))
	}
	lines.WriteString(message(events.NetworkEventType, "create", "net", nil) + message(events.VolumeEventType, "mount", "v", nil))
	lines.WriteString(message(events.ImageEventType, "create", "i", nil))
	lines.WriteString(message(events.ContainerEventType, "health_status: healthy", oldID, map[string]string{
		"name": "shop-web-1", engine.LabelProject: "shop", engine.LabelService: "web", engine.LabelRole: engine.RoleLock,
	}))
	lines.WriteString(message(events.ImageEventType, "tag", "sha256:1", map[string]string{"name": "shop:1"}))
	subscription := subscribe(t, serve(t, "1.41", stream(lines.String(), untilGone)))
	got := []engine.Event{<-subscription.C(), <-subscription.C()}
	want := []engine.Event{
		{
			Type: "container", Action: "health_status: healthy", ID: oldID, Name: "shop-web-1", Project: "shop", Service: "web",
			Role: "lock", Time: time.Unix(0, 1),
		},
		{Type: "image", Action: "tag", ID: "sha256:1", Name: "shop:1", Time: time.Unix(0, 1)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The engine answers, and only then begins to collect: what happens in between is in its memory, which it is asked for by time.
func TestSubscribeHasNoGap(t *testing.T) {
	skew := time.Hour // of the engine's clock
	skewed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(skew).UTC().Format(http.TimeFormat))
		w.Header().Set("Api-Version", "1.41")
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/_ping" {
			return
		}
		_ = http.NewResponseController(w).Flush()
		happened := time.Now().Add(skew)
		since, err := strconv.ParseInt(r.URL.Query().Get("since"), 10, 64)
		if age := happened.Sub(time.Unix(since, 0)); err == nil && age >= 0 && age < time.Minute {
			_, _ = w.Write([]byte(message(events.ContainerEventType, "start", oldID, nil)))
			_ = http.NewResponseController(w).Flush()
		}
		untilGone(r)
	}))
	t.Cleanup(skewed.Close)
	subscription := subscribe(t, "tcp://"+strings.TrimPrefix(skewed.URL, "http://"))
	select {
	case event := <-subscription.C():
		if event.Action != events.ActionStart {
			t.Errorf("got %+v: %v", event, subscription.Err())
		}
	case <-time.After(10 * time.Second):
		t.Error("what happened while the engine answered was lost")
	}
}

func TestSubscriptionEnds(t *testing.T) {
	start := message(events.ContainerEventType, "start", oldID, nil)
	cases := map[string]struct {
		reason string
		handle http.HandlerFunc
		want   error
	}{
		"Closed":  {reason: "An engine that stops closes the stream.", handle: stream(start, func(*http.Request) {}), want: engine.ErrUnreachable},
		"Torn":    {reason: "A line is cut off.", handle: stream(start[:20], func(*http.Request) {}), want: engine.ErrUnreachable},
		"Aborted": {reason: "The connection breaks.", handle: stream(start, func(*http.Request) { panic(http.ErrAbortHandler) }), want: engine.ErrUnreachable},
		"TooSlow": {reason: "Nobody reads.", handle: stream(strings.Repeat(start, 3000), untilGone), want: engine.ErrEventsLost},
		"Garbled": {reason: "What is not JSON is not an engine that is away.", handle: stream("<html>", untilGone)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := ending(t, serve(t, "1.41", tc.handle))
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("%s\ngot %v, want %v", tc.reason, err, tc.want)
			}
			if tc.want == nil && errors.Is(err, engine.ErrUnreachable) {
				t.Errorf("%s\ngot %v", tc.reason, err)
			}
		})
	}
}

// ending waits for the end without reading. It may come before there is a subscription.
func ending(t *testing.T, host string) error {
	t.Helper()
	subscription, err := open(t, engine.ClientOptions{Host: host}).Subscribe(t.Context())
	if err != nil {
		return err
	}
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for subscription.Err() == nil {
		select {
		case <-poll.C:
		case <-deadline.C:
			t.Fatal("the subscription did not end")
		}
	}
	subscription.Close() // takes no reason away
	for open := true; open; {
		_, open = <-subscription.C()
	}
	return subscription.Err()
}

func TestSubscribeErrors(t *testing.T) {
	refuse := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"message": "the proxy says no"}`))
	}
	cases := map[string]struct {
		reason string
		host   string
		want   string
	}{
		"NoSocket": {reason: "It does not run.", host: "unix:///nonexistent/docker.sock", want: "no engine answers"},
		"Refused":  {reason: "A socket proxy does not let it through.", host: serve(t, "1.41", refuse), want: "the proxy says no"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, engine.ClientOptions{Host: tc.host}).Subscribe(t.Context())
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s\ngot %v, want one about %q", tc.reason, err, tc.want)
			}
			if missing := strings.HasPrefix(tc.host, "unix"); errors.Is(err, engine.ErrUnreachable) != missing {
				t.Errorf("%s\ngot %v", tc.reason, err)
			}
		})
	}
}

// A hung engine is left by the caller's context.
func TestSubscribeFollowsTheContext(t *testing.T) {
	host := serve(t, "1.41", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := open(t, engine.ClientOptions{Host: host}).Subscribe(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestSummariesReadTheList(t *testing.T) {
	item := func(name, state, status string) string {
		return fmt.Sprintf(`{"Id": "id-%s", "Names": ["/other/%s", "/%s"], "ImageID": "sha256:1", "State": %q, "Status": %q,
			"NetworkSettings": {"Networks": {"net": {"EndpointID": "e"}, "null": null}}, "Labels": {"a": "b"}}`, name, name, name, state, status)
	}
	asked := 0
	host := serve(t, "1.41", func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Query().Get("all") != "1" {
			t.Error("stopped ones are left out")
		}
		_, _ = w.Write([]byte("[" + strings.Join([]string{
			item("g", "paused", "Up 3 hours (Paused)"),
			item("f", "exited", "Exited (0) 2 days ago"),
			item("e", "restarting", "Restarting (1) 4 seconds ago"),
			item("d", "running", "Up 3 hours (unhealthy)"),
			item("c", "running", "Up 1 second (health: starting)"),
			item("b", "running", "Up 3 hours (healthy)"),
			item("a", "running", "Up About a minute"),
		}, ",") + "]"))
	})
	got, err := open(t, engine.ClientOptions{Host: host}).Summaries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := make([]engine.Summary, 0, len(got))
	for i, s := range []struct {
		state  container.ContainerState
		health container.HealthStatus
	}{{"running", ""}, {"running", "healthy"}, {"running", "starting"}, {"running", "unhealthy"}, {"restarting", ""}, {"exited", ""}, {"paused", ""}} {
		name := string(rune('a' + i))
		want = append(want, engine.Summary{
			ID: "id-" + name, Name: "/" + name, Image: "sha256:1", State: s.state, Health: s.health,
			Labels: map[string]string{"a": "b"}, Endpoints: map[string]string{"net": "e"},
		})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if asked != 1 {
		t.Errorf("%d requests for one list", asked)
	}
}
