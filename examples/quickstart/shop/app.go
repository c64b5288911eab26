package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"
)

const shutdownGrace = 3 * time.Second

// app is the schedule API.
type app struct {
	store redisStore
	sync  syncConfig
	log   *log.Logger
}

// created is the answer to POST /schedules.
type created struct {
	schedule
	// PublishedTo is the number of subscribers that heard of the schedule; null when sync is off.
	PublishedTo *int64 `json:"publishedTo"`
}

func (p process) serveApp(ctx context.Context) error {
	sync, err := parseSync(p.getenv)
	if err != nil {
		return err
	}
	client, err := redisClient(p.getenv("REDIS_URL"))
	if err != nil {
		return err
	}
	defer client.Close()
	if !sync.enabled {
		p.log.Print("Redis sync is off: CELERY_BEAT_REDIS_SYNC_ENABLED is not true")
	}
	a := &app{store: redisStore{client}, sync: sync, log: p.log}
	return p.serveHTTP(ctx, orDefault(p.getenv("APP_ADDRESS"), "0.0.0.0:8000"), a.handler())
}

// serveHTTP serves until ctx ends, then lets open requests finish.
func (p process) serveHTTP(ctx context.Context, address string, handler http.Handler) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %q: %w", address, err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: shutdownGrace}
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
		defer cancel()
		stopped <- server.Shutdown(grace)
	})
	p.log.Printf("Listening on %s", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve on %q: %w", address, err)
	}
	return <-stopped
}

func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /schedules", a.create)
	mux.HandleFunc("GET /schedules/{id}/history", a.history)
	mux.HandleFunc("GET /health", a.health)
	return mux
}

func (a *app) create(w http.ResponseWriter, r *http.Request) {
	wanted := schedule{EverySeconds: 5}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&wanted); err != nil {
		http.Error(w, "the body is not a schedule: "+err.Error(), http.StatusBadRequest)
		return
	}
	if wanted.Name == "" || wanted.EverySeconds < 1 {
		http.Error(w, "a schedule needs a name and everySeconds of at least 1", http.StatusBadRequest)
		return
	}
	wanted.CreatedAt = time.Now().UTC()
	added, err := a.store.Add(r.Context(), wanted)
	if err != nil {
		a.fail(w, err)
		return
	}
	a.log.Printf("Created schedule %s (%s)", added.ID, added.Name)
	answer(w, http.StatusCreated, created{schedule: added, PublishedTo: a.announce(r.Context(), added.ID)})
}

// announce tells beat. A schedule that could not be announced is stored all the same: the next poll finds it.
func (a *app) announce(ctx context.Context, id string) *int64 {
	if !a.sync.enabled {
		return nil
	}
	heard, err := a.store.Publish(ctx, a.sync.channel, event{Type: "schedule_created", ScheduleID: id, Timestamp: time.Now().UTC()})
	if err != nil {
		a.log.Print(err)
		return nil
	}
	a.log.Printf("Published schedule_created for schedule %s, %d subscribers", id, heard)
	return &heard
}

func (a *app) history(w http.ResponseWriter, r *http.Request) {
	rows, err := a.store.History(r.Context(), r.PathValue("id"))
	switch {
	case errors.Is(err, errUnknownSchedule):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil:
		a.fail(w, err)
	default:
		answer(w, http.StatusOK, rows)
	}
}

func (a *app) health(w http.ResponseWriter, r *http.Request) {
	if err := a.store.client.Ping(r.Context()).Err(); err != nil {
		http.Error(w, "redis does not answer", http.StatusServiceUnavailable)
		return
	}
	answer(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (a *app) fail(w http.ResponseWriter, err error) {
	a.log.Print(err)
	http.Error(w, "the store does not answer", http.StatusServiceUnavailable)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client went away: nobody to tell
}
