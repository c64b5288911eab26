package watch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/internal/watch"
)

const (
	debounce = 200 * time.Millisecond
	poll     = 30 * time.Second
)

// world is a watcher on the virtual clock, with a folder of real files and events that the test sends.
type world struct {
	*watch.Watcher
	t     *testing.T
	fake  *watch.Fake
	dir   string
	begin time.Time
	log   []string
	woken []string // "NAME at AGE"
}

// inWorld runs a test while the watcher runs. set is called before that.
func inWorld(t *testing.T, unavailable error, set, test func(*world)) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, fake: watch.NewFake(), dir: dir, begin: time.Now()}
		w.Watcher = watch.New(watch.Options{Log: funcr.New(func(_, args string) { w.log = append(w.log, args) }, funcr.Options{})})
		w.Use(w.fake, unavailable)
		set(w)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- w.Run(ctx, func(name string) {
				w.woken = append(w.woken, fmt.Sprintf("%s at %s", name, time.Since(w.begin)))
			})
		}()
		synctest.Wait()
		test(w)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if unavailable == nil && !w.fake.Closed() {
			t.Error("the notifier is still open")
		}
		w.Set("after", []string{w.path("late")})
		w.Forget("after")
	})
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(name, content string) {
	w.t.Helper()
	path := w.path(name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		w.t.Fatal(err)
	}
}

// event sends one, and waits until it is noted.
func (w *world) event(name string, op fsnotify.Op) {
	w.fake.Events <- fsnotify.Event{Name: w.path(name), Op: op}
	synctest.Wait()
}

// pass lets time go by.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (w *world) want(reason string, woken ...string) {
	w.t.Helper()
	if diff := cmp.Diff(woken, w.woken); diff != "" {
		w.t.Errorf("%s (-want +got):\n%s", reason, diff)
	}
}

func setShop(w *world) {
	w.write("compose.yaml", "a")
	w.Set("shop", []string{w.path("compose.yaml"), w.path(".env"), w.path("sub/.env")})
}

func TestBurstWakesOnce(t *testing.T) {
	inWorld(t, nil, setShop, func(w *world) {
		for i := range 5 {
			w.write("compose.yaml", strings.Repeat("x", i+2))
			w.event("compose.yaml", fsnotify.Write)
			pass(100 * time.Millisecond)
		}
		pass(time.Second)
		w.want("once, a debounce after the last event", "shop at 600ms")
	})
}

func TestEndlessBurstWakesInTheEnd(t *testing.T) {
	inWorld(t, nil, setShop, func(w *world) {
		for i := range 45 {
			w.write("compose.yaml", strings.Repeat("x", i+2))
			w.event("compose.yaml", fsnotify.Write)
			pass(100 * time.Millisecond)
		}
		w.want("ten debounces after the first event, and again", "shop at 2s", "shop at 4s")
	})
}

func TestOnlyChangesWake(t *testing.T) {
	cases := map[string]struct {
		reason  string
		change  func(*world)
		foreign bool // of no file that counts
		want    bool
	}{
		"Nothing":  {reason: "An event without a change.", change: func(w *world) { w.event("compose.yaml", fsnotify.Chmod) }},
		"Vim":      {reason: "Vim tries whether it can write.", change: func(w *world) { w.write("4913", ""); w.event("4913", fsnotify.Create) }, foreign: true},
		"Swap":     {reason: "Vim's swap file.", change: func(w *world) { w.write(".compose.yaml.swp", ""); w.event(".compose.yaml.swp", fsnotify.Create) }, foreign: true},
		"Backup":   {reason: "A backup.", change: func(w *world) { w.write("compose.yaml~", ""); w.event("compose.yaml~", fsnotify.Create) }, foreign: true},
		"Own":      {reason: "Composure's own.", change: func(w *world) { w.write(".composure.lock", ""); w.event(".composure.lock", fsnotify.Create) }, foreign: true},
		"Neighbor": {reason: "Another file.", change: func(w *world) { w.write("app.log", ""); w.event("app.log", fsnotify.Write) }, foreign: true},
		"Size":     {reason: "Another size.", change: func(w *world) { w.write("compose.yaml", "other"); w.event("compose.yaml", fsnotify.Write) }, want: true},
		"Appears":  {reason: "A file that was missing.", change: func(w *world) { w.write(".env", ""); w.event(".env", fsnotify.Create) }, want: true},
		"Vanishes": {reason: "A file is gone.", change: func(w *world) { _ = os.Remove(w.path("compose.yaml")); w.event("compose.yaml", fsnotify.Remove) }, want: true},
		"Mode":     {reason: "It cannot be read any more.", change: func(w *world) { _ = os.Chmod(w.path("compose.yaml"), 0); w.event("compose.yaml", fsnotify.Chmod) }, want: true},
		"NoFolder": {reason: "What is in no folder is as absent as before.", change: func(w *world) {
			w.write("sub", "a file")
			w.event("sub", fsnotify.Create)
		}},
		"BackAgain": {reason: "Gone only for a moment, then as before.", change: func(w *world) {
			_ = os.Rename(w.path("compose.yaml"), w.path("aside"))
			w.event("compose.yaml", fsnotify.Rename)
			_ = os.Rename(w.path("aside"), w.path("compose.yaml"))
			w.event("compose.yaml", fsnotify.Create)
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, setShop, func(w *world) {
				tc.change(w)
				if _, _, pending := w.Holds(); tc.foreign && pending > 0 {
					t.Errorf("%s\nit was worth a look", tc.reason)
				}
				pass(2*poll + debounce)
				if tc.want {
					w.want(tc.reason, "shop at 200ms")
					return
				}
				w.want(tc.reason)
			})
		})
	}
}

