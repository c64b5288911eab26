package compose

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/consts"
	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/template"
)

// ErrNoComposeFile tells that no compose file was named and none was found by its default name.
var ErrNoComposeFile = errors.New("no compose file")

// shell is the source of variables that Options.Environ holds.
const shell = "the shell"

// environment is what ${NAME} resolves to.
type environment struct {
	values  map[string]string
	sources map[string]string
}

func newEnvironment(opts Options) environment {
	env := environment{values: map[string]string{"PWD": opts.Directory}, sources: map[string]string{}}
	for _, kv := range opts.Environ {
		if k, v, ok := strings.Cut(kv, "="); ok && k != "" {
			env.values[k] = v
		}
	}
	for k := range env.values {
		env.sources[k] = shell
	}
	return env
}

func (e environment) lookup(name string) (string, bool) {
	v, ok := e.values[name]
	return v, ok
}

// substitute interpolates as compose does, silently.
func (e environment) substitute(text string) (string, error) {
	return template.SubstituteWithOptions(text, e.lookup, template.WithoutLogging)
}

// expandHome replaces a leading ~ by the HOME of this environment. compose-go would take the process's own.
func (e environment) expandHome(path string) string {
	home := e.values["HOME"]
	if home == "" || !strings.HasPrefix(path, "~") {
		return path
	}
	return filepath.Join(home, path[1:])
}

// inputs is what a project is loaded from, settled by the rules of docker compose: every path is absolute.
type inputs struct {
	opts      Options
	env       environment
	directory string   // the project directory
	paths     []string // compose files
	named     int      // how many of them are the project's: the others are those of Options.Also
	envFiles  []File
	warnings  []string
	overlay   map[string][]byte // Options.Overlay, also by what its paths are behind symbolic links
}

func settle(opts Options) (*inputs, error) {
	if !filepath.IsAbs(opts.Directory) {
		return nil, fmt.Errorf("load project: directory %q is not absolute", opts.Directory)
	}
	in := &inputs{opts: opts, env: newEnvironment(opts), overlay: map[string][]byte{}}
	for path, content := range opts.Overlay {
		in.overlay[path], in.overlay[realPath(path)] = content, content
	}
	for _, f := range opts.Files {
		in.paths = append(in.paths, in.abs(f))
	}
	if err := in.readEnvFiles(in.workingDirectory()); err != nil {
		return nil, err
	}
	if err := in.findFiles(); err != nil {
		return nil, err
	}
	in.directory = in.workingDirectory()
	// The files may have been found elsewhere than where the command runs: the .env beside them counts too.
	if err := in.readEnvFiles(in.directory); err != nil {
		return nil, err
	}
	in.named = len(in.paths)
	for _, f := range opts.Also {
		if path := in.abs(f); !slices.Contains(in.paths, path) {
			in.paths = append(in.paths, path)
		}
	}
	return in, nil
}

func (in *inputs) abs(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(in.opts.Directory, path)
}

func (in *inputs) workingDirectory() string {
	switch {
	case in.opts.ProjectDirectory != "":
		return in.abs(in.opts.ProjectDirectory)
	case len(in.paths) > 0:
		return filepath.Dir(in.paths[0])
	}
	return in.opts.Directory
}

// findFiles fills paths from COMPOSE_FILE or by the default names, unless files were named.
func (in *inputs) findFiles() error {
	if slices.Contains(in.opts.Files, "-") {
		return errors.New("load project: a compose file on standard input is not supported")
	}
	if len(in.paths) > 0 {
		return nil
	}
	if list, ok := in.env.values[consts.ComposeFilePath]; ok {
		separator := in.env.values[consts.ComposePathSeparator]
		if separator == "" {
			separator = string(os.PathListSeparator)
		}
		for f := range strings.SplitSeq(list, separator) {
			in.paths = append(in.paths, in.abs(f))
		}
		return nil
	}
	return in.searchUpwards()
}

func (in *inputs) searchUpwards() error {
	start := in.workingDirectory()
	for dir := start; ; dir = filepath.Dir(dir) {
		if file := in.firstOf(cli.DefaultFileNames, dir); file != "" {
			in.paths = []string{file}
			if override := in.firstOf(cli.DefaultOverrideFileNames, dir); override != "" {
				in.paths = append(in.paths, override)
			}
			return nil
		}
		if dir == filepath.Dir(dir) {
			return fmt.Errorf("%w in %q or a folder above it", ErrNoComposeFile, start)
		}
	}
}

