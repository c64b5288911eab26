package reconcile

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/probe"
	"github.com/composure-dev/composure/internal/state"
	"github.com/composure-dev/composure/policy"
)

const composeFile = `# the shop
name: shop
services:
  app:
    image: shop:1
    environment:
      - REDIS_URL=redis://:hunter2secret@redis/0   # from the vault
      - APP_TOKEN=tok-0123456789
  beat:
    image: shop:1
    environment:
      REDIS_URL: redis://:hunter2secret@redis/0
      POLL: "60"
`

const patchedFile = `# the shop
name: shop
services:
  app:
    image: shop:1
    environment:
      - REDIS_URL=redis://:hunter2secret@redis/0   # from the vault
      - APP_TOKEN=tok-0123456789
      - SYNC_ENABLED=${SYNC_ENABLED:-true}
      - SYNC_CHANNEL=${SYNC_CHANNEL:-updates}
  beat:
    image: shop:1
    environment:
      REDIS_URL: redis://:hunter2secret@redis/0
      POLL: "60"
      SYNC_ENABLED: ${SYNC_ENABLED:-true}
      SYNC_CHANNEL: ${SYNC_CHANNEL:-updates}
`

const syncPolicy = `apiVersion: composure/v1alpha1
kind: EnvironmentPolicy
metadata: {name: sync}
spec:
  selector: {services: [app, beat]}
  variables:
  - name: SYNC_ENABLED
    value: "true"
    declare: ${SYNC_ENABLED:-true}
  - name: SYNC_CHANNEL
    sameAcrossServices: true
    declare: ${SYNC_CHANNEL:-updates}
  rollout: {stableFor: 2s, timeout: 30s}
  verify:
  - healthy: true
  - redis: {service: beat, url: $(REDIS_URL), ping: true, channel: $(SYNC_CHANNEL), subscribers: 1, within: 10s}
  - log: {service: beat, pattern: ^Subscribed to, within: 10s}
`

var secretValues = []string{"hunter2secret", "tok-0123456789"}

// world is a project in a folder and on the in-memory engine, brought up as docker compose 2.40.3 would have.
type world struct {
	t        *testing.T
	dir      string
	engine   *enginetest.Engine
	source   Source
	executor *Executor
	mu       sync.Mutex
	progress []string
	stateDir string
}

// newWorld brings the project up. Inside a synctest bubble its clock is virtual.
func newWorld(t *testing.T, policyText string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), stateDir: filepath.Join(t.TempDir(), "state"), engine: enginetest.New(enginetest.Options{})}
	w.write(composeFile)
	w.engine.AddImage(enginetest.Image{Name: "shop:1", Program: program})
	w.engine.HandleProbe(answerProbe)
	policies, err := policy.Parse("policy.yaml", []byte(policyText))
	if err != nil {
		t.Fatal(err)
	}
	w.source = Source{
		Compose:  compose.Options{Directory: w.dir, Files: []string{filepath.Join(w.dir, "compose.yaml")}},
		Policies: policies, Reader: w.engine, Host: "here", Alive: func(int) bool { return true },
		Journal: state.Store{Dir: w.stateDir},
	}
	ids := 0
	w.executor = &Executor{
		Writer: w.engine, Prober: w.engine,
		Roots: []string{w.dir}, Log: logr.Discard(),
		NewID: func() string { ids++; return fmt.Sprintf("t%d", ids) },
		Progress: func(line string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.progress = append(w.progress, line)
		},
	}
	w.up()
	return w
}

// program is the shop: it crashes on a channel called "crash", and beat says so when it listens.
func program(env map[string]string) enginetest.Behavior {
	if env["SYNC_CHANNEL"] == "crash" {
		return enginetest.Behavior{
			Exit: &enginetest.Exit{After: 50 * time.Millisecond, Code: 2},
			Logs: []enginetest.Log{{Text: "cannot listen, token " + env["APP_TOKEN"]}},
		}
	}
	if env["SYNC_ENABLED"] == "true" {
		return enginetest.Behavior{Logs: []enginetest.Log{{After: time.Second, Text: "Subscribed to " + env["SYNC_CHANNEL"]}}}
	}
	return enginetest.Behavior{}
}

func answerProbe(target engine.Container, raw []byte) ([]byte, error) {
	var job probe.Job
	if err := json.Unmarshal(raw, &job); err != nil {
		return nil, err
	}
	result := probe.Result{Ping: true}
	env := target.Env()
	if job.Redis.Channel != "nobody" && env["SYNC_ENABLED"] != nil && *env["SYNC_ENABLED"] == "true" {
		result.Subscribers = 1
	}
	return json.Marshal(result)
}

func (w *world) write(content string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, "compose.yaml"), []byte(content), 0o640); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) file() string {
	w.t.Helper()
	content, err := os.ReadFile(filepath.Join(w.dir, "compose.yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(content)
}

// up is docker compose up -d.
func (w *world) up() {
	w.t.Helper()
	project, err := compose.Load(w.t.Context(), w.source.Compose)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.engine.Up(w.t.Context(), project, nil); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) propose() Proposal {
	w.t.Helper()
	proposal, err := Propose(w.t.Context(), w.source)
	if err != nil {
		w.t.Fatal(err)
	}
	return proposal
}

func (w *world) apply() Applied {
	w.t.Helper()
	applied, err := w.executor.Apply(w.t.Context(), w.source, w.propose().Plan)
	if err != nil {
		w.t.Fatal(err)
	}
	return applied
}

// containers describes every container of the engine: name, id, state, and the environment where a test needs it.
func (w *world) containers() map[string]string {
	w.t.Helper()
	list, err := w.engine.List(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	seen := map[string]string{}
	for _, c := range list {
		restart := ""
		if c.HostConfig != nil {
			restart = string(c.HostConfig.RestartPolicy.Name)
		}
		seen[c.CleanName()] = fmt.Sprintf("%s %s restart=%s", engine.ShortID(c.ID), c.State.Status, restart)
	}
	return seen
}

// wantContainers wants each of the containers as it was: the same id, state and restart policy under the same name.
func (w *world) wantContainers(before map[string]string, reason string) {
	w.t.Helper()
	after := w.containers()
	for name, state := range before {
		if after[name] != state {
			w.t.Errorf("%s: %s is %q, want %q", reason, name, after[name], state)
		}
	}
}

func (w *world) env(name string) map[string]*string {
	w.t.Helper()
	c, err := w.engine.Inspect(w.t.Context(), "/"+name)
	if err != nil {
		w.t.Fatal(err)
	}
	return c.Env()
}

// told is everything a person could read of an apply.
func (w *world) told(applied Applied) string {
	var b strings.Builder
	fmt.Fprintln(&b, applied.Failure, applied.Restored)
	for _, outcome := range applied.Outcomes {
		fmt.Fprintln(&b, outcome)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return b.String() + strings.Join(w.progress, "\n")
}

func (w *world) wantNoSecrets(applied Applied) {
	w.t.Helper()
	told := w.told(applied)
	for _, secret := range secretValues {
		if strings.Contains(told, secret) {
			w.t.Errorf("%q was told:\n%s", secret, told)
		}
	}
}
