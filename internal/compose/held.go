package compose

import (
	"slices"

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
		{"hooks are", len(s.PreStart)+len(s.PostStart)+len(s.PreStop) > 0},
		{"a provider is", s.Provider != nil},
		{"models are", len(s.Models) > 0},
		{"use_api_socket is", s.UseAPISocket},
		{"a volume of type image is", hasImageVolume(s)},
		{"build with DOCKER_DEFAULT_PLATFORM is", s.Build != nil && o.env.values["DOCKER_DEFAULT_PLATFORM"] != ""},
	} {
		if held.is {
			return held.what + " not supported yet"
		}
	}
	return ""
}

func hasImageVolume(s types.ServiceConfig) bool {
	for _, v := range s.Volumes {
		if v.Type == types.VolumeTypeImage {
			return true
		}
	}
	return false
}
