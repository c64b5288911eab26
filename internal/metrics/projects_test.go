package metrics_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/internal/metrics"
)

func TestProjects(t *testing.T) {
	compliant := metrics.Project{Name: "shop", Ready: true, Reason: "Compliant", LookedAt: time.UnixMilli(1_700_000_000_250)}
	tests := map[string]struct {
		reason string
		list   []metrics.Project
		want   []string
	}{
		"one": {
			reason: "all there is to say of a project",
			list:   []metrics.Project{compliant},
			want: []string{
				`composure_project_condition{condition="Ready",project="shop"} 1`, `composure_project_condition{condition="Reconciling",project="shop"} 0`,
				`composure_project_condition{condition="Stalled",project="shop"} 0`, `composure_project_drifted_variables{project="shop"} 0`,
				`composure_project_held{project="shop"} 0`, `composure_project_info{project="shop",reason="Compliant"} 1`,
				`composure_project_last_look_timestamp_seconds{project="shop"} 1.70000000025e+09`, `composure_project_suspended{project="shop"} 0`,
			},
		},
		"one in trouble": {
			reason: "a time that is not known is not 1970; a message is no reason",
			list:   []metrics.Project{{Name: "shop", Reconciling: true, Stalled: true, Suspended: true, Reason: "password=secret", Drifted: 3, Held: 2}},
			want: []string{
				`composure_project_condition{condition="Ready",project="shop"} 0`, `composure_project_condition{condition="Reconciling",project="shop"} 1`,
				`composure_project_condition{condition="Stalled",project="shop"} 1`, `composure_project_drifted_variables{project="shop"} 3`,
				`composure_project_held{project="shop"} 2`, `composure_project_info{project="shop",reason="other"} 1`,
				`composure_project_suspended{project="shop"} 1`,
			},
		},
		"none": {reason: "there is nothing to tell"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := metrics.New("dev")
			m.Projects(func() []metrics.Project { return test.list })
			if diff := cmp.Diff(test.want, samples(t, m, "composure_project_")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.reason, diff)
			}
		})
	}
}

func TestProjectThatIsGone(t *testing.T) {
	m := metrics.New("dev")
	list := []metrics.Project{{Name: "shop"}, {Name: "blog"}}
	m.Projects(func() []metrics.Project { return list })
	before := samples(t, m, "composure_project_held")
	list = list[:1]
	after := samples(t, m, "composure_project_held")
	if len(before) != 2 || len(after) != 1 || !strings.Contains(after[0], "shop") {
		t.Errorf("before: %v, after: %v", before, after)
	}
	m.Projects(func() []metrics.Project { return nil })
	if left := samples(t, m, "composure_project_"); len(left) > 0 {
		t.Errorf("of a list that counts no more: %v", left)
	}
}

// Anybody who may start a container may put any label on it.
func TestNamesOfStrangers(t *testing.T) {
	m := metrics.New("dev")
	m.Projects(func() []metrics.Project {
		return []metrics.Project{{Name: "shop"}, {Name: "shop", Held: 7}, {Name: "\xff"}, {Name: "\xfe"}, {Name: `a"} 1` + "\n"}, {Name: ""}}
	})
	want := []string{
		`composure_project_held{project=""} 0`, `composure_project_held{project="a\"} 1\n"} 0`, `composure_project_held{project="shop"} 0`,
		`composure_project_held{project="` + "\uFFFD" + `"} 0`,
	}
	if diff := cmp.Diff(want, samples(t, m, "composure_project_held")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := scraped(t, m).Gather(); err != nil {
		t.Errorf("a scraper cannot read it: %v", err)
	}
	if failed := nonzero(samples(t, m, "promhttp_metric_handler_errors_total")); len(failed) > 0 {
		t.Errorf("scrapes are answered in part: %v", failed)
	}
}

func BenchmarkScrape(b *testing.B) {
	for _, count := range []int{10, 1000} {
		b.Run(fmt.Sprintf("%d projects", count), func(b *testing.B) {
			var list []metrics.Project
			for i := range count {
				list = append(list, metrics.Project{Name: fmt.Sprintf("project-%d", i), Ready: true, Reason: "Compliant", LookedAt: time.Now()})
			}
			m := metrics.New("dev")
			m.Projects(func() []metrics.Project { return list })
			b.ReportAllocs()
			for b.Loop() {
				page(b, m, "text/plain")
			}
		})
	}
}
