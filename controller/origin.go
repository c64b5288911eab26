package controller

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/internal/redact"
	"github.com/composure-dev/composure/internal/report"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile"
)

// OriginOptions are what origin is told beyond Config.
type OriginOptions struct {
	Service, Variable string
	FilesOnly         bool // ask no engine for the image's variables
}

// Origin finds out who sets a variable of a service, and who else would. It writes nothing. The note says why the image was not
// asked; it is empty when it was, or was not to be.
func Origin(ctx context.Context, c Config, o OriginOptions) (origin report.Origin, note string, err error) {
	project, err := compose.Load(ctx, c.Project)
	if err != nil {
		return report.Origin{}, "", err
	}
	service, ok := project.Services[o.Service]
	if !ok {
		return report.Origin{}, "", unknownService(o.Service, slices.Sorted(maps.Keys(project.Services)))
	}
	sensitive, err := c.sensitive(project)
	if err != nil {
		return report.Origin{}, "", err
	}
	origin = report.Origin{
		Sensitive: sensitive,
		Version:   c.Version, Project: project.Name, Directory: project.Directory, Base: c.base(project.Directory),
		Service: service.Name, Variable: o.Variable, Chain: links(project, service, o.Variable),
	}
	imageEnv := map[string]string{}
	if !o.FilesOnly {
		if imageEnv, note, err = c.imageEnv(ctx, project, service); err != nil {
			return report.Origin{}, "", err
		}
	}
	if value, set := imageEnv[o.Variable]; set {
		origin.Chain = append(origin.Chain, imageLink(imageName(project, service), value, origin.Chain))
	}
	// What counts comes first, even where a !reset lies above it.
	slices.SortStableFunc(origin.Chain, func(a, b report.Link) int { return rank(a) - rank(b) })
	if origin.Set() {
		origin.Value = origin.Chain[0].Value
	}
	if len(origin.Chain) == 0 {
		names := slices.Concat(slices.Collect(maps.Keys(service.Environment)), slices.Collect(maps.Keys(imageEnv)))
		slices.Sort(names)
		origin.Near = near(o.Variable, slices.Compact(names))
	}
	return origin, note, nil
}

// sensitive are the variables that the policies call sensitive: those that were named, or the ones beside the compose file if there
// are any. One that cannot be read is an error: it might have hidden something.
func (c Config) sensitive(project *compose.Project) ([]string, error) {
	paths := c.Policies
	if len(paths) == 0 {
		beside := filepath.Join(project.Directory, DefaultPolicies)
		if _, err := os.Stat(beside); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		paths = []string{beside}
	}
	policies, err := readPolicies(paths, len(c.Policies) == 0)
	return reconcile.Sensitive(policies), err
}

func rank(l report.Link) int {
	if l.Result == report.LinkWins {
		return 0
	}
	return 1
}

func unknownService(name string, known []string) error {
	err := fmt.Errorf("the project has no service %q", name)
	if meant := hint.Closest(name, known); meant != "" {
		return hint.Wrap(err, "did you mean "+meant+"?")
	}
	return hint.Wrap(err, "its services are: "+strings.Join(known, ", "))
}

// maxNear is how many similar names are of use.
const maxNear = 5

// near are the names that may have been meant: the closest one, and those that hold or are held by the name.
func near(name string, known []string) []string {
	var out []string
	if closest := hint.Closest(name, known); closest != "" {
		out = append(out, closest)
	}
	for _, k := range known {
		upper, wanted := strings.ToUpper(k), strings.ToUpper(name)
		long := min(len(k), len(name)) > 2 // shorter ones are part of everything
		if long && !slices.Contains(out, k) && (strings.Contains(upper, wanted) || strings.Contains(wanted, upper)) {
			out = append(out, k)
		}
	}
	return out[:min(len(out), maxNear)]
}

