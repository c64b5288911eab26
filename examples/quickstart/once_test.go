package quickstart_test

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Two runs of a cron job that overlap: what has drifted is mended once, and neither fails.
func TestTwoAtOnce(t *testing.T) {
	p := newProject(t, "ways-once")
	p.replace("policy.yaml", "  selector:\n", "  enforcement: {files: Enforce, containers: Enforce}\n  selector:\n")
	p.replace("policy.yaml", "stableFor: 3s", "stableFor: 1s")
	ids := p.ids()
	once := func() result {
		return p.run(p.made.composure, "run", "--once", "--file", "compose.yaml", "--policy", "policy.yaml", "--state-dir", filepath.Join(p.dir, "state"))
	}
	var ran [2]result
	var both sync.WaitGroup
	for i := range ran {
		both.Go(func() { ran[i] = once() })
	}
	both.Wait()
	transactions, compliant := 0, 0
	for i, got := range ran {
		t.Logf("run %d: exit %d\n%s", i, got.code, got.stdout)
		transactions += strings.Count(got.stderr, `msg="transaction ended"`)
		switch {
		case got.code == 0 && strings.Contains(got.stdout, "Compliant"):
			compliant++
		case got.code == 1 && (strings.Contains(got.stdout, "Locked") || strings.Contains(got.stdout, "ProjectChanging")): // left to the next run
		default:
			t.Errorf("run %d: exit %d\n%s\n%s", i, got.code, got.stdout, got.stderr)
		}
	}
	if transactions != 1 || compliant == 0 {
		t.Errorf("%d transactions and %d runs that found it compliant in the end, want one and at least one:\n%s\n%s", transactions, compliant, ran[0].stderr, ran[1].stderr)
	}
	p.wantSwapped(ids, "app", "beat")
	p.wantUpToDate()
	if next := once(); next.code != 0 {
		t.Errorf("the next run: exit %d\n%s", next.code, next.stdout)
	}
}
