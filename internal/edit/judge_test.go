package edit_test

// The judges look at an edit without the editor: they know what was asked for and compare the file before with the file after.
//
//   - compose-go loads both, and every service has the environment that it had, but for the one key;
//   - two YAML parsers read both, goccy's and the one that compose-go uses, and everything else is the same data;
//   - the lines that differ are those of the intended entry, and nothing else is another byte.
//
// Nothing here calls the package under test, and aliases and merge keys are resolved by code of its own.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/sirupsen/logrus"
	"go.yaml.in/yaml/v4"

	"github.com/composure-dev/composure/internal/edit"
)

// ---- What was asked for ----

// want is what one key must read as after the edit.
type want struct {
	text         string
	bare, remove bool
	// elsewhere: another file may still set it. It is taken out of this one, which is all that an editor of this file can do.
	elsewhere bool
}

// intent is what an edit is allowed to do: service → key → want. Nothing else may differ.
type intent map[string]map[string]want

func intentOf(changes []edit.Change) intent {
	in := intent{}
	for _, c := range changes {
		if in[c.Service] == nil {
			in[c.Service] = map[string]want{}
		}
		in[c.Service][c.Key] = want{text: c.Text, bare: c.Bare, remove: c.Remove}
	}
	return in
}

// interpolated is the intent as compose reads it. It fails where compose refuses the text, as it does for a lone $.
func (in intent) interpolated(lookup template.Mapping) (intent, error) {
	out := intent{}
	for service, keys := range in {
		out[service] = map[string]want{}
		for key, w := range keys {
			text, err := template.SubstituteWithOptions(w.text, lookup, template.WithoutLogging)
			if err != nil {
				return nil, err
			}
			w.text = text
			out[service][key] = w
		}
	}
	return out, nil
}

// ---- YAML as plain values, whatever parser read it ----

// scalar is a leaf: its type, and the text that compose makes of it.
type scalar struct{ typ, text string }

// tagged is a node under a local tag such as !override.
type tagged struct {
	tag   string
	value any
}

type shape int

const (
	aScalar shape = iota
	aList
	aMap
	anAlias
)

// tree is a node of either parser, aliases and merge keys not resolved.
type tree struct {
	shape  shape
	tag    string // a local one
	leaf   scalar
	keys   []*tree
	items  []*tree
	target *tree
}

var null = scalar{"null", ""}

// documents are the resolved documents of a file. Shared nodes are resolved once and shared in the result.
func documents(trees []*tree) []any {
	r := resolver{done: map[*tree]any{}, open: map[*tree]bool{}}
	out := make([]any, len(trees))
	for i, t := range trees {
		out[i] = r.plain(t)
	}
	return out
}

type resolver struct {
	done map[*tree]any
	open map[*tree]bool
}

func (r *resolver) plain(t *tree) any {
	if t == nil {
		return null
	}
	if t.shape == anAlias {
		return r.plain(t.target)
	}
	if v, ok := r.done[t]; ok {
		return v
	}
	if r.open[t] {
		return "a cycle"
	}
	r.open[t] = true
	defer delete(r.open, t)
	var v any
	switch t.shape {
	case aList:
		list := make([]any, len(t.items))
		for i, item := range t.items {
			list[i] = r.plain(item)
		}
		v = list
	case aMap:
		v = r.mapping(t)
	default:
		v = t.leaf
	}
	if t.tag != "" {
		v = tagged{t.tag, v}
	}
	r.done[t] = v
	return v
}

// mapping resolves merge keys: an explicit key beats a merged one wherever it stands, the first of several sources wins.
func (r *resolver) mapping(t *tree) map[string]any {
	out := map[string]any{}
	var sources []any
	for i, key := range t.keys {
		if key.shape == aScalar && key.leaf == (scalar{"merge", "<<"}) {
			if list, ok := r.plain(t.items[i]).([]any); ok {
				sources = append(sources, list...)
			} else {
				sources = append(sources, r.plain(t.items[i]))
			}
			continue
		}
		name := fmt.Sprint(r.plain(key))
		if k, ok := r.plain(key).(scalar); ok {
			name = k.text
		}
		for _, twice := out[name]; twice; _, twice = out[name] {
			name += " (again)"
		}
		out[name] = r.plain(t.items[i])
	}
	for _, source := range sources {
		m, ok := untagged(source).(map[string]any)
		if !ok {
			out["<<"] = source
		}
		for k, v := range m {
			if _, own := out[k]; !own {
				out[k] = v
			}
		}
	}
	return out
}

func untagged(v any) any {
	if t, ok := v.(tagged); ok {
		return t.value
	}
	return v
}

// readYAML reads a file with the parser that compose-go uses.
func readYAML(data []byte) ([]*tree, error) {
	roots, err := nodes(data)
	if err != nil {
		return nil, err
	}
	out := make([]*tree, len(roots))
	seen := map[*yaml.Node]*tree{}
	for i, root := range roots {
		out[i] = treeOfYAML(root, seen)
	}
	return out, nil
}

// nodes are the roots of a file's documents; nil for an empty one.
func nodes(data []byte) ([]*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var roots []*yaml.Node
	for {
		var n yaml.Node
		err := decoder.Decode(&n)
		if errors.Is(err, io.EOF) {
			return roots, nil
		}
		if err != nil {
			return nil, err
		}
		var root *yaml.Node
		if len(n.Content) == 1 {
			root = n.Content[0]
		}
		roots = append(roots, root)
	}
}

func treeOfYAML(n *yaml.Node, seen map[*yaml.Node]*tree) *tree {
	if n == nil {
		return nil
	}
	if t, ok := seen[n]; ok {
		return t
	}
	t := &tree{}
	seen[n] = t
	if n.Style&yaml.TaggedStyle != 0 && !strings.HasPrefix(n.ShortTag(), "!!") {
		t.tag = n.Tag
	}
	switch n.Kind {
	case yaml.AliasNode:
		t.shape, t.target = anAlias, treeOfYAML(n.Alias, seen)
	case yaml.SequenceNode:
		t.shape = aList
		for _, c := range n.Content {
			t.items = append(t.items, treeOfYAML(c, seen))
		}
	case yaml.MappingNode:
		t.shape = aMap
		for i := 0; i+1 < len(n.Content); i += 2 {
			t.keys = append(t.keys, treeOfYAML(n.Content[i], seen))
			t.items = append(t.items, treeOfYAML(n.Content[i+1], seen))
		}
	default:
		t.leaf = leafOfYAML(n)
	}
	return t
}

func leafOfYAML(n *yaml.Node) scalar {
	switch n.ShortTag() {
	case "!!str":
		return scalar{"str", n.Value}
	case "!!null":
		return null
	case "!!merge":
		return scalar{"merge", n.Value}
	}
	var v any
	if err := n.Decode(&v); err != nil || v == nil {
		return scalar{n.ShortTag(), n.Value}
	}
	return scalar{fmt.Sprintf("%T", v), fmt.Sprint(v)}
}

