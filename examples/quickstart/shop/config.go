package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	defaultPollInterval    = 60 * time.Second
	defaultMinSyncInterval = 5 // seconds
	defaultChannel         = "celery_beat_schedule_updates"
)

// syncConfig is how app announces a new schedule and beat hears of it.
type syncConfig struct {
	enabled bool
	channel string
}

// beatConfig is everything beat reads from its environment.
type beatConfig struct {
	sync syncConfig
	// poll is the time between two reads of the schedules when nothing is announced.
	poll time.Duration
	// minSync is the least time between two reads, however many schedules are announced.
	minSync time.Duration
}

func parseSync(getenv func(string) string) (syncConfig, error) {
	const name = "CELERY_BEAT_REDIS_SYNC_ENABLED"
	config := syncConfig{channel: orDefault(getenv("CELERY_BEAT_REDIS_CHANNEL"), defaultChannel)}
	enabled, err := strconv.ParseBool(orDefault(getenv(name), "false"))
	if err != nil {
		return config, fmt.Errorf("%w: %s=%q is neither true nor false", errUsage, name, getenv(name))
	}
	config.enabled = enabled
	return config, nil
}

func parseBeat(getenv func(string) string) (beatConfig, error) {
	sync, err := parseSync(getenv)
	if err != nil {
		return beatConfig{}, err
	}
	const minName, pollName = "CELERY_BEAT_MIN_SYNC_INTERVAL", "BEAT_POLL_INTERVAL"
	seconds, err := strconv.Atoi(orDefault(getenv(minName), strconv.Itoa(defaultMinSyncInterval)))
	if err != nil || seconds < 1 {
		return beatConfig{}, fmt.Errorf("%w: %s=%q is not a number of seconds", errUsage, minName, getenv(minName))
	}
	poll, err := time.ParseDuration(orDefault(getenv(pollName), defaultPollInterval.String()))
	if err != nil || poll <= 0 {
		return beatConfig{}, fmt.Errorf("%w: %s=%q is not a duration such as 60s", errUsage, pollName, getenv(pollName))
	}
	return beatConfig{sync: sync, poll: poll, minSync: time.Duration(seconds) * time.Second}, nil
}

// redisClient connects lazily: the first command dials.
func redisClient(url string) (*redis.Client, error) {
	if url == "" {
		return nil, fmt.Errorf("%w: REDIS_URL is not set", errUsage)
	}
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("%w: REDIS_URL is not a redis:// URL", errUsage)
	}
	// The server is miniredis, which has no maintenance push messages.
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	options.DisableIdentity = true
	return redis.NewClient(options), nil
}

func orDefault(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