// links are the places in files, the strongest first.
func links(project *compose.Project, service *compose.Service, key string) []report.Link {
	var out []report.Link
	var winner, removal *policy.Origin
	for _, setting := range slices.Backward(service.Settings[key]) {
		link := linkOf(project, setting)
		switch {
		case setting.Dropped && setting.Removed:
			link.Result = report.LinkPassed
		case setting.Dropped:
			link.Result = report.LinkDropped
		case winner != nil:
			link.Result, link.By = report.LinkOverridden, winner
		case removal != nil && setting.Layer == compose.LayerEnvironment:
			link.Result, link.By = report.LinkRemoved, removal
		case setting.Removed:
			link.Result, removal = report.LinkRemoves, link.Origin
		default:
			link.Result, winner = report.LinkWins, link.Origin
		}
		out = append(out, link)
	}
	return out
}

func linkOf(project *compose.Project, s compose.Setting) report.Link {
	link := report.Link{
		Layer: policy.Layer(s.Layer), Origin: place(s.Position), Value: s.Value, Text: s.Text, Bare: s.Bare,
		Included: slices.ContainsFunc(project.Reached, func(f compose.File) bool { return f.Path == s.Definition }),
	}
	for _, r := range s.References {
		link.References = append(link.References, report.LinkReference(r))
	}
	if s.Fragment {
		link.Fragment = place(s.At)
	}
	if s.Extends {
		link.Extends = &report.LinkDefinition{Service: s.Service, By: s.Definition}
	}
	if s.Layer == compose.LayerEnvFile && !s.Extends {
		link.EnvFileOf = s.Definition
	}
	return link
}

func place(p compose.Position) *policy.Origin {
	return &policy.Origin{File: p.File, Line: p.Line, Column: p.Column}
}

func imageLink(image, value string, files []report.Link) report.Link {
	link := report.Link{Result: report.LinkWins, Layer: policy.LayerImage, Image: image, Value: &value}
	if i := slices.IndexFunc(files, func(l report.Link) bool { return l.Result == report.LinkWins }); i >= 0 {
		link.Result, link.By = report.LinkOverridden, files[i].Origin
	}
	return link
}

// imageEnv is what the service's image sets. Without an engine, or without the image on it, a note says so.
func (c Config) imageEnv(ctx context.Context, project *compose.Project, service *compose.Service) (map[string]string, string, error) {
	const without = "; what the image sets is not known (--files-only does not ask)"
	opened, err := c.Open(ctx)
	if err != nil {
		return nil, "the engine could not be asked: " + err.Error() + without, nil //nolint:nilerr // the note is the result
	}
	name := imageName(project, service)
	image, err := opened.Image(ctx, name)
	switch {
	case ctx.Err() != nil:
		return nil, "", ctx.Err()
	case errors.Is(err, engine.ErrNotFound):
		return nil, "the engine has no image " + name + without, nil
	case err != nil:
		return nil, "the engine could not be asked: " + err.Error() + without, nil //nolint:nilerr // the note is the result
	}
	env := map[string]string{}
	for _, entry := range image.Env {
		key, value, _ := strings.Cut(entry, "=")
		env[key] = value
	}
	return env, "", nil
}

// imageName is the service's image; of one that is built the name that compose gives it.
func imageName(project *compose.Project, service *compose.Service) string {
	if service.Image != "" {
		return service.Image
	}
	return project.Name + "-" + service.Name
}

// typedWarnings tell of values that YAML turns into something else than their text.
func (c Config) typedWarnings(project *compose.Project, sensitive []string) []string {
	if project == nil {
		return nil
	}
	var out []string
	base := c.base(project.Directory)
	if base == "" {
		base = project.Directory
	}
	for _, t := range project.Typed {
		file := t.File
		if short, err := filepath.Rel(base, t.File); err == nil && filepath.IsLocal(short) {
			file = short
		}
		text, value := t.Text, fmt.Sprintf("%q", t.Value)
		if redact.Key(t.Key) || slices.Contains(sensitive, t.Key) {
			text, value = "it", "another text"
		}
		reads := fmt.Sprintf("YAML reads %s as a %s and the container gets %s", text, t.Kind, value)
		if !t.Used {
			reads = fmt.Sprintf("YAML reads %s as a %s, %s", text, t.Kind, value)
		}
		line := fmt.Sprintf("%s:%d:%d: %s of service %s is written unquoted: %s; quote it to keep the text", file, t.Line, t.Column, t.Key, t.Service, reads)
		if t.Kind == "date" {
			line += " (docker compose 2.40 does not load a date)"
		}
		out = append(out, line)
	}
	return out
}
