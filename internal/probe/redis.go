package probe

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

func askRedis(ctx context.Context, job RedisJob) Result {
	logging.Disable() // for the whole process: it writes addresses and errors to stderr by itself
	options, problem := redisOptions(job.URL)
	if problem != "" {
		return failed(Result{}, ClassURL, problem)
	}
	client := redis.NewClient(options)
	defer client.Close()

	var result Result
	// The first PING pays for dialing, TLS and login; the second one is the latency.
	if err := client.Ping(ctx).Err(); err != nil {
		return failedWith(result, err)
	}
	begin := time.Now()
	if err := client.Ping(ctx).Err(); err != nil {
		return failedWith(result, err)
	}
	result.LatencyMs = float64(time.Since(begin).Microseconds()) / 1000
	result.Ping = true
	result.Server = serverVersion(ctx, client)
	if job.Channel == "" {
		return result
	}
	counts, err := client.PubSubNumSub(ctx, job.Channel).Result()
	if err != nil {
		return failedWith(result, err)
	}
	result.Subscribers = counts[job.Channel]
	return result
}

// redisOptions reads a URL for one plain, single-attempt connection. The problem says what is wrong without quoting the URL.
func redisOptions(raw string) (options *redis.Options, problem string) {
	parsed, err := url.Parse(raw)
	if err != nil {
		return nil, "not a URL; a password with special characters must be percent-encoded"
	}
	if parsed.Scheme != "redis" && parsed.Scheme != "rediss" {
		return nil, "must begin with redis:// or rediss://"
	}
	// What an unescaped # or / of a password leaves in front of it would pass for a host.
	if parsed.Fragment != "" {
		return nil, "has a #; in a password write it as %23"
	}
	options, err = redis.ParseURL(raw)
	if err != nil {
		return nil, "not a Redis URL: redis://[user:password@]host[:port][/database]"
	}
	options.Protocol = 2
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	options.MaxRetries = -1
	options.DialerRetries = 1
	options.PoolSize = 1
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout = Timeout, Timeout, Timeout
	options.ContextTimeoutEnabled = true
	return options, ""
}

// serverVersion is "" when the user may not ask or the server does not say: it is told for people only.
func serverVersion(ctx context.Context, client *redis.Client) string {
	info, err := client.Info(ctx, "server").Result()
	if err != nil {
		return ""
	}
	for line := range strings.Lines(info) {
		if version, ok := strings.CutPrefix(strings.TrimSpace(line), "redis_version:"); ok {
			return version
		}
	}
	return ""
}

func failedWith(result Result, err error) Result {
	class, message, ok := classifyReply(err)
	if !ok {
		class, message = classify(err)
	}
	if class == "" {
		class, message = ClassProtocol, "the answer is not that of a Redis server"
	}
	return failed(result, class, message)
}

// classifyReply sorts the errors that a Redis itself replied with, by their first word.
func classifyReply(err error) (Class, string, bool) {
	reply, ok := errors.AsType[redis.Error](err)
	if !ok || errors.Is(err, redis.Nil) {
		return "", "", false
	}
	text := reply.Error()
	code, _, _ := strings.Cut(text, " ")
	switch {
	case code == "WRONGPASS", strings.Contains(text, "invalid password"), strings.Contains(text, "invalid username-password"):
		return ClassAuth, "wrong user or password", true
	case code == "NOAUTH":
		return ClassAuth, "a password is required", true
	case strings.Contains(text, "without any password configured"):
		return ClassAuth, "a password is given, but the server has none", true
	case code == "NOPERM":
		return ClassAuth, "the user has no permission for this command or channel", true
	case code == "DENIED":
		return ClassAuth, "the server is in protected mode", true
	case code == "LOADING", code == "BUSY", code == "MASTERDOWN", code == "CLUSTERDOWN":
		return ClassConnect, "the server is not ready (" + code + ")", true
	}
	return ClassProtocol, "the server refuses the command", true
}
