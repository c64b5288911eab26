package engine

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/cli/cli/connhelper"
	"github.com/docker/go-connections/tlsconfig"
	"github.com/moby/moby/client"
)

// endpoint is where an engine listens, and the certificates that a docker context keeps for it.
type endpoint struct {
	host string
	// context is the docker context it was read from, or "".
	context       string
	tlsDir        string // "" when the context has no certificates
	skipTLSVerify bool
}

// resolveEndpoint finds the engine as the docker command does: DOCKER_HOST beats DOCKER_CONTEXT beats the current context.
func resolveEndpoint(options ClientOptions) (endpoint, error) {
	if options.Host != "" {
		return endpoint{host: options.Host}, nil
	}
	name := options.Context
	if name == "" {
		current, err := currentContext(options.ConfigDir)
		if err != nil {
			return endpoint{}, err
		}
		name = current
	}
	if name == "" || name == "default" {
		return endpoint{host: client.DefaultDockerHost}, nil
	}
	return readContext(options.ConfigDir, name)
}

func currentContext(configDir string) (string, error) {
	path := filepath.Join(configDir, "config.json")
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read docker configuration: %w", err)
	}
	var config struct {
		CurrentContext string `json:"currentContext"`
	}
	if err := json.Unmarshal(content, &config); err != nil {
		return "", fmt.Errorf("parse docker configuration %q: %w", path, err)
	}
	return config.CurrentContext, nil
}

// readContext reads one docker context. Contexts are stored in folders named by the digest of their name.
func readContext(configDir, name string) (endpoint, error) {
	digest := sha256.Sum256([]byte(name))
	folder := hex.EncodeToString(digest[:])
	content, err := os.ReadFile(filepath.Join(configDir, "contexts", "meta", folder, "meta.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return endpoint{}, fmt.Errorf("docker context %q: %w", name, ErrNotFound)
	}
	if err != nil {
		return endpoint{}, fmt.Errorf("read docker context %q: %w", name, err)
	}
	var meta struct {
		Endpoints map[string]struct {
			Host          string
			SkipTLSVerify bool
		}
	}
	if err := json.Unmarshal(content, &meta); err != nil {
		return endpoint{}, fmt.Errorf("parse docker context %q: %w", name, err)
	}
	docker := meta.Endpoints["docker"]
	if docker.Host == "" {
		return endpoint{}, fmt.Errorf("docker context %q has no docker endpoint", name)
	}
	found := endpoint{host: docker.Host, context: name, skipTLSVerify: docker.SkipTLSVerify}
	tlsDir := filepath.Join(configDir, "contexts", "tls", folder, "docker")
	if _, err := os.Stat(tlsDir); err == nil {
		found.tlsDir = tlsDir
	}
	return found, nil
}

// clientOpts translates the endpoint for the API client.
func (e endpoint) clientOpts() ([]client.Opt, error) {
	helper, err := connhelper.GetConnectionHelper(e.host)
	if err != nil {
		return nil, fmt.Errorf("connect to engine %q: %w", e.host, err)
	}
	if helper != nil {
		return []client.Opt{
			client.WithHTTPClient(&http.Client{Transport: &http.Transport{DialContext: helper.Dialer}}),
			client.WithHost(helper.Host),
			client.WithDialContext(helper.Dialer),
		}, nil
	}
	if strings.HasPrefix(e.host, "unix://") || strings.HasPrefix(e.host, "npipe://") {
		return []client.Opt{client.WithHost(e.host)}, nil
	}
	if e.context == "" {
		return []client.Opt{client.WithTLSClientConfigFromEnv(), client.WithHost(e.host)}, nil
	}
	config, err := e.tlsConfig()
	if err != nil {
		return nil, err
	}
	if config == nil {
		return []client.Opt{client.WithHost(e.host)}, nil
	}
	secured := &http.Client{Transport: &http.Transport{TLSClientConfig: config}, CheckRedirect: client.CheckRedirect}
	return []client.Opt{client.WithHTTPClient(secured), client.WithHost(e.host)}, nil
}

// tlsConfig is nil when the context asks for no TLS. Each of the three files may be missing.
func (e endpoint) tlsConfig() (*tls.Config, error) {
	if e.tlsDir == "" && !e.skipTLSVerify {
		return nil, nil
	}
	file := func(name string) string {
		path := filepath.Join(e.tlsDir, name)
		if _, err := os.Stat(path); e.tlsDir == "" || err != nil {
			return ""
		}
		return path
	}
	config, err := tlsconfig.Client(tlsconfig.Options{
		CAFile:             file("ca.pem"),
		CertFile:           file("cert.pem"),
		KeyFile:            file("key.pem"),
		InsecureSkipVerify: e.skipTLSVerify,
		ExclusiveRootPools: true,
	})
	if err != nil {
		return nil, fmt.Errorf("load certificates of docker context %q: %w", e.context, err)
	}
	return config, nil
}
