package policy

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxVisits bounds the nodes looked at in one document, so that aliases of aliases end in a problem and not in a stall.
const maxVisits = 50_000

// decoder fills a value from YAML nodes. The Go types are its only schema: a field is what its json tag says.
// It goes on after a problem, so that one reading tells all of them.
type decoder struct {
	document
	visits    int
	exhausted bool
	problems  Problems
	// places says where each path that the document gives ("spec.variables[0].name") stands.
	places map[string]Origin
	// broken are the paths with a problem and the objects that hold them; nothing else is to be concluded from those.
	broken map[string]bool
}

func newDecoder(d document) *decoder {
	return &decoder{document: d, places: map[string]Origin{}, broken: map[string]bool{}}
}

func (d *decoder) report(path string, node *yaml.Node, message, hint string) {
	d.broken[path], d.broken[parentPath(path)] = true, true
	d.problems = append(d.problems, Problem{d.origin(node), message, hint})
}

// resolve follows aliases. It returns nil once the document has been looked at too often.
func (d *decoder) resolve(node *yaml.Node, path string) *yaml.Node {
	for {
		d.visits++
		if d.visits > maxVisits {
			if !d.exhausted {
				d.exhausted = true
				d.report(path, node, "the document is too large once its aliases are expanded", "write it without nested aliases, or split it")
			}
			return nil
		}
		if node.Kind != yaml.AliasNode {
			return node
		}
		node = node.Alias
	}
}

// decode fills v from node, which stands at path.
func (d *decoder) decode(node *yaml.Node, v reflect.Value, path string) {
	d.places[path] = d.origin(node)
	at := node
	node = d.resolve(node, path)
	if node == nil {
		return
	}
	if v.Kind() != reflect.Pointer {
		d.decodeKind(node, at, v, path)
		return
	}
	target := reflect.New(v.Type().Elem())
	problems := len(d.problems)
	d.decodeKind(node, at, target.Elem(), path)
	if node.Kind == yaml.MappingNode || len(d.problems) == problems && node.ShortTag() != "!!null" {
		v.Set(target)
	}
}

// decodeKind fills v from a resolved node; problems are shown where at stands, which is the alias if there was one.
func (d *decoder) decodeKind(node, at *yaml.Node, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Struct, reflect.Map:
		if d.isKind(node, at, yaml.MappingNode, path) {
			d.decodeMapping(node, v, path)
		}
	case reflect.Slice:
		if d.isKind(node, at, yaml.SequenceNode, path) {
			d.decodeList(node, v, path)
		}
	default:
		d.decodeScalar(node, at, v, path)
	}
	if origin := originField(v); origin.IsValid() {
		origin.Set(reflect.ValueOf(d.origin(at)))
	}
}

// originField is the Origin of a struct that remembers where it stands.
func originField(v reflect.Value) reflect.Value {
	if v.Kind() != reflect.Struct {
		return reflect.Value{}
	}
	return v.FieldByName("Origin")
}

// isKind reports whether node is a mapping or list as wanted. An empty value of either is taken as not given.
func (d *decoder) isKind(node, at *yaml.Node, want yaml.Kind, path string) bool {
	if node.Kind == want {
		return true
	}
	if node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" {
		return false
	}
	hint := "write it as \"key: value\" lines below, or {key: value}"
	if want == yaml.SequenceNode {
		hint = "write it as \"- item\" lines below, or [item, item]"
	}
	d.report(path, at, fmt.Sprintf("%s must be a %s, not a %s", nameOf(path), kindName(want), kindName(node.Kind)), hint)
	return false
}

func kindName(kind yaml.Kind) string {
	switch kind {
	case yaml.MappingNode:
		return "mapping"
	case yaml.SequenceNode:
		return "list"
	}
	return "single value"
}

func nameOf(path string) string {
	if path == "" {
		return "a policy"
	}
	return path
}

func (d *decoder) decodeList(node *yaml.Node, v reflect.Value, path string) {
	for i, item := range node.Content {
		element := reflect.New(v.Type().Elem()).Elem()
		d.decode(item, element, fmt.Sprintf("%s[%d]", path, i))
		if d.exhausted {
			return
		}
		v.Set(reflect.Append(v, element))
	}
}

func (d *decoder) decodeMapping(node *yaml.Node, v reflect.Value, path string) {
	for _, entry := range d.entries(node, path) {
		name := joinPath(path, entry.key.Value)
		if v.Kind() == reflect.Map {
			d.decodeMapEntry(entry, v, name)
			continue
		}
		fields := fieldsOf(v.Type())
		i := slices.Index(fields, entry.key.Value)
		if i < 0 || entry.key.Value == "" { // "" is what fields are called that no document gives
			d.report(name, entry.key, fmt.Sprintf("unknown field %q", name), suggest(entry.key.Value, fields))
			continue
		}
		d.decode(entry.value, v.Field(i), name)
	}
}

