package compose

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"
)

const unexplainedEnvironment = "its environment comes from somewhere this release cannot follow yet"

// editHeld says why no environment block of the service can be edited, or is empty.
func (o *origins) editHeld(service string, unexplained bool) string {
	if reason := o.broken[service]; reason != "" {
		return reason
	}
	defined := false
	for _, doc := range o.docs {
		at := lookup(child(doc.root, "services"), service)
		if at.key == nil {
			continue
		}
		defined = true
		if what := o.unsupported(doc, service, at); what != "" {
			return what + " is not supported yet"
		}
	}
	switch {
	case !defined:
		return "include is not supported yet"
	case unexplained && o.includes():
		return "include is not supported yet"
	case unexplained:
		return unexplainedEnvironment
	}
	return ""
}

func (o *origins) includes() bool {
	for _, doc := range o.docs {
		if child(doc.root, "include") != nil {
			return true
		}
	}
	return false
}

// unsupported names what in one document stands against an edit of the service's environment.
func (o *origins) unsupported(doc document, service string, at found) string {
	services := lookup(doc.root, "services")
	switch {
	case o.documents(doc.file) > 1:
		return "a file of several YAML documents"
	case services.aliased || services.merged || at.aliased || at.merged:
		return "a service given by an alias or a merge key"
	case shared(doc.root, at.node) || shared(doc.root, services.node):
		return "a service that others take over by its anchor"
	case tagged(services.node) || tagged(at.node):
		return "!reset and !override"
	case child(at.node, "extends") != nil || o.extended(doc, service):
		return "extends"
	case o.reached[realPath(doc.file)]:
		return "a file that is also extended or included"
	case negativeZero(environmentOf(doc, service)):
		return unquotedNegativeZero
	}
	return unsupportedBlock(lookup(at.node, "environment"))
}

// unquotedNegativeZero is 0 to some releases of compose and -0 to others.
const unquotedNegativeZero = "an unquoted -0"

func negativeZero(block found) bool {
	return slices.ContainsFunc(pairs(block.node), func(p pair) bool {
		value := deref(p.value)
		return value.Kind == yaml.ScalarNode && value.Value == "-0" && value.ShortTag() != "!!str"
	})
}

func unsupportedBlock(block found) string {
	n := block.node
	switch {
	case n == nil:
		return ""
	case block.merged:
		return "an environment that comes through a merge key"
	case block.aliased:
		return "an environment given by an alias"
	case n.Anchor != "":
		return "an environment with an anchor"
	case tagged(n):
		return "!reset and !override"
	case n.Kind == yaml.ScalarNode:
		return "an empty environment"
	case n.Style&yaml.FlowStyle != 0:
		return "an environment in flow style"
	case len(merged(n)) > 0:
		return "a merge key in environment"
	}
	for _, p := range own(n) {
		if tagged(p.value) {
			return "!reset and !override"
		}
	}
	for _, item := range n.Content {
		if n.Kind == yaml.SequenceNode && tagged(item) {
			return "!reset and !override"
		}
	}
	return ""
}

func tagged(n *yaml.Node) bool {
	return n != nil && (n.Tag == "!reset" || n.Tag == "!override")
}

func (o *origins) documents(file string) int {
	count := 0
	for _, doc := range o.docs {
		if doc.file == file {
			count++
		}
	}
	return count
}

// shared tells whether another place of the document takes n over through its anchor.
func shared(root, n *yaml.Node) bool {
	return n != nil && n.Anchor != "" && aliases(root, n)
}

func aliases(root, target *yaml.Node) bool {
	if root.Kind == yaml.AliasNode {
		return root.Alias == target
	}
	for _, n := range root.Content {
		if aliases(n, target) {
			return true
		}
	}
	return false
}

// extended tells whether a service of a top-level file extends this one.
func (o *origins) extended(doc document, service string) bool {
	for _, other := range o.docs {
		for _, p := range pairs(child(other.root, "services")) {
			extends := child(deref(p.value), "extends")
			if extends == nil {
				continue
			}
			name, file := extends.Value, other.file
			if extends.Kind == yaml.MappingNode {
				name = scalarAt(extends, "service")
				if f := scalarAt(extends, "file"); f != "" {
					file = o.extendsFile(f)
				}
			}
			if name == service && file == doc.file {
				return true
			}
		}
	}
	return false
}

