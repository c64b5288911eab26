package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Gone is the result of a look at a project that is there no more.
const Gone = "Gone"

// other stands for every word that is not in a label's set, so that no caller can add series without end.
const other = "other"

// Results of transactions that are rollbacks.
const (
	rolledBack     = "rolled-back"
	rollbackFailed = "rollback-failed"
)

// reasons are those of package controller, which this one may not import: a test compares them.
func reasons() []string {
	return []string{
		"Compliant", "NotSelected", "Held", "ProjectChanging", "Locked", "Suspended", "Quarantined", "BudgetSpent", "Repairing", "RolledBack",
		"RollbackFailed", "FilesUnreachable", "Failed", "EngineAway", "Standby", "TooManyServices", "PendingRecreate", Gone,
	}
}

// transactionResults are those of package reconcile with a hyphen for a blank: a test compares them.
func transactionResults() []string {
	return []string{"nothing", "committed", "kept", rolledBack, rollbackFailed, "recovered"}
}

func rollbackResults() []string { return []string{rolledBack, rollbackFailed} }

func notificationTargets() []string { return []string{"webhook", "redis"} }

func notificationResults() []string { return []string{"delivered", "failed", "dropped"} }

// tally has a counter for each word that a label may have. They are there from the beginning, at 0: what appears only with its first
// event has no increase then, and an alert on it would miss that one.
type tally map[string]prometheus.Counter

func newTally(factory promauto.Factory, name, help string, words []string) tally {
	return tallyOf(factory.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"result"}), append(slices.Clone(words), other))
}

func tallyOf(vec *prometheus.CounterVec, words []string) tally {
	counters := tally{}
	for _, word := range words {
		counters[word] = vec.WithLabelValues(word)
	}
	return counters
}

func (t tally) count(word string) {
	counter, known := t[word]
	if !known {
		counter = t[other]
	}
	counter.Inc()
}

func newNotifications(factory promauto.Factory) map[string]tally {
	vec := factory.NewCounterVec(prometheus.CounterOpts{
		Name: "composure_notifications_total", Help: "Messages to the outside, by where to and by what became of them.",
	}, []string{"target", "result"})
	targets := map[string]tally{}
	for _, target := range append(notificationTargets(), other) {
		targets[target] = tallyOf(vec.MustCurryWith(prometheus.Labels{"target": target}), append(notificationResults(), other))
	}
	return targets
}

// known is the word when a label may have it.
func known(word string, words []string) string {
	if slices.Contains(words, word) {
		return word
	}
	return other
}

func newCounter(factory promauto.Factory, name, help string) prometheus.Counter {
	return factory.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func newGauge(factory promauto.Factory, name, help string) prometheus.Gauge {
	return factory.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

func newHistogram(factory promauto.Factory, name, help string, buckets []float64) prometheus.Observer {
	return factory.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
}

// Bounds of the histograms' buckets, in seconds.

// lookBuckets: one that reads from memory takes a millisecond, one that repairs takes minutes.
func lookBuckets() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120}
}

// transactionBuckets: a container has to start and become healthy, and old ones have ten seconds each to stop.
func transactionBuckets() []float64 { return []float64{1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600} }

func eventBuckets() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
}

// callBuckets: an inspect over a socket takes less than a millisecond, a stop takes as long as the container does.
func callBuckets() []float64 {
	return []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
}
