package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/composure-dev/composure/controller"
	"github.com/composure-dev/composure/internal/api"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/internal/metrics"
)

// listenFlags say where a daemon is asked, and by whom.
type listenFlags struct {
	address   string
	tokenFile string
	public    []string
	profile   bool
}

// What may be asked without a token, by its name.
func publicPaths() map[string][]string {
	return map[string][]string{"health": {"/healthz", "/readyz"}, "metrics": {"/metrics"}}
}

func (f *listenFlags) register(set *pflag.FlagSet) {
	set.StringVar(&f.address, "listen", api.DefaultAddress, `where status, health and metrics are served: HOST:PORT or unix:///PATH, "" for nowhere`)
	set.StringVar(&f.tokenFile, "token-file", "", "file with a token that every request has to bear; needed for an address that is not loopback")
	set.StringSliceVar(&f.public, "public", nil, "what is served without the token: health, metrics")
	set.BoolVar(&f.profile, "pprof", false, "serve /debug/pprof/ as well")
}

// open listens. A loopback address needs no token, and a unix socket is its owner's and group's.
func (f *listenFlags) open(ctx context.Context, options *controller.RunOptions) error {
	if f.address == "" {
		return nil
	}
	token, err := readToken(f.tokenFile)
	if err != nil {
		return err
	}
	if token != "" && len(token) < shortestToken {
		return hint.Wrap(fmt.Errorf("%s holds a token of less than %d characters", f.tokenFile, shortestToken), "make one with: openssl rand -hex 32")
	}
	options.Metrics = metrics.New(buildOf().Version)
	options.Guard, options.Profile = api.Guard{Token: token}, f.profile
	for _, name := range f.public {
		paths, known := publicPaths()[name]
		if !known {
			return fmt.Errorf("--public %q: must be of health, metrics", name)
		}
		options.Guard.Public = append(options.Guard.Public, paths...)
	}
	if path, is := strings.CutPrefix(f.address, api.SocketScheme); is {
		options.Listener, err = listenUnix(ctx, path)
		return err
	}
	if _, _, err := net.SplitHostPort(f.address); err != nil {
		return hint.Wrap(fmt.Errorf("--listen %q: %w", f.address, err), "give it an address such as "+api.DefaultAddress)
	}
	if !api.Loopback(f.address) && token == "" {
		return hint.Wrap(fmt.Errorf("--listen %q is not a loopback address, and anybody could ask there", f.address),
			"use 127.0.0.1, [::1] or localhost, or have a token asked for: --token-file FILE")
	}
	options.Guard.Names = token == ""
	var config net.ListenConfig
	if options.Listener, err = config.Listen(ctx, "tcp", f.address); err != nil {
		return hint.Wrap(fmt.Errorf("listen: %w", err), "give another address with --listen, or none: --listen ''")
	}
	return nil
}

// shortestToken is what nobody guesses, in characters.
const shortestToken = 16

// socketMode lets the socket's owner and group ask.
const socketMode = 0o660

// listenUnix takes the place of a socket at which nobody listens any more.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("--listen %s%s: must be an absolute path, as in unix:///run/composure/composure.sock", api.SocketScheme, path)
	}
	var dialer net.Dialer
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("listen: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("listen: %s is there, and no socket", path)
	default:
		if connection, err := dialer.DialContext(ctx, "unix", path); err == nil {
			_ = connection.Close()
			return nil, hint.Wrap(fmt.Errorf("listen: somebody listens at %s already", path), "is another composure run at work? see: composure healthcheck --address "+api.SocketScheme+path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, hint.Wrap(fmt.Errorf("listen: %w", err), "its folder has to be there, and this user to have access to it")
	}
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(fmt.Errorf("listen: %w", err), listener.Close())
	}
	return listener, nil
}
