package controller

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/reconcile"
)

// TestLoadsRemembersMany: however many projects there are, one whose files have not changed is not read again.
func TestLoadsRemembersMany(t *testing.T) {
	folders := t.TempDir()
	watched := map[string][]string{}
	l := newLoads(func(name string, paths []string) { watched[name] = paths })
	load := func(i int) *compose.Project {
		t.Helper()
		name := fmt.Sprintf("p%d", i)
		project, err := l.load(t.Context(), name, compose.Options{Directory: filepath.Join(folders, name), Name: name})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return project
	}
	const projects = 2 * warmProjects
	for i := range projects {
		folder := filepath.Join(folders, fmt.Sprintf("p%d", i))
		content := fmt.Sprintf("services: {app: {image: i, environment: {NUMBER: \"%d\"}}}\n", i)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "compose.yaml"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		project := load(i)
		l.watch(project.Name, reconcile.Proposal{Snapshot: reconcile.Snapshot{Project: project, Extended: project, Directory: project.Directory}})
		load(i) // it is remembered from the first time on that it was watched before
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		for i := range projects {
			if got := *load(i).Services["app"].Environment["NUMBER"].Value; got != fmt.Sprint(i) {
				t.Errorf("project %d has NUMBER=%s", i, got)
			}
		}
	}
	frozen := 0
	for _, known := range l.loaded {
		for _, r := range known.projects {
			if r.project == nil {
				frozen++
			}
		}
	}
	if frozen != projects-warmProjects || len(watched) != projects {
		t.Errorf("%d of %d projects are frozen, %d watched", frozen, projects, len(watched))
	}
}
