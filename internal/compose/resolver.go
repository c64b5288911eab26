package compose

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
)

// maxSteps bounds how many places the variables of all services may have together, through aliases, extends and include.
const maxSteps = 1_000_000

// resolver walks the files of a project as nodes, in the order and by the rules in which compose-go merges them: it keeps what
// compose-go forgets, the place of every value. It reads what compose-go would read, by itself and refusing what must not be opened.
type resolver struct {
	*inputs
	overlaid bool // files that are not top-level are read through the overlay, too

	parsed       map[string][]document
	reached      map[string]File
	envReads     map[string]File // env files of includes
	serviceReads map[string]File // files of env_file
	included     map[string]model
	loads        []reload
	steps        int
	following    int
}

// scope is what the files that are loaded together have in common: the top-level ones, or those of one include.
type scope struct {
	env   environment
	dir   string // relative paths of the model start here; of an included file it is itself relative to the including scope
	base  string // relative paths of files to be loaded start here
	also  bool   // of Options.Also
	chain []string
	bases map[baseKey]*base
}

// baseKey is an extended file.
type baseKey struct{ path, dir string }

// base is an extended file before its own extends are followed.
type base struct {
	path     string
	services model
	tags     []tag // of its last document
}

// reload is an overlaid file in the way in which compose-go gets it, so that compose-go can be asked whether it loads.
type reload struct {
	files   []string
	dir     string
	env     types.Mapping
	extends bool
}

func (in *inputs) newResolver(overlaid bool) *resolver {
	return &resolver{
		inputs: in, overlaid: overlaid, parsed: map[string][]document{}, reached: map[string]File{},
		envReads: map[string]File{}, serviceReads: map[string]File{}, included: map[string]model{},
	}
}

// resolve gives the services of the project. docs are those of the top-level files, each file by itself.
func (r *resolver) resolve(env environment, docs [][]document) (model, error) {
	s := &scope{env: env, dir: r.directory, base: r.directory}
	return r.load(s, docs)
}

// load merges the documents of files in order.
func (r *resolver) load(s *scope, files [][]document) (model, error) {
	s.bases = map[baseKey]*base{}
	outer := s.chain
	merged := model{}
	for i, docs := range files {
		if outer == nil {
			s.also = i >= r.named
		}
		for _, doc := range docs {
			s.chain = append(slices.Clone(outer), doc.file)
			own, err := r.own(s, doc)
			if err != nil {
				return nil, err
			}
			if own, err = r.include(s, doc, own); err != nil {
				return nil, err
			}
			merged.reset(doc.tags)
			if err := r.extend(s, doc, own); err != nil {
				return nil, err
			}
			merged.merge(own)
			if err := r.spend(merged); err != nil {
				return nil, err
			}
		}
	}
	for name, l := range merged {
		merged[name] = l.settled(s)
	}
	return merged, nil
}

