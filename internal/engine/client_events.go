package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
)

// wakingActions are those after which a container or an image may be another than before. What is done inside a container (exec, top,
// attach), signals and copies are not among them.
func wakingActions() map[events.Type][]events.Action {
	return map[events.Type][]events.Action{
		events.ContainerEventType: {
			events.ActionCreate, events.ActionStart, events.ActionDie, events.ActionStop, events.ActionPause, events.ActionUnPause,
			events.ActionRename, events.ActionUpdate, events.ActionDestroy, events.ActionHealthStatus,
		},
		events.ImageEventType: {
			events.ActionPull, events.ActionTag, events.ActionUnTag, events.ActionDelete, events.ActionLoad, events.ActionImport,
		},
	}
}

// Summaries lists the containers, in every state, that carry all the labels as [Reader.List] takes them, sorted by name, with
// one call to the engine.
func (c *Client) Summaries(ctx context.Context, labels ...string) ([]Summary, error) {
	listed, err := c.list(ctx, labels)
	if err != nil {
		return nil, err
	}
	summaries := make([]Summary, 0, len(listed))
	for _, item := range listed {
		summaries = append(summaries, summaryOf(item))
	}
	slices.SortFunc(summaries, func(a, b Summary) int { return cmp.Compare(a.Name, b.Name) })
	return summaries, nil
}

// Subscribe asks for the events of containers and images until the context ends. It returns when the engine has accepted that: what
// is looked at after it has no gap to the events, which may begin with some from right before it.
//
// The context also bounds the asking: who does not want to wait for an engine that hangs cancels it.
func (c *Client) Subscribe(ctx context.Context) (*Subscription, error) {
	if err := ctx.Err(); err != nil {
		return nil, c.explain("subscribe to events of engine", c.host, err)
	}
	// The engine answers before it has begun to collect. It collects from an instant on if it is told one, of its own clock.
	if _, err := c.api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return nil, c.explain("reach engine", c.host, err)
	}
	filters := make(client.Filters)
	for kind, actions := range wakingActions() {
		filters.Add("type", string(kind))
		for _, action := range actions {
			filters.Add("event", string(action))
		}
	}
	var accepted atomic.Bool
	streaming, cancel := context.WithCancel(context.WithValue(ctx, acceptedKey{}, &accepted))
	stream := c.api.Events(streaming, client.EventsListOptions{Since: strconv.FormatInt(c.clock.Load(), 10), Filters: filters})
	if !accepted.Load() {
		err := <-stream.Err // it comes, but maybe a moment later
		cancel()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, c.streamFailed("subscribe to events of engine", err)
	}
	subscription, feed := NewSubscription(cancel)
	go c.pass(streaming, stream, feed)
	return subscription, nil
}

// pass hands events on until the stream ends.
func (c *Client) pass(ctx context.Context, stream client.EventsResult, feed *Feed) {
	for {
		select {
		case message := <-stream.Messages:
			if wakes(message) {
				feed.Send(eventOf(message))
			}
		case err := <-stream.Err:
			if ctx.Err() != nil {
				feed.End(nil)
				return
			}
			feed.End(c.streamFailed("read events of engine", err))
			return
		}
	}
}

// wakes looks again at what the engine was to filter: one that is told of health_status compares beginnings only, and a socket proxy
// or another engine may not filter at all.
func wakes(message events.Message) bool {
	action, _, _ := strings.Cut(string(message.Action), ":")
	return slices.Contains(wakingActions()[message.Type], events.Action(action))
}

func eventOf(message events.Message) Event {
	attributes := message.Actor.Attributes
	return Event{
		Type:    message.Type,
		Action:  message.Action,
		ID:      message.Actor.ID,
		Name:    attributes["name"],
		Project: attributes[LabelProject],
		Service: attributes[LabelService],
		Role:    attributes[LabelRole],
		OneOff:  attributes[LabelOneoff] == "True",
		Time:    time.Unix(0, message.TimeNano),
	}
}

// streamFailed explains a stream that did not begin, or an end that nobody asked for: an engine cuts a stream off only when it ends
// itself.
func (c *Client) streamFailed(action string, err error) error {
	_, broken := errors.AsType[*net.OpError](err)
	if client.IsErrConnectionFailed(err) || !broken && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return c.explain(action, c.host, err)
	}
	return fmt.Errorf("%s %q: %w", action, c.host, &UnreachableError{Host: c.host, Cause: "the stream of events was cut off: " + err.Error()})
}

// acceptedKey is for a flag in a request's context that is set once the engine has answered that it does what it was asked.
type acceptedKey struct{}

// noteAnswer keeps what the engine's clock showed in its last answer, in whole seconds and thus never later than it was.
func (c *Client) noteAnswer(response *http.Response) {
	if accepted, is := response.Request.Context().Value(acceptedKey{}).(*atomic.Bool); is && response.StatusCode == http.StatusOK {
		accepted.Store(true)
	}
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		c.clock.Store(date.Unix())
	}
}
