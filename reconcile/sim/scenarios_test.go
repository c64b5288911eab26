package sim

import (
	"strings"
)

// scenario is a project as it is before, and what its policy asks for.
type scenario struct {
	name   string
	files  map[string]string // by name, as docker compose has brought them up
	policy string
	// stale says that the files are right already, and the containers are of before.
	stale bool
	// filesOnly runs without an engine.
	filesOnly bool
	// fails says that every run has to be undone.
	fails bool
	// surge is how many containers more than declared may run at once.
	surge int
	// shares says that services end together with another one.
	shares bool
	result string // of a run in which nothing goes wrong
}

const (
	app = `name: shop
services:
  app:
    image: shop:1
    restart: always
    environment:
      URL: redis://redis/0   # ours
`
	two = app + `  beat:
    image: shop:1
    restart: always
    environment:
    - POLL=60
`
	sidecar = app + `  side:
    image: free:1
    restart: always
    network_mode: service:app
`
	dependent = app + `  beat:
    image: shop:1
    restart: always
    depends_on:
      app: {condition: service_started, restart: true}
`
	wants = `apiVersion: composure/v1alpha1
kind: EnvironmentPolicy
metadata: {name: sync}
spec:
  selector: {services: [app]}
  variables:
  - name: SYNC
    value: "on"
    declare: "on"
  rollout: {stableFor: 1s, timeout: 10s}
  verify:
  - healthy: true
`
	failing = "  - log: {service: app, pattern: never, within: 2s}\n"
)

const mainFile = "docker-compose.yml"

func only(content string) map[string]string { return map[string]string{mainFile: content} }

func both(policy string) string {
	policy = strings.Replace(policy, "services: [app]", "services: [app, beat]", 1)
	return strings.Replace(policy, "rollout: {", "rollout: {order: [beat, app], ", 1)
}

func crashing(policy string) string { return strings.ReplaceAll(policy, `"on"`, `"crash"`) }

func scenarios() []scenario {
	startFirst := strings.Replace(wants, "rollout: {", "rollout: {strategy: StartFirst, ", 1)
	return []scenario{
		{name: "single", files: only(app), policy: wants, result: "committed"},
		{name: "order", files: only(two), policy: both(wants), result: "committed"},
		{
			name:   "two-files",
			files:  map[string]string{mainFile: app, "dev.yml": "services:\n  app:\n    environment:\n      DEV: \"1\"\n"},
			policy: strings.Replace(wants, "  rollout:", "  patch: {files: [docker-compose.yml, dev.yml]}\n  rollout:", 1),
			result: "committed",
		},
		{name: "files-only", files: only(two), policy: both(wants), filesOnly: true, result: "committed"},
		{name: "stale", files: only(two), policy: both(wants), stale: true, result: "committed"},
		{name: "check-fails", files: only(two), policy: both(wants) + failing, fails: true, result: "rolled back"},
		{name: "crashing", files: only(two), policy: both(crashing(wants)), fails: true, result: "rolled back"},
		{name: "replicas", files: only(app + "    deploy: {replicas: 3}\n"), policy: wants, result: "committed"},
		{name: "sidecar", files: only(sidecar), policy: wants, shares: true, result: "committed"},
		{name: "sidecar-fails", files: only(sidecar), policy: wants + failing, shares: true, fails: true, result: "rolled back"},
		{name: "dependent", files: only(dependent), policy: wants, shares: true, result: "committed"},
		{name: "start-first", files: only(strings.Replace(app, "shop:1", "free:1", 1)), policy: startFirst, surge: 1, result: "committed"},
		{
			name: "start-first-fails", files: only(strings.Replace(app, "shop:1", "free:1", 1)), policy: startFirst + failing,
			surge: 1, fails: true, result: "rolled back",
		},
		{name: "keep", files: only(app), policy: wants + failing + "  onFailure: Keep\n", result: "kept"},
	}
}
