package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/composure-dev/composure/internal/engine"
)

// Composer is docker compose, for the project of an executor.
type Composer interface {
	// Up makes the services, and not what they depend on, what the files say, and starts them. An error may hold secrets.
	Up(ctx context.Context, services ...string) error
}

// handed is a container that docker compose replaces, as it was before.
type handed struct {
	old     engine.Container
	service string
	pace    engine.Pace
}

// keeper looks after the containers of services that docker compose recreates.
type keeper struct {
	composer Composer
	reader   engine.Reader
	swapper  engine.Swapper
	project  string
}

// up runs docker compose, Ctrl-C or not: cut off it would leave things halfway.
func (k keeper) up(ctx context.Context, list []handed, services []string) error {
	var containers []engine.Container
	var pace engine.Pace
	for _, h := range list {
		containers, pace.Timeout = append(containers, h.old), max(pace.Timeout, h.pace.Limit(h.old))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), engine.RecreateWithin(containers, pace))
	defer cancel()
	return k.composer.Up(ctx, services...)
}

// now are the containers of a service that are no one-offs, once more asked for when the answer was lost.
func (k keeper) now(ctx context.Context, service string) ([]engine.Container, error) {
	labels := []string{engine.LabelProject + "=" + k.project, engine.LabelService + "=" + service}
	list, err := k.reader.List(ctx, labels...)
	if err != nil {
		list, err = k.reader.List(ctx, labels...)
	}
	return slices.DeleteFunc(list, func(c engine.Container) bool {
		return strings.EqualFold(c.Label(engine.LabelOneoff), "true") || c.Label(engine.LabelHook) != ""
	}), err
}

// place finds the container that has the name of another one.
func place(list []engine.Container, old engine.Container) (engine.Container, bool) {
	i := slices.IndexFunc(list, func(c engine.Container) bool { return c.Name == old.Name })
	if i < 0 {
		return engine.Container{}, false
	}
	return list[i], true
}

// back has docker compose make the containers again that it has replaced, from the files as they are again, and compares. made is
// told which container is in the place of another. What others share with comes first.
func (k keeper) back(ctx context.Context, list []handed, made map[string]string) (restored []string, problems map[string]error) {
	var services []string
	for _, h := range list {
		if !slices.Contains(services, h.service) {
			services = append(services, h.service)
		}
	}
	upErr := k.up(ctx, list, services)
	problems = map[string]error{}
	for _, h := range list {
		line, err := k.compare(ctx, h, made)
		if err != nil && upErr != nil {
			err = fmt.Errorf("%w; %w", err, upErr)
		}
		if err != nil {
			problems[h.old.ID] = err
			continue
		}
		restored = append(restored, h.old.CleanName()+": "+line)
	}
	return restored, problems
}

// differsError is a container that docker compose has made again, and that is not as the one before.
type differsError struct{ differences []engine.Difference }

func (e *differsError) Error() string {
	var shown []string
	for _, d := range e.differences {
		shown = append(shown, d.String())
	}
	return "docker compose made it again, but it differs from before in " + strings.Join(shown, ", ")
}

// compare wants a container to be as it was, or one that equals it in its place.
func (k keeper) compare(ctx context.Context, h handed, made map[string]string) (string, error) {
	list, err := k.now(ctx, h.service)
	if err != nil {
		return "", err
	}
	c, found := place(list, h.old)
	if !found {
		return "", errors.New("no container has its name")
	}
	if c.ID != h.old.ID {
		made[h.old.ID] = c.ID
	}
	if wasWell := h.old.RestartCount == 0 && (engine.Healthy(h.old) == nil || h.pace.OneShot); wasWell {
		if err := k.swapper.Await(ctx, c, h.pace); err != nil {
			return "", err
		}
	}
	if c.ID == h.old.ID {
		return fmt.Sprintf("container %s was left as it is", engine.ShortID(c.ID)), nil
	}
	if differences := engine.Remade(h.old, c, made); len(differences) > 0 {
		return "", &differsError{differences}
	}
	return fmt.Sprintf("docker compose made it again; %s equals what %s was", engine.ShortID(c.ID), engine.ShortID(h.old.ID)), nil
}

// notMade says what a person has to do for a container that docker compose has not made as it was. The text may hold secrets.
func notMade(h handed, err error) string {
	return fmt.Sprintf("container %s (%s) is not as before: %v; when the files are as they should be:\n  docker compose up -d --no-deps %s",
		h.old.CleanName(), engine.ShortID(h.old.ID), err, h.service)
}
