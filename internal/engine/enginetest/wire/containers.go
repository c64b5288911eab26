package wire

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/composure-dev/composure/internal/engine"
)

// find resolves a reference as an engine does: a whole id, else a name, else the beginning of an id.
func (s *server) find(r *http.Request) (engine.Container, error) {
	reference := r.PathValue("id")
	for _, lookup := range []string{reference, "/" + reference} {
		if c, err := s.engine.Inspect(r.Context(), lookup); err == nil {
			return c, nil
		}
	}
	listed, err := s.engine.Summaries(r.Context())
	if err != nil {
		return engine.Container{}, err
	}
	for _, summary := range listed {
		if strings.HasPrefix(summary.ID, reference) {
			return s.engine.Inspect(r.Context(), summary.ID)
		}
	}
	return engine.Container{}, &refusal{http.StatusNotFound, "No such container: " + reference}
}

func (s *server) inspect(w http.ResponseWriter, r *http.Request) error {
	c, err := s.find(r)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, c.Raw)
	return nil
}

// act does something to a container, and answers with nothing.
func (s *server) act(w http.ResponseWriter, r *http.Request, do func(id string) error) error {
	c, err := s.find(r)
	if err != nil {
		return err
	}
	if err := do(c.ID); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func read(r *http.Request, into any) error {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		return &refusal{http.StatusBadRequest, "invalid JSON: " + err.Error()}
	}
	return nil
}

func (s *server) create(w http.ResponseWriter, r *http.Request) error {
	var asked struct {
		container.CreateRequest
		MacAddress string // of APIs below 1.44
	}
	if err := read(r, &asked); err != nil {
		return err
	}
	id, err := s.engine.Create(r.Context(), engine.Spec{
		Name: r.FormValue("name"), Config: asked.Config, Host: asked.HostConfig, Network: asked.NetworkingConfig, MACAddress: asked.MacAddress,
	})
	if err != nil {
		return err
	}
	answer(w, http.StatusCreated, container.CreateResponse{ID: id, Warnings: []string{}})
	return nil
}

func (s *server) start(w http.ResponseWriter, r *http.Request) error {
	return s.act(w, r, func(id string) error { return s.engine.Start(r.Context(), id) })
}

func (s *server) stop(w http.ResponseWriter, r *http.Request) error {
	return s.act(w, r, func(id string) error { return s.engine.Stop(r.Context(), id) })
}

func (s *server) kill(http.ResponseWriter, *http.Request) error {
	return &refusal{http.StatusNotImplemented, "the engine in memory has no signals"}
}

func (s *server) rename(w http.ResponseWriter, r *http.Request) error {
	return s.act(w, r, func(id string) error {
		return s.engine.Rename(r.Context(), id, strings.TrimPrefix(r.FormValue("name"), "/"))
	})
}

func (s *server) remove(w http.ResponseWriter, r *http.Request) error {
	force, _ := strconv.ParseBool(r.FormValue("force"))
	return s.act(w, r, func(id string) error { return s.engine.Remove(r.Context(), id, force) })
}

// update sets the restart policy and the limits that are given.
func (s *server) update(w http.ResponseWriter, r *http.Request) error {
	c, err := s.find(r)
	if err != nil {
		return err
	}
	var asked container.UpdateConfig
	if err := read(r, &asked); err != nil {
		return err
	}
	err = s.engine.Update(r.Context(), c.ID, func(host *container.HostConfig) {
		host.CPUShares, host.NanoCPUs = cmp.Or(asked.CPUShares, host.CPUShares), cmp.Or(asked.NanoCPUs, host.NanoCPUs)
		host.Memory, host.MemorySwap = cmp.Or(asked.Memory, host.Memory), cmp.Or(asked.MemorySwap, host.MemorySwap)
	})
	if err == nil {
		policy := c.HostConfig.RestartPolicy
		if asked.RestartPolicy.Name != "" {
			policy = asked.RestartPolicy
		}
		err = s.engine.SetRestartPolicy(r.Context(), c.ID, policy)
	}
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, container.UpdateResponse{})
	return nil
}

// connect attaches a container that runs, with nothing asked for.
func (s *server) connect(w http.ResponseWriter, r *http.Request) error {
	var asked network.ConnectRequest
	if err := read(r, &asked); err != nil {
		return err
	}
	r.SetPathValue("id", asked.Container)
	c, err := s.find(r)
	if err != nil {
		return err
	}
	if !c.Running() || asked.EndpointConfig != nil {
		return &refusal{http.StatusNotImplemented, fmt.Sprintf("connect %q: not before the first start, and not with settings", c.CleanName())}
	}
	if err := s.engine.Connect(r.Context(), c.ID, r.PathValue("name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