func TestFolder(t *testing.T) {
	set := func(w *world) {
		w.write("policies/a.yaml", "a")
		w.Set("policies", []string{w.path("policies")})
	}
	inWorld(t, nil, set, func(w *world) {
		for _, name := range []string{"README.md", ".#a.yaml", ".composure.123.yaml", "a.yaml~", "deeper/b.yaml"} {
			w.write("policies/"+name, "x")
			w.event("policies/"+name, fsnotify.Create)
		}
		pass(time.Second)
		w.want("none of these is a policy")
		w.write("policies/b.YML", "b")
		w.event("policies/b.YML", fsnotify.Create)
		pass(time.Second)
		_ = os.Remove(w.path("policies/a.yaml"))
		w.event("policies/a.yaml", fsnotify.Remove)
		pass(time.Second)
		w.want("one more, one less", "policies at 1.2s", "policies at 2.2s")
	})
}

func TestPollFindsWhatHasNoEvents(t *testing.T) {
	inWorld(t, nil, setShop, func(w *world) {
		w.write("compose.yaml", "other")
		pass(poll + debounce)
		w.want("no event came", "shop at 30.2s")
		pass(3 * poll)
		w.want("and once only", "shop at 30.2s")
	})
}

func TestLostEventsAreMadeUpFor(t *testing.T) {
	inWorld(t, nil, setShop, func(w *world) {
		w.write("compose.yaml", "other")
		w.fake.Lost <- struct{}{}
		pass(time.Second)
		w.want("the queue of the kernel ran over", "shop at 200ms")
	})
}

func TestWithoutWatches(t *testing.T) {
	exhausted := fmt.Errorf("no more: %w", syscall.EMFILE)
	refuse := func(w *world) {
		w.fake.Refuse(syscall.ENOSPC)
		setShop(w)
		w.Set("other", []string{w.path("elsewhere/compose.yaml")})
	}
	for name, unavailable := range map[string]error{"NoInstance": exhausted, "NoWatch": nil} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, unavailable, refuse, func(w *world) {
				w.Set("third", []string{w.path("third/compose.yaml")})
				w.write("third/compose.yaml", "new")
				w.write("compose.yaml", "other")
				pass(3 * poll)
				w.want("polling goes on", "shop at 30.2s", "third at 30.2s")
				if len(w.log) != 1 || !strings.Contains(w.log[0], "max_user_watches") {
					t.Errorf("want one line that says what to do, got %q", w.log)
				}
			})
		})
	}
}

func TestWatchesComeBack(t *testing.T) {
	inWorld(t, nil, func(w *world) { w.fake.Refuse(syscall.ENOSPC); setShop(w) }, func(w *world) {
		w.fake.Refuse(nil)
		pass(poll + time.Second)
		w.write("compose.yaml", "other")
		w.event("compose.yaml", fsnotify.Write)
		pass(debounce)
		w.want("there is room again", "shop at 31.2s")
	})
}

func TestSetAndForget(t *testing.T) {
	inWorld(t, nil, setShop, func(w *world) {
		w.write("shared.env", "a")
		w.Set("other", []string{w.path("shared.env"), w.path("far/compose.yaml")})
		if watched := w.fake.Watched(); !slices.Equal(watched, []string{w.dir}) || w.fake.Added(w.dir) != 1 {
			t.Errorf("want one watch on %s, got %v, set %d times", w.dir, watched, w.fake.Added(w.dir))
		}
		w.write("compose.yaml", "other")
		w.Set("shop", []string{w.path("compose.yaml")})
		pass(time.Second)
		w.want("what changed before a second Set without an event is not lost", "shop at 200ms")
		w.Set("shop", []string{w.path("shared.env")})
		w.write("compose.yaml", "third")
		w.event("compose.yaml", fsnotify.Write)
		w.write("shared.env", "b")
		w.event("shared.env", fsnotify.Write)
		w.Forget("other")
		pass(time.Second)
		w.want("the paths were replaced, and one name forgotten", "shop at 200ms", "shop at 1.2s")
		w.Forget("shop")
		w.Forget("shop")
		w.event("shared.env", fsnotify.Write)
		if names, folders, pending := w.Holds(); names+folders+pending+len(w.fake.Watched()) != 0 {
			t.Errorf("left over: %d names, %d folders, %d pending, watches %v", names, folders, pending, w.fake.Watched())
		}
	})
}

