package quickstart_test

import (
	"strings"
	"testing"
)

// handed brings up the example with what only docker compose can do: a hook, and something that lives in beat's network. The policy
// hands both services over.
func handed(t *testing.T, name string) *project {
	t.Helper()
	p := newProject(t, name)
	p.env = []string{"COMPOSURE_COMPOSE=" + p.made.compose}
	hook := "    command: [beat]\n    post_start:\n      - command: [/shop, healthcheck, \"redis://redis:6379\"]\n"
	p.replace("compose.yaml", "    command: [beat]\n", hook)
	agent := "\n  agent:\n    image: " + testImage + "\n    pull_policy: never\n    command: [redis]\n    network_mode: service:beat\n"
	p.write("compose.yaml", p.read("compose.yaml")+agent)
	p.replace("policy.yaml", "    order: [app, beat]\n", "    order: [app, beat]\n    strategy: Compose\n")
	p.up()
	return p
}

// TestHandedOver: docker compose itself recreates what the policy hands to it, along with what shares its network, and no more.
func TestHandedOver(t *testing.T) {
	p := handed(t, "handed")
	ids := p.ids()
	planned := p.composure(1, "diff")
	for _, want := range []string{"docker compose recreates " + p.name + "-beat-1", "3 containers for docker compose to recreate"} {
		if !strings.Contains(strings.Join(strings.Fields(planned.stdout), " "), want) {
			t.Errorf("diff does not say %q:\n%s", want, planned.stdout)
		}
	}
	p.wantIDs(ids)
	p.composure(0, "apply", "--yes")
	p.wantSwapped(ids, "app", "beat", "agent")
	p.wantUpToDate()
}

// TestHandedOverUndone: a check fails, and docker compose makes the containers again of the files as they were.
func TestHandedOverUndone(t *testing.T) {
	p := handed(t, "handed-undone")
	p.replace("policy.yaml", "pattern: Subscribed to Redis channel\n        within: 30s", "pattern: no such line\n        within: 1s")
	before, ids := p.read("compose.yaml"), p.ids()
	got := p.composure(3, "apply", "--yes")
	if strings.Count(got.stdout, "docker compose made it again") != 3 {
		t.Errorf("the report does not say what became of them:\n%s", got.stdout)
	}
	p.wantSwapped(ids, "app", "beat", "agent")
	if p.read("compose.yaml") != before {
		t.Error("the file is not as it was")
	}
	p.wantUpToDate()
}

// TestHandedOverToNobody: without a docker compose it is held, with what to install.
func TestHandedOverToNobody(t *testing.T) {
	p := handed(t, "handed-nobody")
	p.env = []string{"COMPOSURE_COMPOSE=/nowhere/docker-compose"}
	got := p.composure(1, "diff")
	if !strings.Contains(got.stdout, "there is no docker compose 2.20 or later") || !strings.Contains(got.stdout, "COMPOSURE_COMPOSE") {
		t.Errorf("diff does not say why:\n%s", got.stdout)
	}
}
