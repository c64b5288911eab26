package engine

import (
	"context"
	"io"

	"github.com/moby/moby/client"
)

// CopyFrom implements Reader.
func (c *Client) CopyFrom(ctx context.Context, id, path string) (io.ReadCloser, error) {
	var content io.ReadCloser
	err := c.byFullID("copy files from container", id, func() error {
		copied, err := c.api.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: path})
		content = copied.Content
		return err
	})
	if err != nil {
		return nil, err
	}
	return content, nil
}

// CopyTo implements Writer.
func (c *Client) CopyTo(ctx context.Context, id, path string, tar io.Reader) error {
	return c.byFullID("copy files to container", id, func() error {
		_, err := c.api.CopyToContainer(ctx, id, client.CopyToContainerOptions{DestinationPath: path, Content: tar})
		return err
	})
}
