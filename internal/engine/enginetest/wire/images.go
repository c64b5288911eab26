package wire

import (
	"io"
	"net/http"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"

	"github.com/composure-dev/composure/internal/engine/enginetest"
)

// image answers GET /images/NAME/json, where the name may have slashes in it.
func (s *server) image(w http.ResponseWriter, r *http.Request) error {
	name, found := strings.CutSuffix(r.PathValue("name"), "/json")
	if !found {
		return &refusal{http.StatusNotFound, "page not found"}
	}
	known, err := s.engine.Image(r.Context(), name)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, struct {
		image.InspectResponse
		Config container.Config // as Docker Engine 20.10 has it
	}{
		InspectResponse: image.InspectResponse{
			ID: known.ID, RepoTags: append([]string{}, known.Names...), RepoDigests: []string{}, Os: s.info.OSType, Architecture: s.info.Architecture,
		},
		Config: container.Config{Env: known.Env, Labels: known.Labels},
	})
	return nil
}

// images lists none: only leftovers of older probes are looked for, and there are none.
func (s *server) images(w http.ResponseWriter, r *http.Request) error {
	if _, err := filtersOf(r, "label", "reference"); err != nil {
		return err
	}
	answer(w, http.StatusOK, []image.Summary{})
	return nil
}

// importImage takes an image for what the changes say of it: its files are nobody's concern here.
func (s *server) importImage(w http.ResponseWriter, r *http.Request) error {
	if r.FormValue("fromSrc") != "-" {
		return &refusal{http.StatusNotImplemented, "images are imported, not pulled"}
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return err
	}
	config := container.Config{Labels: map[string]string{}}
	for _, change := range r.Form["changes"] {
		label, found := strings.CutPrefix(change, "LABEL ")
		if !found {
			return &refusal{http.StatusNotImplemented, "change " + change + " is not served"}
		}
		name, value, _ := strings.Cut(label, "=")
		config.Labels[name] = value
	}
	id := s.engine.AddImage(enginetest.Image{Name: r.FormValue("repo"), Config: config})
	answer(w, http.StatusOK, map[string]string{"status": id})
	return nil
}

func (s *server) removeImage(http.ResponseWriter, *http.Request) error {
	return &refusal{http.StatusNotImplemented, "the engine in memory keeps its images"}
}
