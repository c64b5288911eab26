package compose

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

const unexplainedEnvironment = "its environment comes from somewhere this release cannot follow"

// editHeld says why no environment block of the service can be edited, or is empty.
func (o *origins) editHeld(service string, explained bool) string {
	switch {
	case o.broken[service] != "":
		return o.broken[service]
	case !explained:
		return unexplainedEnvironment
	}
	return ""
}

// unquotedNegativeZero is 0 to some releases of compose and -0 to others.
const unquotedNegativeZero = "an unquoted -0"

func (l *layer) negativeZero() bool {
	return slices.ContainsFunc(l.past, func(s step) bool {
		return !s.dropped && s.written != nil && s.written.Value == "-0" && s.written.ShortTag() != "!!str"
	})
}

// swapHeld says why containers of the service cannot be swapped, or is empty.
func (o *origins) swapHeld(s types.ServiceConfig, l *layer) string {
	if reason := o.broken[s.Name]; reason != "" {
		return reason
	}
	for _, held := range []struct {
		what string
		is   bool
	}{
		{unquotedNegativeZero + " is", l.negativeZero()},
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
