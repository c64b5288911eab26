package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/composure-dev/composure/controller"
	"github.com/composure-dev/composure/internal/api"
	"github.com/composure-dev/composure/internal/broadcast"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/internal/lease"
	"github.com/composure-dev/composure/internal/metrics"
	"github.com/composure-dev/composure/internal/notify"
	"github.com/composure-dev/composure/internal/redisurl"
)

// outwardFlags say with whom else a daemon speaks: other operators, and those who want to be told.
type outwardFlags struct {
	redis      string
	channel    string
	webhook    string
	secretFile string
}

// leaseKey is what the operators of one engine have in common, with the engine's id behind it.
const leaseKey = "composure:leader:"

func (f *outwardFlags) register(set *pflag.FlagSet, in invocation) {
	set.StringVar(&f.redis, "redis", "", "URL of a Redis by which one of several operators of an engine is elected leader [$COMPOSURE_REDIS]")
	set.StringVar(&f.channel, "redis-channel", "", "channel of that Redis on which the result of each look is published")
	set.StringVar(&f.webhook, "webhook", "", "URL to which each change of state is sent, signed [$COMPOSURE_WEBHOOK]")
	set.StringVar(&f.secretFile, "webhook-secret-file", "", "file with the secret that signs them")
	// What may hold a password is not shown as a default.
	f.redis, f.webhook = in.getenv("COMPOSURE_REDIS"), in.getenv("COMPOSURE_WEBHOOK")
}

func (f *outwardFlags) validate(cmd *cobra.Command, once bool) error {
	switch {
	case f.channel != "" && f.redis == "":
		return usage(cmd, errors.New("--redis-channel needs --redis"), "")
	case f.webhook != "" && f.secretFile == "":
		return usage(cmd, errors.New("--webhook needs --webhook-secret-file"), "")
	case once && f.redis != "" && f.channel == "" && cmd.Flags().Changed("redis"):
		return usage(cmd, errors.New("--once elects no leader: the engine's lock is enough for it"), "")
	}
	return nil
}

// open connects a run with the others. What it has to say last is said before end returns.
func (f *outwardFlags) open(ctx context.Context, log logr.Logger, counted *metrics.Metrics, options *controller.RunOptions) (end func(), err error) {
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	end = func() {
		cancel()
		running.Wait()
	}
	if f.redis != "" {
		client, err := redisurl.Connect(f.redis)
		if err != nil {
			return end, err
		}
		if !options.Once {
			options.Elect = func(engine string) controller.Election {
				return lease.New(lease.Options{Client: client, Key: leaseKey + engine, Log: log.WithName("lease")})
			}
		}
		if f.channel != "" {
			results := broadcast.New(broadcast.Options{
				Client: client, Channel: f.channel, Log: log.WithName("broadcast"), Told: func(result string) { counted.Notified("redis", result) },
			})
			running.Go(func() { results.Run(ctx) })
			options.Publish = func(r api.Result) { results.Publish(r) }
		}
		wait := end
		end = func() {
			wait()
			_ = client.Close()
		}
	}
	if f.webhook == "" {
		return end, nil
	}
	secret, err := os.ReadFile(f.secretFile)
	if err != nil {
		return end, fmt.Errorf("read the webhook's secret: %w", err)
	}
	hook, err := notify.New(notify.Options{URL: f.webhook, Secret: secret, Log: log.WithName("webhook"), Told: func(result string) { counted.Notified("webhook", result) }})
	if err != nil {
		return end, hint.Wrap(err, "see docs/daemon.md, Webhook")
	}
	running.Go(func() { hook.Run(ctx) })
	options.Notify = func(id string, event api.Event) { hook.Notify(id, event) }
	return end, nil
}
