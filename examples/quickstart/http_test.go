package quickstart_test

import (
	"strings"
	"testing"
)

// TestHTTPCheck: a page is asked from inside the containers' own networks; its status decides.
func TestHTTPCheck(t *testing.T) {
	p := newProject(t, "http")
	const fromApp, fromBeat = "    - http: {service: app, url: 'http://$(APP_ADDRESS)/health'}\n", "    - http: {service: beat, url: 'http://app:8000/schedules/none', status: 404, within: 3s}\n"
	p.replace("policy.yaml", "    - redis:\n", fromApp+strings.Replace(fromBeat, "404", "200", 1)+"    - redis:\n")
	before, ids := p.read("compose.yaml"), p.ids()
	failed := p.composure(3, "apply", "--yes")
	if !strings.Contains(failed.stdout, "status 404, want 200") {
		t.Errorf("the report does not say what the page answered:\n%s", failed.stdout)
	}
	p.wantIDs(ids)
	if p.read("compose.yaml") != before {
		t.Error("the file is not as it was")
	}
	p.replace("policy.yaml", "status: 200", "status: 404")
	p.composure(0, "apply", "--yes")
	p.wantSwapped(ids, "app", "beat")
	p.wantUpToDate()
}
