package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"

	"github.com/composure-dev/composure/controller"
	"github.com/composure-dev/composure/internal/api"
)

// daemon is one life of composure run.
type daemon struct {
	w       *world
	client  *client
	watcher *watcher
	pipe    *pipe
	http    *http.Client
	cancel  context.CancelFunc
	ended   chan struct{}
	err     error
}

func (w *world) start() {
	w.logf("the daemon starts")
	d := &daemon{w: w, client: newClient(w), watcher: newWatcher(), pipe: newPipe(), ended: make(chan struct{})}
	d.http = &http.Client{Transport: &http.Transport{DialContext: d.pipe.dial, DisableKeepAlives: true}}
	ctx, cancel := context.WithCancel(w.t.Context())
	d.cancel = cancel
	config := controller.Config{
		Policies: []string{w.policies.dir}, All: true, AllowRoots: []string{w.root}, StateDir: w.state.Dir, Log: d.logger(), Version: "sim",
		Open: func(context.Context) (controller.Engine, error) { return d.client, nil },
	}
	options := controller.RunOptions{
		MaxServices: 1000, Resync: w.resync, Watcher: d.watcher, Listener: d.pipe,
		Open: func(context.Context) (controller.LiveEngine, error) { return d.client, nil },
	}
	w.daemon = d
	go func() {
		defer close(d.ended)
		_, d.err = controller.Run(ctx, config, options)
	}()
}

// stop lets it end as SIGTERM does.
func (d *daemon) stop() {
	d.w.logf("the daemon is told to end")
	d.cancel()
	<-d.ended
	if d.err != nil {
		d.w.problemf("the daemon ends with %v", d.err)
	}
}

// kill ends it in the middle of whatever it is at: nothing that it does from now on has an effect.
func (d *daemon) kill() {
	d.client.die()
	d.cancel()
	<-d.ended
	d.w.thaw()
	d.w.logf("the daemon is dead")
}

// logger takes every line for what it is: no place for secrets. It is also where a process may die that is at work on files.
func (d *daemon) logger() logr.Logger {
	return funcr.New(func(_, line string) {
		if strings.Contains(line, secret) {
			d.w.problemf("a secret is in the log: %s", line)
		}
		if strings.Contains(line, "Finished step") {
			d.dieAt(line)
			return
		}
		if !strings.Contains(line, `"steps"`) {
			d.w.logf("log: %s", shortened(line))
		}
	}, funcr.Options{Verbosity: 1})
}

func (d *daemon) dieAt(line string) {
	f, now := d.w.faults, false
	f.set(func(f *faults) {
		if f.logs > 0 {
			f.logs--
			now = f.logs == 0
		}
	})
	if now {
		f.count("crash between two steps")
		d.w.logf("fault: it dies at: %s", shortened(line))
		d.client.die()
		d.client.exit()
	}
}

func shortened(line string) string {
	const most = 400
	if len(line) > most {
		return line[:most] + " ..."
	}
	return line
}

// told is what a project's conditions say.
func told(p api.Project) controller.Status {
	is := func(kind string) bool { return api.Find(p.Conditions, kind).Status == api.True }
	ready := api.Find(p.Conditions, api.Ready)
	return controller.Status{
		Project: p.Name, Ready: is(api.Ready), Reconciling: is(api.Reconciling), Stalled: is(api.Stalled), Reason: controller.Reason(ready.Reason),
		Message: ready.Message, Differences: p.Differences, Held: p.Held, LookedAt: p.LookedAt,
	}
}

// statuses asks the daemon over its HTTP interface.
func (d *daemon) statuses() (map[string]controller.Status, error) {
	ctx, cancel := context.WithTimeout(d.w.t.Context(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/api/v1/projects", nil)
	if err != nil {
		return nil, err
	}
	response, err := d.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer api.List[api.Project]
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err
	}
	found := map[string]controller.Status{}
	for _, project := range answer.Items {
		status := told(project)
		found[status.Project] = status
		if text := fmt.Sprintf("%+v", status); strings.Contains(text, secret) {
			d.w.problemf("a secret is in a status: %s", text)
		}
	}
	return found, nil
}

// watcher is told by the world which files have changed.
type watcher struct {
	mu      sync.Mutex
	paths   map[string][]string
	changed chan string
}

func newWatcher() *watcher {
	return &watcher{paths: map[string][]string{}, changed: make(chan string, 1024)}
}

func (w *watcher) Set(name string, paths []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.paths[name] = paths
}

func (w *watcher) Forget(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.paths, name)
}

func (w *watcher) Run(ctx context.Context, changed func(string)) error {
	for {
		select {
		case name := <-w.changed:
			time.Sleep(200 * time.Millisecond) //nolint:forbidigo // the bubble's clock; the real one waits as long
			changed(name)
		case <-ctx.Done():
			return nil
		}
	}
}

func (w *watcher) names() (names []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name := range w.paths {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (w *watcher) touch(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, paths := range w.paths {
		if slices.ContainsFunc(paths, func(p string) bool { return p == path || p == filepath.Dir(path) }) {
			select {
			case w.changed <- name:
			default:
			}
		}
	}
}

// pipe is a listener without a network.
type pipe struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newPipe() *pipe {
	p := &pipe{conns: make(chan net.Conn), closed: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.closed) })
	return p
}

func (p *pipe) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipe) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipe) Close() error {
	p.close()
	return nil
}

func (p *pipe) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }
