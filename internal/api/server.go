package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
)

// Backend is the daemon that a handler speaks for.
type Backend struct {
	// Answers reports whether the engine answers and its containers are known.
	Answers  func() bool
	Projects func() []Project
	Policies func() []Policy
	// Describe, Reconcile, Suspend and Resume return ErrNotFound for a project that there is not. Reconcile without one is for all.
	Describe  func(ctx context.Context, project string) (Description, error)
	Reconcile func(project string) error
	Suspend   func(project, reason string) error
	Resume    func(project string) error
	Log       *Log
}

// Handler answers for the backend until ctx ends:
//
//	GET  /healthz                        200 while it runs
//	GET  /readyz                         200 while the engine answers and its containers are known, else 503
//	GET  /api/v1/projects                how every project is; ?watch=true: and then each change, one JSON object a line
//	GET  /api/v1/projects/NAME           all that is known of one
//	POST /api/v1/projects/NAME/suspend   leaves it alone until it is resumed; ?reason=TEXT
//	POST /api/v1/projects/NAME/resume
//	GET  /api/v1/policies                how every policy is; ?watch=true as above
//	GET  /api/v1/events                  what has happened; ?project=NAME, ?watch=true
//	POST /api/v1/reconcile               looks at everything at once; ?project=NAME: at one
func Handler(ctx context.Context, b Backend) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !b.Answers() {
			http.Error(w, "the engine does not answer", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /api/v1/projects", lister(ctx, b.Log, KindProjectList, b.Projects, func(p Project) (string, Project) {
		p.LookedAt, p.NextLook = time.Time{}, time.Time{} // that it was looked at again is no news
		return p.Name, p
	}))
	mux.HandleFunc("GET /api/v1/policies", lister(ctx, b.Log, KindPolicyList, b.Policies, func(p Policy) (string, Policy) { return p.Name, p }))
	mux.HandleFunc("GET /api/v1/events", func(w http.ResponseWriter, r *http.Request) { b.events(ctx, w, r) })
	mux.HandleFunc("GET /api/v1/projects/{name}", func(w http.ResponseWriter, r *http.Request) {
		description, err := b.Describe(r.Context(), r.PathValue("name"))
		if err != nil {
			refuse(w, err)
			return
		}
		answer(w, Single{Version, KindProject, description})
	})
	act := func(pattern string, do func(r *http.Request) error) {
		mux.HandleFunc("POST "+pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := do(r); err != nil {
				refuse(w, err)
				return
			}
			w.WriteHeader(http.StatusAccepted)
		})
	}
	act("/api/v1/reconcile", func(r *http.Request) error { return b.Reconcile(r.URL.Query().Get("project")) })
	act("/api/v1/projects/{name}/suspend", func(r *http.Request) error {
		return b.Suspend(r.PathValue("name"), line(r.URL.Query().Get("reason")))
	})
	act("/api/v1/projects/{name}/resume", func(r *http.Request) error { return b.Resume(r.PathValue("name")) })
	return mux
}

// line is a text that fits one line of a terminal or a log.
func line(text string) string {
	const longest = 200
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return text
}

func refuse(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	if errors.Is(err, ErrNotFound) {
		code = http.StatusNotFound
	}
	http.Error(w, err.Error(), code)
}

func answer(w http.ResponseWriter, content any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(content) // who asked may be gone
}

func watches(r *http.Request) bool { return r.URL.Query().Get("watch") == "true" }

// lister answers with a list, and to who watches with what changes of it. essence gives the name of an item, and what makes it another.
func lister[T any](ctx context.Context, log *Log, kind string, list func() []T, essence func(T) (string, T)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !watches(r) {
			items := list()
			if items == nil {
				items = []T{}
			}
			answer(w, List[T]{Version, kind, items})
			return
		}
		sent := map[string]string{}
		stream(ctx, w, r, func(out *json.Encoder) (<-chan struct{}, error) {
			more := log.More()
			return more, changes(out, sent, list(), essence)
		})
	}
}

// changes sends what is not as it was sent last.
func changes[T any](out *json.Encoder, sent map[string]string, items []T, essence func(T) (string, T)) error {
	there := map[string]bool{}
	for _, item := range items {
		key, what := essence(item)
		there[key] = true
		text, err := json.Marshal(what)
		if err != nil {
			return err
		}
		was, known := sent[key]
		if known && was == string(text) {
			continue
		}
		kind := Added
		if known {
			kind = Modified
		}
		sent[key] = string(text)
		if err := out.Encode(Change[T]{kind, item}); err != nil {
			return err
		}
	}
	for key, text := range sent {
		if there[key] {
			continue
		}
		delete(sent, key)
		if err := out.Encode(Change[json.RawMessage]{Deleted, json.RawMessage(text)}); err != nil {
			return err
		}
	}
	return nil
}

func (b Backend) events(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	project := r.URL.Query().Get("project")
	if !watches(r) {
		events, _ := b.Log.After(0)
		if events = Of(events, project); events == nil {
			events = []Event{}
		}
		answer(w, List[Event]{Version, KindEventList, events})
		return
	}
	last := uint64(0)
	stream(ctx, w, r, func(out *json.Encoder) (<-chan struct{}, error) {
		events, more := b.Log.After(last)
		for _, event := range events {
			last = event.ID
		}
		for _, event := range Of(events, project) {
			if err := out.Encode(Change[Event]{Added, event}); err != nil {
				return nil, err
			}
		}
		return more, nil
	})
}

// quiet is how often a stream without news is written to, so that a reader that is gone is noticed.
const quiet = 30 * time.Second

// stream writes a line for each piece of news, until the reader or the daemon is gone.
func stream(ctx context.Context, w http.ResponseWriter, r *http.Request, send func(*json.Encoder) (more <-chan struct{}, err error)) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out, control := json.NewEncoder(w), http.NewResponseController(w)
	for {
		_ = control.SetWriteDeadline(time.Now().Add(quiet))
		more, err := send(out)
		if err == nil {
			err = control.Flush()
		}
		if err != nil {
			return
		}
		select {
		case <-more:
		case <-time.After(quiet):
			_ = control.SetWriteDeadline(time.Now().Add(quiet))
			if _, err := fmt.Fprintln(w); err != nil {
				return
			}
		case <-r.Context().Done():
			return
		case <-ctx.Done():
			return
		}
	}
}
