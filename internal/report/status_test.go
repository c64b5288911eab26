package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/internal/api"
	"github.com/composure-dev/composure/internal/report"
)

func at(minute int) time.Time { return time.Date(2026, 11, 27, 12, minute, 0, 0, time.UTC) }

func conditions(reason, message string, ready, reconciling, stalled string) []api.Condition {
	var list []api.Condition
	for i, status := range []string{ready, reconciling, stalled} {
		kind := []string{api.Ready, api.Reconciling, api.Stalled}[i]
		list = append(list, api.Condition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: at(10 * i)})
	}
	return list
}

func shop() api.Project {
	return api.Project{
		Name: "shop", Conditions: conditions("Held", "look at\n\x1b[31mit", api.False, api.False, api.True), Policies: []string{"sync", "redis"}, Differences: 2,
		Held:           []api.Held{{Object: "app", Reason: "an image of another tag", Next: "docker compose up -d app"}},
		ObservedDigest: "sha256:abc", LastTransaction: &api.Transaction{ID: "t1", Outcome: "committed"},
		Suspended: &api.Suspension{Since: at(5), Reason: "restore"}, LookedAt: at(59), NextLook: at(60),
	}
}

func wantText(t *testing.T, what, want string, write func(*strings.Builder) error) {
	t.Helper()
	var text strings.Builder
	if err := write(&text); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), text.String()); diff != "" {
		t.Errorf("%s:\n%s", what, diff)
	}
}

func TestProjectsText(t *testing.T) {
	blog := api.Project{Name: "a-blog-with-a-long-name", Conditions: conditions("Compliant", "", api.True, api.False, api.False)}
	wantText(t, "two", `
PROJECT                  READY  REASON          DIFFERENCES  HELD  FOR  LAST TRANSACTION
shop                     False  Held,Suspended  2            1     60m  committed
a-blog-with-a-long-name  True   Compliant       0            0     60m  -
`, func(w *strings.Builder) error { return report.ProjectsText(w, []api.Project{shop(), blog}, at(60)) })
	wantText(t, "none", "the daemon looks after no project yet\n", func(w *strings.Builder) error { return report.ProjectsText(w, nil, at(60)) })
}

func TestPoliciesText(t *testing.T) {
	broken := "policies/broken.yaml:6:3: unknown field \"variabels\"\n  hint: did you mean variables?"
	policies := []api.Policy{
		{Name: "sync", Files: "Enforce", Containers: "Audit", Services: []string{"shop/app", "shop/beat"}, Conditions: conditions("Compliant", "", api.True, api.False, api.False)},
		{Name: "policies/broken.yaml", Conditions: conditions("Invalid", broken, api.False, api.False, api.True)},
	}
	wantText(t, "one is broken", `
POLICY                READY  REASON     FILES    CONTAINERS  SERVICES  DIFFERENCES  FOR
sync                  True   Compliant  Enforce  Audit       2         0            60m
policies/broken.yaml  False  Invalid    -        -           0         0            60m
policies/broken.yaml:6:3: unknown field "variabels"
  hint: did you mean variables?
`, func(w *strings.Builder) error { return report.PoliciesText(w, policies, at(60)) })
}

func TestDescriptionText(t *testing.T) {
	d := api.Description{
		Project:      shop(),
		Findings:     []api.Finding{{Policy: "sync", Service: "app", Variable: "SYNC", Layer: "file", Verdict: "FileWrong", Place: "/srv/compose.yaml:7:9"}},
		Transactions: []api.Transaction{{ID: "t1", Outcome: "committed", Began: new(at(30))}},
		Events:       []api.Event{{Time: at(50), Type: api.Warning, Reason: "Held", Message: "app: an image of another tag"}},
	}
	wantText(t, "all there is", `
Project:    shop
Ready:      False, Held for 60m
            look at �[31mit
Suspended:  since 2026-11-27T12:05:00Z: restore; lift it with: composure resume shop
Policies:   sync, redis
Looked at:  60s ago, next in 0s
Observed:   sha256:abc
Attempted:  -
Applied:    -

Conditions
TYPE         STATUS  REASON  FOR
Ready        False   Held    60m
Reconciling  False   Held    50m
Stalled      True    Held    40m

Differences (composure diff shows the values)
POLICY  SERVICE  VARIABLE  LAYER  VERDICT    PLACE
sync    app      SYNC      file   FileWrong  /srv/compose.yaml:7:9

Held
OBJECT  REASON                   NEXT
app     an image of another tag  docker compose up -d app

Transactions
ID  OUTCOME    AGE
t1  committed  30m

Events
AGE  TYPE     REASON  MESSAGE
10m  Warning  Held    app: an image of another tag
`, func(w *strings.Builder) error { return report.DescriptionText(w, d, at(60)) })
}

func TestChangesAreOneLineEach(t *testing.T) {
	wantText(t, "changed", "2026-11-27T13:00:00Z  shop                  False    Held,Suspended      2    1  committed\n",
		func(w *strings.Builder) error {
			return report.ProjectChange(w, api.Change[api.Project]{Type: api.Modified, Object: shop()}, at(60))
		})
	wantText(t, "gone", "2026-11-27T13:00:00Z  shop                  -        Gone                -    -  -\n",
		func(w *strings.Builder) error {
			return report.ProjectChange(w, api.Change[api.Project]{Type: api.Deleted, Object: shop()}, at(60))
		})
	sync := api.Policy{Name: "sync", Differences: 3, Conditions: conditions("Differences", "3 variables\nare wrong", api.False, api.True, api.False)}
	wantText(t, "policy", "2026-11-27T13:00:00Z  sync                  False    Differences         3  3 variables are wrong\n",
		func(w *strings.Builder) error {
			return report.PolicyChange(w, api.Change[api.Policy]{Type: api.Added, Object: sync}, at(60))
		})
	event := api.Event{Time: at(1), Type: api.Normal, Reason: "Committed", Message: "two\nlines"}
	wantText(t, "event", "2026-11-27T12:01:00Z  Normal   -                 Committed         two lines\n", func(w *strings.Builder) error {
		return report.EventsText(w, []api.Event{event})
	})
}
