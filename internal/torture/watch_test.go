package torture

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
)

// phase is how far an apply has come.
type phase string

// The phases, each from what begins it on.
const (
	planning   phase = "planning"   // from the start of the process
	locked     phase = "locked"     // the lock is there: the plan is made again, the record written, then the files
	patched    phase = "patched"    // the first file is told to be patched
	proving    phase = "proving"    // a replacement is there, beside the old container
	stopping   phase = "stopping"   // the old container is asked to end: until the new one starts, nobody serves
	waiting    phase = "waiting"    // the new container runs and is watched
	renaming   phase = "renaming"   // the first of two renames is done, and then it is between two swaps
	checking   phase = "checking"   // the last swap is done
	committing phase = "committing" // the first old container is gone
	unlocking  phase = "unlocking"  // the lock is gone
)

// phases are in the order in which the first swap goes through them; those from proving to renaming come again for each swap.
func phases() []phase {
	return []phase{planning, locked, patched, proving, stopping, waiting, renaming, checking, committing, unlocking}
}

// watch follows one apply from outside: by what it prints and by the engine's events.
type watch struct {
	project string

	mu      sync.Mutex
	now     phase
	since   time.Time
	entered map[phase]int
	lengths map[phase]time.Duration
	swapped int
	moved   chan struct{} // closed at each change
}

func newWatch(project string) *watch {
	return &watch{
		project: project, now: planning, since: time.Now(),
		entered: map[phase]int{planning: 1}, lengths: map[phase]time.Duration{}, moved: make(chan struct{}),
	}
}

// enter goes on to the phase, unless it is there already.
func (w *watch) enter(next phase) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now == next {
		return
	}
	w.lengths[w.now] = time.Since(w.since)
	w.now, w.since = next, time.Now()
	w.entered[next]++
	close(w.moved)
	w.moved = make(chan struct{})
}

// until waits for the phase to begin for the nth time, and reports whether it did before ended is closed.
func (w *watch) until(wanted phase, nth int, ended <-chan struct{}) bool {
	for {
		w.mu.Lock()
		times, moved := w.entered[wanted], w.moved
		w.mu.Unlock()
		if times >= nth {
			return true
		}
		select {
		case <-moved:
		case <-ended:
			return false
		}
	}
}

func (w *watch) current() phase {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// lines takes what apply prints on stderr, to the end, and returns it.
func (w *watch) lines(from io.Reader) string {
	var told strings.Builder
	for scanner := bufio.NewScanner(from); scanner.Scan(); {
		fmt.Fprintln(&told, scanner.Text())
		if strings.HasPrefix(scanner.Text(), "patched ") && w.current() == locked {
			w.enter(patched)
		}
	}
	return told.String()
}

// event takes one of the engine's. The old containers are known by not being new.
func (w *watch) event(e events.Message) {
	name := e.Actor.Attributes["name"]
	isLock, isNew := name == "composure-lock-"+w.project, e.Actor.Attributes["composure.replaces"] != ""
	if !isLock && e.Actor.Attributes[labelProject] != w.project {
		return
	}
	switch {
	case isLock && e.Action == events.ActionCreate:
		w.enter(locked)
	case isLock && e.Action == events.ActionDestroy:
		w.enter(unlocking)
	case isNew && e.Action == events.ActionCreate:
		w.enter(proving)
	case e.Action == events.ActionKill && w.current() == proving:
		w.enter(stopping)
	case isNew && e.Action == events.ActionStart:
		w.enter(waiting)
	case e.Action == events.ActionRename && w.current() == waiting:
		w.enter(renaming)
	case e.Action == events.ActionRename:
		w.mu.Lock()
		w.swapped++
		last := w.swapped == swaps
		w.mu.Unlock()
		if last {
			w.enter(checking)
		}
	case e.Action == events.ActionDestroy && w.current() == checking:
		w.enter(committing)
	}
}

// applied is an apply that was followed.
type applied struct {
	result
	lengths map[phase]time.Duration
}

// follow runs an apply that makes two swaps, and does what is wanted once it has come to a phase. The apply's end is waited for.
func (p *project) follow(do func(w *watch, apply *exec.Cmd, ended <-chan struct{})) applied {
	p.t.Helper()
	cmd := p.applying("-v")
	var stdout strings.Builder
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	w, ended, told := newWatch(p.name), make(chan struct{}), make(chan string, 1)
	p.feed(w, ended)
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has long ended, unless the test gave up
	go func() {
		told <- w.lines(stderr)
		close(ended)
	}()
	do(w, cmd, ended)
	got := applied{result: result{stderr: <-told}}
	_ = cmd.Wait() // its exit code is what the caller looks at
	got.stdout, got.code = stdout.String(), cmd.ProcessState.ExitCode()
	w.mu.Lock()
	defer w.mu.Unlock()
	got.lengths = maps.Clone(w.lengths)
	return got
}

// feed gives the watch the engine's events from now on, until over is closed.
func (p *project) feed(w *watch, over <-chan struct{}) {
	p.t.Helper()
	heard, stop := newListener(p.t, p.made.engine)
	go func() {
		defer stop()
		for {
			select {
			case e, more := <-heard:
				if !more {
					return
				}
				w.event(e)
			case <-over:
				return
			}
		}
	}()
}

// newListener hears the engine's events of containers from now on.
func newListener(t *testing.T, engine *client.Client) (heard <-chan events.Message, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stream := engine.Events(ctx, client.EventsListOptions{Filters: client.Filters{}.Add("type", "container")})
	return stream.Messages, cancel
}

// histogram is one line for each phase, in order.
func histogram(counts map[phase]int) string {
	var words strings.Builder
	for _, each := range phases() {
		fmt.Fprintf(&words, "  %-10s %3d %s\n", each, counts[each], strings.Repeat("#", counts[each]))
	}
	return words.String()
}

// perSwap are the phases that come again for each container.
func perSwap() []phase { return []phase{proving, stopping, waiting, renaming} }

// rarest is the phase that was met least.
func rarest(counts map[phase]int) phase {
	return slices.MinFunc(phases(), func(a, b phase) int { return counts[a] - counts[b] })
}
