package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/moby/moby/api/types/common"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// messageLimit bounds what is read of an answer, in bytes.
const messageLimit = 1 << 20

// createWithMAC creates a container with a MAC address as APIs below 1.44 take it: in a field of the configuration, which the API
// client has no more. It is the one request that does not go through the client, but it takes the client's connection.
func (c *Client) createWithMAC(ctx context.Context, spec Spec) (string, error) {
	request, err := c.macRequest(ctx, spec)
	if err != nil {
		return "", err
	}
	if c.observe != nil {
		c.observe(request.Method, request.URL.Path)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return c.api.Dialer()(ctx) }
	direct := &http.Client{
		Transport:     &http.Transport{DialContext: dial, DisableKeepAlives: true},
		CheckRedirect: client.CheckRedirect,
	}
	response, err := direct.Do(request)
	if failed, found := errors.AsType[*net.OpError](err); found && failed.Op == "dial" {
		return "", newUnreachable(c.host, failed.Error())
	}
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	return createdID(response)
}

// macRequest is plain HTTP: the client's dialer has seen to TLS.
func (c *Client) macRequest(ctx context.Context, spec Spec) (*http.Request, error) {
	if _, err := c.api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return nil, err
	}
	address, err := client.ParseHostURL(c.api.DaemonHost())
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(struct {
		container.CreateRequest
		MacAddress string
	}{
		CreateRequest: container.CreateRequest{Config: spec.Config, HostConfig: spec.Host, NetworkingConfig: spec.Network},
		MacAddress:    spec.MACAddress,
	})
	if err != nil {
		return nil, err
	}
	target := url.URL{Scheme: "http", Host: client.DummyHost, RawQuery: url.Values{"name": {spec.Name}}.Encode()}
	if address.Scheme == "tcp" {
		target.Host = address.Host
	}
	target.Path, err = url.JoinPath("/", address.Path, "v"+c.api.ClientVersion(), "containers", "create")
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	return request, nil
}

// createdID reads the answer, and gives an error as [Client.explain] would.
func createdID(response *http.Response) (string, error) {
	content, err := io.ReadAll(io.LimitReader(response.Body, messageLimit))
	if err != nil {
		return "", err
	}
	if response.StatusCode == http.StatusCreated {
		var created container.CreateResponse
		err = json.Unmarshal(content, &created)
		return created.ID, err
	}
	var refused common.ErrorResponse
	if json.Unmarshal(content, &refused) != nil || refused.Message == "" {
		refused.Message = response.Status // a proxy's answer, perhaps
	}
	switch response.StatusCode {
	case http.StatusNotFound:
		return "", fmt.Errorf("%w: %s", ErrNotFound, refused.Message)
	case http.StatusConflict:
		return "", fmt.Errorf("%w: %s", ErrConflict, refused.Message)
	}
	return "", errors.New(refused.Message)
}
