package compose

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/composure-dev/composure/internal/envfile"
)

// errCircle ends the walk of files that include themselves: compose-go, which has read no file more by then, says so better.
var errCircle = errors.New("load project: a file includes itself")

// inclusion is one entry of include.
type inclusion struct {
	paths, envFiles []string
	project         string
}

// include brings the services of included files into those of a document, which come over them.
func (r *resolver) include(s *scope, doc document, own model) (model, error) {
	read := reader{document: doc, env: s.env}
	for _, e := range doc.top().child("include").value.elements() {
		in := inclusion{paths: read.texts(e.value)}
		if e.value.node.Kind == yaml.MappingNode {
			in = inclusion{
				paths: read.texts(e.value.child("path").value), envFiles: read.texts(e.value.child("env_file").value),
				project: read.text(e.value.child("project_directory").value),
			}
		}
		if len(in.paths) == 0 {
			continue
		}
		imported, err := r.imported(s, in)
		if err != nil {
			return nil, err
		}
		for name, l := range imported {
			if l.exists() {
				own[name] = conflict(name, l, own[name], doc.tags)
			}
		}
	}
	return own, nil
}

// conflict is what compose-go makes of a service that is included and there already.
func conflict(name string, included, own *layer, tags []tag) *layer {
	switch {
	case own == nil:
		return included
	case own.same(included):
		return own
	}
	c := included.clone()
	c.reset(name, tags)
	return c.under(own)
}

// imported are the services of one entry. The same files in the same environment are loaded once.
func (r *resolver) imported(s *scope, in inclusion) (model, error) {
	paths := make([]string, len(in.paths))
	for i, path := range in.paths {
		paths[i] = below(s.base, path)
	}
	if slices.Contains(s.chain, paths[0]) {
		return nil, errCircle
	}
	inner := &scope{chain: slices.Clone(s.chain), also: s.also}
	switch {
	case in.project == "":
		inner.dir, inner.base = s.folder(paths[0]), filepath.Dir(paths[0])
	case filepath.IsAbs(in.project):
		inner.dir, inner.base = in.project, in.project
	default:
		inner.dir, inner.base = s.folder(in.project), filepath.Join(s.dir, in.project)
	}
	envFiles, err := r.includeEnvFiles(s, in, inner.base)
	if err != nil {
		return nil, err
	}
	if inner.env, err = r.includedEnvironment(s.env, envFiles); err != nil {
		return nil, err
	}
	key := includeKey(paths, inner)
	if known, ok := r.included[key]; ok {
		return known, nil
	}
	if r.following++; r.following > maxReferences {
		return nil, fmt.Errorf("load project: more than %d files are included or extended", maxReferences)
	}
	var files [][]document
	for i, path := range paths {
		docs, err := r.file(path)
		if err != nil {
			return nil, err
		}
		files = append(files, docs)
		if paths[i], err = r.abs(path); err != nil {
			return nil, err
		}
	}
	loaded, err := r.load(inner, files)
	if err != nil {
		return nil, err
	}
	if r.overlays(slices.Concat(paths, envFiles)...) {
		r.loads = append(r.loads, reload{files: paths, dir: inner.base, env: maps.Clone(inner.env.values)})
	}
	r.included[key] = loaded
	return loaded, nil
}

func includeKey(paths []string, s *scope) string {
	var b strings.Builder
	for _, part := range slices.Concat(paths, []string{s.dir, s.base}) {
		fmt.Fprintf(&b, "%d:%s", len(part), part)
	}
	for _, name := range slices.Sorted(maps.Keys(s.env.values)) {
		value := s.env.values[name]
		fmt.Fprintf(&b, "%d:%s%d:%s", len(name), name, len(value), value)
	}
	return b.String()
}

// includeEnvFiles are the env files of an entry: those it names, or the .env of its project directory.
func (r *resolver) includeEnvFiles(s *scope, in inclusion, project string) ([]string, error) {
	named := in.envFiles
	if len(named) == 0 {
		named = []string{filepath.Join(project, ".env")}
	}
	var out []string
	for _, path := range named {
		if path == os.DevNull {
			continue
		}
		if len(in.envFiles) > 0 {
			path = below(s.dir, path)
		}
		path, err := r.abs(path)
		if err != nil {
			return nil, err
		}
		if isDirectory(path) {
			continue
		}
		out = append(out, path)
	}
	return out, nil
}

// includedEnvironment is what ${NAME} resolves to in an included file: env files come under what is known already.
func (r *resolver) includedEnvironment(outer environment, envFiles []string) (environment, error) {
	env := environment{values: maps.Clone(outer.values), sources: maps.Clone(outer.sources)}
	var files []File
	for _, path := range envFiles {
		content, ok, err := r.content(path)
		if err != nil {
			return env, err
		}
		if ok {
			f := newFile(path, content)
			files = append(files, f)
			r.envReads[path] = f
		}
	}
	values, err := parseEnvFiles(outer.values, files)
	if err != nil {
		return env, err
	}
	env.add(values, files)
	return env, nil
}

// add takes over what is not known yet.
func (e environment) add(values map[string]string, files []File) {
	definers := map[string]string{} // the last file that defines a name gives its value
	for _, f := range files {
		for _, s := range envfile.Scan(f.Content) {
			definers[s.Key] = f.Path
		}
	}
	for name, value := range values {
		if _, known := e.values[name]; !known {
			e.values[name], e.sources[name] = value, definers[name]
		}
	}
}
