package watch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/renameio/v2"

	"github.com/composure-dev/composure/internal/watch"
)

// deadline is how long a real filesystem may take.
const deadline = 10 * time.Second

// disk is a watcher over real files. Its poll finds nothing while a test runs: what wakes is an event.
type disk struct {
	*watch.Watcher
	t     *testing.T
	dir   string
	woken chan string
}

func onDisk(t *testing.T, options watch.Options) *disk {
	t.Helper()
	d := &disk{Watcher: watch.New(options), t: t, dir: t.TempDir(), woken: make(chan string, 1000)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx, func(name string) { d.woken <- name }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		wantNoGoroutines(t)
	})
	return d
}

// wantNoGoroutines looks for what a watcher may have left behind.
func wantNoGoroutines(t *testing.T) {
	t.Helper()
	limit := time.After(deadline)
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if !bytes.Contains(stacks, []byte("fsnotify")) && !bytes.Contains(stacks, []byte("watch.(*Watcher)")) {
			return
		}
		select {
		case <-poll.C:
		case <-limit:
			t.Fatalf("a goroutine is left:\n%s", stacks)
		}
	}
}

func (d *disk) path(name string) string { return filepath.Join(d.dir, name) }

func (d *disk) must(errs ...error) {
	d.t.Helper()
	if err := errors.Join(errs...); err != nil {
		d.t.Fatal(err)
	}
}

func (d *disk) write(name, content string) {
	d.t.Helper()
	d.must(os.MkdirAll(filepath.Dir(d.path(name)), 0o755), os.WriteFile(d.path(name), []byte(content), 0o600))
}

// swapLink is ln -sfn.
func (d *disk) swapLink(target, name string) {
	d.t.Helper()
	d.must(os.Symlink(target, d.path(name+".new")), os.Rename(d.path(name+".new"), d.path(name)))
}

func (d *disk) wantWoken(reason string) {
	d.t.Helper()
	select {
	case name := <-d.woken:
		if name != "shop" {
			d.t.Errorf("%s: woken was %q", reason, name)
		}
	case <-time.After(deadline):
		d.t.Fatalf("%s: not woken", reason)
	}
}

func TestRealSaves(t *testing.T) {
	cases := []struct {
		reason string
		save   func(*disk)
	}{
		{"in place", func(d *disk) { d.write("compose.yaml", "in place") }},
		{"renameio", func(d *disk) { d.must(renameio.WriteFile(d.path("compose.yaml"), []byte("renamed over"), 0o600)) }},
		{"after a rename over, in place", func(d *disk) { d.write("compose.yaml", "in place after all") }},
		{"vim: away, anew, the backup removed", func(d *disk) {
			d.must(os.Rename(d.path("compose.yaml"), d.path("compose.yaml~")))
			d.write("compose.yaml", "vim")
			d.must(os.Remove(d.path("compose.yaml~")))
		}},
		{"sed -i", func(d *disk) {
			d.must(exec.CommandContext(t.Context(), "sed", "-i", "s/vim/sed/", d.path("compose.yaml")).Run())
		}},
		{"removed", func(d *disk) { d.must(os.Remove(d.path("compose.yaml"))) }},
		{"made again", func(d *disk) { d.write("compose.yaml", "again") }},
		{"an override appears", func(d *disk) { d.write("compose.override.yaml", "override") }},
	}
	d := onDisk(t, watch.Options{Debounce: 30 * time.Millisecond, Poll: time.Hour})
	d.write("compose.yaml", "first")
	d.Set("shop", []string{d.path("compose.yaml"), d.path("compose.override.yaml"), d.path(".env")})
	for _, tc := range cases {
		tc.save(d)
		d.wantWoken(tc.reason)
	}
}