// readGoccy reads a file with the second parser. It panics on some input, which is an error here.
func readGoccy(data []byte) (out []*tree, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("goccy: panic: %v", r)
		}
	}()
	file, err := parser.ParseBytes(bytes.TrimPrefix(data, []byte("\ufeff")), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, err
	}
	for _, doc := range file.Docs {
		out = append(out, treeOfGoccy(doc.Body, map[string]*tree{}))
	}
	return out, nil
}

func treeOfGoccy(n ast.Node, anchors map[string]*tree) *tree {
	switch n := n.(type) {
	case nil:
		return nil
	case *ast.AnchorNode:
		t := &tree{}
		anchors[n.Name.GetToken().Value] = t
		if value := treeOfGoccy(n.Value, anchors); value != nil {
			*t = *value
		} else {
			t.leaf = null
		}
		return t
	case *ast.AliasNode:
		return &tree{shape: anAlias, target: anchors[n.Value.GetToken().Value]}
	case *ast.TagNode:
		return taggedOfGoccy(n, anchors)
	case *ast.MappingKeyNode:
		return treeOfGoccy(n.Value, anchors)
	case *ast.MappingNode:
		t := &tree{shape: aMap}
		for _, v := range n.Values {
			t.keys = append(t.keys, treeOfGoccy(v.Key, anchors))
			t.items = append(t.items, treeOfGoccy(v.Value, anchors))
		}
		return t
	case *ast.MappingValueNode:
		return &tree{shape: aMap, keys: []*tree{treeOfGoccy(n.Key, anchors)}, items: []*tree{treeOfGoccy(n.Value, anchors)}}
	case *ast.SequenceNode:
		t := &tree{shape: aList}
		for _, v := range n.Values {
			t.items = append(t.items, treeOfGoccy(v, anchors))
		}
		return t
	}
	return &tree{leaf: leafOfGoccy(n)}
}

func taggedOfGoccy(n *ast.TagNode, anchors map[string]*tree) *tree {
	t := treeOfGoccy(n.Value, anchors)
	if t == nil {
		t = &tree{leaf: null}
	}
	switch {
	case n.Start.Value == "!!str" && t.shape == aScalar && t.leaf.typ != "str":
		t.leaf = scalar{"str", n.Value.GetToken().Value}
	case !strings.HasPrefix(n.Start.Value, "!!"):
		t.tag = n.Start.Value
	}
	return t
}

func leafOfGoccy(n ast.Node) scalar {
	switch n := n.(type) {
	case *ast.NullNode:
		return null
	case *ast.MergeKeyNode:
		return scalar{"merge", "<<"}
	case *ast.StringNode:
		return scalar{"str", n.Value}
	case *ast.LiteralNode:
		return scalar{"str", n.Value.Value}
	case ast.ScalarNode:
		return scalar{fmt.Sprintf("%T", n.GetValue()), fmt.Sprint(n.GetValue())}
	}
	return scalar{fmt.Sprintf("%T", n), n.String()}
}

// ---- Comparing ----

// comparison walks two files side by side and notes what differs and was not asked for.
type comparison struct {
	intent
	found []string
	steps int
}

// Of files whose aliases expand to more than this the comparison is given up.
const maxSteps = 2_000_000

var errTooLarge = errors.New("too large to compare")

func (c *comparison) differ(path []string, what string) {
	c.found = append(c.found, strings.Join(path, ".")+": "+what)
}

func (c *comparison) walk(path []string, a, b any) {
	if c.steps++; c.steps > maxSteps {
		return
	}
	switch {
	case len(path) == 0 || len(path) == 1 && path[0] == "services":
		a, b = orEmpty(a), orEmpty(b) // a change may create them
	case len(path) == 2 && path[0] == "services" && c.intent[path[1]] != nil:
		c.service(path, a, b)
		return
	case len(path) == 3 && path[0] == "services" && path[2] == "environment" && tagOf(a) == tagOf(b):
		ea, okA := environment(a)
		eb, okB := environment(b)
		if okA && okB { // extends puts the entries of a list in another order when the base gets one
			c.maps(path, ea, eb)
			return
		}
	}
	ta, tb := tagOf(a), tagOf(b)
	if ta != tb {
		c.differ(path, fmt.Sprintf("the tag %q became %q", ta, tb))
		return
	}
	a, b = untagged(a), untagged(b)
	switch a := a.(type) {
	case map[string]any:
		if b, ok := b.(map[string]any); ok {
			c.maps(path, a, b)
			return
		}
	case []any:
		if b, ok := b.([]any); ok {
			c.lists(path, a, b)
			return
		}
	}
	if !equalLeaves(a, b) {
		c.differ(path, fmt.Sprintf("%s became %s", show(a), show(b)))
	}
}

func tagOf(v any) string {
	if t, ok := v.(tagged); ok {
		return t.tag
	}
	return ""
}

// equalLeaves spares scalars the reflection; NaN equals itself here.
func equalLeaves(a, b any) bool {
	switch a := a.(type) {
	case scalar:
		return a == b
	case string:
		return a == b
	case float64:
		return fmt.Sprint(a) == fmt.Sprint(b)
	}
	return reflect.DeepEqual(a, b)
}

func show(v any) string {
	text := fmt.Sprintf("%#v", v)
	if s, ok := v.(scalar); ok {
		text = fmt.Sprintf("%s %q", s.typ, s.text)
	}
	if len(text) > 120 {
		text = text[:120] + "…"
	}
	return text
}

func orEmpty(v any) any {
	if v == nil || v == null {
		return map[string]any{}
	}
	return v
}

func (c *comparison) maps(path []string, a, b map[string]any) {
	for key, v := range a {
		next := append(slices.Clip(path), key)
		w, there := b[key]
		if !there && !c.created(next) {
			if !c.fragment(next, nil, false) {
				c.differ(next, "is gone")
			}
			continue
		}
		if c.fragment(next, w, true) {
			continue
		}
		c.walk(next, v, w)
	}
	for key, w := range b {
		if _, there := a[key]; there {
			continue
		}
		next := append(slices.Clip(path), key)
		switch {
		case c.created(next):
			c.walk(next, nil, w)
		case !c.fragment(next, w, true):
			c.differ(next, "is new: "+show(w))
		}
	}
}

// created reports whether the edit may make or empty what is at the path: services, and a service it was asked for.
func (c *comparison) created(path []string) bool {
	return path[0] == "services" && (len(path) == 1 || len(path) == 2 && c.intent[path[1]] != nil)
}

// fragment reports whether the path lies in an extension (x-…), which compose ignores, and ends in an intended key with its
// intended value: a fragment that every one of its users was asked to change.
func (c *comparison) fragment(path []string, after any, there bool) bool {
	if !slices.ContainsFunc(path[:len(path)-1], func(s string) bool { return strings.HasPrefix(s, "x-") }) {
		return false
	}
	for _, keys := range c.intent {
		if w, ok := keys[path[len(path)-1]]; ok && w.holds(after, there) {
			return true
		}
	}
	return false
}

