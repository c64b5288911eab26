package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/redis/go-redis/v9"
)

// scheduleStore is what beat needs of the store.
type scheduleStore interface {
	Schedules(ctx context.Context) ([]schedule, error)
	Record(ctx context.Context, id string, row execution) error
}

// beat runs schedules. It knows those that it has read; a schedule it has not read yet does not run.
type beat struct {
	config beatConfig
	store  scheduleStore
	// announced holds a token while a schedule was announced that has not been read.
	announced <-chan struct{}
	log       *log.Logger

	schedules []schedule
	lastSync  time.Time
	nextRun   map[string]time.Time
}

func (p process) runBeat(ctx context.Context) error {
	config, err := parseBeat(p.getenv)
	if err != nil {
		return err
	}
	client, err := redisClient(p.getenv("REDIS_URL"))
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("reach redis: %w", err)
	}
	announced := make(chan struct{}, 1)
	if config.sync.enabled {
		go p.subscribe(ctx, client, config.sync.channel, announced)
	} else {
		p.log.Printf("Redis sync is off: CELERY_BEAT_REDIS_SYNC_ENABLED is not true. New schedules wait for the next poll, up to %s", config.poll)
	}
	b := &beat{config: config, store: redisStore{client}, announced: announced, log: p.log}
	b.loop(ctx)
	return nil
}

// subscribe puts a token into announced for every event, and for every subscription: what was said while nobody listened
// is lost, so beat reads once more.
func (p process) subscribe(ctx context.Context, client *redis.Client, channel string, announced chan<- struct{}) {
	subscription := client.Subscribe(ctx, channel)
	defer subscription.Close()
	p.log.Print("Redis subscriber started for schedule updates")
	messages := subscription.ChannelWithSubscriptions()
	for {
		select {
		case <-ctx.Done():
			return
		case message := <-messages:
			switch message := message.(type) {
			case *redis.Subscription:
				p.log.Printf("Subscribed to Redis channel: %s", message.Channel)
			case *redis.Message:
				p.log.Printf("Received schedule event: %s", message.Payload)
			}
		}
		select {
		case announced <- struct{}{}:
		default: // a read is due already, and it will see this schedule too
		}
	}
}

// loop reads the schedules every poll interval, and sooner when one is announced: at once, or as soon as minSync has passed
// since the last read. It returns when ctx ends.
func (b *beat) loop(ctx context.Context) {
	b.nextRun = make(map[string]time.Time)
	b.sync(ctx)
	read := time.NewTimer(b.config.poll)
	defer read.Stop()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-ctx.Done():
			b.log.Print("Stopped")
			return
		case <-b.announced:
			read.Reset(time.Until(b.lastSync.Add(min(b.config.minSync, b.config.poll))))
		case <-read.C:
			b.sync(ctx)
			read.Reset(b.config.poll)
		case <-second.C:
			b.runDue(ctx)
		}
	}
}

// sync reads the schedules and runs what is due. When the store does not answer, beat goes on with those it knows.
func (b *beat) sync(ctx context.Context) {
	b.lastSync = time.Now()
	schedules, err := b.store.Schedules(ctx)
	if err != nil {
		b.log.Print(err)
		return
	}
	b.schedules = schedules
	b.log.Printf("Synced %d schedules, next poll in %s", len(schedules), b.config.poll)
	b.runDue(ctx)
}

func (b *beat) runDue(ctx context.Context) {
	for _, s := range b.schedules {
		now := time.Now()
		if now.Before(b.nextRun[s.ID]) {
			continue
		}
		row := execution{At: now.UTC(), AfterMs: now.Sub(s.CreatedAt).Milliseconds()}
		if err := b.store.Record(ctx, s.ID, row); err != nil {
			b.log.Print(err)
			continue
		}
		if _, again := b.nextRun[s.ID]; !again {
			b.log.Printf("Ran schedule %s (%s) for the first time, %d ms after it was created", s.ID, s.Name, row.AfterMs)
		}
		b.nextRun[s.ID] = now.Add(time.Duration(s.EverySeconds) * time.Second)
	}
}
