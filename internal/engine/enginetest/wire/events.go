package wire

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"github.com/composure-dev/composure/internal/engine"
)

// message is an event as it is sent: with the older fields beside, which clients still get.
type message struct {
	Status string `json:"status,omitempty"`
	ID     string `json:"id,omitempty"`
	From   string `json:"from,omitempty"`
	events.Message
}

// events streams what happens from now on. An engine also repeats what happened since an instant; this one has collected nothing
// before, and answers only after it has begun to, so that a client which asks for what happened since a moment ago misses nothing.
func (s *server) events(w http.ResponseWriter, r *http.Request) error {
	filters, err := filtersOf(r, "type", "event")
	if err != nil {
		return err
	}
	subscription, err := s.engine.Subscribe(r.Context())
	if err != nil {
		return err
	}
	defer subscription.Close()
	known, err := s.engine.Summaries(r.Context())
	if err != nil {
		return err
	}
	actors := &actors{server: s, known: map[string]map[string]string{}}
	for _, c := range known {
		actors.known[c.ID] = c.Labels
	}
	stream := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	if err := stream.Flush(); err != nil {
		return nil // whoever asked is gone
	}
	encoder := json.NewEncoder(w)
	for event := range subscription.C() {
		sent := actors.message(r.Context(), event)
		if !wanted(filters, sent) {
			continue
		}
		if errors.Join(encoder.Encode(sent), stream.Flush()) != nil {
			return nil
		}
	}
	return nil
}

// wanted compares beginnings of actions with a colon, as an engine does.
func wanted(filters client.Filters, m message) bool {
	kinds, actions := values(filters, "type"), values(filters, "event")
	if len(kinds) > 0 && !slices.Contains(kinds, string(m.Type)) {
		return false
	}
	is := func(action string) bool {
		return string(m.Action) == action || strings.HasPrefix(string(m.Action), action+":")
	}
	return len(actions) == 0 || slices.ContainsFunc(actions, is)
}

// actors knows the labels of containers, also of those that are gone when their last event is sent.
type actors struct {
	*server
	known map[string]map[string]string
}

// message has a container's labels, its image and its name for attributes, as an engine does. Of what is gone the image is not known.
func (a *actors) message(ctx context.Context, e engine.Event) message {
	attributes := map[string]string{}
	sent := message{Status: string(e.Action), ID: e.ID, Message: events.Message{
		Type: e.Type, Action: e.Action, Scope: "local", Time: e.Time.Unix(), TimeNano: e.Time.UnixNano(),
		Actor: events.Actor{ID: e.ID, Attributes: attributes},
	}}
	if e.Type == events.ContainerEventType {
		for label, value := range map[string]string{engine.LabelProject: e.Project, engine.LabelService: e.Service, engine.LabelRole: e.Role} {
			if value != "" {
				attributes[label] = value
			}
		}
		if c, err := a.engine.Inspect(ctx, e.ID); err == nil {
			a.known[e.ID], attributes["image"], sent.From = c.Config.Labels, c.Config.Image, c.Config.Image
		}
		maps.Copy(attributes, a.known[e.ID])
	}
	attributes["name"] = e.Name
	return sent
}