func (c *comparison) lists(path []string, a, b []any) {
	if slices.ContainsFunc(path, func(s string) bool { return strings.HasPrefix(s, "x-") }) && !reflect.DeepEqual(a, b) {
		ea, okA := environment(a)
		eb, okB := environment(b)
		if okA && okB {
			c.maps(path, ea, eb)
			return
		}
	}
	if len(a) != len(b) {
		c.differ(path, fmt.Sprintf("%d items became %d", len(a), len(b)))
		return
	}
	for i := range a {
		c.walk(append(slices.Clip(path), fmt.Sprint(i)), a[i], b[i])
	}
}

// service compares an intended service: its environment but for the intended keys, whatever form it has.
func (c *comparison) service(path []string, a, b any) {
	if tagOf(a) != tagOf(b) {
		c.differ(path, "the tag changed")
	}
	ma, okA := orEmpty(untagged(orEmpty(a))).(map[string]any)
	mb, okB := orEmpty(untagged(orEmpty(b))).(map[string]any)
	if !okA || !okB { // nothing that could be edited
		if !reflect.DeepEqual(a, b) {
			c.differ(path, "is no mapping and changed")
		}
		return
	}
	ma, mb = maps.Clone(ma), maps.Clone(mb)
	before, after := ma["environment"], mb["environment"]
	delete(ma, "environment")
	delete(mb, "environment")
	c.maps(path, ma, mb)
	path = append(slices.Clip(path), "environment")
	ea, okA := environment(before)
	eb, okB := environment(after)
	if !okA || !okB {
		c.walk(path, before, after)
		return
	}
	if tagOf(before) != tagOf(after) && (after != nil || tagOf(before) != "!reset") { // gone, it no longer shuts out other files
		c.differ(path, fmt.Sprintf("the tag %q became %q", tagOf(before), tagOf(after)))
	}
	for key := range c.intent[path[1]] {
		delete(ea, key)
		delete(eb, key)
	}
	c.maps(path, ea, eb)
}

// environment is an environment block of either form as a map of strings, or of nil for a bare key. Of duplicates in a list the
// last one counts. It is a copy.
func environment(v any) (map[string]any, bool) {
	out := map[string]any{}
	switch v := untagged(orEmpty(v)).(type) {
	case map[string]any:
		for key, value := range v {
			text, bare, ok := reads(value)
			if !ok {
				return nil, false
			}
			if out[key] = text; bare {
				out[key] = nil
			}
		}
	case []any:
		for _, item := range v {
			text, bare, ok := reads(item)
			if !ok || bare {
				return nil, false
			}
			key, value, assigned := strings.Cut(text, "=")
			if out[key] = value; !assigned {
				out[key] = nil
			}
		}
	default:
		return nil, false
	}
	return out, true
}

// reads is the string that compose makes of a value; bare for a null.
func reads(v any) (text string, bare, ok bool) {
	switch v := v.(type) {
	case nil:
		return "", true, true
	case string:
		return v, false, true
	case scalar:
		return v.text, v == null, true
	case tagged:
		text, bare, ok = reads(v.value)
		return v.tag + " " + text, bare && v.tag == "", ok
	case map[string]any, []any:
		return "", false, false
	}
	return fmt.Sprint(v), false, true
}

// holds reports whether a value is the wanted one.
func (w want) holds(v any, there bool) bool {
	if w.remove || !there {
		return w.remove && (!there || w.elsewhere)
	}
	text, bare, ok := reads(v)
	return ok && bare == w.bare && (bare || text == w.text)
}

// sameButIntent compares the documents of a file before and after, and looks whether the intended keys read as wanted.
func sameButIntent(before, after []any, in intent) ([]string, error) {
	if len(before) == 0 {
		before = []any{nil}
	}
	if len(before) != len(after) {
		return []string{fmt.Sprintf("%d documents became %d", len(before), len(after))}, nil
	}
	c := &comparison{intent: in}
	for i := range before {
		c.walk(nil, before[i], after[i])
	}
	if c.steps > maxSteps {
		return nil, errTooLarge
	}
	return append(c.found, unmet(after, in)...), nil
}

// unmet are the intended keys that do not read as wanted. Of several documents the last one that sets a key counts.
func unmet(docs []any, in intent) []string {
	var found []string
	for service, keys := range in {
		for key, w := range keys {
			value, there := lookup(docs, service, key)
			if !w.holds(value, there) {
				found = append(found, fmt.Sprintf("services.%s.environment.%s is %s (there: %v), want %+v", service, key, show(value), there, w))
			}
		}
	}
	slices.Sort(found)
	return found
}

// lookup finds a key in a service's environment, or in that of the service of the same file that it extends.
func lookup(docs []any, service, key string) (any, bool) {
	base := ""
	for range 10 { // no chain is longer; one may be a circle
		for _, doc := range slices.Backward(docs) {
			s := member(doc, "services", service)
			if v, there := declared(s, key); there {
				return v, true
			}
			if name, ok := extended(s); ok && base == "" {
				base = name
			}
		}
		if base == "" {
			break
		}
		service, base = base, ""
	}
	return nil, false
}

// declared is what a service itself says of a key. What is tagged !reset compose takes for not written.
func declared(service any, key string) (any, bool) {
	block := member(service, "environment")
	e, ok := environment(block)
	v, there := e[key]
	text, _ := v.(string)
	if !ok || !there || tagOf(block) == "!reset" || tagOf(service) == "!reset" || strings.HasPrefix(text, "!reset") {
		return nil, false
	}
	return v, true
}

// extended is the service of the same file that a service extends.
func extended(service any) (string, bool) {
	e := member(service, "extends")
	if member(e, "file") != nil {
		return "", false
	}
	for _, v := range []any{e, member(e, "service")} {
		if text, bare, ok := reads(v); ok && !bare {
			return text, true
		}
	}
	return "", false
}

