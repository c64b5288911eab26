// Package compose is a project as docker compose sees it: its services with their resolved environment, the place in a file
// that set each variable, and the config hash that compose would stamp.
//
// Loading reads files and the given environment, never the process's own, and writes nothing.
package compose

import (
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
)

// Options are what decides which project is loaded, as the flags and variables of docker compose do.
type Options struct {
	Files            []string // -f, in order; empty: COMPOSE_FILE, then the default names, searched upwards from Directory
	Name             string   // -p; empty: COMPOSE_PROJECT_NAME, name:, the folder's name
	ProjectDirectory string   // --project-directory
	EnvFiles         []string // --env-file; empty: COMPOSE_ENV_FILES, then .env beside the project
	Profiles         []string // --profile; empty: COMPOSE_PROFILES
	Directory        string   // where the command runs, absolute
	Environ          []string // KEY=VALUE, what the shell has
	// Overlay replaces the content of files by absolute path: a candidate is loaded before it is written.
	Overlay map[string][]byte
	// Also names further compose files, loaded on top (patch.files that the project does not load). What the project is without
	// them, another Load tells.
	Also []string
}

// Project is a loaded project. It is immutable.
type Project struct {
	Name      string
	Directory string // the project (working) directory, absolute
	Files     []File // the top-level compose files in merge order, those of Options.Also last
	// Reached are the files that include and extends bring in and that are not among Files, sorted by path.
	Reached []File
	// EnvFiles are the env files interpolation read (.env, --env-file; then those of includes), in order; ServiceEnvFiles those
	// of env_file:.
	EnvFiles, ServiceEnvFiles []File
	// Environment is what ${NAME} resolves to, and who gave it: "the shell" or an env file's path.
	Environment map[string]EnvironmentValue
	Services    map[string]*Service // active and inactive ones
	// Warnings are what compose would print while loading: variables that are not set, obsolete fields. Sorted, each once.
	Warnings []string
	// Typed are the values of environment blocks that YAML turns into something else than their text, sorted by place.
	Typed []Typed

	model   *types.Project // as compose-go gives it, but for the services: configs has those, and the two together are large
	configs types.Services // resolved as compose resolves them before it hashes
	// selfReferring are the services whose env_file takes a value from their own environment, which compose does since 2.35.
	selfReferring map[string]bool
}

// File is a file as it was read.
type File struct {
	Path    string // absolute, as given (not symlink-resolved)
	Content []byte
	Digest  string // "sha256:<hex>"
}

// EnvironmentValue is one interpolation variable.
type EnvironmentValue struct {
	Value  string
	Source string
}

// Layer is where a service's variable comes from.
type Layer string

// The file layers.
const (
	LayerEnvironment Layer = "environment"
	LayerEnvFile     Layer = "env_file"
)

// Position is a place in a file, counted from 1.
type Position struct {
	File         string
	Line, Column int
}

// Variable is one resolved variable of a service.
type Variable struct {
	Value *string // nil: a bare KEY nothing gives a value to
	Text  string  // as written, before interpolation
	Bare  bool    // written without a value
	// Literal text is not interpolated: an env_file's single quotes, or its format raw.
	Literal bool
	Layer   Layer
	// Definition is the file, of Service.Definitions, through which the service gets the variable: of what an extended base sets
	// the file of the service that extends, of what an included file sets that file.
	Definition string
	Position
}

// Setting is one place that sets a variable of a service, or takes it away again.
type Setting struct {
	Variable          // as this place alone would have it
	Service  string   // the name that the service has in the place's file; a base has a name of its own
	Extends  bool     // it comes from a base
	Fragment bool     // an alias or a merge key brings it in: Position lies in the fragment
	At       Position // then: where the service's file brings the fragment in
	Removed  bool     // tagged !reset: it takes the variable away
	// Dropped tells that it does not count at all: a later !override or !reset drops its whole block, or, of a Removed one,
	// compose passes over it.
	Dropped    bool
	References []Reference // what ${...} in Text refers to, in order; of a bare KEY that has a value, KEY itself
}

// Reference is a variable that a value refers to.
type Reference struct {
	Name   string
	Value  *string // nil: it is not set, and a default counts
	Source string  // "the shell" or an env file's path; empty when it is not set
}

// Typed is a value written without quotes that YAML takes for something else than text.
type Typed struct {
	Service string // the first one, by name, that gets it; of one that nobody gets, the first that would
	Key     string
	Text    string // as written: 022
	Value   string // what compose makes of it: 18
	Kind    string // what YAML takes it for: number, boolean or date
	Used    bool   // a service gets it
	Position
}

// EnvFile is a file of a service's env_file.
type EnvFile struct {
	Path       string
	Format     string // "" or "raw"
	Definition string // as Variable.Definition: the compose file through which the service has it
	Extends    bool   // it comes from a base
}

// Definition is what one file says of a service: a top-level one, or one that is included.
type Definition struct {
	File     string
	Declared map[string]Variable // the file's own environment block, interpolated
	// Replaces tells that the block is tagged !override or !reset: what earlier files say does not count.
	Replaces bool
	Position // of the service's key
}

// Service is one service of the project.
type Service struct {
	Name     string
	Image    string
	Labels   map[string]string
	Active   bool // false: only with a profile that is not on
	Replicas int
	// Environment is the resolved environment: env_file under environment, all files merged.
	Environment map[string]Variable
	// Settings are all places that set a variable, the weakest first: those in env files, then those in environment blocks. The
	// last one that is not Dropped gives the value; if that is Removed, the last one of an env file does.
	Settings map[string][]Setting
	// EnvFiles are the files of env_file that exist, in the order in which compose reads them.
	EnvFiles []EnvFile
	// Definitions are the files that define the service, top-level or included, in merge order; those of Options.Also included.
	Definitions []Definition
	// Place is the file of Definitions to which a variable that no place sets is added; see PlaceOf.
	Place string
	// EditHeld says why the service's environment cannot be edited yet ("an unquoted -0 is not supported yet"), or is empty.
	EditHeld string
	// SwapHeld says why its containers cannot be swapped ("hooks are not supported yet"), or is empty.
	SwapHeld string
	// Injected are the absolute paths, sorted, of the files that compose copies into the containers before it starts them: configs
	// and secrets that are no files of the host. Compose copies none that is empty: those that are now are MayInject, since they
	// may not have been at that time.
	Injected, MayInject []string
	// MACs are the MAC addresses, sorted, that it asks for: its own, and those of its networks.
	MACs []string
	// Shares are the services, sorted, whose namespaces or volumes (volumes_from) its containers use.
	Shares []string
	// RestartsWith are the services, sorted, which its depends_on has it restarted with (restart: true). What compose-go adds for
	// links and shared namespaces is not among them.
	RestartsWith []string
	OneShot      bool // another service waits for it to complete successfully
}

// Winner is the setting that gives the variable its value; ok is false when none does.
func (s *Service) Winner(key string) (won Setting, ok bool) {
	removed := false
	for _, setting := range slices.Backward(s.Settings[key]) {
		switch {
		case setting.Dropped || removed && setting.Layer == LayerEnvironment:
		case setting.Removed:
			removed = true
		default:
			return setting, true
		}
	}
	return Setting{}, false
}

// PlaceOf is the file of Definitions in which the variable is put right: that of the environment block that has the last word on
// it, be it a !reset, or else Place.
func (s *Service) PlaceOf(key string) string {
	for _, setting := range slices.Backward(s.Settings[key]) {
		if setting.Layer == LayerEnvironment && !setting.Dropped {
			return setting.Definition
		}
	}
	return s.Place
}
