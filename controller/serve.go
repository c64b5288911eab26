package controller

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/composure-dev/composure/internal/api"
)

// serve answers questions about the daemon until ctx ends, see api.Handler; beside them GET /metrics and, when asked for, /debug/pprof/.
func (l *loop) serve(ctx context.Context) error {
	if l.options.Listener == nil {
		return nil
	}
	// What is written in one go has little time; a watch gives itself more with each line.
	server := &http.Server{Handler: l.routes(ctx), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second}
	ended := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer ended()
	err := server.Serve(l.options.Listener)
	if errors.Is(err, http.ErrServerClosed) && ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("serve status: %w", err)
}

func (l *loop) routes(ctx context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", api.Handler(ctx, api.Backend{
		Answers: l.ready, Projects: l.projects, Policies: l.policyAnswers, Describe: l.describe,
		Reconcile: l.reconcileNow, Suspend: l.suspend, Resume: l.resume, Log: l.events,
	}))
	mux.Handle("GET /metrics", l.options.Metrics.Handler())
	if l.options.Profile {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", unhurried(pprof.Profile))
		mux.HandleFunc("GET /debug/pprof/trace", unhurried(pprof.Trace))
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	}
	return l.options.Guard.Protect(mux)
}

// unhurried is for an answer that takes as long as who asks wants it to.
func unhurried(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		next(w, r)
	}
}

func (l *loop) ready() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answers
}
