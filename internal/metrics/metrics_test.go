package metrics_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/metrics"
)

func TestCounts(t *testing.T) {
	tests := map[string]struct {
		reason   string
		do       func(*metrics.Metrics)
		prefixes []string
		want     []string
	}{
		"a look": {
			reason:   "results are told apart, and the time is in seconds",
			do:       func(m *metrics.Metrics) { m.Reconciled("Held", 1500*time.Millisecond); m.Reconciled(metrics.Gone, 0) },
			prefixes: []string{"composure_reconciles_total", "composure_reconcile_duration_seconds_sum", "composure_reconcile_duration_seconds_count"},
			want: []string{
				"composure_reconcile_duration_seconds_sum 1.5", "composure_reconcile_duration_seconds_count 2",
				`composure_reconciles_total{result="Gone"} 1`, `composure_reconciles_total{result="Held"} 1`,
			},
		},
		"a look with a word of somebody else": {
			reason:   "a caller cannot add series",
			do:       func(m *metrics.Metrics) { m.Reconciled("postgres://user:secret@db", 0) },
			prefixes: []string{"composure_reconciles_total"},
			want:     []string{`composure_reconciles_total{result="other"} 1`},
		},
		"a transaction": {
			reason:   "one that was committed is no rollback",
			do:       func(m *metrics.Metrics) { m.Transaction("committed", 12*time.Second, 3) },
			prefixes: []string{"composure_transactions", "composure_rollbacks", "composure_container", `composure_transaction_duration_seconds_bucket{le="10"}`, `composure_transaction_duration_seconds_bucket{le="20"}`},
			want: []string{
				"composure_container_swaps_total 3", `composure_transaction_duration_seconds_bucket{le="20"} 1`, `composure_transactions_total{result="committed"} 1`,
			},
		},
		"rollbacks": {
			reason: "they are derived from how a transaction ended",
			do: func(m *metrics.Metrics) {
				m.Transaction("rolled back", time.Second, 1)
				m.Transaction("rollback failed", time.Second, 1)
				m.Transaction("rollback-failed", time.Second, -1)
			},
			prefixes: []string{"composure_transactions", "composure_rollbacks", "composure_container"},
			want: []string{
				"composure_container_swaps_total 2",
				`composure_rollbacks_total{result="rollback-failed"} 2`, `composure_rollbacks_total{result="rolled-back"} 1`,
				`composure_transactions_total{result="rollback-failed"} 2`, `composure_transactions_total{result="rolled-back"} 1`,
			},
		},
		"events": {
			reason: "one that seems to come before it was sent, by clocks that differ, came at once",
			do: func(m *metrics.Metrics) {
				m.EventLag(20 * time.Millisecond)
				m.EventLag(-time.Hour)
			},
			prefixes: []string{"composure_event_lag_seconds_sum", "composure_event_lag_seconds_count", `composure_event_lag_seconds_bucket{le="0.001"}`},
			want:     []string{`composure_event_lag_seconds_bucket{le="0.001"} 1`, "composure_event_lag_seconds_sum 0.02", "composure_event_lag_seconds_count 2"},
		},
		"what is so now": {
			reason: "the last word counts",
			do: func(m *metrics.Metrics) {
				m.EngineConnected(true)
				m.Leading(true)
				m.Leading(false)
				m.PolicyProblems(3)
				m.PolicyProblems(2)
				m.Panicked()
			},
			prefixes: []string{"composure_engine_connected", "composure_leader", "composure_policy", "composure_reconcile_panics"},
			want:     []string{"composure_engine_connected 1", "composure_policy_problems 2", "composure_reconcile_panics_total 1"},
		},
		"notifications": {
			reason: "an address or an error is no word",
			do: func(m *metrics.Metrics) {
				m.Notified("webhook", "delivered")
				m.Notified("redis", "failed")
				m.Notified("https://hooks.example/token", "dropped")
				m.Notified("webhook", "connection refused")
			},
			prefixes: []string{"composure_notifications"},
			want: []string{
				`composure_notifications_total{result="delivered",target="webhook"} 1`, `composure_notifications_total{result="dropped",target="other"} 1`,
				`composure_notifications_total{result="failed",target="redis"} 1`, `composure_notifications_total{result="other",target="webhook"} 1`,
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := metrics.New("dev")
			test.do(m)
			if diff := cmp.Diff(test.want, nonzero(samples(t, m, test.prefixes...))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.reason, diff)
			}
		})
	}
}

