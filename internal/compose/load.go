package compose

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/consts"
	"github.com/compose-spec/compose-go/v2/interpolation"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/tree"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/compose-spec/compose-go/v2/utils"
	"github.com/sirupsen/logrus"

	"github.com/composure-dev/composure/internal/syntax"
)

// Load reads the project that docker compose would load with the same flags and variables. Errors are [ErrNoComposeFile],
// [*ParseError] or those of reading a file.
func Load(ctx context.Context, opts Options) (p *Project, err error) {
	// compose-go panics on some files, and writes warnings to the process's standard error unless told otherwise.
	defer func() {
		if r := recover(); r != nil {
			p, err = nil, fmt.Errorf("load project: the compose loader gave up: %w", panicError(r))
		}
	}()
	logrus.SetOutput(io.Discard)
	registerRaw()

	in, err := settle(opts)
	if err != nil {
		return nil, err
	}
	l := &load{inputs: in, unset: map[string]bool{}}
	if err := l.readFiles(); err != nil {
		return nil, err
	}
	// The walk reads every file that compose-go will read, so it comes first: it refuses those that must not be opened.
	if err := l.walk(l.expectedName()); err != nil && !errors.Is(err, errCircle) {
		return nil, err
	}
	if err := l.loadModel(ctx); err != nil {
		return nil, err
	}
	return l.project(ctx)
}

func panicError(r any) error {
	if err, ok := r.(runtime.Error); ok {
		return err
	}
	return fmt.Errorf("panic with a %T", r) // the value may hold content of the files
}

// load is one Load under way.
type load struct {
	*inputs
	files        []File
	docs         []document   // of all files, in merge order
	byFile       [][]document // the same, file by file
	walked       walk
	unset        map[string]bool
	model        *types.Project                   // as compose-go gives it, environment not resolved
	dependencies map[string]types.DependsOnConfig // as the files have them; nil: as the model has them
	broken       map[string]string                // inactive services whose environment does not resolve, and why
}

func (l *load) readFiles() error {
	for _, path := range l.paths {
		content, err := l.read(path)
		if err != nil {
			return fmt.Errorf("read compose file: %w", err)
		}
		l.files = append(l.files, newFile(path, content))
		docs, err := parseFile(path, content)
		if err != nil {
			return err
		}
		l.docs, l.byFile = append(l.docs, docs...), append(l.byFile, docs)
	}
	return nil
}

func (l *load) loadModel(ctx context.Context) (err error) {
	if l.model, err = l.loadWith(ctx); err != nil {
		return err
	}
	l.dependencies, err = l.writtenDependencies(ctx)
	return err
}

// loadWith has compose-go load the files as docker compose does, but for the given options.
func (l *load) loadWith(ctx context.Context, options ...func(*loader.Options)) (*types.Project, error) {
	details := types.ConfigDetails{WorkingDir: l.directory, Environment: maps.Clone(l.env.values)}
	for _, f := range l.files {
		content := f.Content
		if content == nil {
			content = []byte{} // nil would make compose-go read the disk
		}
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: f.Path, Content: content})
	}
	model, err := loader.LoadWithContext(ctx, details, slices.Insert(options, 0, l.configure)...)
	if err != nil {
		return nil, l.loadError(err)
	}
	return model, nil
}

// configure sets what docker compose sets, with resolution of files put off until they have been checked.
func (l *load) configure(o *loader.Options) {
	o.ResolvePaths = true
	o.SkipResolveEnvironment = true
	o.SkipResolveLabels = true
	o.Profiles = l.profiles()
	o.ConvertWindowsPaths = utils.StringToBool(l.env.values["COMPOSE_CONVERT_WINDOWS_PATHS"])
	o.SetProjectName(l.name())
	o.Interpolate.Substitute = l.substitute
	o.Interpolate.TypeCastMapping = l.casts(o.Interpolate.TypeCastMapping)
}

// name is the project's name. One that is not explicit gives way to that in a file.
func (l *load) name() (name string, explicit bool) {
	if name := cmp.Or(l.opts.Name, l.env.values[consts.ComposeProjectName]); name != "" {
		return name, true
	}
	return loader.NormalizeProjectName(filepath.Base(l.directory)), false
}

// expectedName is the name that compose-go is going to settle for.
func (l *load) expectedName() string {
	name, explicit := l.name()
	if explicit {
		return name
	}
	given := ""
	for _, doc := range l.docs {
		given = cmp.Or(syntax.ScalarAt(doc.root, "name"), given)
	}
	if text, err := l.env.substitute(given); err == nil {
		given = text
	}
	return cmp.Or(loader.NormalizeProjectName(given), name)
}

// substitute is compose-go's own, with the variables that are not set kept for a warning.
func (l *load) substitute(text string, mapping template.Mapping) (string, error) {
	for _, name := range plainReferences(text) {
		if _, ok := mapping(name); !ok {
			l.unset[name] = true
		}
	}
	return template.SubstituteWithOptions(text, mapping, template.WithoutLogging)
}

var plainReference = regexp.MustCompile(`\$\$|\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})`)

// plainReferences are the names that text refers to as $NAME or ${NAME}, outside of another reference's default.
func plainReferences(text string) []string {
	if !strings.Contains(text, "$") {
		return nil
	}
	var names []string
	for _, m := range plainReference.FindAllStringSubmatchIndex(text, -1) {
		before := text[:m[0]]
		if strings.Count(before, "${") > strings.Count(before, "}") {
			continue
		}
		for _, group := range []int{2, 4} {
			if m[group] >= 0 {
				names = append(names, text[m[group]:m[group+1]])
			}
		}
	}
	return names
}

