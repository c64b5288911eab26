package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// serve answers questions about the daemon until ctx ends.
//
//	GET  /healthz            200 while it runs
//	GET  /readyz             200 while the engine answers and its containers are known, else 503
//	GET  /api/v1/projects    the status of every project
//	POST /api/v1/reconcile   looks at everything at once; ?project=NAME: at one
func (l *loop) serve(ctx context.Context) error {
	if l.options.Listener == nil {
		return nil
	}
	server := &http.Server{Handler: l.routes(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second}
	ended := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer ended()
	err := server.Serve(l.options.Listener)
	if errors.Is(err, http.ErrServerClosed) && ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("serve status: %w", err)
}

func (l *loop) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !l.ready() {
			http.Error(w, "the engine does not answer", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /api/v1/projects", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		list := l.statuses.list()
		if list == nil {
			list = []Status{}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "composure/v1alpha1", "kind": "ProjectStatusList", "items": list})
	})
	mux.HandleFunc("POST /api/v1/reconcile", l.reconcileNow)
	return local(mux)
}

func (l *loop) reconcileNow(w http.ResponseWriter, r *http.Request) {
	project := r.URL.Query().Get("project")
	if project == "" {
		l.resyncNow()
		w.WriteHeader(http.StatusAccepted)
		return
	}
	if _, known := l.statuses.get(project); !known {
		http.Error(w, fmt.Sprintf("there is no project %q; see GET /api/v1/projects", project), http.StatusNotFound)
		return
	}
	l.loads.changed(project)
	l.queue.Add(project)
	w.WriteHeader(http.StatusAccepted)
}

func (l *loop) ready() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answers
}

// local refuses requests that a browser was led to make by a page from elsewhere: what listens on loopback is not to answer them.
func local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		ip := net.ParseIP(host)
		if r.Header.Get("Origin") != "" || host != "localhost" && host != "" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "ask by the address that it listens on", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
