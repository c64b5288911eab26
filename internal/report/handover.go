package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/composure-dev/composure/reconcile/plan"
)

// composeJSON is what is handed to docker compose.
type composeJSON struct {
	Services   []string     `json:"services"`
	Containers []handedJSON `json:"containers"`
}

type handedJSON struct {
	Service     string       `json:"service"`
	Container   string       `json:"container"`
	ContainerID string       `json:"containerId"`
	Kept        bool         `json:"kept,omitempty"`
	Changes     []changeJSON `json:"changes"`
}

func composeOf(c *plan.Compose) *composeJSON {
	if c == nil {
		return nil
	}
	doc := &composeJSON{Services: c.Services, Containers: []handedJSON{}}
	for _, h := range c.Containers {
		handed := handedJSON{Service: h.Service, Container: h.Container, ContainerID: h.ContainerID, Kept: h.Kept, Changes: []changeJSON{}}
		for _, change := range h.Changes {
			handed.Changes = append(handed.Changes, changeOf(change))
		}
		doc.Containers = append(doc.Containers, handed)
	}
	return doc
}

// replaced are the containers that the steps replace, by a swap or by docker compose.
func replaced(steps ...plan.Step) []plan.Handed {
	var list []plan.Handed
	for _, step := range steps {
		switch {
		case step.Swap != nil:
			s := step.Swap
			list = append(list, plan.Handed{Service: s.Service, ContainerID: s.ContainerID, Container: s.Container, Changes: s.Changes})
		case step.Compose != nil:
			list = append(list, step.Compose.Containers...)
		}
	}
	return list
}

// handed prints the part of a step for docker compose that is about one service.
func (s section) handed(step plan.Step, service string) {
	var names []string
	var along []plan.Change
	for _, h := range step.Compose.Containers {
		if h.Service != service || h.Kept {
			continue
		}
		names = append(names, fmt.Sprintf("%s (%s)", h.Container, shortID(h.ContainerID)))
		for _, change := range h.Changes {
			listed := slices.ContainsFunc(along, func(known plan.Change) bool { return known.Key == change.Key })
			if change.Policy == "" && !listed {
				along = append(along, change)
			}
		}
	}
	head := fmt.Sprintf("  %s docker compose recreates %s  ", signSwap, strings.Join(names, ", "))
	s.block(block{head: head, color: signColor(signSwap), hang: 6, words: words(step.Cause)})
	if len(along) > 0 {
		s.text("      ", "that also changes, as far as it is known:")
		s.changes(6, along)
	}
}
