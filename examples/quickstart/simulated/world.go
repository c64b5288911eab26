package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/probe"
)

const (
	image = "composure-quickstart:latest"

	syncVariable     = "CELERY_BEAT_REDIS_SYNC_ENABLED"
	intervalVariable = "CELERY_BEAT_MIN_SYNC_INTERVAL"
	channelVariable  = "CELERY_BEAT_REDIS_CHANNEL"
	pollVariable     = "BEAT_POLL_INTERVAL"
)

// world is the quickstart on an engine in memory.
type world struct {
	engine  *enginetest.Engine
	options compose.Options
}

func newWorld(options compose.Options) *world {
	w := &world{engine: enginetest.New(enginetest.Options{}), options: options}
	w.engine.AddImage(enginetest.Image{
		Name:    image,
		Config:  container.Config{Entrypoint: []string{"/shop"}, User: "65534:65534"},
		Program: shop,
	})
	w.engine.HandleProbe(w.answer)
	return w
}

// shop is what examples/quickstart/shop does, as far as an engine can see it. Only beat has a poll interval.
func shop(env map[string]string) enginetest.Behavior {
	if env[pollVariable] == "" {
		return enginetest.Behavior{Health: []enginetest.Health{{After: 200 * time.Millisecond, Status: container.Healthy}}}
	}
	if env[syncVariable] != "true" {
		return enginetest.Behavior{}
	}
	return enginetest.Behavior{Logs: []enginetest.Log{{
		After: 100 * time.Millisecond, Text: "Subscribed to Redis channel: " + env[channelVariable],
	}}}
}

// answer is what Redis would say to a probe: every running beat that syncs is a subscriber of its channel.
func (w *world) answer(_ engine.Container, data []byte) ([]byte, error) {
	var job probe.Job
	if err := json.Unmarshal(data, &job); err != nil {
		return nil, fmt.Errorf("decode job: %w", err)
	}
	if job.Redis == nil {
		return nil, errors.New("the job asks nothing of redis")
	}
	beats, err := w.engine.List(context.Background(), engine.LabelService+"=beat") //nolint:forbidigo // a probe handler has no context
	if err != nil {
		return nil, err
	}
	result := probe.Result{Ping: true}
	for _, beat := range beats {
		env := beat.Env()
		if beat.Running() && value(env, syncVariable) == "true" && value(env, channelVariable) == job.Redis.Channel {
			result.Subscribers++
		}
	}
	return json.Marshal(result)
}

// up is docker compose up -d of the files as they are now.
func (w *world) up(ctx context.Context) (map[string]enginetest.Decision, error) {
	loaded, err := compose.Load(ctx, w.options)
	if err != nil {
		return nil, err
	}
	return w.engine.Up(ctx, loaded, func(service string, spec *engine.Spec) {
		spec.Config.Cmd = []string{service}
		spec.Host.RestartPolicy = container.RestartPolicy{Name: container.RestartPolicyUnlessStopped}
		if service != "beat" {
			spec.Config.Healthcheck = &container.HealthConfig{Test: []string{"CMD", "/shop", "healthcheck"}}
		}
	})
}

func (w *world) containers(ctx context.Context, service string) ([]engine.Container, error) {
	return w.engine.List(ctx, engine.LabelProject+"="+project, engine.LabelService+"="+service)
}

// ids are the container ids by service. Two containers of one service are an error: a swap leaves exactly one.
func (w *world) ids(ctx context.Context) (map[string]string, error) {
	list, err := w.engine.List(ctx, engine.LabelProject+"="+project)
	if err != nil {
		return nil, err
	}
	ids := make(map[string]string)
	for _, c := range list {
		service := c.Label(engine.LabelService)
		if other, twice := ids[service]; twice {
			return nil, fmt.Errorf("%s has two containers, %.12s and %.12s", service, other, c.ID)
		}
		ids[service] = c.ID
	}
	return ids, nil
}

// wait is how long a schedule made just after a poll would stay without history, by the environment of the containers.
func (w *world) wait(ctx context.Context) (time.Duration, error) {
	variables := make(map[string]map[string]*string)
	for _, service := range []string{"app", "beat"} {
		list, err := w.containers(ctx, service)
		if err != nil {
			return 0, err
		}
		if len(list) != 1 {
			return 0, fmt.Errorf("%s has %d containers, not one", service, len(list))
		}
		variables[service] = list[0].Env()
	}
	app, beat := variables["app"], variables["beat"]
	synced := value(app, syncVariable) == "true" && value(beat, syncVariable) == "true"
	if synced && value(app, channelVariable) == value(beat, channelVariable) {
		return time.ParseDuration(value(beat, intervalVariable) + "s")
	}
	return time.ParseDuration(value(beat, pollVariable))
}

func value(env map[string]*string, key string) string {
	if env[key] == nil {
		return ""
	}
	return *env[key]
}
