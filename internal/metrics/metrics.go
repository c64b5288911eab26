// Package metrics counts what the daemon does, for Prometheus.
//
// The metrics stand in a registry of their own, never in the client library's global one. Labels hold words of closed sets and names of
// projects, nothing else: no value, path, address or message. docs/metrics.md lists every metric, and a test compares the two.
package metrics

import (
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are those of one daemon. A nil *Metrics counts nothing. It is safe for concurrent use.
type Metrics struct {
	handler http.Handler

	reconciles          tally
	reconcileDuration   prometheus.Observer
	panics              prometheus.Counter
	transactions        tally
	transactionDuration prometheus.Observer
	swaps               prometheus.Counter
	rollbacks           tally
	eventLag            prometheus.Observer
	engineConnected     prometheus.Gauge
	leader              prometheus.Gauge
	policyProblems      prometheus.Gauge
	notifications       map[string]tally // by target

	engine   *engineCalls
	queue    *queueProvider
	projects *projectCollector
}

// New begins at zero. version is that of the program.
func New(version string) *Metrics {
	registry := prometheus.NewRegistry()
	factory := promauto.With(registry)
	factory.NewGauge(prometheus.GaugeOpts{
		Name: "composure_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version, "go_version": runtime.Version()},
	}).Set(1)
	m := &Metrics{
		reconciles:          newTally(factory, "composure_reconciles_total", "Looks at a project, repairs included, by how the project was found in the end.", reasons()),
		reconcileDuration:   newHistogram(factory, "composure_reconcile_duration_seconds", "How long a look at a project took, its repair included.", lookBuckets()),
		panics:              newCounter(factory, "composure_reconcile_panics_total", "Looks at a project that a bug of Composure has ended."),
		transactions:        newTally(factory, "composure_transactions_total", "Transactions, by how they ended.", transactionResults()),
		transactionDuration: newHistogram(factory, "composure_transaction_duration_seconds", "How long a transaction took, its checks and rollback included.", transactionBuckets()),
		swaps:               newCounter(factory, "composure_container_swaps_total", "Containers that were replaced, those included that were put back later."),
		rollbacks:           newTally(factory, "composure_rollbacks_total", "Transactions that had to be undone, by whether they could be.", rollbackResults()),
		eventLag:            newHistogram(factory, "composure_event_lag_seconds", "From the engine's time of an event to its arrival here, by two clocks.", eventBuckets()),
		engineConnected:     newGauge(factory, "composure_engine_connected", "1 while the engine answers and its events arrive."),
		leader:              newGauge(factory, "composure_leader", "1 while this daemon may begin transactions."),
		policyProblems:      newGauge(factory, "composure_policy_problems", "Problems in the policy files as they were read last."),
		notifications:       newNotifications(factory),
		engine:              newEngineCalls(factory),
		queue:               newQueueProvider(factory),
		projects:            newProjectCollector(),
	}
	registry.MustRegister(m.projects, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, Registry: registry, EnableOpenMetrics: true,
	})
	return m
}

// Handler answers a scrape, as OpenMetrics or as Prometheus text, whichever is asked for.
func (m *Metrics) Handler() http.Handler {
	if m == nil {
		return http.NotFoundHandler()
	}
	return m.handler
}

// Reconciled counts a look at a project. result is the reason of the project's status, or [Gone]; another word is counted as "other".
func (m *Metrics) Reconciled(result string, took time.Duration) {
	if m == nil {
		return
	}
	m.reconciles.count(result)
	m.reconcileDuration.Observe(took.Seconds())
}

// Panicked counts a look that a bug has ended. It is counted by Reconciled as well.
func (m *Metrics) Panicked() {
	if m != nil {
		m.panics.Inc()
	}
}

// Transaction counts a transaction that has come to an end. result is a reconcile.Result; another word is counted as "other". swaps is
// how many containers were replaced, whatever became of them afterwards.
func (m *Metrics) Transaction(result string, took time.Duration, swaps int) {
	if m == nil {
		return
	}
	word := strings.ReplaceAll(result, " ", "-")
	m.transactions.count(word)
	m.transactionDuration.Observe(took.Seconds())
	m.swaps.Add(float64(max(swaps, 0)))
	if word == rolledBack || word == rollbackFailed {
		m.rollbacks.count(word)
	}
}

// EventLag notes how long an event was on its way: now, less the time that the engine gives. The engine may have another clock than
// this process, so that the answer is no better than the two agree; one that is negative counts as 0.
func (m *Metrics) EventLag(d time.Duration) {
	if m != nil {
		m.eventLag.Observe(max(d, 0).Seconds())
	}
}

// EngineConnected says whether the engine answers and its events arrive. Until it is called, they do not.
func (m *Metrics) EngineConnected(is bool) {
	if m != nil {
		m.engineConnected.Set(number(is))
	}
}

// Leading says whether this daemon may begin transactions. Until it is called, it may not: a daemon that shares its work with no other
// says so once.
func (m *Metrics) Leading(is bool) {
	if m != nil {
		m.leader.Set(number(is))
	}
}

// PolicyProblems says how many problems the policy files had when they were read last.
func (m *Metrics) PolicyProblems(n int) {
	if m != nil {
		m.policyProblems.Set(float64(n))
	}
}

// Notified counts a message to the outside. target is "webhook" or "redis", result "delivered", "failed" or "dropped"; another word is
// counted as "other".
func (m *Metrics) Notified(target, result string) {
	if m == nil {
		return
	}
	results, known := m.notifications[target]
	if !known {
		results = m.notifications[other]
	}
	results.count(result)
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