func (d *decoder) decodeMapEntry(entry entry, v reflect.Value, path string) {
	element := reflect.New(v.Type().Elem()).Elem()
	d.decode(entry.value, element, path)
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	v.SetMapIndex(reflect.ValueOf(entry.key.Value), element)
}

type entry struct{ key, value *yaml.Node }

// entries returns a mapping's own keys and those merged into it by "<<", its own first. A key that stands twice is a problem.
func (d *decoder) entries(node *yaml.Node, path string) []entry {
	var own, merged []entry
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content) && !d.exhausted; i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch {
		case key.ShortTag() == "!!merge":
			merged = append(merged, d.mergedEntries(value, path)...)
		case key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str":
			d.report(path, key, "a key must be a plain string", "quote it, if it is meant")
		case seen[key.Value]:
			d.report(joinPath(path, key.Value), key, fmt.Sprintf("key %q is given twice", joinPath(path, key.Value)), "keep one of them")
		default:
			seen[key.Value] = true
			own = append(own, entry{key, value})
		}
	}
	for _, e := range merged {
		if !seen[e.key.Value] {
			seen[e.key.Value] = true
			own = append(own, e)
		}
	}
	return own
}

func (d *decoder) mergedEntries(value *yaml.Node, path string) []entry {
	at := value
	value = d.resolve(value, path)
	if value == nil {
		return nil
	}
	switch value.Kind {
	case yaml.MappingNode:
		return d.entries(value, path)
	case yaml.SequenceNode:
		var all []entry
		for _, item := range value.Content {
			all = append(all, d.mergedEntries(item, path)...)
		}
		return all
	}
	d.report(path, at, "<< must merge a mapping", "")
	return nil
}

func (d *decoder) decodeScalar(node, at *yaml.Node, v reflect.Value, path string) {
	if node.Kind != yaml.ScalarNode {
		d.report(path, at, fmt.Sprintf("%s must be %s, not a %s", path, scalarName(v), kindName(node.Kind)), "")
		return
	}
	if node.ShortTag() == "!!null" {
		d.report(path, at, path+" has no value", "give it one, or remove the line")
		return
	}
	if message, hint := setScalar(node, v); message != "" {
		d.report(path, at, fmt.Sprintf("%s must be %s, not %s", path, scalarName(v), message), hint)
	}
}

// setScalar sets v from a scalar that is not null. It returns what the scalar is instead, and a hint, when it does not fit.
// A text is not repeated: it may be a secret that went astray.
func setScalar(node *yaml.Node, v reflect.Value) (instead, hint string) {
	text, tag := node.Value, node.ShortTag()
	if duration, ok := reflect.TypeAssert[*Duration](v.Addr()); ok {
		if tag != "!!str" || duration.UnmarshalText([]byte(text)) != nil {
			return text, durationHint(text)
		}
		return "", ""
	}
	switch v.Kind() {
	case reflect.Bool:
		if tag != "!!bool" {
			return otherThanString(node), "write true or false, without quotes"
		}
		v.SetBool(strings.EqualFold(text, "true"))
	case reflect.Float64:
		number, err := strconv.ParseFloat(text, 64)
		if err != nil || tag != "!!int" && tag != "!!float" || number-number != 0 {
			return otherThanString(node), "write a plain number, without quotes"
		}
		v.SetFloat(number)
	case reflect.Int, reflect.Int64:
		number, err := strconv.ParseInt(text, 10, 64)
		if err != nil || tag != "!!int" {
			return otherThanString(node), "write a whole number, without quotes"
		}
		v.SetInt(number)
	default:
		if word := mistakableFor(node); word != "" {
			return word, "quote it: \"...\""
		}
		v.SetString(text)
	}
	return "", ""
}

// otherThanString says what a scalar is that should be a number or a boolean.
func otherThanString(node *yaml.Node) string {
	switch node.ShortTag() {
	case "!!int", "!!float":
		return strconv.Quote(node.Value)
	case "!!str":
		return "a string"
	}
	return mistakableFor(node)
}

// mistakableFor says what else than a string one of the YAML versions makes of a scalar; empty when all agree.
func mistakableFor(node *yaml.Node) string {
	switch node.ShortTag() {
	case "!!str":
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "the boolean " + node.Value
	case "!!timestamp":
		return "a timestamp"
	default:
		return "a value with a tag of its own"
	}
	plain := node.Style&(yaml.TaggedStyle|yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	if plain && slices.Contains([]string{"y", "n", "yes", "no", "on", "off"}, strings.ToLower(node.Value)) {
		return "the boolean " + node.Value
	}
	return ""
}

func durationHint(text string) string {
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return fmt.Sprintf("say the unit: %ss", text)
	}
	return "write a number with a unit, such as 90s or 2m"
}

func scalarName(v reflect.Value) string {
	switch {
	case v.Type() == reflect.TypeFor[Duration]():
		return "a duration"
	case v.Kind() == reflect.Bool:
		return "true or false"
	case v.Kind() == reflect.String:
		return "a string"
	}
	return "a number"
}
