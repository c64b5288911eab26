package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// historyLength is how many runs of one schedule are kept.
const historyLength = 100

var errUnknownSchedule = errors.New("unknown schedule")

// schedule is something to be run every so often, for the first time as soon as beat knows of it.
type schedule struct {
	ID           string    `json:"id"`
	Name         string    `json:"name"`
	EverySeconds int       `json:"everySeconds"`
	CreatedAt    time.Time `json:"createdAt"`
}

// execution is one run of a schedule: a row of its history.
type execution struct {
	At time.Time `json:"at"`
	// AfterMs is the time since the schedule was created.
	AfterMs int64 `json:"afterMs"`
}

// event announces a change of the schedules.
type event struct {
	Type       string    `json:"event_type"`
	ScheduleID string    `json:"schedule_id"`
	Timestamp  time.Time `json:"timestamp"`
}

// redisStore keeps the schedules in one hash and the history of each in a list, newest first.
type redisStore struct{ client *redis.Client }

const (
	schedulesKey  = "shop:schedules"
	lastIDKey     = "shop:last-id"
	historyPrefix = "shop:history:"
)

// Add gives the schedule its ID and stores it.
func (s redisStore) Add(ctx context.Context, added schedule) (schedule, error) {
	id, err := s.client.Incr(ctx, lastIDKey).Result()
	if err != nil {
		return schedule{}, fmt.Errorf("allocate schedule id: %w", err)
	}
	added.ID = strconv.FormatInt(id, 10)
	data, err := json.Marshal(added)
	if err != nil {
		return schedule{}, fmt.Errorf("encode schedule %s: %w", added.ID, err)
	}
	if err := s.client.HSet(ctx, schedulesKey, added.ID, data).Err(); err != nil {
		return schedule{}, fmt.Errorf("store schedule %s: %w", added.ID, err)
	}
	return added, nil
}

// Schedules returns all schedules, sorted by ID.
func (s redisStore) Schedules(ctx context.Context) ([]schedule, error) {
	rows, err := s.client.HGetAll(ctx, schedulesKey).Result()
	if err != nil {
		return nil, fmt.Errorf("read schedules: %w", err)
	}
	schedules := make([]schedule, 0, len(rows))
	for id, row := range rows {
		var stored schedule
		if err := json.Unmarshal([]byte(row), &stored); err != nil {
			return nil, fmt.Errorf("decode schedule %s: %w", id, err)
		}
		schedules = append(schedules, stored)
	}
	slices.SortFunc(schedules, func(a, b schedule) int { return strings.Compare(a.ID, b.ID) })
	return schedules, nil
}

// Record adds a row to the history of a schedule.
func (s redisStore) Record(ctx context.Context, id string, row execution) error {
	data, err := json.Marshal(row)
	if err != nil {
		return fmt.Errorf("encode history row of schedule %s: %w", id, err)
	}
	pipe := s.client.TxPipeline()
	pipe.LPush(ctx, historyPrefix+id, data)
	pipe.LTrim(ctx, historyPrefix+id, 0, historyLength-1)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("record run of schedule %s: %w", id, err)
	}
	return nil
}

// History returns the rows of a schedule, newest first. It returns errUnknownSchedule for an ID that was never given.
func (s redisStore) History(ctx context.Context, id string) ([]execution, error) {
	known, err := s.client.HExists(ctx, schedulesKey, id).Result()
	if err != nil {
		return nil, fmt.Errorf("look up schedule %s: %w", id, err)
	}
	if !known {
		return nil, fmt.Errorf("%w %q", errUnknownSchedule, id)
	}
	rows, err := s.client.LRange(ctx, historyPrefix+id, 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("read history of schedule %s: %w", id, err)
	}
	history := make([]execution, len(rows))
	for i, row := range rows {
		if err := json.Unmarshal([]byte(row), &history[i]); err != nil {
			return nil, fmt.Errorf("decode history of schedule %s: %w", id, err)
		}
	}
	return history, nil
}

// Publish announces an event and returns how many subscribers heard it.
func (s redisStore) Publish(ctx context.Context, channel string, e event) (int64, error) {
	data, err := json.Marshal(e)
	if err != nil {
		return 0, fmt.Errorf("encode event: %w", err)
	}
	heard, err := s.client.Publish(ctx, channel, data).Result()
	if err != nil {
		return 0, fmt.Errorf("publish on channel %q: %w", channel, err)
	}
	return heard, nil
}