func member(v any, path ...string) any {
	for _, key := range path {
		m, ok := untagged(v).(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

// ---- compose-go ----

// model is a file as compose-go resolves it by itself: extends and includes done, interpolated, environments not read from files.
type model struct {
	mode mode
	data map[string]any
	err  error
}

// mode is what variables a load knows. Of an unset one compose makes an empty string, which is no port or size, so that many
// files load only when every variable is "1". Raw loads do not interpolate: they can hold a lone $.
type mode int

const (
	modeUnset mode = iota
	modeOnes
	modeRaw
)

func (m mode) lookup(string) (string, bool) { return "1", m == modeOnes }

func loadModel(ctx context.Context, path string, data []byte, m mode) (model map[string]any, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("compose-go: panic: %v", r)
		}
	}()
	logrus.SetOutput(io.Discard)
	if data == nil {
		data = []byte{} // nil would make compose-go read the disk
	}
	details := types.ConfigDetails{
		WorkingDir:  filepath.Dir(path),
		Environment: types.Mapping{},
		ConfigFiles: []types.ConfigFile{{Filename: path, Content: data}},
	}
	model, err = loader.LoadModelWithContext(ctx, details, func(o *loader.Options) {
		o.SkipValidation = true
		o.SkipConsistencyCheck = true
		o.SkipNormalization = true
		o.SkipResolveEnvironment = true
		o.SkipInterpolation = m == modeRaw
		o.Profiles = []string{"*"}
		o.SetProjectName("judged", true)
		o.Interpolate.LookupValue = m.lookup
		o.Interpolate.Substitute = func(text string, mapping template.Mapping) (string, error) {
			return template.SubstituteWithOptions(text, mapping, template.WithoutLogging)
		}
	})
	services, _ := model["services"].(map[string]any)
	for _, s := range services { // what is extended is resolved; only that of an empty service is still named
		if s, ok := s.(map[string]any); ok {
			delete(s, "extends")
		}
	}
	return model, err
}

// composeSays compares the file before with the file after as compose-go reads them. The bool is false when compose-go does not
// read the file before.
func (s *subject) composeSays(ctx context.Context, after []byte, in intent) ([]string, bool) {
	for service, keys := range in {
		if s.extendsFile(service) {
			for key, w := range keys {
				w.elsewhere = true
				keys[key] = w
			}
		}
	}
	before := s.model(ctx, false)
	wanted, err := in.interpolated(before.mode.lookup)
	if err != nil || before.err != nil { // compose would refuse the text, or the file has such a text already
		before, wanted = s.model(ctx, true), in
	}
	if before.err != nil {
		return nil, false
	}
	got, err := loadModel(ctx, s.path, after, before.mode)
	if err != nil {
		return []string{"compose-go no longer loads the file: " + err.Error()}, true
	}
	found, err := sameButIntent([]any{before.data}, []any{got}, wanted)
	if err != nil {
		return nil, false
	}
	return found, true
}

func (s *subject) extendsFile(service string) bool {
	return slices.ContainsFunc(s.yaml, func(doc any) bool { return member(doc, "services", service, "extends", "file") != nil })
}

// subject is a file under test, with what the judges know of it before any edit.
type subject struct {
	name string // for reports
	path string // absolute, for what the file refers to
	data []byte
	*layout
	yaml  []any
	goccy []any // nil when the second parser does not read the file

	models [2]*model
}

// agree reports whether two parsers read a file alike, but for the types of scalars: of such as the second one misreads before any
// edit (goccy takes what follows a tag without a value for that value) it is no judge.
func agree(a, b any, steps *int) bool {
	if *steps--; *steps < 0 {
		return false
	}
	a, b = untagged(a), untagged(b)
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for key, v := range a {
			w, there := b[key]
			if !there || !agree(v, w, steps) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, func(v, w any) bool { return agree(v, w, steps) })
	case scalar:
		b, ok := b.(scalar)
		return ok && (a.typ != "str" || b.typ != "str" || a.text == b.text)
	}
	return a == b
}

func emptyTag(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "" && n.Style&^yaml.TaggedStyle == 0 && n.Style&yaml.TaggedStyle != 0
}

// newSubject fails when the file is no YAML.
func newSubject(name, path string, data []byte) (*subject, error) {
	roots, err := nodes(data)
	if err != nil {
		return nil, err
	}
	s := &subject{name: name, path: path, data: data, layout: layoutOf(data, roots)}
	trees, err := readYAML(data)
	if err != nil {
		return nil, err
	}
	s.yaml = documents(trees)
	steps := maxSteps
	if slices.ContainsFunc(s.order, emptyTag) {
		return s, nil // the second parser takes whatever comes to stand behind it for the tag's value
	}
	if trees, err := readGoccy(data); err == nil {
		if docs := documents(trees); agree(s.yaml, docs, &steps) {
			s.goccy = docs
		}
	}
	return s, nil
}

// model is the file before the edit, loaded once with and once without interpolation.
func (s *subject) model(ctx context.Context, raw bool) *model {
	i, modes := 0, []mode{modeUnset, modeOnes}
	if raw {
		i, modes = 1, []mode{modeRaw}
	}
	if s.models[i] == nil {
		m := &model{}
		for _, m.mode = range modes {
			if m.data, m.err = loadModel(ctx, s.path, s.data, m.mode); m.err == nil {
				break
			}
		}
		s.models[i] = m
	}
	return s.models[i]
}

// yamlSays compares as both YAML parsers read, or the first alone. The bool tells whether the second one took part.
func (s *subject) yamlSays(after []byte, in intent, both bool) (found []string, second bool) {
	trees, err := readYAML(after)
	if err != nil {
		return []string{"the result is no YAML: " + err.Error()}, false
	}
	found, err = sameButIntent(s.yaml, documents(trees), in)
	if err != nil || s.goccy == nil || !both || in.blankLines() {
		return found, false
	}
	trees, err = readGoccy(after)
	if err != nil {
		return append(found, "goccy no longer reads the file: "+err.Error()), true
	}
	more, err := sameButIntent(s.goccy, documents(trees), in)
	for _, m := range more {
		found = append(found, "goccy: "+m)
	}
	return found, err == nil
}

// blankLines reports whether a text has lines of nothing but blanks, which the second parser drops from a literal.
func (in intent) blankLines() bool {
	for _, keys := range in {
		for _, w := range keys {
			lines := strings.Split(w.text, "\n")
			if len(lines) > 1 && slices.ContainsFunc(lines, func(l string) bool { return l != "" && strings.TrimSpace(l) == "" }) {
				return true
			}
		}
	}
	return false
}

// ---- Lines ----

// line is a line and the break that ends it, which is empty at the end of most odd files.
type line struct{ text, eol string }

func splitLines(data []byte) []line {
	var out []line
	for raw := range strings.Lines(strings.TrimPrefix(string(data), "\ufeff")) {
		text := strings.TrimRight(raw, "\r\n")
		if !strings.HasSuffix(raw, "\n") {
			text = raw
		}
		out = append(out, line{text, raw[len(text):]})
	}
	return out
}

// same lets a line at the end of the file get a line break when another one comes below it.
func (l line) same(m line) bool {
	return l.text == m.text && (l.eol == m.eol || l.eol == "" || m.eol == "")
}

// hunk is a run of lines that differs: del at line from (counted from 0) became add at line to.
type hunk struct {
	from, to int
	del, add []line
}

// hunks are a longest-common-subsequence diff.
func hunks(a, b []line) []hunk {
	start, endA, endB := 0, len(a), len(b)
	for start < min(endA, endB) && a[start].same(b[start]) {
		start++
	}
	for endA > start && endB > start && a[endA-1].same(b[endB-1]) {
		endA, endB = endA-1, endB-1
	}
	n, m := endA-start, endB-start
	if n == 0 && m == 0 {
		return nil
	}
	if n == 0 || m == 0 || n*m > 20_000_000 {
		return []hunk{{start, start, a[start:endA], b[start:endB]}}
	}
	length := make([]uint16, (n+1)*(m+1)) // of the common subsequence of what is left
	at := func(i, j int) *uint16 { return &length[i*(m+1)+j] }
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			if a[start+i].same(b[start+j]) {
				*at(i, j) = *at(i+1, j+1) + 1
			} else {
				*at(i, j) = max(*at(i+1, j), *at(i, j+1))
			}
		}
	}
	var out []hunk
	for i, j := 0, 0; i < n || j < m; {
		if i < n && j < m && a[start+i].same(b[start+j]) {
			i, j = i+1, j+1
			continue
		}
		h := hunk{from: start + i, to: start + j}
		for (i < n || j < m) && (i == n || j == m || !a[start+i].same(b[start+j])) {
			if j == m || i < n && *at(i+1, j) >= *at(i, j+1) {
				h.del, i = append(h.del, a[start+i]), i+1
			} else {
				h.add, j = append(h.add, b[start+j]), j+1
			}
		}
		out = append(out, h)
	}
	return out
}

