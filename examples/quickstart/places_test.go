package quickstart_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// imageWithVariable is the shop's image with a variable of its own.
var imageWithVariable = testImage + "-variable"

// TestIncludedFile: the included file that defines the services is patched, and compose finds everything as it would have made it.
func TestIncludedFile(t *testing.T) {
	p := newProject(t, "included")
	p.write("shop.yaml", p.read("compose.yaml"))
	included := "include: [shop.yaml]\n"
	p.write("compose.yaml", included)
	ids := p.ids()
	got := p.composure(1, "diff")
	if !strings.Contains(got.stdout, "--- a/shop.yaml") {
		t.Errorf("the diff is not one of the included file:\n%s", got.stdout)
	}
	p.composure(0, "apply", "--yes")
	p.wantSwapped(ids, "app", "beat")
	if p.read("compose.yaml") != included {
		t.Error("the including file was touched")
	}
	p.wantUpToDate()
}

// TestOverrideTarget: the override file is made, the file that people maintain is left alone.
func TestOverrideTarget(t *testing.T) {
	p := newProject(t, "override")
	p.replace("policy.yaml", "  rollout:", "  patch: {target: Override}\n  rollout:")
	before, ids := p.read("compose.yaml"), p.ids()
	p.composure(0, "apply", "--yes")
	p.wantSwapped(ids, "app", "beat")
	if p.read("compose.yaml") != before {
		t.Error("compose.yaml was touched")
	}
	want := `services:
  app:
    environment:
      CELERY_BEAT_REDIS_SYNC_ENABLED: ${CELERY_BEAT_REDIS_SYNC_ENABLED:-true}
      CELERY_BEAT_MIN_SYNC_INTERVAL: ${CELERY_BEAT_MIN_SYNC_INTERVAL:-5}
      CELERY_BEAT_REDIS_CHANNEL: ${CELERY_BEAT_REDIS_CHANNEL:-celery_beat_schedule_updates}
  beat:
    environment:
      CELERY_BEAT_REDIS_SYNC_ENABLED: ${CELERY_BEAT_REDIS_SYNC_ENABLED:-true}
      CELERY_BEAT_MIN_SYNC_INTERVAL: ${CELERY_BEAT_MIN_SYNC_INTERVAL:-5}
      CELERY_BEAT_REDIS_CHANNEL: ${CELERY_BEAT_REDIS_CHANNEL:-celery_beat_schedule_updates}
`
	if got := p.read("compose.override.yaml"); got != want {
		t.Errorf("compose.override.yaml:\n%s", got)
	}
	p.wantUpToDate()
}

// TestOverrideTargetRolledBack: a file that was made is gone again when the checks fail.
func TestOverrideTargetRolledBack(t *testing.T) {
	p := newProject(t, "override-undone")
	p.replace("policy.yaml", "  rollout:", "  patch: {target: Override}\n  rollout:")
	p.replace("policy.yaml", "pattern: Subscribed to Redis channel\n        within: 30s", "pattern: no such line\n        within: 1s")
	ids := p.ids()
	p.composure(3, "apply", "--yes")
	p.wantIDs(ids)
	if _, err := os.Stat(filepath.Join(p.dir, "compose.override.yaml")); !os.IsNotExist(err) {
		t.Errorf("the new file is still there: %v", err)
	}
	p.wantUpToDate()
}

// TestForbiddenVariable: one that a file sets is taken out of it; one that the image sets is hidden by a bare key.
func TestForbiddenVariable(t *testing.T) {
	p := newProject(t, "forbidden")
	build := exec.Command("docker", "build", "-q", "-t", imageWithVariable, "-")
	build.Stdin = strings.NewReader("FROM " + testImage + "\nENV SHOP_DEBUG=1\n")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("docker build: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		p.run(p.made.compose, "down", "--volumes", "--timeout", "2")
		p.run("docker", "rmi", imageWithVariable)
	})
	p.replace("compose.yaml", "image: "+testImage, "image: "+imageWithVariable)
	p.up()
	p.write("policy.yaml", `apiVersion: composure/v1alpha1
kind: EnvironmentPolicy
metadata: {name: no-debug}
spec:
  selector: {services: [beat]}
  variables:
  - {name: SHOP_DEBUG, absent: true}
  - {name: BEAT_POLL_INTERVAL, absent: true}
`)
	ids := p.ids()
	p.composure(0, "apply", "--yes")
	p.wantSwapped(ids, "beat")
	if got := p.read("compose.yaml"); !strings.HasSuffix(got, "load the database.\n      SHOP_DEBUG:\n") && !strings.Contains(got, "REDIS_URL: redis://redis:6379/0\n      SHOP_DEBUG:\n") {
		t.Errorf("compose.yaml:\n%s", got)
	}
	inspected := p.run("docker", "inspect", "--format", "{{json .Config.Env}}", p.ids()["beat"])
	if !strings.Contains(inspected.stdout, `"SHOP_DEBUG"`) || strings.Contains(inspected.stdout, "BEAT_POLL_INTERVAL") {
		t.Errorf("beat runs with %s", inspected.stdout)
	}
	p.wantUpToDate()
}
