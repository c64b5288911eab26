package controller

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/internal/report"
)

const originProject = `name: shop
services:
  app:
    image: with-env:1
    environment: {A: 1, KEPT: , GONE: 1}
  built:
    build: .
`

func TestOrigin(t *testing.T) {
	h := newHost(t)
	h.engine.AddImage(enginetest.Image{Name: "with-env:1", Config: container.Config{Env: []string{"A=image", "PATH=/bin", "KEPT=image", "GONE=image"}}})
	dir := t.TempDir()
	h.write(filepath.Join(dir, "compose.yaml"), originProject)
	h.write(filepath.Join(dir, "compose.override.yaml"), "services: {app: {environment: {GONE: !reset null}}}\n")
	cases := map[string]struct {
		reason   string
		service  string
		variable string
		files    bool
		want     []string
		set      bool
		near     []string
		note     string
	}{
		"Files":     {"the image is the weakest link", "app", "A", false, []string{"wins environment 1", "overridden image image"}, true, nil, ""},
		"FilesOnly": {"no engine is asked when it must not", "app", "A", true, []string{"wins environment 1"}, true, nil, ""},
		"Image":     {"nothing but the image", "app", "PATH", false, []string{"wins image /bin"}, true, nil, ""},
		"Hidden":    {"a bare KEY hides the image's", "app", "KEPT", false, []string{"wins environment <unset>", "overridden image image"}, true, nil, ""},
		"Reset":     {"behind a !reset the image shows up", "app", "GONE", false, []string{"wins image image", "removes environment <unset>", "removed environment 1"}, true, nil, ""},
		"Near":      {"similar names, the image's too", "app", "PAHT", false, nil, false, []string{"PATH"}, ""},
		"NoImage":   {"an image that the engine has not", "built", "A", false, nil, false, nil, "the engine has no image shop-built"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			before := h.opened
			got, note, err := Origin(t.Context(), h.config(dir), OriginOptions{Service: tc.service, Variable: tc.variable, FilesOnly: tc.files})
			if err != nil {
				t.Fatal(err)
			}
			var chain []string
			for _, l := range got.Chain {
				value := "<unset>"
				if l.Value != nil {
					value = *l.Value
				}
				chain = append(chain, fmt.Sprintf("%s %s %s", l.Result, l.Layer, value))
			}
			if diff := cmp.Diff(tc.want, chain); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.near, got.Near); diff != "" || got.Set() != tc.set {
				t.Errorf("%s: set %v, near (-want +got):\n%s", tc.reason, got.Set(), diff)
			}
			if !strings.Contains(note, tc.note) || (note == "") != (tc.note == "") {
				t.Errorf("%s: note %q, want %q", tc.reason, note, tc.note)
			}
			if tc.files && h.opened != before {
				t.Errorf("%s: an engine was opened", tc.reason)
			}
		})
	}
}

func TestOriginErrors(t *testing.T) {
	h := newHost(t)
	dir := h.project("shop")
	_, _, err := Origin(t.Context(), h.config(dir), OriginOptions{Service: "ap", Variable: "A"})
	if err == nil || !strings.Contains(strings.Join(hint.Of(err), " "), "did you mean app?") {
		t.Errorf("got %v, %q", err, hint.Of(err))
	}
	_, _, err = Origin(t.Context(), h.config(dir), OriginOptions{Service: "elsewhere", Variable: "A"})
	if err == nil || !strings.Contains(strings.Join(hint.Of(err), " "), "its services are: app") {
		t.Errorf("got %v, %q", err, hint.Of(err))
	}
	c := h.config(dir)
	c.Open = func(context.Context) (Engine, error) { return nil, fmt.Errorf("dial: %w", engine.ErrUnreachable) }
	got, note, err := Origin(t.Context(), c, OriginOptions{Service: "app", Variable: "A"})
	if err != nil || !got.Set() || !strings.Contains(note, "the engine could not be asked") {
		t.Errorf("without an engine: %v, note %q", err, note)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Origin(ctx, h.config(dir), OriginOptions{Service: "app", Variable: "A"}); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// TestTypedWarnings: check tells of values that YAML makes something else of, and hides those of sensitive variables.
func TestTypedWarnings(t *testing.T) {
	h := newHost(t)
	dir := t.TempDir()
	h.write(filepath.Join(dir, "compose.yaml"), "name: shop\nservices:\n  app:\n    image: app:1\n    environment:\n      SYNC: \"true\"\n      UMASK: 022\n      PIN: 0777\n      HOUSE: 010\n")
	h.write(filepath.Join(dir, DefaultPolicies, "p.yaml"), policyNamed("p")+"  - {name: HOUSE, present: true, sensitive: true}\n")
	got, err := Check(t.Context(), h.config(dir))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`compose.yaml:7:14: UMASK of service app is written unquoted: YAML reads 022 as a number and the container gets "18"; quote it to keep the text`,
		`compose.yaml:8:12: PIN of service app is written unquoted: YAML reads it as a number and the container gets another text; quote it to keep the text`,
		`compose.yaml:9:14: HOUSE of service app is written unquoted: YAML reads it as a number and the container gets another text; quote it to keep the text`,
	}
	if diff := cmp.Diff(want, got.Projects[0].Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if got.Projects[0].Result != report.ResultCompliant {
		t.Errorf("result %s: a warning changes nothing", got.Projects[0].Result)
	}
}