var anAnchor = regexp.MustCompile(`^ *&[A-Za-z0-9_.-]+ *$`)

// anchors reports whether all that the hunk does is to give a block a name, so that it can be merged beside a new key.
func (h hunk) anchors() bool {
	if len(h.del) != 1 || len(h.add) != 1 {
		return false
	}
	old, text := h.del[0].text, h.add[0].text
	prefix, suffix := commonEnds(old, text)
	return prefix+suffix >= len(old) && anAnchor.MatchString(text[prefix:len(text)-suffix])
}

// anchored reports whether a line of the hunk is only given a name.
func (h hunk) anchored(old line) bool {
	return slices.ContainsFunc(h.add, func(l line) bool { return hunk{del: []line{old}, add: []line{l}}.anchors() })
}

// deletedAs reports whether the hunk can be read as deleting only lines that are allowed. Where lines repeat, a deletion can be
// read in several ways.
func (h hunk) deletedAs(a []line, allowed func(index int) bool) bool {
	fits := func(from int) bool {
		for i := range h.del {
			if !allowed(from + i) {
				return false
			}
		}
		return true
	}
	if fits(h.from) {
		return true
	}
	if len(h.add) > 0 {
		return false
	}
	for from := h.from; from > 0 && a[from-1].text == a[from-1+len(h.del)].text; from-- {
		if fits(from - 1) {
			return true
		}
	}
	for from := h.from; from+len(h.del) < len(a) && a[from].text == a[from+len(h.del)].text; from++ {
		if fits(from + 1) {
			return true
		}
	}
	return false
}

// layout tells on which lines the nodes of a file stand.
type layout struct {
	roots  []*yaml.Node
	lines  []line
	order  []*yaml.Node       // every node as it comes in the file
	behind map[*yaml.Node]int // the index in order of what follows a node and all that is in it
	inFlow map[*yaml.Node]bool
}

func layoutOf(data []byte, roots []*yaml.Node) *layout {
	l := &layout{roots: roots, lines: splitLines(data), behind: map[*yaml.Node]int{}, inFlow: map[*yaml.Node]bool{}}
	var visit func(n *yaml.Node, inFlow bool)
	visit = func(n *yaml.Node, inFlow bool) {
		l.order = append(l.order, n)
		if inFlow {
			l.inFlow[n] = true
		}
		for _, c := range n.Content {
			visit(c, inFlow || flow(n))
		}
		l.behind[n] = len(l.order)
	}
	for _, root := range roots {
		if root != nil {
			visit(root, false)
		}
	}
	return l
}

func (l *layout) text(number int) string {
	if number < 1 || number > len(l.lines) {
		return ""
	}
	return l.lines[number-1].text
}

// last is the number of the line on which a node ends: before that of the next node, and before comments and blank lines.
func (l *layout) last(n *yaml.Node) int {
	next := l.behind[n]
	deepest, limit := l.order[next-1], len(l.lines)
	if next < len(l.order) {
		limit = l.order[next].Line
		if limit > deepest.Line && !l.inFlow[n] {
			limit--
		}
	}
	if deepest.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return l.lastOfBlock(deepest.Line, limit)
	}
	for limit > deepest.Line && idle(l.text(limit)) {
		limit--
	}
	return limit
}

func (l *layout) lastOfBlock(header, limit int) int {
	indent, last := 0, header // of the text: what stands to the left of it is not part of it
	mark, _, _ := strings.Cut(l.text(header), " #")
	if strings.ContainsAny(mark[max(len(mark)-4, 0):], "123456789") {
		indent = indentOf(mark) + 1
	}
	keeps := strings.HasSuffix(strings.TrimRight(mark, " \t123456789"), "+") // blank lines below are text
	for number := header + 1; number <= limit; number++ {
		text := l.text(number)
		if strings.TrimSpace(text) == "" && keeps {
			last = number
		}
		if strings.TrimSpace(text) == "" {
			continue
		}
		if indent == 0 {
			indent = max(indentOf(text), indentOf(mark)+1)
		}
		if indentOf(text) < indent {
			break
		}
		last = number
	}
	return last
}

func flow(n *yaml.Node) bool { return n.Style&yaml.FlowStyle != 0 }

func indentOf(text string) int { return len(text) - len(strings.TrimLeft(text, " ")) }

func comment(text string) bool { return strings.HasPrefix(strings.TrimLeft(text, " \t"), "#") }

// idle lines belong to no node: blank ones, comments, document marks, and indicators whose node comes below.
func idle(text string) bool {
	trimmed := strings.TrimSpace(text)
	switch trimmed {
	case "", "-", "?", ":":
		return true
	}
	return comment(text) || strings.HasPrefix(text, "---") || strings.HasPrefix(text, "...") || strings.HasPrefix(text, "%")
}

// entry is an entry of an environment, as it stands in the file.
type entry struct {
	key, value *yaml.Node // the same node in a list
	flow       bool
}

func (l *layout) span(e entry) (first, last int) {
	first, last = e.key.Line, l.last(e.value)
	for first > 1 && strings.TrimSpace(l.text(first-1)) == "-" && e.key == e.value {
		first--
	}
	return first, last
}

