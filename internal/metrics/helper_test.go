package metrics_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"k8s.io/client-go/util/workqueue"

	dto "github.com/prometheus/client_model/go"

	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/metrics"
)

// page is what a scraper gets.
func page(t testing.TB, m *metrics.Metrics, accept string) (body, contentType string) {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
	request.Header.Set("Accept", accept)
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, request)
	if answer.Code != http.StatusOK {
		t.Fatalf("scrape: status %d\n%s", answer.Code, answer.Body)
	}
	return answer.Body.String(), answer.Header().Get("Content-Type")
}

// scraped gathers what a scraper gets, so that the tests see what Prometheus sees.
func scraped(t *testing.T, m *metrics.Metrics) prometheus.GathererFunc {
	return func() ([]*dto.MetricFamily, error) {
		t.Helper()
		body, _ := page(t, m, "text/plain")
		parser := expfmt.NewTextParser(model.LegacyValidation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(body))
		return slices.SortedFunc(maps.Values(families), func(a, b *dto.MetricFamily) int {
			return strings.Compare(a.GetName(), b.GetName())
		}), err
	}
}

// exercised has done everything once that a daemon does.
func exercised(t *testing.T) *metrics.Metrics {
	t.Helper()
	m := metrics.New("1.2.3")
	m.Reconciled("Compliant", time.Millisecond)
	m.Transaction("rolled back", time.Second, 2)
	m.EventLag(time.Millisecond)
	m.Panicked()
	m.EngineConnected(true)
	m.Leading(true)
	m.PolicyProblems(1)
	m.Notified("webhook", "delivered")
	m.Projects(func() []metrics.Project {
		return []metrics.Project{{Name: "shop", Ready: true, Reason: "Compliant", LookedAt: time.Unix(1_700_000_000, 0)}}
	})
	if _, err := m.Engine(enginetest.New(enginetest.Options{})).Info(t.Context()); err != nil {
		t.Fatal(err)
	}
	queue := newQueue(m)
	queue.Add("shop")
	queue.ShutDown()
	return m
}

func newQueue(m *metrics.Metrics) workqueue.TypedRateLimitingInterface[string] {
	return workqueue.NewTypedRateLimitingQueueWithConfig(
		workqueue.NewTypedItemExponentialFailureRateLimiter[string](time.Second, 5*time.Minute),
		workqueue.TypedRateLimitingQueueConfig[string]{Name: "projects", MetricsProvider: m.Queue()})
}

// samples are the lines of the page that have one of the prefixes.
func samples(t *testing.T, m *metrics.Metrics, prefixes ...string) []string {
	t.Helper()
	body, _ := page(t, m, "text/plain")
	var found []string
	for line := range strings.Lines(body) {
		if slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(line, prefix) }) {
			found = append(found, strings.TrimSuffix(line, "\n"))
		}
	}
	return found
}

// nonzero leaves out what has not happened.
func nonzero(lines []string) []string {
	return slices.DeleteFunc(lines, func(line string) bool { return strings.HasSuffix(line, " 0") })
}
