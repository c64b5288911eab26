package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/container"
)

const (
	lockPrefix = "composure-lock-"
	// lockAttempts bounds how often a lock is tried that is taken and yet cannot be seen: the engine reserves a name a moment
	// before there is a container, and frees it a moment after.
	lockAttempts = 30
)

// Locker keeps two transactions off one project, on the engine itself: two hosts may share an engine, and no file.
type Locker struct {
	Reader Reader
	Writer Writer
	Prober Prober
	Host   string // name of this host
	// Alive reports whether a process of this host runs. A lock of this host whose process is gone is replaced.
	Alive func(pid int) bool
	// Born tells the process that has an id from others that have had it; empty where that is not known.
	Born func(pid int) string
	// UnderWay reports whether this very process is at work on a transaction: it may have failed to remove the lock of one that has
	// ended. Nil: whoever asks is at work on all that it has begun.
	UnderWay func(transaction string) bool
}

// Life is what is known of a process that a lock or a record names.
type Life int

// The three that there are. Only the first says that what the process had begun may be put in order.
const (
	LifeOver   Life = iota // it is gone, whatever has its id now
	LifeUnsure             // a process has its id, and may be another one
	LifeSure               // that very process runs
)

// Life tells how a process of this host is that had this id and birth when it wrote them down; born is empty where it noted none. One
// with the id of this process that noted none is a predecessor, as in a container whose first process always has the same id: where
// births are known, this process notes its own.
func (l *Locker) Life(pid int, born string) Life {
	if !l.Alive(pid) {
		return LifeOver
	}
	switch now := l.Born(pid); {
	case now == "", born == "" && pid != os.Getpid():
		return LifeUnsure
	case now == born:
		return LifeSure
	}
	return LifeOver
}

// LockedError is a lock that somebody holds.
type LockedError struct {
	Project     string
	Host        string
	Transaction string
	Since       time.Time // zero when the lock does not tell
	// Command breaks the lock, if it is known to be stale.
	Command string
}

func (e *LockedError) Error() string {
	message := fmt.Sprintf("project %q is locked by transaction %q on host %q", e.Project, e.Transaction, e.Host)
	if e.Since.IsZero() {
		return message
	}
	return message + " since " + e.Since.UTC().Format(time.RFC3339)
}

// Lock takes the project's lock: a container that is never started, whose name the engine gives only once. It returns a
// *[LockedError] when another transaction holds it. Unlocking a lock that somebody broke is no error.
func (l *Locker) Lock(ctx context.Context, project, transaction string) (unlock func(context.Context) error, err error) {
	ref, err := l.Prober.EnsureImage(ctx)
	if err != nil {
		return nil, err
	}
	spec := l.spec(ref, project, transaction)
	for range lockAttempts {
		id, err := l.Writer.Create(ctx, spec)
		if err == nil {
			return func(ctx context.Context) error { return l.remove(ctx, id) }, nil
		}
		if !errors.Is(err, ErrConflict) {
			return nil, err
		}
		holder, err := l.Reader.Inspect(ctx, "/"+spec.Name)
		if errors.Is(err, ErrNotFound) {
			if err := pause(ctx, pollInterval); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if !l.stale(holder) && !l.unanswered(holder, transaction) {
			return nil, locked(project, holder)
		}
		if err := l.remove(ctx, holder.ID); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("lock project %q: %w: the lock changes hands", project, ErrConflict)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// Holder finds the project's lock among the engine's containers. It returns nil when nobody holds it, or only a process of this
// host that is gone.
func (l *Locker) Holder(project string, all []Container) *LockedError {
	for _, c := range all {
		if c.CleanName() == lockPrefix+project && c.Label(LabelRole) == RoleLock && !l.stale(c) {
			return locked(project, c)
		}
	}
	return nil
}

// Stale finds the lock that a process of this host has left behind. The next [Locker.Lock] replaces it.
func (l *Locker) Stale(project string, all []Container) (Container, bool) {
	for _, c := range all {
		if c.CleanName() == lockPrefix+project && l.stale(c) {
			return c, true
		}
	}
	return Container{}, false
}

func (l *Locker) spec(ref, project, transaction string) Spec {
	labels := map[string]string{
		LabelRole:        RoleLock,
		LabelTransaction: transaction,
		LabelHost:        l.Host,
		LabelPID:         strconv.Itoa(os.Getpid()),
		LabelStarted:     time.Now().UTC().Format(time.RFC3339),
	}
	if born := l.Born(os.Getpid()); born != "" {
		labels[LabelProcess] = born
	}
	return Spec{
		Name: lockPrefix + project,
		Config: &container.Config{
			Image:      ref,
			Entrypoint: []string{probePath},
			Labels:     labels,
		},
		Host: &container.HostConfig{NetworkMode: "none"},
	}
}

// stale holds for a lock whose process is known to be gone, or that this process could not remove. That of another host cannot be
// known.
func (l *Locker) stale(holder Container) bool {
	if holder.Label(LabelRole) != RoleLock || holder.Label(LabelHost) != l.Host {
		return false
	}
	pid, err := strconv.Atoi(holder.Label(LabelPID))
	if err != nil {
		return false
	}
	life := l.Life(pid, holder.Label(LabelProcess))
	own := life == LifeSure && pid == os.Getpid() && l.UnderWay != nil
	return life == LifeOver || own && !l.UnderWay(holder.Label(LabelTransaction))
}

// unanswered holds for a lock that this very transaction has made without being told so.
func (l *Locker) unanswered(holder Container, transaction string) bool {
	return holder.Label(LabelRole) == RoleLock && holder.Label(LabelTransaction) == transaction &&
		holder.Label(LabelHost) == l.Host && holder.Label(LabelPID) == strconv.Itoa(os.Getpid())
}

func (l *Locker) remove(ctx context.Context, id string) error {
	err := l.Writer.Remove(ctx, id, false)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func locked(project string, holder Container) *LockedError {
	since, err := time.Parse(time.RFC3339, holder.Label(LabelStarted))
	if err != nil {
		since = time.Time{}
	}
	return &LockedError{
		Project:     project,
		Host:        holder.Label(LabelHost),
		Transaction: holder.Label(LabelTransaction),
		Since:       since,
		Command:     "docker rm " + holder.CleanName(),
	}
}