// entriesOf are the entries of key that a block itself holds; all of them if key is empty.
func entriesOf(block *yaml.Node, key string) []entry {
	var out []entry
	if block == nil {
		return nil
	}
	switch block.Kind {
	case yaml.SequenceNode:
		for _, item := range block.Content {
			text := item
			if item.Kind == yaml.AliasNode {
				text = item.Alias
			}
			name, _, _ := strings.Cut(text.Value, "=")
			if key == "" || name == key {
				out = append(out, entry{item, item, flow(block)})
			}
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(block.Content); i += 2 {
			if key == "" || block.Content[i].Value == key {
				out = append(out, entry{block.Content[i], block.Content[i+1], flow(block)})
			}
		}
	}
	return out
}

// inlines are the mappings that a block merges and that are written right there.
func inlines(block *yaml.Node) []*yaml.Node {
	var out []*yaml.Node
	for _, merge := range entriesOf(block, "<<") {
		for _, n := range append([]*yaml.Node{merge.value}, merge.value.Content...) {
			if n.Kind == yaml.MappingNode {
				out = append(out, n)
			}
		}
	}
	return out
}

// place is a service as a document of the file itself defines it; nodes are nil where there is none.
type place struct {
	servicesKey, services       *yaml.Node
	serviceKey, service         *yaml.Node
	environmentKey, environment *yaml.Node
}

func (l *layout) places(service string) []place {
	var out []place
	for _, root := range l.roots {
		var p place
		p.servicesKey, p.services = pairOf(root, "services")
		p.serviceKey, p.service = pairOf(p.services, service)
		p.environmentKey, p.environment = pairOf(p.service, "environment")
		out = append(out, p)
	}
	return out
}

func pairOf(n *yaml.Node, key string) (k, v *yaml.Node) {
	for _, e := range entriesOf(n, key) {
		if n.Kind == yaml.MappingNode {
			k, v = e.key, e.value
		}
	}
	return k, v
}

// ground is where an edit may delete or rewrite lines (numbers, from 1).
type ground map[int]bool

// ground is that of all intended keys: their entries; where there is none, a block that has to be opened to take one.
func (l *layout) ground(in intent) ground {
	g := ground{}
	for service, keys := range in {
		for _, p := range l.places(service) {
			l.groundOfPlace(g, p, keys)
		}
	}
	for _, root := range l.roots { // fragments that all their users were asked to change
		for _, e := range entriesOf(root, "") {
			if strings.HasPrefix(e.key.Value, "x-") {
				l.groundOfFragment(g, e.value, in)
			}
		}
	}
	return g
}

func (l *layout) groundOfPlace(g ground, p place, keys map[string]want) {
	for _, part := range [][2]*yaml.Node{{p.servicesKey, p.services}, {p.serviceKey, p.service}, {p.environmentKey, p.environment}} {
		if part[1] != nil && opens(part[1]) {
			g.add(l, part[0].Line, l.last(part[1]), false)
		}
	}
	rest := len(entriesOf(p.environment, ""))
	for key, w := range keys {
		for _, inline := range inlines(p.environment) {
			l.groundOfFragment(g, inline, intent{"": keys})
			if len(entriesOf(inline, key)) > 0 && flow(inline) {
				g.add(l, inline.Line, l.last(inline), false)
			}
		}
		for _, e := range entriesOf(p.environment, key) {
			first, last := l.span(e)
			g.add(l, first, last, e.value.Style != 0)
			if w.remove {
				rest--
			}
		}
	}
	if rest == 0 && p.environment != nil && len(p.environment.Content) > 0 { // the block goes with its last entry
		first, _ := l.span(entriesOf(p.environment, "")[0])
		g.add(l, p.environmentKey.Line, first-1, false)
		for number := first; number <= l.last(p.environment); number++ {
			if l.text(number) == "" {
				g[number] = true
			}
		}
	}
}

// opens reports whether a node is rewritten when something is put into it: null, an alias, or in flow style.
func opens(n *yaml.Node) bool {
	return n.Kind == yaml.AliasNode || n.Kind == yaml.ScalarNode || flow(n)
}

func (l *layout) groundOfFragment(g ground, n *yaml.Node, in intent) {
	for _, keys := range in {
		for key := range keys {
			for _, e := range entriesOf(n, key) {
				first, last := l.span(e)
				g.add(l, first, last, e.value.Style != 0)
			}
		}
	}
	if n.Anchor != "" && opens(n) {
		g.add(l, n.Line, l.last(n), false)
	}
	if all := entriesOf(n, ""); len(all) > 0 && !slices.ContainsFunc(all, func(e entry) bool { return !in.removes(e) }) {
		first, _ := l.span(all[0])
		head := first - 1
		for head > 1 && idle(l.text(head)) {
			head--
		}
		g.add(l, head, first-1, false) // the block's key: the block goes with its last entry
	}
	for _, c := range n.Content {
		l.groundOfFragment(g, c, in)
	}
}

// removes reports whether any service is to lose the entry's key.
func (in intent) removes(e entry) bool {
	name, _, _ := strings.Cut(e.key.Value, "=")
	for _, keys := range in {
		if keys[name].remove {
			return true
		}
	}
	return false
}

// add allows lines. A comment may only go when it is text of a scalar.
func (g ground) add(l *layout, first, last int, comments bool) {
	for number := first; number <= last; number++ {
		if comments || !comment(l.text(number)) {
			g[number] = true
		}
	}
}

// linesSay compares the lines of the file before and after.
func (s *subject) linesSay(after []byte, in intent) []string {
	var found []string
	bom := []byte("\ufeff")
	if bytes.HasPrefix(s.data, bom) != bytes.HasPrefix(after, bom) {
		found = append(found, "the byte order mark came or went")
	}
	if in.removesAndSets() {
		return found // a block that was emptied and filled again may come to stand elsewhere: the data says the rest
	}
	b := splitLines(after)
	list := hunks(s.lines, b)
	if len(list) == 0 {
		return found
	}
	cut := s.cutsEnd(list)
	if len(s.data) > 0 && !cut && bytes.HasSuffix(s.data, []byte("\n")) != bytes.HasSuffix(after, []byte("\n")) {
		found = append(found, "the final line break came or went")
	}
	g := s.ground(in)
	moved := movedComments(list, in)
	deleted, added, anchored := 0, 0, 0
	for _, h := range list {
		if h.anchors() {
			anchored++
			continue
		}
		deleted, added = deleted+len(h.del), added+len(h.add)
		if !h.deletedAs(s.lines, func(index int) bool {
			return g[index+1] || moved[s.lines[index].text] || h.anchored(s.lines[index]) || cut && s.lines[index].text == ""
		}) {
			found = append(found, fmt.Sprintf("line %d: a line that is not the entry's is gone or another: %q", h.from+1, h.del))
		}
		found = append(found, s.addedLines(h, b, moved)...)
	}
	if anchored > len(in) {
		found = append(found, fmt.Sprintf("%d anchors were added for %d services", anchored, len(in)))
	}
	if most := in.mostLines(); added-deleted > most {
		found = append(found, fmt.Sprintf("%d lines more, at most %d were expected", added-deleted, most))
	}
	for service, keys := range in {
		for key, w := range keys {
			if len(in) == 1 && len(keys) == 1 {
				list = slices.DeleteFunc(list, hunk.anchors)
				found = append(found, s.single(list, service, key, w)...)
			}
		}
	}
	return found
}

// cutsEnd reports whether the end of a file without a last line break goes and a blank line comes to be the last one. It has no
// line break then, so that it is not seen as a line, and that of the line above it is the file's last byte.
func (s *subject) cutsEnd(list []hunk) bool {
	if len(list) == 0 || bytes.HasSuffix(s.data, []byte("\n")) {
		return false
	}
	h := list[len(list)-1]
	blank := h.from > 0 && s.lines[h.from-1].text == "" || slices.ContainsFunc(h.del, func(l line) bool { return l.text == "" })
	return (blank || s.blockEndsAt(h.from)) && h.from+len(h.del) == len(s.lines)
}

// blockEndsAt reports whether a literal or folded scalar ends on the line: its line break may be part of its text.
func (l *layout) blockEndsAt(number int) bool {
	return slices.ContainsFunc(l.order, func(n *yaml.Node) bool {
		return n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 && l.last(n) == number
	})
}

// removesAndSets reports whether keys go and others come.
func (in intent) removesAndSets() bool {
	removes, sets := false, false
	for _, keys := range in {
		for _, w := range keys {
			removes, sets = removes || w.remove, sets || !w.remove
		}
	}
	return removes && sets
}

// movedComments are comments that a diff shows as deleted and added: when several entries of a block come and go, what stays looks
// moved. A single edit cannot do that.
func movedComments(list []hunk, in intent) map[string]bool {
	moved := map[string]bool{}
	for _, keys := range in {
		if len(in) == 1 && len(keys) == 1 {
			return moved
		}
	}
	balance := map[string]int{}
	for _, h := range list {
		for _, l := range h.del {
			balance[l.text]--
		}
		for _, l := range h.add {
			balance[l.text]++
		}
	}
	for text, n := range balance {
		moved[text] = n == 0 && comment(text)
	}
	return moved
}

// mostLines is how many lines an intent can need: the entry, and for a new block its key and what it merges.
func (in intent) mostLines() int {
	most := 1 // services:
	for _, keys := range in {
		most++ // the service
		for _, w := range keys {
			if !w.remove {
				most += 3 + strings.Count(w.text, "\n")
			}
		}
	}
	return most
}

func (s *subject) addedLines(h hunk, b []line, moved map[string]bool) []string {
	var found []string
	eols := map[string]bool{}
	for _, l := range s.lines {
		eols[l.eol] = true
	}
	for i, l := range h.add {
		if comment(l.text) && len(h.del) == 0 && !moved[l.text] {
			found = append(found, fmt.Sprintf("a comment was added: %q", l.text))
		}
		unbroken := h.to+i == len(b)-1 && l.eol == ""
		if !eols[l.eol] && !unbroken && len(s.lines) > 1 {
			found = append(found, fmt.Sprintf("a line ends in %q, unlike any other of the file: %q", l.eol, l.text))
		}
	}
	return found
}

// single judges an edit of one key more strictly.
func (s *subject) single(list []hunk, service, key string, w want) []string {
	var own []entry
	var blocks []place
	for _, p := range s.places(service) {
		own = append(own, entriesOf(p.environment, key)...)
		for _, inline := range inlines(p.environment) {
			own = append(own, entriesOf(inline, key)...)
		}
		if p.environment != nil && !opens(p.environment) {
			blocks = append(blocks, p)
		}
	}
	deleted, added := 0, 0
	for _, h := range list {
		deleted, added = deleted+len(h.del), added+len(h.add)
	}
	switch {
	case w.remove:
		if added > max(len(own), 1) || added > deleted {
			return []string{fmt.Sprintf("a removal added %d lines", added)}
		}
		return nil
	case len(own) == 0 && len(blocks) > 0 && deleted == 0:
		return s.appended(list, blocks, w)
	case len(own) == 0 && deleted > 1:
		return []string{fmt.Sprintf("an addition deleted or rewrote %d lines", deleted)}
	case len(own) == 0 && deleted == 1:
		for _, e := range s.fragments(key) {
			if first, last := s.span(e); list[0].from+1 >= first && list[0].from+1 <= last {
				return s.replaced(list, e)
			}
		}
		return rewritten(list)
	case len(own) == 1 && deleted > 0:
		return s.replaced(list, own[0])
	}
	return nil
}

// fragments are the entries of a key in extensions, at any depth.
func (l *layout) fragments(key string) []entry {
	var out []entry
	for _, root := range l.roots {
		for _, top := range entriesOf(root, "") {
			if !strings.HasPrefix(top.key.Value, "x-") {
				continue
			}
			for _, n := range l.order[slices.Index(l.order, top.value):l.behind[top.value]] {
				out = append(out, entriesOf(n, key)...)
			}
		}
	}
	return out
}

// appended: a new entry of a block stands right below its last one and in the same column.
func (s *subject) appended(list []hunk, blocks []place, w want) []string {
	if len(list) != 1 {
		return []string{fmt.Sprintf("an addition touched %d places", len(list))}
	}
	h := list[0]
	if !strings.Contains(w.text, "\n") && len(h.add) != 1 {
		return []string{fmt.Sprintf("a new entry took %d lines", len(h.add))}
	}
	for _, p := range blocks {
		entries := entriesOf(p.environment, "")
		final := entries[len(entries)-1]
		first, last := s.span(final)
		ends := h.from == last
		deepest := s.order[s.behind[final.value]-1]
		if deepest.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 { // blank lines below may be text; at the end of the file it goes above
			ends = h.from == first-1 || h.from >= last && strings.TrimSpace(joined(s.lines[last:h.from])) == ""
		}
		sameColumn := indentOf(s.text(first)) == indentOf(h.add[0].text)
		if ends && (sameColumn || s.text(first) == "") {
			return nil
		}
	}
	return []string{fmt.Sprintf("the new entry is not at the end of the block, in its column: line %d: %q", h.from+1, h.add)}
}

func joined(lines []line) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.text)
	}
	return b.String()
}

