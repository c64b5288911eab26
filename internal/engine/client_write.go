package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// cleanupTimeout bounds the removal of something half-made: it runs even when the call that made it was canceled.
const cleanupTimeout = 30 * time.Second

// Create implements Writer.
func (c *Client) Create(ctx context.Context, spec Spec) (string, error) {
	create := c.createPlain
	if spec.MACAddress != "" {
		create = c.createWithMAC
	}
	id, err := create(ctx, spec)
	if err != nil {
		return "", c.explain("create container", spec.Name, err)
	}
	if err := c.connect(ctx, id, spec); err != nil {
		return "", errors.Join(err, c.discard(ctx, id))
	}
	return id, nil
}

func (c *Client) createPlain(ctx context.Context, spec Spec) (string, error) {
	created, err := c.api.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name:             spec.Name,
		Config:           spec.Config,
		HostConfig:       spec.Host,
		NetworkingConfig: spec.Network,
	})
	return created.ID, err
}

func (c *Client) connect(ctx context.Context, id string, spec Spec) error {
	for _, name := range slices.Sorted(maps.Keys(spec.Connect)) {
		options := client.NetworkConnectOptions{Container: id, EndpointConfig: spec.Connect[name]}
		if _, err := c.api.NetworkConnect(ctx, name, options); err != nil {
			return c.explain(fmt.Sprintf("connect container %q to network", spec.Name), name, err)
		}
	}
	return nil
}

// discard removes what this client made itself; its being gone already is no error.
func (c *Client) discard(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	err := c.Remove(ctx, id, true)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// Start implements Writer.
func (c *Client) Start(ctx context.Context, id string) error {
	return c.byFullID("start container", id, func() error {
		_, err := c.api.ContainerStart(ctx, id, client.ContainerStartOptions{})
		return err
	})
}

// Stop implements Writer.
func (c *Client) Stop(ctx context.Context, id string) error {
	return c.byFullID("stop container", id, func() error {
		_, err := c.api.ContainerStop(ctx, id, client.ContainerStopOptions{})
		return err
	})
}

// Rename implements Writer.
func (c *Client) Rename(ctx context.Context, id, name string) error {
	return c.byFullID("rename container", id, func() error {
		_, err := c.api.ContainerRename(ctx, id, client.ContainerRenameOptions{NewName: name})
		return err
	})
}

// Remove implements Writer.
func (c *Client) Remove(ctx context.Context, id string, force bool) error {
	return c.byFullID("remove container", id, func() error {
		_, err := c.api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: force})
		return err
	})
}

// updateAttempts bounds how often an update is tried that meets a process in the instant of its end: the engine still takes the
// container for running, and refuses since the process is gone. A moment later it knows.
const updateAttempts = 10

// SetRestartPolicy implements Writer.
func (c *Client) SetRestartPolicy(ctx context.Context, id string, policy container.RestartPolicy) error {
	return c.byFullID("update restart policy of container", id, func() (err error) {
		for range updateAttempts {
			_, err = c.api.ContainerUpdate(ctx, id, client.ContainerUpdateOptions{RestartPolicy: &policy})
			if err == nil || !strings.Contains(err.Error(), "not running") {
				return err
			}
			if paused := pause(ctx, pollInterval); paused != nil {
				return err
			}
		}
		return err
	})
}

// byFullID refuses anything but a full id: the engine would take a prefix or a name for another container.
func (c *Client) byFullID(action, id string, call func() error) error {
	if !fullID(id) {
		return fmt.Errorf("%s %q: %w: not a full id", action, id, ErrNotFound)
	}
	if err := call(); err != nil {
		return c.explain(action, id, err)
	}
	return nil
}

func observeRequests(observe func(method, path string)) client.Opt {
	return client.WithHTTPRequestHook(func(request *http.Request) error {
		observe(request.Method, request.URL.Path)
		return nil
	})
}
