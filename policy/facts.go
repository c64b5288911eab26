package policy

import "cmp"

// Facts is everything [Evaluate] may look at: one project, as read at one moment. Services are sorted by name.
type Facts struct {
	Project string
	// Directory is the absolute project directory, in slashes; patch.files are relative to it.
	Directory string
	// Environment is what ${NAME} resolves to in this project's files: the shell, .env and --env-file.
	Environment map[string]EnvironmentValue
	Services    []Service
	// Override is the compose file that patch.target Override writes to.
	Override Override
	// FilesUnreachable, when not empty, says why no compose file of the project could be read; Services then hold containers only.
	FilesUnreachable string
}

// Override is the override file of a project; it need not exist yet. Held says why compose would not read it, Hint what to do then.
type Override struct {
	File       string // absolute path
	Held, Hint string
}

// EnvironmentValue is an interpolation variable and who gave it, in words: "the shell" or the path of an env file.
type EnvironmentValue struct {
	Value  string
	Source string
}

// Service is one compose service in all its layers.
type Service struct {
	Name   string
	Image  string
	Labels map[string]string
	// Resolved is what the project's files together give the service, by compose's own rules. Keyed by variable name.
	Resolved map[string]Variable
	// Definitions are the files that define the service: those of the project in the order compose merges them (Loaded),
	// then those that only a policy's patch.files names.
	Definitions []Definition
	// Place is the file to which a variable is added that no file sets; empty: the first one that defines the service. Places are
	// the files for variables of which another one decides: a file that resets it for instance.
	Place  string
	Places map[string]string
	// EnvFiles are the service's own env files that exist, in the order in which compose reads them.
	EnvFiles []EnvFile
	// Held, when not empty, says why files of this service cannot be edited yet ("include is not supported yet").
	Held       string
	Containers []Container
}

// formatRaw is the format of an env file in which values have no quotes and are not interpolated.
const formatRaw = "raw"

// EnvFile is a file of a service's env_file.
type EnvFile struct {
	Path   string // absolute
	Format string // "" or "raw"
}

// Definition is what one file says of a service's environment block, before later files are merged over it.
type Definition struct {
	File   string // absolute path
	Loaded bool   // the project loads it, it is not only named by patch.files
	// Declared holds the keys of this file's own environment block, interpolated with the project's environment.
	Declared map[string]Variable
	// Service is where the service begins in this file, the place to point at when a key is missing.
	Service Origin
}

// Layer is where a value comes from, or where a finding lies.
type Layer string

// The layers. LayerContainer is a container's Config.Env.
const (
	LayerEnvironment Layer = "environment"
	LayerEnvFile     Layer = "env_file"
	LayerImage       Layer = "image"
	LayerContainer   Layer = "container"
)

// Variable is one variable in a file layer.
type Variable struct {
	// Value is the resolved value; nil is a bare KEY that nothing gives a value to: unset in the container.
	Value *string
	// Text is the value as written, before interpolation. For a bare KEY it is empty and Bare is true.
	Text string
	Bare bool
	// Literal text is not interpolated: an env_file's single quotes, or its format raw.
	Literal bool
	Layer
	Origin Origin
	// Definition is the file of the service's Definitions through which it comes; empty: that of Origin.
	Definition string
	// References are what ${...} in Text refers to and is set, with the values that count in its file: an included file has an
	// environment of its own. Nil: what Facts.Environment says.
	References map[string]EnvironmentValue
	// Base names the service that it comes from through extends, with its file if that is another one; else empty.
	Base string
}

func (v Variable) definition() string { return cmp.Or(v.Definition, v.Origin.File) }

// Container is one container of a service.
type Container struct {
	ID      string // full id
	Name    string
	Running bool
	State   string // the engine's word: running, exited, created, paused, restarting
	// Env is Config.Env; a nil value is a bare KEY, which hides the image's.
	Env map[string]*string
	// ImageEnv is the ENV of the image the container was created from.
	ImageEnv map[string]string
	// ComposeVersion is that of the docker compose which created it, "2.40.3"; empty: unknown.
	ComposeVersion string
}
