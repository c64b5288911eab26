package compose

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// layer is one service at one point of the merge: the state that compose-go's model is in there, as far as the environment
// depends on it, and every place that had a say so far. A layer is not changed once another one was made of it.
type layer struct {
	definitions []definition
	extends     *extension
	environment block
	envFiles    []envFile
	past        []step // of the environment, the weakest first
	pastFiles   []envFile
	gone        bool // a !reset took the service away; its past is kept for the one that may come
}

// block is an environment. Only one in the form of a mapping loses a variable to a !reset, and merging makes lists.
type block struct {
	given bool
	list  bool
	items []item
}

// item is a variable that counts, by the text before and behind its =.
type item struct {
	key   string
	value *string // nil: no value
	step  int     // in the past of the layer
}

// step is a place in the past of a service.
type step struct {
	*place
	definition string
	extends    bool
	dropped    bool
	given      *Reference // what a bare key was given in the file that was included
}

// place is a setting as its file has it, whoever takes it over.
type place struct {
	Setting
	key     string
	written *yaml.Node // the value of a map entry, not an alias
}

// envFile is an entry of env_file, on its way to where the service is.
type envFile struct {
	path, format string
	required     bool
	definition   string
	extends      bool
	service      string
	dropped      bool
}

// definition is a Definition with the variables that its file takes away.
type definition struct {
	Definition
	removed []string
	also    bool // a file of Options.Also leads to it
}

// extension is what extends says.
type extension struct {
	service, file string
}

func (l *layer) exists() bool { return l != nil && !l.gone }

// clone is a copy that can be changed.
func (l *layer) clone() *layer {
	c := *l
	c.definitions = slices.Clone(l.definitions)
	c.environment.items = slices.Clone(l.environment.items)
	c.envFiles, c.pastFiles = slices.Clone(l.envFiles), slices.Clone(l.pastFiles)
	c.past = slices.Clone(l.past)
	return &c
}

// extended is what a service of the file takes over from a base.
func (l *layer) extended(file string) *layer {
	c := l.clone()
	c.definitions, c.extends = nil, nil
	for i := range c.past {
		c.past[i].definition, c.past[i].extends = file, true
	}
	for _, files := range [][]envFile{c.envFiles, c.pastFiles} {
		for i := range files {
			files[i].definition, files[i].extends = file, true
		}
	}
	return c
}

// under is the layer with another one merged over it.
func (l *layer) under(over *layer) *layer {
	if l == nil || over == nil {
		return cmp.Or(over, l)
	}
	c := l.clone()
	c.gone, c.extends = over.gone, cmp.Or(over.extends, l.extends)
	c.past = append(c.past, over.past...)
	c.pastFiles = append(c.pastFiles, over.pastFiles...)
	c.environment = l.environment.under(over.environment, len(l.past))
	c.envFiles = mergedFiles(l.envFiles, over.envFiles)
	for _, d := range over.definitions {
		d.Replaces = d.Replaces || l.gone
		c.define(d)
	}
	return c
}

// define adds what a file says of the service; what its later documents say comes over that.
func (l *layer) define(d definition) {
	i := slices.IndexFunc(l.definitions, func(known definition) bool { return known.File == d.File })
	if i < 0 {
		l.definitions = append(l.definitions, d)
		return
	}
	known := l.definitions[i]
	if d.Replaces {
		known.Declared, known.removed = d.Declared, d.removed
	} else {
		known.Declared = maps.Clone(known.Declared)
		for _, key := range d.removed {
			delete(known.Declared, key)
		}
		maps.Copy(known.Declared, d.Declared)
	}
	known.Replaces = known.Replaces || d.Replaces
	l.definitions[i] = known
}

// under merges as override.mergeKeyValueSequence does. Steps of over begin at shift.
func (b block) under(over block, shift int) block {
	shifted := slices.Clone(over.items)
	for i := range shifted {
		shifted[i].step += shift
	}
	switch {
	case !over.given:
		return b
	case !b.given:
		return block{given: true, list: over.list, items: shifted}
	}
	return block{given: true, list: true, items: unique(append(b.sequence(), block{list: over.list, items: shifted}.sequence()...))}
}

// sequence are the items as a list has them: KEY=VALUE is cut at the first =, wherever it came from.
func (b block) sequence() []item {
	out := slices.Clone(b.items)
	if b.list {
		return out
	}
	for i := range out {
		out[i] = out[i].relisted()
	}
	return out
}

func (i item) relisted() item {
	text := i.key
	if i.value != nil {
		text += "=" + *i.value
	}
	key, value, assigned := strings.Cut(text, "=")
	i.key, i.value = key, nil
	if assigned {
		i.value = &value
	}
	return i
}

// unique keeps the last of equal keys, where the first one stood.
func unique(items []item) []item {
	var out []item
	index := map[string]int{}
	for _, it := range items {
		if i, ok := index[it.key]; ok {
			out[i] = it
			continue
		}
		index[it.key] = len(out)
		out = append(out, it)
	}
	return out
}

// mergedFiles keeps the last of equal paths, where the first one stood.
func mergedFiles(base, over []envFile) []envFile {
	out := slices.Clone(base)
	for _, f := range over {
		if i := slices.IndexFunc(out, func(known envFile) bool { return known.path == f.path }); i >= 0 {
			out[i] = f
			continue
		}
		out = append(out, f)
	}
	return out
}

// reset takes away what the tags of a document that comes over it do. The layer is a copy of the caller's own.
func (l *layer) reset(name string, tags []tag) {
	if len(tags) == 0 {
		return
	}
	if takes(tags, servicePath(name, "environment")) {
		l.drop()
	}
	if takes(tags, servicePath(name, "env_file")) {
		l.dropFiles()
	}
	if l.environment.list {
		return
	}
	l.environment.items = slices.DeleteFunc(l.environment.items, func(it item) bool {
		return takes(tags, servicePath(name, "environment", it.key))
	})
}

func (l *layer) drop() {
	l.environment = block{}
	for i := range l.past {
		l.past[i].dropped = true
	}
}

func (l *layer) dropFiles() {
	l.envFiles = nil
	for i := range l.pastFiles {
		l.pastFiles[i].dropped = true
	}
}

// same reports whether compose-go would find two layers equal: a file that is included twice is taken once.
func (l *layer) same(other *layer) bool {
	if len(l.definitions) != len(other.definitions) || len(l.envFiles) != len(other.envFiles) {
		return false
	}
	for i, d := range l.definitions {
		if d.Position != other.definitions[i].Position {
			return false
		}
	}
	for i, f := range l.envFiles {
		if f.path != other.envFiles[i].path {
			return false
		}
	}
	return l.environment.list == other.environment.list && slices.EqualFunc(l.environment.items, other.environment.items, func(a, b item) bool {
		return a.key == b.key && sameValue(a.value, b.value)
	})
}

// model are the services at one point of the merge.
type model map[string]*layer

// reset is [layer.reset] for all of them, and for a tag of a service or of all services.
func (m model) reset(tags []tag) {
	if len(tags) == 0 {
		return
	}
	all := takes(tags, servicesPath)
	for name, l := range m {
		l = l.clone()
		if all || takes(tags, servicePath(name)) {
			l.drop()
			l.dropFiles()
			l.gone, l.extends = true, nil
		}
		l.reset(name, tags)
		m[name] = l
	}
}

func (m model) merge(over model) {
	for name, l := range over {
		m[name] = m[name].under(l)
	}
}