func TestChangedBeforeRun(t *testing.T) {
	set := func(w *world) {
		setShop(w)
		w.write("compose.yaml", "other")
	}
	inWorld(t, nil, set, func(w *world) {
		pass(time.Second)
		w.want("between Set and Run", "shop at 200ms")
	})
}

func TestNamesComeInOrder(t *testing.T) {
	set := func(w *world) {
		for _, name := range []string{"c", "a", "b"} {
			w.Set(name, []string{w.path("shared.env"), w.path(name)})
		}
	}
	inWorld(t, nil, set, func(w *world) {
		w.write("shared.env", "")
		w.event("shared.env", fsnotify.Create)
		pass(time.Second)
		w.want("all that share a file", "a at 200ms", "b at 200ms", "c at 200ms")
	})
}

func TestWatchedFolders(t *testing.T) {
	cases := map[string]struct {
		reason string
		paths  []string
		want   []string
	}{
		"Missing":  {reason: "The nearest folder that exists.", paths: []string{"no/such/folder/.env"}, want: []string{"."}},
		"Link":     {reason: "Where the link is, and where it leads.", paths: []string{"links/compose.yaml"}, want: []string{"links", "real"}},
		"Data":     {reason: "As Kubernetes mounts files: a link to a link to a folder.", paths: []string{"mount/compose.yaml"}, want: []string{"mount", "mount/..1"}},
		"Circle":   {reason: "Links in a circle lead nowhere.", paths: []string{"circle/a"}, want: []string{"circle"}},
		"Dangling": {reason: "A link to what does not exist.", paths: []string{"links/dangling"}, want: []string{"links", "real"}},
		"Folder":   {reason: "A folder of files, one of which is a link.", paths: []string{"folder"}, want: []string{".", "folder", "real"}},
		"File":     {reason: "A folder that is a file.", paths: []string{"real/compose.yaml/x"}, want: []string{"real/compose.yaml"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			set := func(w *world) {
				w.write("real/compose.yaml", "a")
				w.write("mount/..1/compose.yaml", "a")
				w.write("folder/a.yaml", "a")
				w.link("links/compose.yaml", w.path("real/compose.yaml"))
				w.link("links/dangling", "../real/nothing")
				w.link("mount/..data", "..1")
				w.link("mount/compose.yaml", "..data/compose.yaml")
				w.link("circle/a", "b")
				w.link("circle/b", "a")
				w.link("folder/b.yaml", "../real/compose.yaml")
				var paths []string
				for _, path := range tc.paths {
					paths = append(paths, w.path(path))
				}
				w.Set("shop", paths)
			}
			inWorld(t, nil, set, func(w *world) {
				var want []string
				for _, folder := range tc.want {
					want = append(want, w.path(folder))
				}
				if diff := cmp.Diff(want, w.fake.Watched()); diff != "" {
					t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
				}
			})
		})
	}
}

func (w *world) link(name, target string) {
	w.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(w.path(name)), 0o755), os.Symlink(target, w.path(name))); err != nil {
		w.t.Fatal(err)
	}
}

func setApart(w *world) {
	w.write("a/b/compose.yaml", "a")
	w.Set("shop", []string{w.path("a/b/compose.yaml")})
}

func TestWatchIsSetAnew(t *testing.T) {
	cases := map[string]struct {
		reason string
		happen func(*world)
	}{
		"Gone": {reason: "The watch went with the folder; the new one may have its inode.", happen: func(w *world) { w.event("a/b", fsnotify.Remove) }},
		"Swapped": {reason: "Another folder is there, and no event told.", happen: func(w *world) {
			w.write("c/b/compose.yaml", "c")
			if err := errors.Join(os.Rename(w.path("a"), w.path("a.old")), os.Rename(w.path("c"), w.path("a"))); err != nil {
				t.Fatal(err)
			}
			pass(poll)
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, setApart, func(w *world) {
				tc.happen(w)
				pass(debounce)
				if added := w.fake.Added(w.path("a/b")); added != 2 {
					t.Errorf("%s\na watch was set %d times, want 2", tc.reason, added)
				}
			})
		})
	}
}

// What happens between a look and the watch has no event.
func TestNoGapBeforeAWatch(t *testing.T) {
	set := func(w *world) { w.Set("shop", []string{w.path("a/compose.yaml")}) }
	inWorld(t, nil, set, func(w *world) {
		w.fake.Late = func(folder string) {
			if folder == w.path("a") {
				w.write("a/compose.yaml", "late")
			}
		}
		if err := os.Mkdir(w.path("a"), 0o755); err != nil {
			t.Fatal(err)
		}
		w.event("a", fsnotify.Create)
		pass(poll / 2)
		w.want("the file came while its folder was about to be watched", "shop at 200ms")
	})
}