func (in *inputs) firstOf(names []string, dir string) string {
	var existing []string
	for _, name := range names {
		path := filepath.Join(dir, name)
		if _, overlaid := in.candidate(path); overlaid || exists(path) {
			existing = append(existing, path)
		}
	}
	if len(existing) == 0 {
		return ""
	}
	if len(existing) > 1 {
		in.warnings = append(in.warnings, fmt.Sprintf("several compose files side by side: %s; using %s", strings.Join(existing, ", "), existing[0]))
	}
	return existing[0]
}

// read gives a file that Composure itself reads, or its candidate.
func (in *inputs) read(path string) ([]byte, error) {
	if content, ok := in.candidate(path); ok {
		return content, nil
	}
	return readFile(path)
}

// candidate is what the overlay has for a file, by whatever name it is reached.
func (in *inputs) candidate(path string) ([]byte, bool) {
	if len(in.overlay) == 0 {
		return nil, false
	}
	if content, ok := in.overlay[path]; ok {
		return content, true
	}
	content, ok := in.overlay[realPath(path)]
	return content, ok
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// readEnvFiles adds the variables of --env-file, COMPOSE_ENV_FILES or dir's .env, under those already known.
func (in *inputs) readEnvFiles(dir string) error {
	paths, err := in.envFilePaths(dir)
	if err != nil || len(paths) == 0 {
		return err
	}
	var files []File
	for _, path := range paths {
		content, err := in.read(path)
		if err != nil {
			return fmt.Errorf("read env file: %w", err)
		}
		files = append(files, newFile(path, content))
		in.rememberEnvFile(files[len(files)-1])
	}
	values, err := parseEnvFiles(in.env.values, files)
	if err != nil {
		return err
	}
	in.env.add(values, files)
	return nil
}

// parseEnvFiles is dotenv.GetEnvFromFile for files that are read already.
func parseEnvFiles(known map[string]string, files []File) (map[string]string, error) {
	values := map[string]string{}
	lookup := func(name string) (string, bool) {
		if v, ok := known[name]; ok {
			return v, true
		}
		v, ok := values[name]
		return v, ok
	}
	for _, f := range files {
		if err := dotenv.ParseWithFormat(bytes.NewReader(f.Content), f.Path, values, lookup, dotenv.DotEnv); err != nil {
			return nil, envFileError(f, err)
		}
	}
	return values, nil
}

func (in *inputs) envFilePaths(dir string) ([]string, error) {
	named := in.opts.EnvFiles
	if len(named) == 0 && in.env.sources["COMPOSE_ENV_FILES"] == shell {
		named = strings.FieldsFunc(in.env.values["COMPOSE_ENV_FILES"], func(r rune) bool { return r == ',' })
	}
	if len(named) > 0 {
		paths := make([]string, len(named))
		for i, f := range named {
			paths[i] = in.abs(f)
		}
		return paths, nil
	}
	if in.env.sources[consts.ComposeDisableDefaultEnvFile] == shell {
		disabled, err := strconv.ParseBool(in.env.values[consts.ComposeDisableDefaultEnvFile])
		if err != nil {
			return nil, fmt.Errorf("read %s: not a boolean", consts.ComposeDisableDefaultEnvFile)
		}
		if disabled {
			return nil, nil
		}
	}
	path := filepath.Join(dir, ".env")
	_, overlaid := in.candidate(path)
	if info, err := os.Stat(path); overlaid || err == nil && !info.IsDir() {
		return []string{path}, nil
	}
	return nil, nil // compose takes a .env that it cannot see for absent
}

func (in *inputs) rememberEnvFile(f File) {
	if !slices.ContainsFunc(in.envFiles, func(known File) bool { return known.Path == f.Path }) {
		in.envFiles = append(in.envFiles, f)
	}
}

// profiles are those that are on.
func (in *inputs) profiles() []string {
	if len(in.opts.Profiles) > 0 {
		return in.opts.Profiles
	}
	var out []string
	for p := range strings.SplitSeq(in.env.values[consts.ComposeProfiles], ",") {
		out = append(out, strings.TrimSpace(p))
	}
	return out
}
