package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"
)

// ClientOptions say which engine to talk to. The zero value is the local default engine.
type ClientOptions struct {
	Host      string // DOCKER_HOST, or ""
	Context   string // DOCKER_CONTEXT, or ""
	ConfigDir string // DOCKER_CONFIG; "" means ~/.docker
	// ProbeBinary is the static executable that probe containers run; "" means the running one.
	ProbeBinary string
	// Observe, when set, is told the method and path of every request to the engine.
	Observe func(method, path string)
}

// Client is a Docker Engine over its API. It is safe for concurrent use, holds no timeout of its own (a stop may take as long
// as the container's grace) and follows the context of each call.
type Client struct {
	api         *client.Client
	host        string
	probeBinary string
	observe     func(method, path string) // may be nil
	clock       atomic.Int64              // the engine's, in Unix seconds, as it last answered

	probeMu  sync.Mutex
	probeRef string // reference of the probe image; "" until the binary was read

	sweep sync.Once // of probe containers
}

var (
	_ Reader = (*Client)(nil)
	_ Writer = (*Client)(nil)
	_ Prober = (*Client)(nil)
)

// Open resolves the engine's address and prepares a client. It does not connect: the first call does.
func Open(options ClientOptions) (*Client, error) {
	if options.ConfigDir == "" {
		home, err := os.UserHomeDir()
		if err == nil {
			options.ConfigDir = filepath.Join(home, ".docker")
		}
	}
	target, err := resolveEndpoint(options)
	if err != nil {
		return nil, err
	}
	opts, err := target.clientOpts()
	if err != nil {
		return nil, err
	}
	opened := &Client{host: target.host, probeBinary: options.ProbeBinary, observe: options.Observe}
	opts = append(opts, client.WithAPIVersionFromEnv(), client.WithHTTPResponseHook(opened.noteAnswer))
	if options.Observe != nil {
		opts = append(opts, observeRequests(options.Observe))
	}
	opened.api, err = client.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to engine %q: %w", target.host, err)
	}
	return opened, nil
}

// Close lets go of idle connections.
func (c *Client) Close() error { return c.api.Close() }

// ID implements Watcher. An engine without an id of its own, as podman is, goes by the name of its host.
func (c *Client) ID(ctx context.Context) (string, error) {
	told, err := c.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return "", c.explain("ask engine who it is", c.host, err)
	}
	id := cmp.Or(told.Info.ID, told.Info.Name)
	if id == "" {
		return "", fmt.Errorf("engine %s tells neither an id nor a name", c.host)
	}
	return id, nil
}

// Info implements Reader.
func (c *Client) Info(ctx context.Context) (Info, error) {
	ping, err := c.api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	if ping.APIVersion != "" && versions.LessThan(ping.APIVersion, MinAPIVersion) {
		return Info{}, fmt.Errorf("%w: %s speaks API %s, at least %s is needed", ErrTooOld, c.host, ping.APIVersion, MinAPIVersion)
	}
	if err != nil {
		return Info{}, c.explain("reach engine", c.host, err)
	}
	if used := c.api.ClientVersion(); versions.LessThan(used, MinAPIVersion) {
		return Info{}, fmt.Errorf("%w: API %s was asked for, at least %s is needed", ErrTooOld, used, MinAPIVersion)
	}
	version, err := c.api.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return Info{}, c.explain("ask version of engine", c.host, err)
	}
	info := Info{
		APIVersion:    c.api.ClientVersion(),
		ServerVersion: version.Version,
		OSType:        version.Os,
		Architecture:  version.Arch,
		Host:          c.host,
	}
	for _, component := range version.Components {
		info.Podman = info.Podman || strings.HasPrefix(component.Name, "Podman")
	}
	return info, nil
}

// list is the engine's own list of the containers that carry all the labels.
func (c *Client) list(ctx context.Context, labels []string) ([]container.Summary, error) {
	filters := make(client.Filters)
	for _, label := range labels {
		filters.Add("label", label)
	}
	listed, err := c.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return nil, c.explain("list containers of engine", c.host, err)
	}
	return listed.Items, nil
}