// rewritten: what is put into a line stands between the same beginning and the same end, but for a null or an alias that goes.
func rewritten(list []hunk) []string {
	for _, h := range list {
		if len(h.del) == 0 {
			continue
		}
		old := h.del[0].text
		var added []string
		for _, l := range h.add {
			added = append(added, l.text)
		}
		text := strings.Join(added, "\n")
		_, tail, _ := strings.Cut(old, ": ")
		_, note, noted := strings.Cut(old, " #")
		null := strings.HasPrefix(tail, "*") || strings.HasPrefix(tail, "~") || strings.HasPrefix(tail, "null") || strings.TrimSpace(tail) == "" || strings.HasPrefix(strings.TrimSpace(tail), "#")
		prefix, suffix := commonEnds(old, text)
		comma := false // the rest is on a line of its own
		if len(added) > 1 {
			before, behind := commonEnds(old, added[0])
			comma = before+behind >= len(old) && added[0][before:len(added[0])-behind] == ","
		}
		switch {
		case prefix+suffix >= len(old), comma:
		case null && prefix >= strings.Index(old, ":") && (!noted || strings.Contains(joined(h.add), "#"+note)):
		default:
			return []string{fmt.Sprintf("the line was rewritten otherwise than by putting something in: %q became %q", old, h.add)}
		}
	}
	return nil
}

// commonEnds are the lengths of what two texts begin and end with alike, not overlapping in either.
func commonEnds(a, b string) (prefix, suffix int) {
	for prefix < min(len(a), len(b)) && a[prefix] == b[prefix] {
		prefix++
	}
	for suffix < min(len(a), len(b))-prefix && a[len(a)-1-suffix] == b[len(b)-1-suffix] {
		suffix++
	}
	return prefix, suffix
}

// replaced: of an entry the value goes, and what stands before and behind it on its line stays.
func (s *subject) replaced(list []hunk, e entry) []string {
	if len(list) != 1 {
		return []string{fmt.Sprintf("a change touched %d places", len(list))}
	}
	h := list[0]
	first, last := s.span(e)
	if len(h.add) == 0 {
		return []string{"a change only deleted lines"}
	}
	old := s.text(first)
	if first != last || e.value.Line != first {
		return nil // the ground and the data say the rest
	}
	before, after := around(old, e)
	got, tail := h.add[0].text, h.add[len(h.add)-1].text
	before = strings.TrimRight(before, " ") // a bare key needs no blank behind the colon
	if !strings.HasPrefix(got, before) || !strings.HasSuffix(tail, after) && !strings.HasSuffix(got, after) {
		return []string{fmt.Sprintf("more than the value changed: %q became %q, want %q before and %q behind it", old, h.add, before, after)}
	}
	return nil
}

