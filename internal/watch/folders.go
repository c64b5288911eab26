package watch

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

// notifier watches folders, not deeper.
type notifier interface {
	Add(folder string) error
	Remove(folder string) error
	Close() error
}

// source is a notifier and what comes out of it.
type source struct {
	notifier notifier
	events   <-chan fsnotify.Event
	lost     <-chan struct{} // events were lost
}

// openNotify is the operating system's notifier.
func openNotify() (source, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return source{}, err
	}
	lost := make(chan struct{}, 1)
	// fsnotify may wait for a reader of an error with a lock held that Add needs, so they are read apart from all else. Whatever the
	// error, all that can be done is to look.
	go func() {
		for range watcher.Errors {
			select {
			case lost <- struct{}{}:
			default:
			}
		}
	}()
	return source{notifier: watcher, events: watcher.Events, lost: lost}, nil
}

// note finds out whom an event concerns.
func (w *Watcher) note(event fsnotify.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if itself := w.folders[event.Name]; itself != nil {
		if event.Has(fsnotify.Remove | fsnotify.Rename) {
			itself.seen = "" // its watch is gone as well
		}
		for _, names := range itself.names {
			w.touchAll(names, now)
		}
	}
	around := w.folders[filepath.Dir(event.Name)]
	if around == nil {
		return
	}
	base := filepath.Base(event.Name)
	w.touchAll(around.names[base], now)
	if isYAML(base) {
		w.touchAll(around.names[anyYAML], now)
	}
}

func (w *Watcher) touchAll(names map[string]bool, now time.Time) {
	for name := range names {
		w.touch(name, now)
	}
}

// compare has a name looked at when it differs from what was last given out.
func (w *Watcher) compare(name string, shared *pass) {
	known := w.names[name]
	stamps, spots := shared.all(known)
	if w.move(name, known, spots) {
		stamps = w.look(name, known)
	}
	if _, waits := w.pending[name]; !waits && !maps.Equal(stamps, known.stamps) {
		w.touch(name, time.Now())
	}
}

// attempts is how often a look begins anew because a watch had to be set first.
const attempts = 5

// look takes the stamps of a name's paths, after the watches on all that they lead over are in place: what happens later is an event.
func (w *Watcher) look(name string, known *subject) map[string]string {
	for range attempts {
		stamps, spots := newPass().all(known)
		if !w.move(name, known, spots) {
			return stamps
		}
	}
	stamps, _ := newPass().all(known) // somebody is quicker than this; the poll is not in a hurry
	return stamps
}

// move makes the spots those of the name, and reports whether a watch was set for that.
func (w *Watcher) move(name string, known *subject, spots []spot) (added bool) {
	if !slices.Equal(known.spots, spots) {
		for _, entered := range spots {
			w.enter(name, entered)
		}
		for _, left := range known.spots {
			if _, stays := slices.BinarySearchFunc(spots, left, compareSpots); !stays {
				w.leave(name, left)
			}
		}
		known.spots = spots
	}
	for i, each := range spots {
		if i == 0 || spots[i-1].folder != each.folder {
			added = w.keep(each.folder) || added
		}
	}
	return added
}

func (w *Watcher) enter(name string, at spot) {
	in := w.folders[at.folder]
	if in == nil {
		in = &folder{names: make(map[string]map[string]bool)}
		w.folders[at.folder] = in
	}
	if in.names[at.base] == nil {
		in.names[at.base] = make(map[string]bool)
	}
	in.names[at.base][name] = true
}

func (w *Watcher) leave(name string, at spot) {
	in := w.folders[at.folder]
	delete(in.names[at.base], name)
	if len(in.names[at.base]) == 0 {
		delete(in.names, at.base)
	}
	if len(in.names) > 0 {
		return
	}
	delete(w.folders, at.folder)
	w.unwatch(at.folder)
}

func (w *Watcher) unwatch(path string) {
	if w.notifier == nil {
		return
	}
	if err := w.notifier.Remove(path); err != nil && !errors.Is(err, fsnotify.ErrNonExistentWatch) {
		w.log.Error(err, "removing the watch on a folder failed", "folder", path)
	}
}

// keep sets a watch on a folder that has none, or whose watch is on another folder that was there before, and reports whether it did.
func (w *Watcher) keep(path string) bool {
	if w.notifier == nil {
		return false
	}
	in, now := w.folders[path], identity(path)
	if in.seen == now {
		return false
	}
	if in.seen != "" {
		w.unwatch(path)
	}
	in.seen = ""
	err := w.notifier.Add(path)
	switch {
	case err == nil:
		in.seen = now
		return true
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return true // gone this instant: the look begins anew
	}
	w.degrade(err)
	return false
}

// degrade says once that the poll is all there is, for some folders or for all.
func (w *Watcher) degrade(err error) {
	if w.degraded {
		return
	}
	w.degraded = true
	advice := "none needed where changes may be seen late"
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EMFILE) {
		advice = "raise fs.inotify.max_user_watches and fs.inotify.max_user_instances with sysctl, and restart"
	}
	if errors.Is(err, fs.ErrPermission) {
		advice = "let this user read the folder"
	}
	w.log.Info("changes of files are found by polling, because folders cannot be watched", "error", err.Error(), "poll", w.poll.String(), "advice", advice)
}
