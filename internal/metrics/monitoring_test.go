package metrics_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	dto "github.com/prometheus/client_model/go"
)

const monitoring = "../../examples/monitoring/"

// alert is a rule of a Prometheus rule file that raises one.
type alert struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func alerts(t *testing.T) []alert {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string  `json:"name"`
			Rules []alert `json:"rules"`
		} `json:"groups"`
	}
	if err := yaml.UnmarshalStrict([]byte(text(t, monitoring+"alerts.yaml")), &file); err != nil {
		t.Fatalf("alerts.yaml: %v", err)
	}
	var all []alert
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("alerts.yaml has no rules")
	}
	return all
}

// dashboard is what matters here of Grafana's model.
type dashboard struct {
	SchemaVersion int     `json:"schemaVersion"`
	Panels        []panel `json:"panels"`
	Templating    struct {
		List []struct{ Name, Type, Definition string }
	} `json:"templating"`
}

type panel struct {
	ID          int
	Type, Title string
	Datasource  struct{ UID string }
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct {
		RefID, Expr string
		Datasource  struct{ UID string }
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal([]byte(text(t, monitoring+"dashboard.json")), &d); err != nil {
		t.Fatalf("dashboard.json: %v", err)
	}
	return d
}

// queries of the dashboard with values in the place of its variables, by panel.
func (d dashboard) queries() map[string]string {
	variables := strings.NewReplacer("$__rate_interval", "2m", "$job", "composure", "$instance", ".*", "$project", ".*")
	found := map[string]string{}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			found[p.Title+" "+target.RefID] = variables.Replace(target.Expr)
		}
	}
	return found
}

func TestAlertsAreTold(t *testing.T) {
	page := text(t, monitoring+"README.md")
	told := map[string]bool{}
	for _, match := range regexp.MustCompile("(?m)^\\| `(Composure[A-Za-z]+)` \\|").FindAllStringSubmatch(page, -1) {
		told[match[1]] = true
	}
	there := map[string]bool{}
	for _, a := range alerts(t) {
		if there[a.Alert] {
			t.Errorf("%s is there twice", a.Alert)
		}
		there[a.Alert] = true
		if !slices.Contains([]string{"critical", "warning", "info"}, a.Labels["severity"]) {
			t.Errorf("%s: severity %q", a.Alert, a.Labels["severity"])
		}
		if a.Annotations["summary"] == "" || a.Annotations["description"] == "" {
			t.Errorf("%s does not say what is wrong and what to do", a.Alert)
		}
		if !strings.Contains(text(t, monitoring+"alerts_test.yaml"), "alertname: "+a.Alert+"\n") {
			t.Errorf("alerts_test.yaml does not raise %s", a.Alert)
		}
	}
	if missing, extra := without(there, told), without(told, there); len(missing)+len(extra) > 0 {
		t.Errorf("README.md does not tell of %v, and tells of %v that are not there", missing, extra)
	}
}

func without(all, some map[string]bool) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(name string) bool { return some[name] })
}

func TestDashboard(t *testing.T) {
	d := readDashboard(t)
	if d.SchemaVersion < 42 {
		t.Errorf("schemaVersion %d is older than Grafana 12's", d.SchemaVersion)
	}
	variables := map[string]string{}
	for _, v := range d.Templating.List {
		variables[v.Name] = v.Type
	}
	if variables["datasource"] != "datasource" {
		t.Errorf("variables: %v: the data source is to be chosen", variables)
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("id %d is there twice", p.ID)
		}
		ids[p.ID] = true
		if p.Type != "row" && (len(p.Targets) == 0 || p.Datasource.UID != "${datasource}") {
			t.Errorf("%s asks nothing, or not the data source that was chosen", p.Title)
		}
		for _, target := range p.Targets {
			if target.Datasource.UID != "${datasource}" {
				t.Errorf("%s %s asks another data source", p.Title, target.RefID)
			}
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s lies upon %q or beyond the edge", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// Every expression asks for metrics, labels and words that there are.
func TestExpressions(t *testing.T) {
	d := readDashboard(t)
	expressions := d.queries()
	for _, a := range alerts(t) {
		expressions[a.Alert] = a.Expr
	}
	for _, v := range d.Templating.List {
		if v.Type == "query" {
			expressions["variable "+v.Name] = strings.NewReplacer("$job", "composure", "$instance", ".*").Replace(v.Definition)
		}
	}
	judge := newJudge(t)
	for name, expression := range expressions {
		for _, problem := range judge.problems(expression) {
			t.Errorf("%s: %s\n%s", name, problem, expression)
		}
	}
}

func TestJudgeOfExpressions(t *testing.T) {
	judge := newJudge(t)
	for name, expression := range map[string]string{
		"no such metric":         `composure_transaction_total > 0`,
		"a gauge has no buckets": `rate(composure_queue_depth_bucket[5m])`,
		"a histogram by itself":  `composure_event_lag_seconds > 1`,
		"no such label":          `composure_project_condition{status="Ready"} == 0`,
		"no such word":           `composure_rollbacks_total{result="rollback failed"}`,
		"no such word of two":    `composure_rollbacks_total{result=~"rolled-back|failed"}`,
		"no such function":       `rates(composure_rollbacks_total[5m])`,
		"no such grouping":       `sum by (status) (composure_queue_depth)`,
		"bracket":                `sum(composure_queue_depth`,
		"wrong bracket":          `sum(composure_queue_depth]`,
		"quote":                  `composure_project_info{reason="Held}`,
	} {
		if len(judge.problems(expression)) == 0 {
			t.Errorf("%s: nothing is wrong with %s", name, expression)
		}
	}
}

// judge knows what may be asked for. It is no parser of PromQL: promtool is one, where there is one.
type judge struct {
	labels map[string][]string        // by metric, as it is named in an expression
	words  map[string]map[string]bool // of the labels that have a closed set
	known  map[string]bool            // every other word of an expression
}

func newJudge(t *testing.T) judge {
	t.Helper()
	gathered, err := scraped(t, exercised(t)).Gather()
	if err != nil {
		t.Fatal(err)
	}
	j := judge{labels: map[string][]string{"up": nil}, known: map[string]bool{}, words: map[string]map[string]bool{
		"reason": {}, "condition": {"Ready": true, "Reconciling": true, "Stalled": true},
	}}
	for _, f := range gathered {
		names := append(labelNames(f), "job", "instance")
		switch f.GetType() {
		case dto.MetricType_HISTOGRAM:
			j.labels[f.GetName()+"_bucket"] = append(names, "le")
			j.labels[f.GetName()+"_sum"], j.labels[f.GetName()+"_count"] = names, names
		default:
			j.labels[f.GetName()] = names
		}
		for _, name := range append(names, "le") {
			j.known[name] = true
		}
		j.learn(f)
	}
	j.labels["up"] = []string{"job", "instance"}
	for word := range strings.FieldsSeq("sum max topk by without on and or unless rate increase histogram_quantile absent time label_values") {
		j.known[word] = true
	}
	return j
}

// learn notes the words of a label that has a closed set. A reason is a result of a look.
func (j judge) learn(f *dto.MetricFamily) {
	for _, metric := range f.GetMetric() {
		for _, label := range metric.GetLabel() {
			key := f.GetName() + " " + label.GetName()
			if !slices.Contains([]string{"result", "call", "target"}, label.GetName()) {
				continue
			}
			if j.words[key] == nil {
				j.words[key] = map[string]bool{}
			}
			j.words[key][label.GetValue()] = true
			if f.GetName() == "composure_reconciles_total" {
				j.words["reason"][label.GetValue()] = true
			}
		}
	}
}

func (j judge) problems(expression string) []string {
	found := balance(expression)
	for _, match := range regexp.MustCompile(`([a-z_]+)\{([^}]*)\}`).FindAllStringSubmatch(expression, -1) {
		found = append(found, j.matchers(match[1], match[2])...)
	}
	bare := regexp.MustCompile(`"[^"]*"|\[[0-9a-z]+\]|\{[^}]*\}`).ReplaceAllString(expression, " ")
	for _, word := range regexp.MustCompile(`[A-Za-z_:][A-Za-z0-9_:]*`).FindAllString(bare, -1) {
		if _, metric := j.labels[word]; !metric && !j.known[word] {
			found = append(found, "there is no "+word)
		}
	}
	return found
}

// matchers judges what stands in a selector's braces.
func (j judge) matchers(metric, braces string) []string {
	var found []string
	for _, match := range regexp.MustCompile(`([a-z_]+)(=~|!~|!=|=)"([^"]*)"`).FindAllStringSubmatch(braces, -1) {
		label, value := match[1], match[3]
		if !slices.Contains(j.labels[metric], label) {
			found = append(found, metric+" has no label "+label)
		}
		words := j.words[strings.TrimSuffix(metric, "_bucket")+" "+label]
		if words == nil {
			words = j.words[label]
		}
		for word := range strings.SplitSeq(value, "|") {
			if words != nil && !words[word] {
				found = append(found, fmt.Sprintf("%s of %s is never %q", label, metric, word))
			}
		}
	}
	return found
}

// balance judges quotes and brackets.
func balance(expression string) []string {
	if strings.Count(expression, `"`)%2 != 0 {
		return []string{"a quote is not closed"}
	}
	var open []rune
	for _, r := range regexp.MustCompile(`"[^"]*"`).ReplaceAllString(expression, "") {
		if at := strings.IndexRune("([{", r); at >= 0 {
			open = append(open, rune(")]}"[at]))
		}
		if strings.ContainsRune(")]}", r) {
			if len(open) == 0 || open[len(open)-1] != r {
				return []string{"brackets do not match"}
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		return []string{"a bracket is not closed"}
	}
	return nil
}

// TestPromtool asks Prometheus itself, where it is installed: it parses every expression, and raises every alert.
func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("there is no promtool; it comes with Prometheus")
	}
	var rules []map[string]string
	for name, expression := range readDashboard(t).queries() {
		rules = append(rules, map[string]string{"record": "dashboard:" + regexp.MustCompile("[^a-z]").ReplaceAllString(strings.ToLower(name), "_"), "expr": expression})
	}
	content, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	queries := filepath.Join(t.TempDir(), "dashboard.yaml")
	if err := os.WriteFile(queries, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, arguments := range [][]string{
		{"check", "rules", "--lint=all", "--lint-fatal", "alerts.yaml"},
		{"check", "rules", "--lint=all", "--lint-fatal", queries},
		{"check", "config", "prometheus.yml"},
		{"test", "rules", "alerts_test.yaml"},
	} {
		command := exec.CommandContext(t.Context(), promtool, arguments...)
		command.Dir = monitoring
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(arguments, " "), err, out)
		}
	}
}
