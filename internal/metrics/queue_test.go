package metrics_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/internal/metrics"
)

func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := metrics.New("dev")
		queue := newQueue(m)
		defer queue.ShutDown()
		for _, name := range []string{"one", "two", "three", "one"} {
			queue.Add(name)
		}
		<-time.After(2 * time.Second)
		one, _ := queue.Get()
		two, _ := queue.Get()
		<-time.After(4 * time.Second)
		queue.Done(two)
		queue.AddRateLimited(two)
		<-time.After(750 * time.Millisecond) // what is worked on is measured twice a second
		synctest.Wait()
		want := []string{
			`composure_queue_adds_total{queue="projects"} 3`, // the second one says nothing that the queue does not know
			`composure_queue_depth{queue="projects"} 1`,
			`composure_queue_latency_seconds_sum{queue="projects"} 4`,
			`composure_queue_latency_seconds_count{queue="projects"} 2`,
			`composure_queue_longest_running_processor_seconds{queue="projects"} 4.5`,
			`composure_queue_retries_total{queue="projects"} 1`,
			`composure_queue_unfinished_work_seconds{queue="projects"} 4.5`,
			`composure_queue_work_duration_seconds_sum{queue="projects"} 4`,
			`composure_queue_work_duration_seconds_count{queue="projects"} 1`,
		}
		got := samples(t, m, "composure_queue_adds", "composure_queue_depth", "composure_queue_latency_seconds_sum", "composure_queue_latency_seconds_count",
			"composure_queue_longest", "composure_queue_retries", "composure_queue_unfinished", "composure_queue_work_duration_seconds_sum", "composure_queue_work_duration_seconds_count")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		queue.Done(one)
	})
}
