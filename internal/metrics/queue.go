package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"k8s.io/client-go/util/workqueue"
)

// Queue is what a work queue tells its measures to, as TypedRateLimitingQueueConfig.MetricsProvider; the queue has to have a name. That
// of a nil *Metrics is nil, which a queue takes for none.
func (m *Metrics) Queue() workqueue.MetricsProvider {
	if m == nil {
		return nil
	}
	return m.queue
}

// queueProvider is a workqueue.MetricsProvider.
type queueProvider struct {
	depth, unfinished, longest *prometheus.GaugeVec
	adds, retries              *prometheus.CounterVec
	latency, work              *prometheus.HistogramVec
}

func newQueueProvider(factory promauto.Factory) *queueProvider {
	labels := []string{"queue"}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return factory.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	counter := func(name, help string) *prometheus.CounterVec {
		return factory.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64) *prometheus.HistogramVec {
		return factory.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	return &queueProvider{
		depth:      gauge("composure_queue_depth", "Names that wait to be worked on."),
		unfinished: gauge("composure_queue_unfinished_work_seconds", "How long what is worked on now has taken so far, all together."),
		longest:    gauge("composure_queue_longest_running_processor_seconds", "How long the longest of what is worked on now has taken so far."),
		adds:       counter("composure_queue_adds_total", "Names that were put into the queue."),
		retries:    counter("composure_queue_retries_total", "Names that are to be worked on again later: after a failure, or since somebody has to be waited for."),
		latency:    histogram("composure_queue_latency_seconds", "How long a name has waited until it was worked on.", lookBuckets()),
		work:       histogram("composure_queue_work_duration_seconds", "How long work on a name took.", lookBuckets()),
	}
}

func (q *queueProvider) NewDepthMetric(name string) workqueue.GaugeMetric {
	return q.depth.WithLabelValues(name)
}

func (q *queueProvider) NewAddsMetric(name string) workqueue.CounterMetric {
	return q.adds.WithLabelValues(name)
}

func (q *queueProvider) NewLatencyMetric(name string) workqueue.HistogramMetric {
	return q.latency.WithLabelValues(name)
}

func (q *queueProvider) NewWorkDurationMetric(name string) workqueue.HistogramMetric {
	return q.work.WithLabelValues(name)
}

func (q *queueProvider) NewUnfinishedWorkSecondsMetric(name string) workqueue.SettableGaugeMetric {
	return q.unfinished.WithLabelValues(name)
}

func (q *queueProvider) NewLongestRunningProcessorSecondsMetric(name string) workqueue.SettableGaugeMetric {
	return q.longest.WithLabelValues(name)
}

func (q *queueProvider) NewRetriesMetric(name string) workqueue.CounterMetric {
	return q.retries.WithLabelValues(name)
}
