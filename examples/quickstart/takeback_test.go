package quickstart_test

import (
	"strings"
	"testing"
)

// TestTakenBack: a verified apply is taken back by a person, a sidecar in beat's network included, and docker compose finds
// everything as its files say.
func TestTakenBack(t *testing.T) {
	p := newProject(t, "taken-back")
	agent := "\n  agent:\n    image: " + testImage + "\n    pull_policy: never\n    command: [redis]\n    network_mode: service:beat\n"
	p.write("compose.yaml", p.read("compose.yaml")+agent)
	p.up()
	before, ids := p.read("compose.yaml"), p.ids()
	p.composure(0, "apply", "--yes")
	p.wantSwapped(ids, "app", "beat", "agent")
	ids = p.ids()
	if shown := p.composure(1, "rollback", "--dry-run"); !strings.Contains(shown.stdout, "3 containers to swap back") {
		t.Errorf("the plan:\n%s", shown.stdout)
	}
	p.wantIDs(ids)
	got := p.composure(0, "rollback", "--yes")
	if !strings.Contains(got.stdout, "3 containers swapped back; verified by 1 check.") {
		t.Errorf("the report:\n%s", got.stdout)
	}
	if p.read("compose.yaml") != before {
		t.Error("the file is not as it was")
	}
	p.wantSwapped(ids, "app", "beat", "agent")
	p.wantUpToDate()
}
