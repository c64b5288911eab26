// Package owner tells which other tool manages a compose project. What such a tool has deployed it writes and recreates as it sees fit:
// two who mend the same project fight.
package owner

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/composure-dev/composure/internal/engine"
)

// Owner is a tool that manages a project.
type Owner struct {
	Name string // as the tool spells it
	Sign string // what tells, in words, such as "label coolify.managed"
	// Guess says that the place of the files alone tells: anybody may put files there.
	Guess bool
}

func (o Owner) String() string {
	if o.Guess {
		return fmt.Sprintf("%s seems to manage this project (%s)", o.Name, o.Sign)
	}
	return fmt.Sprintf("%s manages this project (%s)", o.Name, o.Sign)
}

// Of tells the tool from the labels of one of the project's containers. runs reports whether the engine has a container of an image
// that is called so, its registry, namespace and tag left out; nil: of none.
func Of(labels map[string]string, runs func(image string) bool) (owner Owner, found bool) {
	for label := range labels {
		if name := labeler(label); name != "" && (!found || name < owner.Name) {
			owner, found = Owner{Name: name, Sign: "label " + label}, true
		}
	}
	if found {
		return owner, true
	}
	folder := labels[engine.LabelWorkingDir]
	if folder == "" {
		first, _, _ := strings.Cut(labels[engine.LabelConfigFiles], ",")
		folder = path.Dir(first)
	}
	return ofFolder(path.Clean(folder), runs)
}

// labeler is the tool that puts a label on what it deploys. A label that people write for a tool to read says nothing: one who wants
// Watchtower to update a container manages it all the same.
func labeler(label string) string {
	switch label {
	case "cd.doco.metadata.manager": // kimdre/doco-cd, internal/docker/labels.go
		return "doco-cd"
	case "io.portainer.edge_stack_id": // portainer/portainer, pkg/libstack/compose/composeplugin.go; other stacks of it have none
		return "Portainer"
	case "coolify.managed": // coollabsio/coolify prunes containers by it
		return "Coolify"
	case "runtipi.managed": // runtipi/runtipi, packages/backend/src/modules/docker/builders/compose.builder.ts
		return "Runtipi"
	case "com.docker.swarm.service.id": // on the containers of a task
		return "Docker Swarm"
	}
	return ""
}

// place is where a tool that leaves no labels keeps the files of its projects, by its own default.
type place struct {
	owner, folder string
	// numbered says that the folders below it are called by numbers.
	numbered bool
	// beside is the image of the tool, for a folder that people use without it.
	beside string
}

func places() []place {
	return []place{
		{owner: "Portainer", folder: "/data/compose", numbered: true}, // inside of its own volume: portainer/portainer#3522, #5810
		{owner: "Komodo", folder: "/etc/komodo/stacks"},               // moghtech/komodo, client/core/rs/src/entities/config/periphery.rs
		{owner: "Komodo", folder: "/etc/komodo/repos"},                // the same
		{owner: "Dokploy", folder: "/etc/dokploy/compose"},            // Dokploy/dokploy, packages/server/src/constants/index.ts
		{owner: "CasaOS", folder: "/var/lib/casaos/apps"},             // IceWhaleTech/CasaOS-AppManagement, pkg/config/init.go
		{owner: "Dockge", folder: "/opt/stacks", beside: "dockge"},    // louislam/dockge, backend/dockge-server.ts
		// getarcaneapp/arcane, backend/internal/services/settings_service.go: below /app in its image
		{owner: "Arcane", folder: "/app/data/projects", beside: "arcane"},
	}
}

func ofFolder(folder string, runs func(image string) bool) (Owner, bool) {
	for _, p := range places() {
		below, inside := strings.CutPrefix(folder, p.folder+"/")
		if !inside || p.numbered && !number(below) {
			continue
		}
		owner := Owner{Name: p.owner, Sign: "its folder is " + folder, Guess: true}
		if p.beside == "" {
			return owner, true
		}
		if runs != nil && runs(p.beside) {
			owner.Sign += ", and there is a container of " + p.beside
			return owner, true
		}
	}
	return Owner{}, false
}

// number holds for a path that begins with a folder that is called by a number.
func number(below string) bool {
	first, _, _ := strings.Cut(below, "/")
	return first != "" && strings.Trim(first, "0123456789") == ""
}

// Tells reports whether a running container of an image tells whose a folder is: a tool's default that people use without it, too.
func Tells(reference string) bool {
	name := Image(reference)
	return name != "" && slices.ContainsFunc(places(), func(p place) bool { return p.beside == name })
}

// Image is what an image is called, its registry, namespace, tag and digest left out.
func Image(reference string) string {
	name, _, _ := strings.Cut(reference, "@")
	name, _, _ = strings.Cut(path.Base(name), ":")
	return name
}
