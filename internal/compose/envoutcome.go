package compose

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/composure-dev/composure/internal/envfile"
)

// outcome is the environment that a service ends up with.
type outcome struct {
	values   map[string]*string
	settings map[string][]Setting // those in env files, the weakest first
	// selfReferring tells that an env file takes a value from the service's own environment.
	selfReferring bool
}

// ownEnvironment is the source of what an env_file takes from the environment of its service.
const ownEnvironment = "the service's own environment"

// outcome does what types.Project.WithServicesEnvironmentResolved does, and keeps the places.
func (r *resolver) outcome(l *layer, project environment) (outcome, error) {
	out := outcome{values: map[string]*string{}, settings: map[string][]Setting{}}
	if !l.exists() {
		return out, nil
	}
	scan := &envFileScan{project: project, own: l.own(project), earlier: map[string]Reference{}, out: &out}
	for _, f := range l.pastFiles {
		if !f.dropped {
			continue
		}
		if content, ok, err := r.envFile(f); err == nil && ok {
			scan.file(f, content, nil)
		}
	}
	clear(scan.earlier)
	vars := types.MappingWithEquals(scan.own).ToMapping()
	for _, f := range l.envFiles {
		content, ok, err := r.envFile(f)
		if err == nil && !ok && f.required && r.overlaid {
			err = fmt.Errorf("read env file %q: it does not exist", f.path)
		}
		if err != nil {
			return out, err
		}
		if !ok {
			continue
		}
		if err := dotenv.ParseWithFormat(bytes.NewReader(content.Content), f.path, vars, scan.lookup, f.format); err != nil {
			return out, envFileError(content, err)
		}
		scan.file(f, content, vars)
	}
	for key, value := range vars {
		out.values[key] = &value
	}
	maps.Copy(out.values, scan.own)
	return out, nil
}

// own are the variables of the environment blocks; a bare one has what the project gives it.
func (l *layer) own(project environment) map[string]*string {
	own := map[string]*string{}
	for _, it := range l.environment.items {
		own[it.key] = it.value
		if ref := project.given(it.key); it.value == nil && ref != nil {
			own[it.key] = ref.Value
		}
	}
	return own
}

func (r *resolver) envFile(f envFile) (File, bool, error) {
	content, ok, err := r.content(f.path)
	file := newFile(f.path, content)
	if ok && !f.dropped {
		r.serviceReads[f.path] = file
	}
	return file, ok, err
}

// envFileScan finds the places of the variables in the env files of one service.
type envFileScan struct {
	project environment
	own     map[string]*string
	earlier map[string]Reference // by name, what the files read so far give
	out     *outcome
}

// lookup is what an env file refers to, but for what env files themselves give.
func (e *envFileScan) lookup(name string) (string, bool) {
	if v, ok := e.project.lookup(name); ok {
		return v, true
	}
	if v := e.own[name]; v != nil {
		e.out.selfReferring = true
		return *v, true
	}
	return "", false
}

// file notes every statement of a file. values are what compose-go has after it; nil: the file does not count.
func (e *envFileScan) file(f envFile, file File, values types.Mapping) {
	scan := envfile.Scan
	if f.format == envfile.FormatRaw {
		scan = envfile.ScanRaw
	}
	statements := scan(file.Content)
	last := map[string]int{}
	for i, s := range statements {
		last[s.Key] = i
	}
	for i, s := range statements {
		value, ok := s.Value(func(name string) (string, bool) {
			if v, ok := e.lookup(name); ok {
				return v, true
			}
			ref, ok := e.earlier[name]
			if !ok {
				return "", false
			}
			return *ref.Value, true
		})
		if !ok {
			continue
		}
		setting := e.setting(f, s, value)
		if real, known := values[s.Key]; values != nil && i == last[s.Key] && (!known || real != value) {
			setting.Line, setting.Column = 0, 0 // the statement alone does not explain what compose-go makes of it
		}
		e.earlier[s.Key] = Reference{Name: s.Key, Value: &value, Source: f.path}
		setting.Dropped = values == nil
		e.out.settings[s.Key] = append(e.out.settings[s.Key], setting)
	}
}

func (e *envFileScan) setting(f envFile, s envfile.Statement, value string) Setting {
	setting := Setting{Service: f.service, Extends: f.extends}
	setting.Variable = Variable{
		Value: &value, Text: s.Text, Bare: s.Bare, Literal: s.Literal, Layer: LayerEnvFile, Definition: f.definition,
		Position: Position{File: f.path, Line: s.Line, Column: 1},
	}
	switch {
	case s.Bare:
		ref, _ := e.reference(s.Key)
		setting.References = []Reference{ref}
	case !s.Literal:
		setting.References = references(s.Text, e.reference)
	}
	return setting
}

func (e *envFileScan) reference(name string) (Reference, bool) {
	if ref := e.project.given(name); ref != nil {
		return *ref, true
	}
	if v := e.own[name]; v != nil {
		return Reference{Name: name, Value: v, Source: ownEnvironment}, true
	}
	if ref, ok := e.earlier[name]; ok {
		return ref, true
	}
	return Reference{Name: name}, false
}

// serviceEnv are the files of env_file that were read, sorted by path.
func (r *resolver) serviceEnv() []File { return sortedFiles(r.serviceReads) }

// includeEnv are the env files of includes that were read, sorted by path.
func (r *resolver) includeEnv() []File {
	return slices.DeleteFunc(sortedFiles(r.envReads), func(f File) bool {
		return slices.ContainsFunc(r.inputs.envFiles, func(known File) bool { return known.Path == f.Path })
	})
}

func sortedFiles(files map[string]File) []File {
	out := make([]File, 0, len(files))
	for _, path := range slices.Sorted(maps.Keys(files)) {
		out = append(out, files[path])
	}
	return out
}
