package watch_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/composure-dev/composure/internal/watch"
)

// contents is what a reader of the paths sees.
func (d *disk) contents(paths []string) string {
	var all strings.Builder
	for _, path := range paths {
		content, err := os.ReadFile(path)
		fmt.Fprintf(&all, "%s %q %t\n", path, content, err == nil)
	}
	return all.String()
}

// TestRandomChanges does what may happen to files and folders in any order. Whenever a reader sees another thing than before, the name
// is given out, without a poll.
func TestRandomChanges(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	d := onDisk(t, watch.Options{Debounce: 5 * time.Millisecond, Poll: time.Hour})
	paths := []string{d.path("shop/compose.yaml"), d.path("link/compose.yaml"), d.path("shop/.env"), d.path("deep/er/compose.yaml")}
	d.Set("shop", paths)
	folders := []string{"shop", "one", "two", "deep/er"}
	files := []string{"compose.yaml", ".env"}
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	var trace []string
	for step := range 150 {
		before := d.contents(paths)
		folder, file := pick(folders), pick(files)
		switch verb := pick([]string{"write", "over", "remove", "rmdir", "link", "filelink", "replace"}); verb {
		case "write":
			d.must(os.MkdirAll(d.path(folder), 0o755))
			_ = os.WriteFile(d.path(folder+"/"+file), []byte(fmt.Sprint(step)), 0o600) // not through a link to nowhere
		case "over":
			d.write(folder+"/tmp", fmt.Sprint(step))
			d.must(os.Rename(d.path(folder+"/tmp"), d.path(folder+"/"+file)))
		case "remove":
			_ = os.Remove(d.path(folder + "/" + file))
		case "rmdir":
			d.must(os.RemoveAll(d.path(folder)))
		case "link":
			d.swapLink(pick([]string{"one", "two", "missing"}), "link")
		case "filelink":
			_ = os.Remove(d.path(folder + "/" + file))
			d.must(os.MkdirAll(d.path(folder), 0o755), os.Symlink(d.path("one/.env"), d.path(folder+"/"+file)))
		case "replace":
			d.write("fresh/"+file, fmt.Sprint(step))
			d.must(os.RemoveAll(d.path(folder)), os.MkdirAll(filepath.Dir(d.path(folder)), 0o755), os.Rename(d.path("fresh"), d.path(folder)))
		default:
			t.Fatal(verb)
		}
		trace = append(trace, fmt.Sprintf("%s/%s", folder, file))
		if d.contents(paths) == before {
			continue
		}
		select {
		case <-d.woken:
			d.drain()
		case <-time.After(deadline):
			t.Fatalf("step %d was not noticed: %v\nbefore:\n%safter:\n%s", step, trace[max(0, len(trace)-5):], before, d.contents(paths))
		}
	}
}

// drain waits until all that has happened was given out.
func (d *disk) drain() {
	for {
		select {
		case <-d.woken:
		case <-time.After(20 * time.Millisecond):
			return
		}
	}
}

// TestConcurrentUse is for the race detector, and for locks that wait for each other.
func TestConcurrentUse(t *testing.T) {
	d := onDisk(t, watch.Options{Debounce: time.Millisecond, Poll: 2 * time.Millisecond})
	var all sync.WaitGroup
	for worker := range 6 {
		all.Go(func() {
			name := fmt.Sprintf("project-%d", worker%3)
			for i := range 100 {
				path := d.path(fmt.Sprintf("%s/%d/compose.yaml", name, i%5))
				d.Set(name, []string{path, d.path("shared.env")})
				_ = os.MkdirAll(filepath.Dir(path), 0o755)
				_ = os.WriteFile(path, []byte(name), 0o600)
				if i%10 == 0 {
					d.Forget(name)
					_ = os.RemoveAll(filepath.Dir(path))
				}
			}
		})
	}
	idle := make(chan struct{})
	go func() {
		defer close(idle)
		all.Wait()
	}()
	for {
		select {
		case <-d.woken:
		case <-idle:
			return
		}
	}
}
