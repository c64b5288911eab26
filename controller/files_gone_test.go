package controller

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const withEnvFile = `name: shop
services:
  app:
    image: app:1
    env_file: [app.env]
    environment:
      - A=1
`

// loss is a way to lose a project's files, and to get them back.
type loss struct {
	reason string
	file   string // below the project's folder; empty: the folder itself
	// put, when not nil, puts something else in its place; told is in what is said of it.
	put  func(path string) error
	told string
}

func losses() map[string]loss {
	folder := func(path string) error { return os.Mkdir(path, 0o755) }
	return map[string]loss{
		"ComposeFile": {reason: "it was deleted", file: "compose.yaml", told: "compose"},
		"Folder":      {reason: "it was deleted, or is not mounted"},
		"EmptyFolder": {reason: "it is a mount point without its disk", put: folder},
		"NoFolder":    {reason: "a file is in its place", put: func(path string) error { return os.WriteFile(path, nil, 0o600) }},
		"Directory":   {reason: "a container was started with a bind mount of the file that was not there", file: "compose.yaml", put: folder, told: "directory"},
		"FIFO": {
			reason: "reading it would block for ever", file: "compose.yaml", told: "regular file",
			put: func(path string) error { return syscall.Mkfifo(path, 0o600) },
		},
		"Dangling":   {reason: "a symbolic link leads nowhere", file: "compose.yaml", put: func(path string) error { return os.Symlink("away.yaml", path) }},
		"EnvFile":    {reason: "what it says is not known", file: "app.env", told: "app.env"},
		"EnvFolder":  {reason: "a folder is in its place", file: "app.env", put: folder, told: "app.env"},
		"Unreadable": {reason: "this user may not read it", put: func(path string) error { return os.Mkdir(path, 0) }},
	}
}

// lose takes the files away. The answer brings them back.
func (l loss) lose(t *testing.T, dir string) (bringBack func()) {
	t.Helper()
	path := filepath.Join(dir, l.file)
	away := filepath.Join(t.TempDir(), "away")
	if err := os.Rename(path, away); err != nil {
		t.Fatal(err)
	}
	if l.put != nil {
		if err := l.put(path); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		t.Helper()
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(away, path); err != nil {
			t.Fatal(err)
		}
	}
}

// containers are all of the engine: their names, ids, states and the starts of their present runs.
func (d *daemon) containers() map[string]string {
	d.t.Helper()
	list, err := d.engine.List(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	seen := map[string]string{}
	for _, c := range list {
		seen[c.CleanName()] = strings.Join([]string{c.ID, string(c.State.Status), c.State.StartedAt}, " ")
	}
	return seen
}

// runWithFiles is run with a project that has an env_file, alone or as one of all.
func runWithFiles(t *testing.T, all bool, prepare func(*daemon), test func(*testing.T, *daemon)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := prepareDaemon(t, enforced, nil)
		d.write(filepath.Join(d.dir, "compose.yaml"), withEnvFile)
		d.write(filepath.Join(d.dir, "app.env"), "B=1\n")
		d.up()
		if all {
			policies := filepath.Join(t.TempDir(), "sync.yaml")
			d.write(policies, enforced)
			d.config.All, d.config.Policies, d.config.AllowRoots = true, []string{policies}, []string{d.dir}
		}
		if prepare != nil {
			prepare(d)
		}
		d.start()
		test(t, d)
		d.stop()
	})
}

// A project whose files are gone is said to have none, its containers are left alone, and when the files are back so is all else.
func TestRunLeavesAProjectWithoutFilesAlone(t *testing.T) {
	for name, lost := range losses() {
		for mode, all := range map[string]bool{"One": false, "All": true} {
			t.Run(name+mode, func(t *testing.T) {
				if name == "Unreadable" && os.Geteuid() == 0 {
					t.Skip("root may read every folder")
				}
				runWithFiles(t, all, nil, func(_ *testing.T, d *daemon) {
					d.after(time.Minute)
					d.want("at the start", ReasonCompliant, 1)
					before := d.containers()
					d.wantGone(lost, before)
					d.after(2 * time.Minute)
					d.want("with its files back", ReasonCompliant, 1)
					d.wantContainers("with its files back", before)
				})
			})
		}
	}
}

// wantGone takes the project's files away for a while.
func (d *daemon) wantGone(lost loss, before map[string]string) {
	d.t.Helper()
	bringBack := lost.lose(d.t, d.dir)
	d.watcher.touch(d.t, filepath.Join(d.dir, "compose.yaml"))
	look := func() {
		d.t.Helper()
		d.want(lost.reason, ReasonUnreachable, 1)
		if status := d.status(); status.Ready || !status.Stalled || !strings.Contains(status.Message, lost.told) {
			d.t.Errorf("%s: status = %+v, want a message with %q", lost.reason, status, lost.told)
		}
		d.wantContainers(lost.reason, before)
	}
	d.after(10 * time.Second)
	look()
	d.engine.DropEvents() // everything is looked at anew
	d.after(time.Hour)
	look()
	bringBack()
	d.watcher.touch(d.t, d.loop.policies.paths[0])
}