func TestRealLinks(t *testing.T) {
	d := onDisk(t, watch.Options{Debounce: 30 * time.Millisecond, Poll: time.Hour})
	for _, release := range []string{"1", "2", "3"} {
		d.write("releases/"+release+"/compose.yaml", release)
		d.write("mount/.."+release+"/compose.yaml", release)
	}
	d.swapLink("releases/1", "current")
	d.swapLink("..1", "mount/..data")
	d.swapLink("..data/compose.yaml", "mount/compose.yaml")
	d.Set("shop", []string{d.path("current/compose.yaml"), d.path("mount/compose.yaml")})
	d.swapLink("releases/2", "current")
	d.wantWoken("the folder's link was swapped")
	d.swapLink("..2", "mount/..data")
	d.wantWoken("the link in the middle was swapped")
	d.write("releases/2/compose.yaml", "only the target")
	d.wantWoken("the target's folder alone saw it")
	d.write("mount/..2/compose.yaml", "only the target")
	d.wantWoken("the target's folder alone saw it")
	d.swapLink("releases/3", "current")
	d.wantWoken("swapped again")
	d.must(os.RemoveAll(d.path("releases/3")))
	d.wantWoken("the target is gone")
}

func TestRealFolders(t *testing.T) {
	d := onDisk(t, watch.Options{Debounce: 30 * time.Millisecond, Poll: time.Hour})
	d.Set("shop", []string{d.path("srv/shop/compose.yaml"), d.path("srv/shop/policies")})
	d.write("srv/shop/compose.yaml", "first")
	d.wantWoken("two folders that were missing were made")
	d.must(os.RemoveAll(d.path("srv")))
	d.wantWoken("both removed")
	d.write("srv/shop/policies/a.yaml", "policy")
	d.wantWoken("made again, with another file")
	d.write("srv/shop/policies/a.yaml", "policy 2")
	d.wantWoken("and that is watched")
	d.must(os.Rename(d.path("srv/shop"), d.path("srv/shop.old")))
	d.wantWoken("moved away")
	d.write("srv/next/compose.yaml", "next")
	d.must(os.Rename(d.path("srv/next"), d.path("srv/shop")))
	d.wantWoken("another in its place")
	d.write("srv/shop/compose.yaml", "next in place")
	d.wantWoken("and that one is watched")
}

func TestRealPoll(t *testing.T) {
	d := onDisk(t, watch.Options{Debounce: time.Millisecond, Poll: 20 * time.Millisecond})
	d.write("a/b/compose.yaml", "first")
	d.write("a.new/b/compose.yaml", "second")
	d.Set("shop", []string{d.path("a/b/compose.yaml")})
	d.must(os.Rename(d.path("a"), d.path("a.old")), os.Rename(d.path("a.new"), d.path("a")))
	d.wantWoken("a folder further up was swapped, which has no event")
	d.write("a/b/compose.yaml", "second in place")
	d.wantWoken("and what is there now is watched")
}

// many are 1,000 names with three files each.
func many(tb testing.TB) map[string][]string {
	tb.Helper()
	dir := tb.TempDir()
	names := make(map[string][]string)
	for i := range 1000 {
		project := filepath.Join(dir, fmt.Sprintf("project-%d", i))
		if err := os.Mkdir(project, 0o755); err != nil {
			tb.Fatal(err)
		}
		var paths []string
		for _, file := range []string{"compose.yaml", "compose.override.yaml", ".env"} {
			paths = append(paths, filepath.Join(project, file))
		}
		if err := os.WriteFile(paths[0], nil, 0o600); err != nil {
			tb.Fatal(err)
		}
		names[filepath.Base(project)] = paths
	}
	return names
}

func BenchmarkSetThousand(b *testing.B) {
	names := many(b)
	for b.Loop() {
		w := watch.New(watch.Options{})
		for name, paths := range names {
			w.Set(name, paths)
		}
	}
}

func BenchmarkPollThousand(b *testing.B) {
	w := watch.New(watch.Options{})
	for name, paths := range many(b) {
		w.Set(name, paths)
	}
	for b.Loop() {
		w.LookAround()
	}
}
