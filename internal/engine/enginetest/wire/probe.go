package wire

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
)

// attach serves a probe container: it is handed its job, answers with what the engine's probe handler makes of that, and ends.
func (s *server) attach(w http.ResponseWriter, r *http.Request) error {
	c, err := s.find(r)
	if err != nil {
		return err
	}
	target := c.HostConfig.NetworkMode
	if !target.IsContainer() {
		return &refusal{http.StatusNotImplemented, "only what shares the network of another container is attached to: a probe"}
	}
	connection, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return err
	}
	defer connection.Close()
	fmt.Fprint(connection, "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
	job, err := io.ReadAll(buffered)
	if err != nil {
		return nil // whoever was attached is gone
	}
	ctx := context.WithoutCancel(r.Context())
	if started, err := s.engine.Inspect(ctx, c.ID); err != nil || !started.Running() {
		return nil // it was given up before it was started
	}
	output, code := s.probe(ctx, target.ConnectedContainer(), job)
	s.mu.Lock()
	s.codes[c.ID] = code
	s.mu.Unlock()
	if err := s.engine.Stop(ctx, c.ID); err != nil {
		return nil // it was removed meanwhile
	}
	_, _ = connection.Write(output) // whoever was attached may be gone
	return nil
}

// probe gives what a probe prints, and its exit code.
func (s *server) probe(ctx context.Context, target string, job []byte) (output []byte, code int) {
	printed, err := s.engine.Probe(ctx, target, job)
	if err != nil {
		return frame(stdcopy.Stderr, []byte(err.Error())), 1
	}
	return frame(stdcopy.Stdout, printed), 0
}

// wait answers when the container does not run any more.
func (s *server) wait(w http.ResponseWriter, r *http.Request) error {
	subscription, err := s.engine.Subscribe(r.Context())
	if err != nil {
		return err
	}
	defer subscription.Close()
	for {
		c, err := s.find(r)
		if err != nil {
			return err
		}
		if !c.State.Running {
			s.mu.Lock()
			code, is := s.codes[c.ID]
			s.mu.Unlock()
			if !is {
				code = c.State.ExitCode
			}
			answer(w, http.StatusOK, container.WaitResponse{StatusCode: int64(code)})
			return nil
		}
		if _, open := <-subscription.C(); !open {
			return r.Context().Err()
		}
	}
}