func (d *daemon) wantContainers(what string, before map[string]string) {
	d.t.Helper()
	if diff := cmp.Diff(before, d.containers()); diff != "" {
		d.t.Errorf("%s: the containers are others:\n%s", what, diff)
	}
}

// What is done to a container while nobody knows what it should be is put right afterwards.
func TestRunMendsWhenTheFilesAreBack(t *testing.T) {
	runWithFiles(t, false, nil, func(t *testing.T, d *daemon) {
		d.after(time.Minute)
		good := d.file()
		d.write(filepath.Join(d.dir, "compose.yaml"), withEnvFile)
		d.up()
		bringBack := loss{file: "compose.yaml"}.lose(t, d.dir)
		before := d.containers()
		d.after(time.Hour)
		d.want("with a container that differs", ReasonUnreachable, 1)
		d.wantContainers("with a container that differs", before)
		bringBack()
		d.write(filepath.Join(d.dir, "compose.yaml"), good)
		d.after(2 * time.Minute)
		d.want("with the file as it was mended", ReasonCompliant, 2)
	})
}

// Another project's files further up are not taken for those that are gone.
func TestRunTakesNoOtherProjectsFiles(t *testing.T) {
	for name, tc := range map[string]struct{ reason, content string }{
		"OtherName": {"it has another name", strings.Replace(withEnvFile, "shop", "other", 1)},
		"SameName":  {"it has the same name, and lies elsewhere", withEnvFile},
	} {
		t.Run(name, func(t *testing.T) {
			above := ""
			move := func(d *daemon) {
				above = d.dir
				d.dir = filepath.Join(above, "shop")
				if err := os.MkdirAll(d.dir, 0o755); err != nil {
					t.Fatal(err)
				}
				for _, file := range []string{"compose.yaml", "app.env", DefaultPolicies} {
					if err := os.Rename(filepath.Join(above, file), filepath.Join(d.dir, file)); err != nil {
						t.Fatal(err)
					}
				}
				d.config.Project.Directory = d.dir
				d.up()
			}
			runWithFiles(t, false, move, func(t *testing.T, d *daemon) {
				d.after(time.Minute)
				d.want("at the start", ReasonCompliant, 1)
				before := d.containers()
				d.write(filepath.Join(above, "compose.yaml"), tc.content)
				d.write(filepath.Join(above, "app.env"), "B=1\n")
				d.wantGone(loss{reason: tc.reason, file: "compose.yaml", told: above}, before)
				if content, err := os.ReadFile(filepath.Join(above, "compose.yaml")); err != nil || string(content) != tc.content {
					t.Errorf("%s: %v\n%s", tc.reason, err, content)
				}
			})
		})
	}
}

// A root that is not there for a while, a disk that is not mounted say, allows nothing.
func TestRunWaitsForAnAllowedRoot(t *testing.T) {
	var root, elsewhere string
	link := func(d *daemon) {
		root, elsewhere = filepath.Join(t.TempDir(), "root"), filepath.Join(t.TempDir(), "elsewhere")
		if err := os.Symlink(d.dir, root); err != nil {
			t.Fatal(err)
		}
		d.config.AllowRoots = []string{root}
	}
	runWithFiles(t, true, link, func(t *testing.T, d *daemon) {
		d.after(time.Minute)
		d.want("at the start", ReasonCompliant, 1)
		before := d.containers()
		if err := os.Rename(root, elsewhere); err != nil {
			t.Fatal(err)
		}
		d.engine.DropEvents()
		d.after(2 * time.Minute)
		d.want("without the root", ReasonUnreachable, 1)
		if err := os.Rename(elsewhere, root); err != nil {
			t.Fatal(err)
		}
		d.after(2 * time.Minute)
		d.want("with the root", ReasonCompliant, 1)
		d.wantContainers("all the time", before)
	})
}

// A daemon that is started without a project's files waits for them as well.
func TestRunStartsWithoutFiles(t *testing.T) {
	var bringBack func()
	lose := func(d *daemon) { bringBack = loss{file: "compose.yaml"}.lose(t, d.dir) }
	runWithFiles(t, true, lose, func(_ *testing.T, d *daemon) {
		before := d.containers()
		d.after(time.Hour)
		d.want("at the start", ReasonUnreachable, 0)
		d.wantContainers("at the start", before)
		bringBack()
		d.after(2 * time.Minute)
		d.want("with its files", ReasonCompliant, 1)
	})
}