// List implements Reader.
func (c *Client) List(ctx context.Context, labels ...string) ([]Container, error) {
	listed, err := c.list(ctx, labels)
	if err != nil {
		return nil, err
	}
	containers := make([]Container, 0, len(listed))
	for _, item := range listed {
		inspected, err := c.Inspect(ctx, item.ID)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		containers = append(containers, inspected)
	}
	slices.SortFunc(containers, func(a, b Container) int { return cmp.Compare(a.Name, b.Name) })
	return containers, nil
}

// Inspect implements Reader. The engine also answers to names and to prefixes of ids, so what it returns is compared with what was asked.
func (c *Client) Inspect(ctx context.Context, id string) (Container, error) {
	name, byName := strings.CutPrefix(id, "/")
	if !byName && !fullID(id) {
		return Container{}, fmt.Errorf("inspect container %q: %w: neither a full id nor a name with a leading slash", id, ErrNotFound)
	}
	result, err := c.api.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if err != nil {
		return Container{}, c.explain("inspect container", id, err)
	}
	if found := result.Container; byName && found.Name != id || !byName && found.ID != id {
		return Container{}, fmt.Errorf("inspect container %q: %w", id, ErrNotFound)
	}
	return Container{InspectResponse: result.Container, Raw: result.Raw}, nil
}

// Image implements Reader.
func (c *Client) Image(ctx context.Context, ref string) (Image, error) {
	result, err := c.api.ImageInspect(ctx, ref)
	if err != nil {
		return Image{}, c.explain("inspect image", ref, err)
	}
	image := Image{ID: result.ID, Names: slices.Concat(result.RepoTags, result.RepoDigests)}
	if result.Config != nil {
		image.Env = result.Config.Env
		image.Labels = result.Config.Labels
	}
	return image, nil
}

// Logs implements Reader.
func (c *Client) Logs(ctx context.Context, id string, since time.Time, tail int) (io.ReadCloser, error) {
	inspected, err := c.Inspect(ctx, id)
	if err != nil {
		return nil, err
	}
	options := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true}
	if !since.IsZero() {
		options.Since = since.UTC().Format(time.RFC3339Nano)
	}
	if tail >= 0 {
		options.Tail = strconv.Itoa(tail)
	}
	logs, err := c.api.ContainerLogs(ctx, id, options)
	if err != nil {
		return nil, c.explain("read logs of container", id, err)
	}
	if inspected.Config.Tty {
		return logs, nil
	}
	return demultiplex(logs), nil
}

// demultiplex strips the frame headers that separate stdout from stderr.
func demultiplex(frames io.ReadCloser) io.ReadCloser {
	reader, writer := io.Pipe()
	go func() {
		_, err := stdcopy.StdCopy(writer, writer, frames)
		writer.CloseWithError(err)
	}()
	return &demultiplexed{PipeReader: reader, frames: frames}
}

type demultiplexed struct {
	*io.PipeReader
	frames io.Closer
}

func (d *demultiplexed) Close() error {
	return errors.Join(d.frames.Close(), d.PipeReader.Close())
}

// explain maps the API's errors to those of this package and says what was tried.
func (c *Client) explain(action, object string, err error) error {
	return fmt.Errorf("%s %q: %w", action, object, c.classify(err))
}

func (c *Client) classify(err error) error {
	message, fromDaemon := strings.CutPrefix(err.Error(), "Error response from daemon: ")
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case client.IsErrConnectionFailed(err):
		return newUnreachable(c.host, message)
	case cerrdefs.IsNotFound(err):
		return fmt.Errorf("%w: %s", ErrNotFound, message)
	case cerrdefs.IsConflict(err):
		return fmt.Errorf("%w: %s", ErrConflict, message)
	case fromDaemon:
		return errors.New(message)
	}
	return err
}

// fullID reports whether id is a whole container id, which no name and no prefix can be taken for.
func fullID(id string) bool {
	return len(id) == 64 && strings.Trim(id, "0123456789abcdef") == ""
}
