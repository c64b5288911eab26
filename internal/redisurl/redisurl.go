// Package redisurl makes a client of a Redis from its URL, and says in words without secrets why that Redis does not do as asked.
package redisurl

import (
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/composure-dev/composure/internal/hint"
)

// timeout bounds what one connection waits for; the deadline of a call's context comes before it.
const timeout = 3 * time.Second

const clientName = "composure" // as CLIENT LIST shows it

// Connect returns a client of the Redis at a URL: redis://[user:password@]host[:port][/database], rediss:// for TLS, or
// unix://[user:password@]/path[?db=N]. The one other parameter is skip_verify=true, for a certificate that nobody vouches for.
//
// Nothing is asked before the first call, so a Redis that is away is no error here. The client tries each command once, within its
// context's deadline: who calls knows whether and when to ask again. It may be used by several goroutines at once and is closed by
// who has asked for it. The error never quotes the URL.
func Connect(raw string) (*redis.Client, error) {
	options, problem := parse(raw)
	if problem != "" {
		return nil, hint.Wrap(errors.New("the URL of Redis "+problem),
			"write redis://[user:password@]host[:port][/database], rediss:// for TLS, or unix:///path/of/the/socket")
	}
	logging.Disable() // for the whole process: it writes addresses and errors to stderr by itself
	options.ClientName = clientName
	options.Protocol = 2 // and servers before Redis 6 are understood, too
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	options.MaxRetries = -1
	options.DialerRetries = 1
	options.PoolSize = 8 // two callers, and for each a dial that is not waited for any more
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout = timeout, timeout, timeout
	options.ContextTimeoutEnabled = true
	return redis.NewClient(options), nil
}

// parse says what is wrong without quoting: any part of a URL may be part of a password that was not escaped.
func parse(raw string) (options *redis.Options, problem string) {
	parsed, err := url.Parse(raw)
	if err != nil {
		return nil, "is none; a password with special characters must be percent-encoded"
	}
	switch parsed.Scheme {
	case "redis", "rediss":
	case "unix":
		if parsed.Host != "" {
			return nil, "has a host before the path of the socket; it takes three slashes"
		}
	default:
		return nil, "does not begin with redis://, rediss:// or unix://"
	}
	if parsed.Fragment != "" {
		return nil, "has a #; in a password write it as %23"
	}
	// What was meant for a password would make of its beginning the host, which is no secret.
	if strings.ContainsAny(parsed.RawQuery, "@;") {
		return nil, "has an @ or a ; behind a ?; in a password write ? as %3F, ; as %3B and @ as %40"
	}
	parameters, err := url.ParseQuery(parsed.RawQuery)
	if err != nil {
		return nil, "has a parameter that is not percent-encoded; in a password write ? as %3F"
	}
	for name := range parameters {
		if name != "db" && name != "skip_verify" {
			return nil, "has a parameter that is neither db nor skip_verify; in a password write ? as %3F"
		}
	}
	if options, err = redis.ParseURL(raw); err != nil {
		return nil, "names no place and database; in a password write / as %2F"
	}
	if parsed.Scheme != "unix" && parsed.Hostname() == "" { // go-redis would take localhost
		return nil, "names no host"
	}
	return options, ""
}
