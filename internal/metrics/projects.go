package metrics

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Project is how one project is when it is asked for.
type Project struct {
	Name                        string
	Ready, Reconciling, Stalled bool
	Suspended                   bool
	Reason                      string // of its status; another word shows as "other"
	Drifted                     int    // variables that differ from what a policy wants
	Held                        int    // what is left to a person
	LookedAt                    time.Time
}

// Projects says where to ask how the projects are. list is called for each scrape, by several goroutines at once perhaps, and must not
// block: a project that it does not name is gone from the scrape. The list of a later call counts.
func (m *Metrics) Projects(list func() []Project) {
	if m != nil {
		m.projects.list.Store(&list)
	}
}

// projectCollector makes its metrics anew for each scrape, so that nothing is left of a project that is gone.
type projectCollector struct {
	list atomic.Pointer[func() []Project]

	condition, drifted, held, suspended, info, lookedAt *prometheus.Desc
}

func newProjectCollector() *projectCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"project"}, labels...), nil)
	}
	return &projectCollector{
		condition: desc("composure_project_condition", "1 while the condition holds for the project, else 0.", "condition"),
		drifted:   desc("composure_project_drifted_variables", "Variables of the project that differ from what a policy wants."),
		held:      desc("composure_project_held", "What differs in the project and is left to a person."),
		suspended: desc("composure_project_suspended", "1 while a person wants the project to be left alone."),
		info:      desc("composure_project_info", "Always 1; the label says why the project is as it is.", "reason"),
		lookedAt:  desc("composure_project_last_look_timestamp_seconds", "When the project was looked at last, in seconds since 1970."),
	}
}

// Describe implements prometheus.Collector.
func (c *projectCollector) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{c.condition, c.drifted, c.held, c.suspended, c.info, c.lookedAt} {
		to <- desc
	}
}

// Collect implements prometheus.Collector. Names come from labels that anybody may have put on a container: one that is there twice, or
// is no text, must not spoil the scrape.
func (c *projectCollector) Collect(to chan<- prometheus.Metric) {
	list := c.list.Load()
	if list == nil {
		return
	}
	seen := map[string]bool{}
	for _, p := range (*list)() {
		p.Name = strings.ToValidUTF8(p.Name, "\uFFFD")
		if !seen[p.Name] {
			seen[p.Name] = true
			c.collect(p, to)
		}
	}
}

func (c *projectCollector) collect(p Project, to chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, append([]string{p.Name}, labels...)...)
	}
	gauge(c.condition, number(p.Ready), "Ready")
	gauge(c.condition, number(p.Reconciling), "Reconciling")
	gauge(c.condition, number(p.Stalled), "Stalled")
	gauge(c.drifted, float64(p.Drifted))
	gauge(c.held, float64(p.Held))
	gauge(c.suspended, number(p.Suspended))
	gauge(c.info, 1, known(p.Reason, reasons()))
	if !p.LookedAt.IsZero() {
		gauge(c.lookedAt, float64(p.LookedAt.UnixMilli())/1000)
	}
}
