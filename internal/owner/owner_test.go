package owner

import (
	"strings"
	"testing"

	"github.com/composure-dev/composure/internal/engine"
)

func TestOf(t *testing.T) {
	in := func(folder string) map[string]string { return map[string]string{engine.LabelWorkingDir: folder} }
	tests := map[string]struct {
		reason string
		labels map[string]string
		images string // that have containers
		want   string // empty: nobody
		guess  bool
	}{
		"DocoCD":        {reason: "it labels all that it deploys", labels: map[string]string{"cd.doco.metadata.manager": "doco-cd"}, want: "doco-cd"},
		"DocoCDJob":     {reason: "a person writes this one", labels: map[string]string{"cd.doco.job.enabled": "true"}},
		"PortainerEdge": {reason: "edge stacks have a label", labels: map[string]string{"io.portainer.edge_stack_id": "3"}, want: "Portainer"},
		"Coolify":       {reason: "it labels all that it deploys", labels: map[string]string{"coolify.managed": "true"}, want: "Coolify"},
		"Runtipi":       {reason: "it labels all that it deploys", labels: map[string]string{"runtipi.managed": "true"}, want: "Runtipi"},
		"Swarm":         {reason: "a task is the swarm's", labels: map[string]string{"com.docker.swarm.service.id": "x"}, want: "Docker Swarm"},
		"Watchtower":    {reason: "it only updates images", labels: map[string]string{"com.centurylinklabs.watchtower.enable": "true"}},
		"Nobody":        {reason: "docker compose by hand", labels: in("/srv/shop")},
		"NoLabels":      {reason: "nothing tells"},

		"Portainer":         {reason: "its folders are numbers", labels: in("/data/compose/76"), want: "Portainer", guess: true},
		"PortainerVersion":  {reason: "versions of a stack lie deeper", labels: in("/data/compose/76/v2"), want: "Portainer", guess: true},
		"NotPortainer":      {reason: "a person's own folder of that name", labels: in("/data/compose/shop")},
		"PortainerByFiles":  {reason: "the folder is not told, the file is", labels: map[string]string{engine.LabelConfigFiles: "/data/compose/7/docker-compose.yml,/x"}, want: "Portainer", guess: true},
		"Komodo":            {reason: "its default", labels: in("/etc/komodo/stacks/shop"), want: "Komodo", guess: true},
		"KomodoRepository":  {reason: "its default for those of a repository", labels: in("/etc/komodo/repos/shop/deploy"), want: "Komodo", guess: true},
		"KomodoItself":      {reason: "a person's: Komodo does not keep itself there", labels: in("/etc/komodo")},
		"LikeKomodo":        {reason: "another folder whose name begins so", labels: in("/etc/komodo/stacks-old/shop")},
		"Dokploy":           {reason: "its default", labels: in("/etc/dokploy/compose/shop-x1/code"), want: "Dokploy", guess: true},
		"CasaOS":            {reason: "its default", labels: in("/var/lib/casaos/apps/shop"), want: "CasaOS", guess: true},
		"Dockge":            {reason: "its default, and it is there", labels: in("/opt/stacks/shop"), images: "dockge", want: "Dockge", guess: true},
		"OptStacks":         {reason: "many a person's own folder", labels: in("/opt/stacks/shop"), images: "redis"},
		"Arcane":            {reason: "its default, and it is there", labels: in("/app/data/projects/shop"), images: "arcane", want: "Arcane", guess: true},
		"AppData":           {reason: "any container's folder", labels: in("/app/data/projects/shop")},
		"LabelBeatsFolder":  {reason: "what is sure counts", labels: map[string]string{engine.LabelWorkingDir: "/etc/komodo/stacks/shop", "coolify.managed": "true"}, want: "Coolify"},
		"TwoLabelsOneOrder": {reason: "the answer is always the same", labels: map[string]string{"runtipi.managed": "true", "coolify.managed": "true"}, want: "Coolify"},
		"Climbing":          {reason: "a label is a stranger's text", labels: in("/etc/komodo/stacks/../../../srv/shop")},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			owner, found := Of(tc.labels, func(image string) bool { return image == tc.images })
			if owner.Name != tc.want || found != (tc.want != "") || owner.Guess != tc.guess {
				t.Fatalf("%s: %+v, want %q, a guess: %v", tc.reason, owner, tc.want, tc.guess)
			}
			if found && (!strings.Contains(owner.String(), owner.Name) || strings.Contains(owner.String(), "seems") != tc.guess) {
				t.Errorf("%s: it is said as %q", tc.reason, owner)
			}
		})
	}
	if owner, found := Of(in("/opt/stacks/shop"), nil); found {
		t.Errorf("without an engine a person's folder is %s's", owner.Name)
	}
}

func TestImage(t *testing.T) {
	for reference, want := range map[string]string{
		"louislam/dockge:1":              "dockge",
		"localhost:5000/x/arcane":        "arcane",
		"dockge@sha256:00":               "dockge",
		"ghcr.io/getarcaneapp/arcane:v1": "arcane",
	} {
		if got := Image(reference); got != want {
			t.Errorf("%q is called %q, want %q", reference, got, want)
		}
	}
}

func TestTells(t *testing.T) {
	for reference, want := range map[string]bool{
		"louislam/dockge:1":              true,
		"ghcr.io/getarcaneapp/arcane:v1": true,
		"redis:7":                        false,
		"":                               false, // most places tell by themselves
	} {
		if got := Tells(reference); got != want {
			t.Errorf("%q tells: %v, want %v", reference, got, want)
		}
	}
}
