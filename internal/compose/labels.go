package compose

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// The labels that say which project a container belongs to.
const (
	labelProject    = "com.docker.compose.project"
	labelWorkingDir = "com.docker.compose.project.working_dir"
	labelFiles      = "com.docker.compose.project.config_files"
	labelEnvFiles   = "com.docker.compose.project.environment_file"
)

// Unreachable tells that the files of a container's project cannot be read from here.
type Unreachable struct {
	Reason string
}

func (e *Unreachable) Error() string { return "reach the project's files: " + e.Reason }

// FromLabels are the options that load the project a container was created from. Labels are input from strangers: a path that
// is not, symbolic links followed, inside one of the roots is refused with [*Unreachable]. ${PWD} becomes the project's folder,
// the likeliest place that the command was run from: no label tells.
func FromLabels(labels map[string]string, roots []string, environ []string) (Options, error) {
	dir := labels[labelWorkingDir]
	opts := Options{
		Name:             labels[labelProject],
		ProjectDirectory: dir,
		Directory:        dir,
		Files:            list(labels[labelFiles]),
		EnvFiles:         list(labels[labelEnvFiles]),
		Environ:          withoutPWD(environ),
	}
	switch {
	case opts.Name == "":
		return Options{}, &Unreachable{"the container has no label " + labelProject}
	case dir == "":
		return Options{}, &Unreachable{"the container has no label " + labelWorkingDir}
	case len(opts.Files) == 0:
		return Options{}, &Unreachable{"the container has no label " + labelFiles}
	}
	for _, path := range slices.Concat([]string{dir}, opts.Files, opts.EnvFiles) {
		if err := inside(path, roots); err != nil {
			return Options{}, err
		}
	}
	return opts, nil
}

func withoutPWD(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(kv string) bool { return strings.HasPrefix(kv, "PWD=") })
}

func list(label string) []string {
	if label == "" {
		return nil
	}
	return strings.Split(label, ",")
}

func inside(path string, roots []string) error {
	if !filepath.IsAbs(path) {
		return &Unreachable{fmt.Sprintf("%q is not an absolute path of this machine", path)}
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return &Unreachable{fmt.Sprintf("%q cannot be read here", path)}
	}
	for _, root := range roots {
		folder, err := filepath.EvalSymlinks(root)
		if err != nil || !filepath.IsAbs(folder) {
			continue
		}
		rel, err := filepath.Rel(folder, target)
		if err == nil && filepath.IsLocal(rel) {
			return nil
		}
	}
	return &Unreachable{fmt.Sprintf("%q is outside of the allowed roots", path)}
}
