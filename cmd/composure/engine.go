package main

import (
	"context"
	"errors"

	"github.com/composure-dev/composure/controller"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/hint"
)

// openEngine finds the engine as the docker command does.
func (in invocation) openEngine(ctx context.Context) (controller.Engine, error) {
	return in.openLive(ctx)
}

func (in invocation) openLive(context.Context) (controller.LiveEngine, error) {
	client, err := engine.Open(engine.ClientOptions{
		Host: in.getenv("DOCKER_HOST"), Context: in.getenv("DOCKER_CONTEXT"), ConfigDir: in.getenv("DOCKER_CONFIG"),
	})
	switch {
	case err == nil:
		return advising{client}, nil
	case in.getenv("DOCKER_HOST") != "":
		return nil, hint.Wrap(err, "DOCKER_HOST is an address, such as unix:///var/run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST")
	default:
		return nil, hint.Wrap(err, "DOCKER_CONTEXT, or else currentContext in docker's config.json, names a context; see: docker context ls")
	}
}

// advising is an engine whose answers, when they are errors, come with what to do about them.
type advising struct{ *engine.Client }

func (a advising) Info(ctx context.Context) (engine.Info, error) {
	info, err := a.Client.Info(ctx)
	return info, advised(err)
}

func (a advising) List(ctx context.Context, labels ...string) ([]engine.Container, error) {
	containers, err := a.Client.List(ctx, labels...)
	return containers, advised(err)
}

// advised leaves alone what has advice of its own, see hints.
func advised(err error) error {
	for _, known := range []error{engine.ErrUnreachable, engine.ErrTooOld, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return err
		}
	}
	return hint.Wrap(err, "the engine answers, but with an error: see docker version, and the engine's own log")
}