func (o *origins) extendsFile(path string) string {
	refs := references{env: o.env}
	return filepath.Clean(refs.resolve(path, o.directory))
}

// swapHeld says why containers of the service cannot be swapped, or is empty.
func (o *origins) swapHeld(s types.ServiceConfig) string {
	if reason := o.broken[s.Name]; reason != "" {
		return reason
	}
	hasNegativeZero := func(doc document) bool { return negativeZero(environmentOf(doc, s.Name)) }
	for _, held := range []struct {
		what string
		is   bool
	}{
		{unquotedNegativeZero + " is", slices.ContainsFunc(o.docs, hasNegativeZero)},
		{"more or fewer replicas than one is", s.GetScale() != 1},
		{"hooks are", len(s.PreStart)+len(s.PostStart)+len(s.PreStop) > 0},
		{"a provider is", s.Provider != nil},
		{"models are", len(s.Models) > 0},
		{"use_api_socket is", s.UseAPISocket},
		{"a volume of type image is", hasImageVolume(s)},
		{"a config with content or environment is", o.hasInlineConfig(s)},
		{"a secret from an environment variable is", o.hasInlineSecret(s)},
		{"a namespace shared with another container is", sharesNamespace(s)},
		{"volumes_from is", len(s.VolumesFrom) > 0},
		{"build with DOCKER_DEFAULT_PLATFORM is", s.Build != nil && o.env.values["DOCKER_DEFAULT_PLATFORM"] != ""},
	} {
		if held.is {
			return held.what + " not supported yet"
		}
	}
	return o.dependentHeld(s.Name)
}

// dependentHeld looks for services that a swap of this one would take down with it. Inactive ones count: they may have been
// started with a profile.
func (o *origins) dependentHeld(name string) string {
	for _, other := range slices.Sorted(maps.Keys(o.declared)) {
		s := o.declared[other]
		if slices.Contains([]string{s.NetworkMode, s.Ipc, s.Pid}, types.ServicePrefix+name) {
			return fmt.Sprintf("service %s shares a namespace of it: not supported yet", other)
		}
		for _, from := range s.VolumesFrom {
			if source, _, _ := strings.Cut(from, ":"); source == name {
				return fmt.Sprintf("service %s takes its volumes: not supported yet", other)
			}
		}
		if dependency, ok := s.DependsOn[name]; ok && dependency.Restart && !links(s, name) {
			return fmt.Sprintf("service %s restarts with it: not supported yet", other)
		}
	}
	return ""
}

// links tells whether the restart in depends_on is compose's own addition for a link, which a swap does not break: on a
// network of its own a link is a name.
func links(s types.ServiceConfig, name string) bool {
	for _, link := range s.Links {
		if target, _, _ := strings.Cut(link, ":"); target == name {
			return true
		}
	}
	return false
}

func sharesNamespace(s types.ServiceConfig) bool {
	for _, mode := range []string{s.NetworkMode, s.Ipc, s.Pid} {
		if strings.HasPrefix(mode, types.ServicePrefix) || strings.HasPrefix(mode, types.ContainerPrefix) {
			return true
		}
	}
	return false
}

func hasImageVolume(s types.ServiceConfig) bool {
	for _, v := range s.Volumes {
		if v.Type == types.VolumeTypeImage {
			return true
		}
	}
	return false
}

func (o *origins) hasInlineConfig(s types.ServiceConfig) bool {
	for _, ref := range s.Configs {
		if c := o.model.Configs[ref.Source]; c.Content != "" || c.Environment != "" {
			return true
		}
	}
	return false
}

func (o *origins) hasInlineSecret(s types.ServiceConfig) bool {
	for _, ref := range s.Secrets {
		if c := o.model.Secrets[ref.Source]; c.Content != "" || c.Environment != "" {
			return true
		}
	}
	return false
}
