// Package compose is a project as docker compose sees it: its services with their resolved environment, the place in a file
// that set each variable, and the config hash that compose would stamp.
//
// Loading reads files and the given environment, never the process's own, and writes nothing.
package compose

import "github.com/compose-spec/compose-go/v2/types"

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
	// EnvFiles are the env files interpolation read (.env, --env-file), in order; ServiceEnvFiles those of env_file:.
	EnvFiles, ServiceEnvFiles []File
	// Environment is what ${NAME} resolves to, and who gave it: "the shell" or an env file's path.
	Environment map[string]EnvironmentValue
	Services    map[string]*Service // active and inactive ones
	// Warnings are what compose would print while loading: variables that are not set, obsolete fields. Sorted, each once.
	Warnings []string

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
	Position
}

// Definition is what one top-level file says of a service.
type Definition struct {
	File     string
	Declared map[string]Variable // the file's own environment block, interpolated
	Position                     // of the service's key
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
	// Definitions are the top-level files that define the service, in merge order; those of Options.Also included.
	Definitions []Definition
	// EditHeld says why the service's environment cannot be edited yet ("extends is not supported yet"), or is empty.
	EditHeld string
	// SwapHeld says why its containers cannot be swapped ("hooks are not supported yet"), or is empty.
	SwapHeld string
}
