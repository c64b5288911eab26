package metrics_test

import (
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	dto "github.com/prometheus/client_model/go"

	"github.com/composure-dev/composure/internal/metrics"
)

// family is a metric as the documentation tells of it.
type family struct {
	Type   string
	Labels []string
}

func TestDocumentation(t *testing.T) {
	documented, there := documentedFamilies(t), map[string]family{}
	gathered, err := scraped(t, exercised(t)).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range gathered {
		there[f.GetName()] = family{Type: strings.ToLower(f.GetType().String()), Labels: labelNames(f)}
	}
	if runtime.GOOS != "linux" { // each system tells other things of a process
		for name := range documented {
			if _, exists := there[name]; strings.HasPrefix(name, "process_") && !exists {
				delete(documented, name)
			}
		}
	}
	if diff := cmp.Diff(documented, there); diff != "" {
		t.Errorf("docs/metrics.md (-documented +there):\n%s", diff)
	}
}

// The sets of words are told, too, or nobody could write a query.
func TestDocumentationOfWords(t *testing.T) {
	words := map[string]bool{}
	for _, match := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(text(t, "../../docs/metrics.md"), -1) {
		words[match[1]] = true
	}
	gathered, err := scraped(t, metrics.New("dev")).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range gathered {
		for _, metric := range f.GetMetric() {
			for _, label := range metric.GetLabel() {
				if slices.Contains([]string{"call", "result", "target"}, label.GetName()) && !words[label.GetValue()] {
					t.Errorf("docs/metrics.md does not tell of %s=%q of %s", label.GetName(), label.GetValue(), f.GetName())
				}
			}
		}
	}
}

// documentedFamilies are the rows of the tables.
func documentedFamilies(t *testing.T) map[string]family {
	t.Helper()
	families := map[string]family{}
	row := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([a-z]+) \\|([^|]*)\\| [^|]+ \\|$")
	for _, match := range row.FindAllStringSubmatch(text(t, "../../docs/metrics.md"), -1) {
		var labels []string
		for _, label := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(match[3], -1) {
			labels = append(labels, label[1])
		}
		slices.Sort(labels)
		if _, twice := families[match[1]]; twice {
			t.Errorf("docs/metrics.md tells of %s twice", match[1])
		}
		families[match[1]] = family{Type: match[2], Labels: labels}
	}
	return families
}

// labelNames are those of all metrics of a family, sorted.
func labelNames(f *dto.MetricFamily) []string {
	var names []string
	for _, metric := range f.GetMetric() {
		for _, label := range metric.GetLabel() {
			names = append(names, label.GetName())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func text(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