// around is what stands before and behind a value on its line.
func around(text string, e entry) (before, after string) {
	runes := []rune(text)
	start := len(string(runes[:min(e.value.Column-1, len(runes))]))
	if e.value.Kind == yaml.ScalarNode && e.value.Value == "" && e.value.Style == 0 { // nothing stands there
		_, note, noted := strings.Cut(text, " #")
		if noted {
			after = " #" + note
		}
		return string(runes[:min(e.key.Column-1, len(runes))]), after
	}
	at := start
	for at < len(text) && (text[at] == '&' || text[at] == '!') { // anchor and tag
		at += len(text[at:]) - len(strings.TrimLeft(strings.TrimLeftFunc(text[at:], func(r rune) bool { return r != ' ' }), " "))
	}
	return text[:start], text[at+tokenLength(text[at:], e.flow):]
}

func tokenLength(text string, flow bool) int {
	if text == "" {
		return 0
	}
	switch quote := text[0]; quote {
	case '"', '\'':
		for i := 1; i < len(text); i++ {
			switch {
			case text[i] == '\\' && quote == '"', text[i] == '\'' && quote == '\'' && strings.HasPrefix(text[i+1:], "'"):
				i++
			case text[i] == quote:
				return i + 1
			}
		}
		return len(text)
	}
	end := len(text)
	if i := strings.Index(text, " #"); i >= 0 {
		end = i
	}
	if i := strings.IndexAny(text[:end], ",]}"); flow && i >= 0 {
		end = i
	}
	return len(strings.TrimRight(text[:end], " \t"))
}

// TestJudgesSee gives the judges wrong edits: each must be seen by all that can.
func TestJudgesSee(t *testing.T) {
	const before = "x-env: &env\n  F: \"1\"\nservices:\n  a:\n    image: x # pinned\n    environment:\n      # why\n      A: \"1\" # one\n      B: two\n  b:\n    environment:\n    - A=1\n    - C=3\n    image: y\n"
	replace := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(before) }
	set, removal := want{text: "2"}, want{remove: true}
	cases := map[string]struct {
		reason, service, key string
		want                 want
		after                string
		seen                 string // by: l lines, y yaml and goccy, c compose
	}{
		"Right":            {"", "a", "A", set, replace(`A: "1"`, `A: "2"`), ""},
		"RightList":        {"", "b", "A", set, replace(`A=1`, `A=2`), ""},
		"RightAdd":         {"", "a", "N", set, replace("B: two\n", "B: two\n      N: \"2\"\n"), ""},
		"RightRemoval":     {"", "b", "C", removal, replace("    - C=3\n", ""), ""},
		"NotDone":          {"the key was not changed", "a", "A", set, before, "yc"},
		"OtherText":        {"it reads as something else", "a", "A", want{text: "022"}, replace(`A: "1"`, "A: 022"), "yc"},
		"OtherKey":         {"a second key changed", "a", "A", set, replace(`A: "1"`, `A: "2"`, "two", "zwei"), "lyc"},
		"OtherService":     {"the other service changed too", "a", "A", set, replace(`A: "1"`, `A: "2"`, "A=1", "A=2"), "lyc"},
		"OtherField":       {"the image changed", "a", "A", set, replace(`A: "1"`, `A: "2"`, "image: y", "image: z"), "lyc"},
		"Fragment":         {"a fragment changed in another key", "a", "A", set, replace(`A: "1"`, `A: "2"`, `F: "1"`, `F: "2"`), "lyc"},
		"KeyLost":          {"another key is gone", "b", "C", removal, replace("    - C=3\n", "", "    - A=1\n", ""), "lyc"},
		"NotRemoved":       {"it was emptied instead", "b", "C", removal, replace("C=3", "C"), "yc"},
		"Comment":          {"the comment above is gone", "a", "A", set, replace(`A: "1"`, `A: "2"`, "      # why\n", ""), "l"},
		"TrailingComment":  {"the comment behind is gone", "a", "A", set, replace(`A: "1" # one`, `A: "2"`), "l"},
		"CommentElsewhere": {"a comment elsewhere is gone", "a", "A", set, replace(`A: "1"`, `A: "2"`, " # pinned", ""), "l"},
		"BlankLine":        {"a blank line was added", "a", "A", set, replace(`A: "1"`, `A: "2"`, "  b:", "\n  b:"), "l"},
		"Blank":            {"a trailing blank was added elsewhere", "a", "A", set, replace(`A: "1"`, `A: "2"`, "image: y", "image: y "), "l"},
		"FinalLineBreak":   {"the last line break is gone", "a", "A", set, strings.TrimSuffix(replace(`A: "1"`, `A: "2"`), "\n"), "l"},
		"LineBreaks":       {"a line got another break", "a", "N", set, replace("B: two\n", "B: two\n      N: \"2\"\r\n"), "l"},
		"NotAtTheEnd":      {"the new entry stands above others", "a", "N", set, replace("      # why\n", "      N: \"2\"\n      # why\n"), "l"},
		"Column":           {"the new entry stands in another column", "b", "N", set, replace("    image: y\n", "    image: y\n    x-n: 1\n", "    - C=3\n", "    - C=3\n    - \n      N=2\n"), "lyc"},
		"Typed":            {"an entry beside it changed its value by its type", "a", "A", set, replace(`A: "1"`, `A: "2"`, "B: two", "B: 0x2"), "lyc"},
		"Document":         {"a document more", "a", "A", set, replace(`A: "1"`, `A: "2"`) + "---\nx-a: 1\n", "lyc"},
		"MarkAdded":        {"a byte order mark was added", "a", "A", set, "\ufeff" + replace(`A: "1"`, `A: "2"`), "l"},
		"Broken":           {"it is no YAML", "a", "A", set, replace(`A: "1"`, `A: "2`), "yc"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s, err := newSubject("compose.yml", filepath.Join(t.TempDir(), "compose.yml"), []byte(before))
			if err != nil || s.goccy == nil {
				t.Fatal(err, s.goccy)
			}
			in := intent{c.service: {c.key: c.want}}
			seen := ""
			if len(s.linesSay([]byte(c.after), in)) > 0 {
				seen += "l"
			}
			if found, _ := s.yamlSays([]byte(c.after), in, true); len(found) > 0 {
				seen += "y"
			}
			if found, loads := s.composeSays(t.Context(), []byte(c.after), in); len(found) > 0 {
				seen += "c"
			} else if !loads {
				t.Error("compose-go does not load the file")
			}
			if seen != c.seen {
				t.Errorf("%s: want it seen by %q, was seen by %q", c.reason, c.seen, seen)
			}
		})
	}
}
