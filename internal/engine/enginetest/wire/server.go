// Package wire serves an engine in memory as a Docker Engine is served: over HTTP, as its API says, on a unix socket. It is for
// programs that are to be watched from outside: they cannot tell it from a real engine by what they ask.
//
// It serves what our client asks for. What it cannot do answers 501: networks that are connected before the first start, and the
// signals of docker kill.
package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"sync"

	"github.com/moby/moby/api/types/common"
	"github.com/moby/moby/client/pkg/versions"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
)

// server answers for one engine.
type server struct {
	engine *enginetest.Engine
	info   engine.Info

	mu    sync.Mutex
	codes map[string]int // what probes have ended with, by container
}

// Handler serves the engine. observe, when not nil, is told the method and path of each request, without the version, once it is
// answered; of a stream that is when it has ended.
func Handler(e *enginetest.Engine, observe func(method, path string)) http.Handler {
	info, _ := e.Info(context.Background()) //nolint:forbidigo // an engine in memory answers at once, and never with an error
	s := &server{engine: e, info: info, codes: map[string]int{}}
	mux := http.NewServeMux()
	for pattern, answer := range s.routes() {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := answer(w, r); err != nil {
				refuse(w, err)
			}
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", info.APIVersion)
		w.Header().Set("Docker-Experimental", "false")
		w.Header().Set("Ostype", info.OSType)
		w.Header().Set("Server", "Docker/"+info.ServerVersion+" (linux)")
		if asked := versioned.FindStringSubmatch(r.URL.Path); asked != nil {
			if err := s.speaks(asked[1]); err != nil {
				refuse(w, err)
				return
			}
			r.URL.Path = asked[2]
		}
		mux.ServeHTTP(w, r)
		if observe != nil {
			observe(r.Method, r.URL.Path)
		}
	})
}

// versioned parts /v1.41/containers/json.
var versioned = regexp.MustCompile(`^/v(\d+\.\d+)(/.*)$`)

func (s *server) speaks(version string) error {
	switch {
	case versions.GreaterThan(version, s.info.APIVersion):
		return &refusal{http.StatusBadRequest, fmt.Sprintf("client version %s is too new. Maximum supported API version is %s", version, s.info.APIVersion)}
	case versions.LessThan(version, oldest):
		return &refusal{http.StatusBadRequest, fmt.Sprintf("client version %s is too old. Minimum supported API version is %s", version, oldest)}
	}
	return nil
}

// oldest is the API that Docker Engine 20.10 still speaks.
const oldest = "1.12"

func (s *server) routes() map[string]func(http.ResponseWriter, *http.Request) error {
	return map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /_ping":                    s.ping,
		"GET /version":                  s.version,
		"GET /info":                     s.system,
		"GET /events":                   s.events,
		"GET /containers/json":          s.list,
		"GET /containers/{id}/json":     s.inspect,
		"GET /containers/{id}/logs":     s.logs,
		"GET /containers/{id}/archive":  s.copyFrom,
		"PUT /containers/{id}/archive":  s.copyTo,
		"POST /containers/create":       s.create,
		"POST /containers/{id}/start":   s.start,
		"POST /containers/{id}/stop":    s.stop,
		"POST /containers/{id}/kill":    s.kill,
		"POST /containers/{id}/rename":  s.rename,
		"POST /containers/{id}/update":  s.update,
		"POST /containers/{id}/attach":  s.attach,
		"POST /containers/{id}/wait":    s.wait,
		"DELETE /containers/{id}":       s.remove,
		"POST /networks/{name}/connect": s.connect,
		"GET /images/json":              s.images,
		"GET /images/{name...}":         s.image,
		"POST /images/create":           s.importImage,
		"DELETE /images/{name...}":      s.removeImage,
	}
}

// refusal is an error with the status that it is answered with.
type refusal struct {
	status  int
	message string
}

func (r *refusal) Error() string { return r.message }

func refuse(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	if refused, is := errors.AsType[*refusal](err); is {
		status = refused.status
	}
	switch {
	case errors.Is(err, engine.ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, engine.ErrConflict):
		status = http.StatusConflict
	}
	answer(w, status, common.ErrorResponse{Message: err.Error()})
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // whoever asked may be gone
}

// Listen serves a handler on a unix socket until it is closed; then the requests under way are cut off.
func Listen(ctx context.Context, socket string, handler http.Handler) (closeAll func(), err error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	serving, cancel := context.WithCancel(ctx)
	served := &http.Server{Handler: handler, BaseContext: func(net.Listener) context.Context { return serving }} //nolint:gosec // its clients are tests
	var ended sync.WaitGroup
	ended.Go(func() { _ = served.Serve(listener) })
	return func() {
		cancel()
		_ = served.Close()
		ended.Wait()
	}, nil
}