// casts adds to compose-go's own conversions the expansion of ~ in every field that holds a path of this machine, because
// compose-go would take HOME from the process. The given map is compose-go's and shared: it is not touched.
func (l *load) casts(given map[tree.Path]interpolation.Cast) map[tree.Path]interpolation.Cast {
	casts := maps.Clone(given)
	path := func(value string) (any, error) { return l.env.expandHome(value), nil }
	volume := func(value string) (any, error) {
		source, rest, ok := strings.Cut(value, ":")
		if !ok {
			return value, nil
		}
		return l.env.expandHome(source) + ":" + rest, nil
	}
	for _, pattern := range []tree.Path{
		"services.*.build", "services.*.build.context", "services.*.build.additional_contexts.*",
		"services.*.env_file", "services.*.env_file.[]", "services.*.env_file.[].path",
		"services.*.label_file", "services.*.label_file.[]", "services.*.extends.file",
		"services.*.develop.watch.[].path", "services.*.volumes.[].source",
		"configs.*.file", "secrets.*.file", "volumes.*.driver_opts.device",
		"include.[]", "include.[].path", "include.[].path.[]", "include.[].project_directory", "include.[].env_file", "include.[].env_file.[]",
	} {
		casts[pattern] = path
	}
	casts["services.*.volumes.[]"] = volume
	return casts
}

// project resolves environments and labels, and puts everything together.
func (l *load) project(ctx context.Context) (*Project, error) {
	if err := l.checkServiceFiles(); err != nil {
		return nil, err
	}
	configs, err := l.resolve()
	if err != nil {
		return nil, err
	}
	if err := l.walk(l.model.Name); err != nil {
		return nil, err
	}
	w := l.walked
	o := &origins{load: l, services: w.services, env: w.env, resolver: w.resolver, declared: l.model.AllServices(), selfReferring: map[string]bool{}}
	if err := l.adopt(ctx, configs); err != nil {
		return nil, err
	}
	p := &Project{
		Name: l.model.Name, Directory: l.directory, Files: l.files, Services: map[string]*Service{},
		model:       &types.Project{Networks: l.model.Networks, Volumes: l.model.Volumes, Secrets: l.model.Secrets, Configs: l.model.Configs},
		Environment: map[string]EnvironmentValue{}, configs: configs, selfReferring: o.selfReferring,
	}
	for name, value := range w.env.values {
		p.Environment[name] = EnvironmentValue{Value: value, Source: w.env.sources[name]}
	}
	for name, config := range configs {
		s, err := o.service(config)
		if err != nil {
			return nil, err
		}
		p.Services[name] = s
	}
	for name := range l.broken {
		delete(p.configs, name) // there is nothing to hash
	}
	p.Typed, p.Warnings = o.typed(), l.allWarnings()
	p.Reached, p.EnvFiles, p.ServiceEnvFiles = l.reachedFiles(), slices.Concat(l.envFiles, w.resolver.includeEnv()), w.resolver.serviceEnv()
	return p, nil
}

// reachedFiles are those that are not top-level.
func (l *load) reachedFiles() []File {
	var out []File
	for _, path := range slices.Sorted(maps.Keys(l.walked.resolver.reached)) {
		if !slices.Contains(l.paths, path) {
			out = append(out, l.walked.resolver.reached[path])
		}
	}
	return out
}

// checkServiceFiles makes sure that what compose-go opens for services, and for their hooks, can be opened.
func (l *load) checkServiceFiles() error {
	for _, service := range l.model.AllServices() {
		specs := []types.ContainerSpec{service.ContainerSpec}
		for _, hook := range service.PreStart {
			specs = append(specs, hook.ContainerSpec)
		}
		for _, spec := range specs {
			paths := slices.Clone(spec.LabelFiles)
			for _, f := range spec.EnvFiles {
				paths = append(paths, f.Path)
			}
			for _, path := range paths {
				if err := checkIfPresent(path); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// resolve merges env_file and label_file into every service. One that is not active must not fail the load.
func (l *load) resolve() (types.Services, error) {
	active, err := resolved(l.model)
	if err != nil {
		return nil, l.loadError(err)
	}
	l.broken = map[string]string{}
	for name, config := range l.model.DisabledServices {
		alone := &types.Project{Services: types.Services{name: config}, Environment: l.model.Environment}
		one, err := resolved(alone)
		if err != nil {
			l.broken[name] = "its env_file or label_file cannot be read"
			one = types.Services{name: config}
		}
		active[name] = one[name]
	}
	return active, nil
}

func resolved(model *types.Project) (types.Services, error) {
	withLabels, err := model.WithServicesLabelsResolved(false)
	if err != nil {
		return nil, err
	}
	withEnvironment, err := withLabels.WithServicesEnvironmentResolved(true)
	if err != nil {
		return nil, err
	}
	if withEnvironment.Services == nil {
		return types.Services{}, nil
	}
	return withEnvironment.Services, nil
}

func (l *load) allWarnings() []string {
	out := slices.Clone(l.warnings)
	for name := range l.unset {
		out = append(out, fmt.Sprintf("the %s variable is not set: it becomes an empty string", name))
	}
	for _, doc := range l.docs {
		if syntax.Lookup(doc.root, "version").Key != nil {
			out = append(out, fmt.Sprintf("%s: the attribute version is obsolete and is ignored", doc.file))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
