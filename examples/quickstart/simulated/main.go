// Command simulated plays the quickstart where there is no Docker Engine: Composure's own diff and apply, on the example's own
// compose file and policy, against the engine in memory. The services are data there, and what they would do is computed, not
// observed. Every line it prints is marked SIMULATED.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/go-logr/logr"

	"github.com/composure-dev/composure/controller"
	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/report"
)

const (
	project = "composure-quickstart"
	width   = 100
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx, filepath.Join("examples", "quickstart"), os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "SIMULATED  FAILED:", err)
		os.Exit(1)
	}
}

// demo is the loop and where it tells of it.
type demo struct {
	world  *world
	config controller.Config
	out    io.Writer
}

// run plays the example in folder and writes what happens to out. A claim that does not hold is an error.
func run(ctx context.Context, folder string, out io.Writer) error {
	work, err := os.MkdirTemp("", "composure-simulated-")
	if err != nil {
		return fmt.Errorf("make a folder to work in: %w", err)
	}
	defer os.RemoveAll(work)
	for _, name := range []string{"compose.yaml", "policy.yaml"} {
		if err := copyFile(filepath.Join(work, name), filepath.Join(folder, name)); err != nil {
			return err
		}
	}
	options := compose.Options{Directory: work, Name: project, Files: []string{filepath.Join(work, "compose.yaml")}}
	w := newWorld(options)
	d := demo{world: w, out: out, config: controller.Config{
		Policies: []string{filepath.Join(work, "policy.yaml")},
		Project:  options,
		StateDir: filepath.Join(work, "state"),
		Version:  "simulated",
		Open:     func(context.Context) (controller.Engine, error) { return w.engine, nil },
		Log:      logr.Discard(),
	}}
	return d.play(ctx)
}

func (d demo) play(ctx context.Context) error {
	for _, chapter := range []func(context.Context) error{d.start, d.diff, d.apply, d.settled} {
		if err := chapter(ctx); err != nil {
			return err
		}
	}
	d.sayf("every claim held, on an engine in memory")
	return nil
}

func (d demo) start(ctx context.Context) error {
	d.sayf("starting the quickstart on an engine in memory")
	if err := d.up(ctx, enginetest.Started); err != nil {
		return err
	}
	wait, err := d.world.wait(ctx)
	if err != nil {
		return err
	}
	d.sayf("THE SYMPTOM: a schedule made just after beat's poll would first run after %s", wait)
	return nil
}

func (d demo) diff(ctx context.Context) error {
	d.sayf("composure diff")
	before, err := d.world.ids(ctx)
	if err != nil {
		return err
	}
	found, err := controller.Diff(ctx, d.config)
	if err != nil {
		return err
	}
	if err := d.show(found, report.ResultDifferences); err != nil {
		return err
	}
	return d.replaced(ctx, before)
}

func (d demo) apply(ctx context.Context) error {
	d.sayf("composure apply --yes")
	before, err := d.world.ids(ctx)
	if err != nil {
		return err
	}
	applied, err := controller.Apply(ctx, d.config, controller.ApplyOptions{Progress: d.progress})
	if err != nil {
		return err
	}
	if err := d.show(applied, report.ResultApplied); err != nil {
		return err
	}
	if err := d.replaced(ctx, before, "app", "beat"); err != nil {
		return err
	}
	wait, err := d.world.wait(ctx)
	if err != nil {
		return err
	}
	d.sayf("THE SYMPTOM GONE: a schedule made just after beat's poll would first run after %s", wait)
	return nil
}

func (d demo) settled(ctx context.Context) error {
	before, err := d.world.ids(ctx)
	if err != nil {
		return err
	}
	if err := d.up(ctx, enginetest.Running); err != nil {
		return err
	}
	d.sayf("composure apply --yes, again")
	again, err := controller.Apply(ctx, d.config, controller.ApplyOptions{Progress: d.progress})
	if err != nil {
		return err
	}
	if err := d.show(again, report.ResultCompliant); err != nil {
		return err
	}
	return d.replaced(ctx, before)
}

// up does what docker compose up -d would decide, and wants the same word for every service.
func (d demo) up(ctx context.Context, want enginetest.Decision) error {
	d.sayf("docker compose up -d")
	decisions, err := d.world.up(ctx)
	if err != nil {
		return err
	}
	for _, service := range slices.Sorted(maps.Keys(decisions)) {
		d.sayf("  %s %s", service, decisions[service])
		if decisions[service] != want {
			return fmt.Errorf("docker compose would call %s %s, not %s", service, decisions[service], want)
		}
	}
	return nil
}

// show prints a report of one project and holds it to a result.
func (d demo) show(r report.Report, want report.Result) error {
	var text strings.Builder
	if err := report.Text(&text, r, report.TextOptions{Width: width, PlanShown: r.Verb == report.VerbApply}); err != nil {
		return err
	}
	d.sayf("%s", strings.TrimRight(text.String(), "\n"))
	if len(r.Projects) != 1 || r.Projects[0].Result != want {
		return fmt.Errorf("%s did not end as %q", r.Verb, want)
	}
	return nil
}

// replaced prints the container ids and wants new ones for the named services, and the old ones for all others.
func (d demo) replaced(ctx context.Context, before map[string]string, services ...string) error {
	after, err := d.world.ids(ctx)
	if err != nil {
		return err
	}
	expected := make(map[string]bool)
	for _, service := range services {
		expected[service] = true
	}
	for _, service := range slices.Sorted(maps.Keys(before)) {
		d.sayf("  container of %s: %.12s, now %.12s", service, before[service], after[service])
		if (before[service] != after[service]) != expected[service] {
			return fmt.Errorf("container of %s: replaced %t, expected %t", service, !expected[service], expected[service])
		}
	}
	return nil
}

func (d demo) progress(line string) { d.sayf("%s", line) }

// sayf prints lines, each with its mark.
func (d demo) sayf(format string, args ...any) {
	lines := bufio.NewScanner(strings.NewReader(fmt.Sprintf(format, args...)))
	for lines.Scan() {
		fmt.Fprintln(d.out, strings.TrimRight("SIMULATED  "+lines.Text(), " "))
	}
}

func copyFile(to, from string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("read the example: %w", err)
	}
	if err := os.WriteFile(to, content, 0o600); err != nil {
		return fmt.Errorf("copy the example: %w", err)
	}
	return nil
}