// An increase from nothing to 1 is none for Prometheus: an alert would miss the first rollback that failed.
func TestClosedSetsBeginAtZero(t *testing.T) {
	lines := samples(t, metrics.New("dev"), "composure_")
	for _, want := range []string{
		`composure_reconciles_total{result="RollbackFailed"} 0`,
		`composure_transactions_total{result="rollback-failed"} 0`,
		`composure_rollbacks_total{result="rollback-failed"} 0`,
		`composure_notifications_total{result="failed",target="webhook"} 0`,
		`composure_engine_calls_total{call="list",result="unreachable"} 0`,
		`composure_reconcile_panics_total 0`,
		`composure_engine_connected 0`,
		`composure_leader 0`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("%s is not there from the beginning", want)
		}
	}
}

func TestHandlerFormats(t *testing.T) {
	m := exercised(t)
	for accept, want := range map[string]string{
		"application/openmetrics-text; version=1.0.0": "application/openmetrics-text",
		"text/plain": "text/plain",
	} {
		body, contentType := page(t, m, accept)
		if !strings.HasPrefix(contentType, want) {
			t.Errorf("asked for %s, got %s", accept, contentType)
		}
		if ended := strings.HasSuffix(body, "# EOF\n"); ended != (want == "application/openmetrics-text") {
			t.Errorf("%s ends with # EOF: %t", contentType, ended)
		}
		if !strings.Contains(body, `version="1.2.3"`) {
			t.Errorf("%s does not tell the version", contentType)
		}
	}
}

func TestNames(t *testing.T) {
	problems, err := testutil.GatherAndLint(scraped(t, exercised(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
}

func TestTwoAtOnceShareNothing(t *testing.T) {
	one, two := metrics.New("dev"), metrics.New("dev")
	one.Panicked()
	if got := samples(t, two, "composure_reconcile_panics_total"); !slices.Equal(got, []string{"composure_reconcile_panics_total 0"}) {
		t.Errorf("the other's panics: %v", got)
	}
}

func TestNil(t *testing.T) {
	var m *metrics.Metrics
	m.Reconciled("Compliant", time.Second)
	m.Transaction("committed", time.Second, 1)
	m.EventLag(time.Second)
	m.Panicked()
	m.EngineConnected(true)
	m.Leading(true)
	m.PolicyProblems(1)
	m.Notified("webhook", "failed")
	m.Projects(func() []metrics.Project { return nil })
	next := enginetest.New(enginetest.Options{})
	if got := m.Engine(next); got != metrics.Engine(next) {
		t.Errorf("engine: %T", got)
	}
	queue := newQueue(m)
	defer queue.ShutDown()
	queue.Add("shop")
	if queue.Len() != 1 {
		t.Errorf("a queue without metrics has %d names", queue.Len())
	}
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if answer.Code != http.StatusNotFound {
		t.Errorf("scrape: status %d", answer.Code)
	}
}

// Everything is told from several workers while it is scraped; the race detector is the judge of the rest.
func TestConcurrentUse(t *testing.T) {
	m := exercised(t)
	counted := m.Engine(enginetest.New(enginetest.Options{}))
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for range 50 {
				m.Reconciled("Compliant", time.Millisecond)
				m.Notified("redis", "delivered")
				m.Projects(func() []metrics.Project { return []metrics.Project{{Name: "shop"}} })
				if _, err := counted.Info(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
		workers.Go(func() { page(t, m, "text/plain") })
	}
	workers.Wait()
	want := []string{
		`composure_engine_calls_total{call="info",result="ok"} 401`, `composure_notifications_total{result="delivered",target="redis"} 400`,
		`composure_reconciles_total{result="Compliant"} 401`,
	}
	got := samples(t, m, want[0][:strings.Index(want[0], " ")], want[1][:strings.Index(want[1], " ")], want[2][:strings.Index(want[2], " ")])
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The packages whose words these are may not be imported from here, and a word that is missing would be counted as "other".
func TestWordsAreThoseOfTheirPackages(t *testing.T) {
	tests := map[string]struct{ file, kind, metric string }{
		"reasons of a status":      {"../../controller/status.go", "Reason", "composure_reconciles_total"},
		"results of a transaction": {"../../reconcile/apply.go", "Result", "composure_transactions_total"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want := constants(t, test.file, test.kind)
			if len(want) == 0 {
				t.Fatalf("%s has no constants of type %s", test.file, test.kind)
			}
			for i := range want {
				want[i] = test.metric + `{result="` + strings.ReplaceAll(want[i], " ", "-") + `"} 0`
			}
			got := slices.DeleteFunc(samples(t, metrics.New("dev"), test.metric), func(line string) bool {
				return strings.Contains(line, `"other"`) || strings.Contains(line, `"`+metrics.Gone+`"`)
			})
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("words.go and docs/metrics.md are to follow %s (-there +here):\n%s", test.file, diff)
			}
		})
	}
}

// constants are the values of the file's constants of a type.
func constants(t *testing.T, file, kind string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(parsed, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if named, ok := spec.Type.(*ast.Ident); !ok || named.Name != kind {
			return true
		}
		for _, value := range spec.Values {
			text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, text)
		}
		return true
	})
	return values
}
