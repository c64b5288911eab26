package api

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/composure-dev/composure/internal/hint"
)

// DefaultAddress is where a daemon listens that was told nothing else.
const DefaultAddress = "127.0.0.1:8421"

// SocketScheme begins the address of a unix socket.
const SocketScheme = "unix://"

// Client asks a daemon.
type Client struct {
	base  string
	token string
	http  *http.Client
	where string
}

// NewClient asks at HOST:PORT, http://…, https://… or unix:///PATH. Nothing is asked before the first call.
func NewClient(address, token string) (*Client, error) {
	c := &Client{token: token, where: address, http: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if path, is := strings.CutPrefix(address, SocketScheme); is {
		var dialer net.Dialer
		c.base = "http://localhost"
		c.http.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		}}
		return c, nil
	}
	c.base = strings.TrimSuffix(address, "/")
	if !strings.Contains(address, "://") {
		c.base = "http://" + address
	}
	parsed, err := url.Parse(c.base)
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return nil, hint.Wrap(fmt.Errorf("no address of a daemon: %q", address), "give it as run's --listen has it: "+DefaultAddress+", or unix:///run/composure/composure.sock")
	}
	return c, nil
}

// Projects gives how every project is.
func (c *Client) Projects(ctx context.Context) ([]Project, error) {
	var list List[Project]
	err := c.get(ctx, "/api/v1/projects", &list)
	return list.Items, err
}

// Describe gives all that is known of one project.
func (c *Client) Describe(ctx context.Context, project string) (Description, error) {
	var description Description
	err := c.get(ctx, "/api/v1/projects/"+url.PathEscape(project), &description)
	return description, err
}

// Policies gives how every policy is.
func (c *Client) Policies(ctx context.Context) ([]Policy, error) {
	var list List[Policy]
	err := c.get(ctx, "/api/v1/policies", &list)
	return list.Items, err
}

// Events gives what has happened, of one project or, without a name, of all.
func (c *Client) Events(ctx context.Context, project string) ([]Event, error) {
	var list List[Event]
	err := c.get(ctx, "/api/v1/events?project="+url.QueryEscape(project), &list)
	return list.Items, err
}

// WatchProjects tells of every project, and then of what changes, until ctx ends, the daemon does, or tell returns an error.
func (c *Client) WatchProjects(ctx context.Context, tell func(Change[Project]) error) error {
	return watch(ctx, c, "/api/v1/projects?watch=true", tell)
}

// WatchPolicies does so for policies.
func (c *Client) WatchPolicies(ctx context.Context, tell func(Change[Policy]) error) error {
	return watch(ctx, c, "/api/v1/policies?watch=true", tell)
}

// WatchEvents tells of what has happened, and then of what happens.
func (c *Client) WatchEvents(ctx context.Context, project string, tell func(Change[Event]) error) error {
	return watch(ctx, c, "/api/v1/events?watch=true&project="+url.QueryEscape(project), tell)
}

// Suspend has a project left alone until it is resumed.
func (c *Client) Suspend(ctx context.Context, project, reason string) error {
	return c.post(ctx, "/api/v1/projects/"+url.PathEscape(project)+"/suspend?reason="+url.QueryEscape(reason))
}

// Resume takes that back.
func (c *Client) Resume(ctx context.Context, project string) error {
	return c.post(ctx, "/api/v1/projects/"+url.PathEscape(project)+"/resume")
}

// Reconcile has a project looked at now, or all of them.
func (c *Client) Reconcile(ctx context.Context, project string) error {
	return c.post(ctx, "/api/v1/reconcile?project="+url.QueryEscape(project))
}

// Healthy returns nil when the daemon runs, and with ready only when the engine answers it, too.
func (c *Client) Healthy(ctx context.Context, ready bool) error {
	path := "/healthz"
	if ready {
		path = "/readyz"
	}
	return c.get(ctx, path, nil)
}

// answerWithin bounds a question that is answered at once.
const answerWithin = 30 * time.Second

// get decodes the answer into a value, unless that is nil.
func (c *Client) get(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	response, err := c.ask(ctx, http.MethodGet, path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("read the daemon's answer: %w", err)
	}
	return nil
}

func (c *Client) post(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	response, err := c.ask(ctx, http.MethodPost, path)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// ask returns answers of success alone.
func (c *Client) ask(ctx context.Context, method, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if response.StatusCode < 300 {
		return response, nil
	}
	defer response.Body.Close()
	const longest = 1000
	text, _ := io.ReadAll(io.LimitReader(response.Body, longest))
	message := cmp.Or(line(string(text)), response.Status)
	switch response.StatusCode {
	case http.StatusNotFound:
		return nil, hint.Wrap(&NotFoundError{message}, "see the projects that the daemon knows with: composure get projects")
	case http.StatusUnauthorized:
		if c.token != "" {
			return nil, hint.Wrap(fmt.Errorf("the daemon at %s does not know the token", c.where), "it is the content of the file that run was given as --token-file")
		}
		return nil, hint.Wrap(fmt.Errorf("the daemon at %s wants a token", c.where), "name the file that run was given as --token-file: --token-file, or COMPOSURE_TOKEN_FILE")
	default:
		return nil, fmt.Errorf("the daemon at %s says: %s", c.where, message)
	}
}

func (c *Client) unreachable(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	if inner, is := errors.AsType[*url.Error](err); is {
		err = inner.Err
	}
	return hint.Wrap(fmt.Errorf("no daemon answers at %s: %w", c.where, err), "is composure run at work? --address, or COMPOSURE_ADDRESS, says where it listens")
}

// errEnded tells that the daemon has ended a watch.
var errEnded = errors.New("the daemon has ended")

// watch decodes one object a line. A line without one only shows that the daemon is there.
func watch[T any](ctx context.Context, c *Client, path string, tell func(Change[T]) error) error {
	response, err := c.ask(ctx, http.MethodGet, path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	for {
		text, err := lines.ReadBytes('\n')
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return hint.Wrap(errEnded, "start it again, and then the watch")
		case len(text) == 1:
			continue
		}
		var change Change[T]
		if err := json.Unmarshal(text, &change); err != nil {
			return fmt.Errorf("read the daemon's answer: %w", err)
		}
		if err := tell(change); err != nil {
			return err
		}
	}
}
