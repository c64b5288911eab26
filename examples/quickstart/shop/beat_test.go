package main

import (
	"context"
	"io"
	"log"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// memoryStore is a scheduleStore that notes when it was read.
type memoryStore struct {
	mu        sync.Mutex
	schedules []schedule
	reads     []time.Time
	firstRun  map[string]time.Time
}

func (m *memoryStore) add(s schedule) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.schedules = append(m.schedules, s)
}

func (m *memoryStore) Schedules(context.Context) ([]schedule, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads = append(m.reads, time.Now())
	return append([]schedule(nil), m.schedules...), nil
}

func (m *memoryStore) Record(_ context.Context, id string, row execution) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ran := m.firstRun[id]; !ran {
		m.firstRun[id] = row.At
	}
	return nil
}

func TestBeatLoop(t *testing.T) {
	type args struct {
		minSync time.Duration
		created time.Duration   // after the start
		events  []time.Duration // announcements, after the start
	}
	type want struct {
		firstRun time.Duration
		reads    []time.Duration
	}
	second := time.Second
	cases := map[string]struct {
		reason string
		args   args
		want   want
	}{
		"NobodyAnnounces": {
			reason: "A schedule made just after a poll waits for the next one.",
			args:   args{minSync: 5 * second, created: 100 * time.Millisecond},
			want:   want{firstRun: 60 * second, reads: []time.Duration{0, 60 * second}},
		},
		"AnnouncedLate": {
			reason: "An announcement long after the last read is answered at once.",
			args:   args{minSync: 5 * second, created: 20 * second, events: []time.Duration{20 * second}},
			want:   want{firstRun: 20 * second, reads: []time.Duration{0, 20 * second, 80 * second}},
		},
		"AnnouncedEarly": {
			reason: "An announcement just after a read is answered when the least interval has passed, not dropped.",
			args:   args{minSync: 5 * second, created: second, events: []time.Duration{second}},
			want:   want{firstRun: 5 * second, reads: []time.Duration{0, 5 * second, 65 * second}},
		},
		"Burst": {
			reason: "Announcements within the least interval are answered together.",
			args:   args{minSync: 5 * second, created: second, events: []time.Duration{second, 2 * second, 3 * second, 4 * second}},
			want:   want{firstRun: 5 * second, reads: []time.Duration{0, 5 * second, 65 * second}},
		},
		"LeastIntervalAboveThePoll": {
			reason: "An announcement never delays the next poll.",
			args:   args{minSync: 300 * second, created: second, events: []time.Duration{second}},
			want:   want{firstRun: 60 * second, reads: []time.Duration{0, 60 * second}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				store := &memoryStore{firstRun: map[string]time.Time{}}
				announced := make(chan struct{}, 1)
				b := &beat{
					config:    beatConfig{poll: 60 * second, minSync: tc.args.minSync},
					store:     store,
					announced: announced,
					log:       log.New(io.Discard, "", 0),
				}
				time.AfterFunc(tc.args.created, func() {
					store.add(schedule{ID: "1", EverySeconds: 5, CreatedAt: time.Now()})
				})
				for _, at := range tc.args.events {
					time.AfterFunc(at, func() { announced <- struct{}{} })
				}
				ctx, cancel := context.WithTimeout(t.Context(), 90*second)
				defer cancel()
				b.loop(ctx)

				got := want{firstRun: store.firstRun["1"].Sub(start)}
				for _, read := range store.reads {
					got.reads = append(got.reads, read.Sub(start))
				}
				if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(want{})); diff != "" {
					t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
				}
			})
		})
	}
}

func TestBeatRunsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &countingStore{schedules: []schedule{{ID: "1", EverySeconds: 10, CreatedAt: time.Now()}}}
		b := &beat{config: beatConfig{poll: time.Minute, minSync: time.Second}, store: store, log: log.New(io.Discard, "", 0)}
		ctx, cancel := context.WithTimeout(t.Context(), 35*time.Second)
		defer cancel()
		b.loop(ctx)
		if store.runs != 4 {
			t.Errorf("a schedule of every 10 s ran %d times in 35 s, want 4", store.runs)
		}
	})
}

// countingStore counts the runs of its schedules.
type countingStore struct {
	schedules []schedule
	runs      int
}

func (c *countingStore) Schedules(context.Context) ([]schedule, error) { return c.schedules, nil }

func (c *countingStore) Record(context.Context, string, execution) error {
	c.runs++
	return nil
}