// own are the services that a document itself has.
func (r *resolver) own(s *scope, doc document) (model, error) {
	out := model{}
	root := doc.top()
	read := reader{document: doc, env: s.env, also: s.also}
	for _, at := range root.child("services").value.slots() {
		l := read.service(at)
		out[at.key.Value] = l
		if r.steps += len(l.past); r.steps > maxSteps {
			return nil, errTooMany
		}
	}
	for _, at := range root.child("jobs").value.slots() {
		// Jobs are none of ours, but compose-go opens what they extend.
		if e := read.extension(at.value.child("extends").value); e != nil && e.file != "" {
			if _, err := r.baseFile(s, e.file); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

var errTooMany = errors.New("load project: its services have too many variables")

func (r *resolver) spend(m model) error {
	for _, l := range m {
		r.steps += len(l.past)
	}
	if r.steps > maxSteps {
		return errTooMany
	}
	return nil
}

// settled is a layer as compose-go has it when all files of a scope are merged.
func (l *layer) settled(s *scope) *layer {
	l = l.clone()
	for _, files := range [][]envFile{l.envFiles, l.pastFiles} {
		for i := range files {
			files[i].path = below(s.dir, files[i].path)
		}
	}
	if !l.environment.list {
		return l // it is done for mappings when the project is complete, with the project's own variables
	}
	for i, it := range l.environment.items {
		if ref := s.env.given(it.key); it.value == nil && ref != nil {
			l.environment.items[i].value = ref.Value
			l.past[it.step].given = ref
		}
	}
	return l
}

func below(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// abs is the file that compose-go opens under a path. A relative one, which a nested include can lead to, depends on where the
// command runs: that is where this process runs, or the project cannot be loaded as compose would load it.
func (r *resolver) abs(path string) (string, error) {
	if filepath.IsAbs(path) {
		return filepath.Clean(path), nil
	}
	if dir, err := os.Getwd(); err != nil || dir != r.opts.Directory {
		return "", fmt.Errorf("load project: where %q lies depends on the folder in which compose runs", path)
	}
	return filepath.Join(r.opts.Directory, path), nil
}

// content reads a file that is not top-level. ok is false for one that does not exist.
func (r *resolver) content(path string) (content []byte, ok bool, err error) {
	if r.overlaid {
		if content, ok := r.candidate(path); ok {
			return content, true, nil
		}
	}
	content, err = readFile(path)
	if isNotExist(err) {
		return nil, false, nil // compose-go says who asked for it
	}
	return content, err == nil, err
}

// file reads and parses a compose file that another one names.
func (r *resolver) file(path string) ([]document, error) {
	path, err := r.abs(path)
	if err != nil {
		return nil, err
	}
	if docs, ok := r.parsed[path]; ok {
		return docs, nil
	}
	if len(r.parsed) >= maxReferences {
		return nil, fmt.Errorf("load project: more than %d files are included or extended", maxReferences)
	}
	content, ok, err := r.content(path)
	if err != nil {
		return nil, err
	}
	var docs []document
	if ok {
		r.reached[path] = newFile(path, content)
		if docs, err = parseFile(path, content); err != nil {
			return nil, err
		}
	}
	r.parsed[path] = docs
	return docs, nil
}

// overlays reports whether one of the files is read from the overlay.
func (r *resolver) overlays(paths ...string) bool {
	return r.overlaid && slices.ContainsFunc(paths, func(path string) bool {
		_, ok := r.candidate(path)
		return ok
	})
}

// follower follows the extends of a service.
type follower struct {
	*scope
	file     string // to which the services belong
	services model
	tags     []tag // of the document that they are in
	chain    []extendsStep
}

type extendsStep struct{ file, service string }

func (r *resolver) extend(s *scope, doc document, own model) error {
	for _, name := range slices.Sorted(maps.Keys(own)) {
		f := follower{scope: s, file: doc.file, services: own, tags: doc.tags}
		l, err := r.follow(f, name)
		if err != nil {
			return err
		}
		own[name] = l
	}
	return nil
}

// follow gives a service with all that it extends.
func (r *resolver) follow(f follower, name string) (*layer, error) {
	l := f.services[name]
	if !l.exists() || l.extends == nil {
		return l, nil
	}
	here := extendsStep{f.file, name}
	if slices.Contains(f.chain, here) || len(f.chain) > maxReferences {
		return l, nil // compose-go says that it goes round in a circle
	}
	from := f
	from.chain = append(slices.Clone(f.chain), here)
	if l.extends.file != "" {
		b, err := r.baseFile(f.scope, l.extends.file)
		if err != nil || b == nil {
			return l, err
		}
		from.file, from.services, from.tags = b.path, maps.Clone(b.services), b.tags
	}
	extended, err := r.follow(from, l.extends.service)
	if err != nil || !extended.exists() {
		return l, err
	}
	source := extended.extended(f.file)
	source.reset(name, f.tags)
	merged := source.under(l)
	merged.extends = nil
	f.services[name] = merged
	if r.steps += len(merged.past); r.steps > maxSteps {
		return nil, errTooMany
	}
	return merged, nil
}

// baseFile reads an extended file: its documents merged, without what it includes and extends itself.
func (r *resolver) baseFile(s *scope, path string) (*base, error) {
	local, dir := below(s.base, path), s.folder(path)
	key := baseKey{local, dir}
	if b, ok := s.bases[key]; ok {
		return b, nil
	}
	docs, err := r.file(local)
	if err != nil {
		return nil, err
	}
	inner := &scope{env: s.env, dir: dir}
	b := &base{services: model{}}
	if b.path, err = r.abs(local); err != nil {
		return nil, err
	}
	for _, doc := range docs {
		services := model{}
		read := reader{document: doc, env: inner.env}
		for _, at := range doc.top().child("services").value.slots() {
			services[at.key.Value] = read.service(at)
		}
		b.services.reset(doc.tags)
		b.services.merge(services)
		b.tags = doc.tags
	}
	for _, l := range b.services {
		l.relocate(dir)
	}
	s.bases[key] = b
	if r.overlays(b.path) {
		r.loads = append(r.loads, reload{files: []string{b.path}, dir: filepath.Dir(b.path), env: maps.Clone(s.env.values), extends: true})
	}
	return b, nil
}

// relocate makes the paths of a base those of the service that extends it.
func (l *layer) relocate(dir string) {
	for _, files := range [][]envFile{l.envFiles, l.pastFiles} {
		for i := range files {
			files[i].path = below(dir, files[i].path)
		}
	}
	if l.extends != nil && l.extends.file != "" {
		l.extends = &extension{service: l.extends.service, file: below(dir, l.extends.file)}
	}
}

// folder is the folder of a path, or the path if it is one, relative to where the scope's files are looked for: what compose-go's
// loader of local files calls its Dir.
func (s *scope) folder(path string) string {
	dir := below(s.base, path)
	if !isDirectory(dir) {
		dir = below(s.base, filepath.Dir(path))
	}
	if rel, err := filepath.Rel(s.base, dir); err == nil {
		return rel
	}
	return dir
}
