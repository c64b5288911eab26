// Command shop is the quickstart's application, all of it in one static program: an API that takes schedules (app), the
// scheduler that runs them (beat) and the Redis between the two (redis).
//
// Beat reads the schedules every BEAT_POLL_INTERVAL. With CELERY_BEAT_REDIS_SYNC_ENABLED=true in app and in beat, app
// announces each new schedule on a channel and beat reads at once. The switch is off unless it is set: a deployment that
// forgets the variable works, slowly, and nothing says so.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const usage = `usage: shop VERB

  redis                      a Redis server on 0.0.0.0:6379, in memory
  app                        the schedule API on APP_ADDRESS (default 0.0.0.0:8000)
  beat                       the scheduler
  request METHOD URL [BODY]  one HTTP request, for images without curl
  healthcheck URL            exit 0 when the http:// or redis:// URL answers`

// errUsage marks an error of the person who started the program: exit 2 instead of 1.
var errUsage = errors.New("cannot start")

// process is what a verb gets from its surroundings.
type process struct {
	getenv func(string) string
	stdout io.Writer
	log    *log.Logger
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	p := process{
		getenv: os.Getenv,
		stdout: os.Stdout,
		log:    log.New(os.Stderr, "", log.Ldate|log.Lmicroseconds|log.LUTC),
	}
	code := p.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// run executes one verb and returns the exit code: 0 done or asked to stop, 1 something broke, 2 bad arguments or variables.
func (p process) run(ctx context.Context, args []string) int {
	err := p.dispatch(ctx, args)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		p.log.Print(err)
		return 2
	default:
		p.log.Print(err)
		return 1
	}
}

func (p process) dispatch(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: no verb\n%s", errUsage, usage)
	}
	verb, args := args[0], args[1:]
	switch {
	case verb == "redis" && len(args) == 0:
		return p.serveRedis(ctx, "0.0.0.0:6379")
	case verb == "app" && len(args) == 0:
		return p.serveApp(ctx)
	case verb == "beat" && len(args) == 0:
		return p.runBeat(ctx)
	case verb == "request" && (len(args) == 2 || len(args) == 3):
		return p.request(ctx, args)
	case verb == "healthcheck" && len(args) == 1:
		ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		return healthcheck(ctx, args[0])
	default:
		return fmt.Errorf("%w: %q with %d arguments\n%s", errUsage, verb, len(args), usage)
	}
}
