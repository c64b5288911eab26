package syntax

import "go.yaml.in/yaml/v4"

// Pair is one entry of a mapping.
type Pair struct {
	Key, Value *yaml.Node
}

// Deref follows an alias. The parser refuses an alias to an alias.
func Deref(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// IsMerge reports whether key is the merge key <<. Quoted, it is a key like any other.
func IsMerge(key *yaml.Node) bool {
	return key.Kind == yaml.ScalarNode && key.Value == "<<" && (key.Tag == "" || key.ShortTag() == "!!merge")
}

// Entries are the entries that a mapping writes down, merge keys included; none for any other node.
func Entries(mapping *yaml.Node) []Pair {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return nil
	}
	out := make([]Pair, 0, len(mapping.Content)/2)
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		out = append(out, Pair{mapping.Content[i], mapping.Content[i+1]})
	}
	return out
}

// Own are the entries that a mapping itself writes down, merge keys left out.
func Own(mapping *yaml.Node) []Pair {
	var out []Pair
	for _, p := range Entries(mapping) {
		if !IsMerge(p.Key) {
			out = append(out, p)
		}
	}
	return out
}

// Merged are the mappings that the merge keys of a mapping bring in, in order of precedence.
func Merged(mapping *yaml.Node) []*yaml.Node {
	var out []*yaml.Node
	for _, p := range Entries(mapping) {
		if !IsMerge(p.Key) {
			continue
		}
		source := Deref(p.Value)
		if source.Kind == yaml.SequenceNode {
			out = append(out, Items(source)...)
			continue
		}
		out = append(out, source)
	}
	return out
}

// Pairs are the entries of a mapping with those that its merge keys bring in: an explicit key beats a merged one, the first
// of several merged ones wins. An alias is followed.
func Pairs(mapping *yaml.Node) []Pair {
	lineage := Lineage(mapping)
	if len(lineage) == 1 {
		return Own(lineage[0])
	}
	var out []Pair
	keys := map[string]bool{}
	for _, m := range lineage {
		for _, p := range Own(m) {
			if !keys[p.Key.Value] {
				keys[p.Key.Value] = true
				out = append(out, p)
			}
		}
	}
	return out
}

// Lineage are the mappings whose entries a mapping has: itself, and all that its merge keys bring in, in order of precedence.
// Each comes once, so that nested aliases cost no more than the file is long.
func Lineage(mapping *yaml.Node) []*yaml.Node {
	var out []*yaml.Node
	seen := map[*yaml.Node]bool{}
	mapping = Deref(mapping)
	if mapping != nil && mapping.Kind == yaml.MappingNode && !merges(mapping) {
		return []*yaml.Node{mapping}
	}
	var visit func(*yaml.Node)
	visit = func(m *yaml.Node) {
		if m == nil || m.Kind != yaml.MappingNode || seen[m] { // seen also ends a bomb: taking a mapping twice changes nothing
			return
		}
		seen[m] = true
		out = append(out, m)
		for _, source := range Merged(m) {
			visit(source)
		}
	}
	visit(mapping)
	return out
}

func merges(mapping *yaml.Node) bool {
	for i := 0; i < len(mapping.Content); i += 2 {
		if IsMerge(mapping.Content[i]) {
			return true
		}
	}
	return false
}

// Found is what a mapping has under a key.
type Found struct {
	Key, Node *yaml.Node // both nil: nothing; Node is not an alias
	Aliased   bool       // the value is written as an alias
	Merged    bool       // a merge key brings it in
}

// Lookup finds a key in a mapping, or in what its merge keys bring in.
func Lookup(mapping *yaml.Node, key string) Found {
	for i, m := range Lineage(mapping) {
		for _, p := range Own(m) {
			if p.Key.Value == key {
				return Found{Key: p.Key, Node: Deref(p.Value), Aliased: p.Value.Kind == yaml.AliasNode, Merged: i > 0}
			}
		}
	}
	return Found{}
}

// Child is the value of a key, aliases and merge keys followed, or nil.
func Child(mapping *yaml.Node, key string) *yaml.Node { return Lookup(mapping, key).Node }

// Items are the elements of a sequence, aliases followed.
func Items(sequence *yaml.Node) []*yaml.Node {
	if sequence == nil || sequence.Kind != yaml.SequenceNode {
		return nil
	}
	out := make([]*yaml.Node, len(sequence.Content))
	for i, n := range sequence.Content {
		out[i] = Deref(n)
	}
	return out
}

// ScalarAt is the value of a scalar child, or empty.
func ScalarAt(mapping *yaml.Node, key string) string {
	if n := Child(mapping, key); n != nil && n.Kind == yaml.ScalarNode {
		return n.Value
	}
	return ""
}

// Strings reads a scalar or a list of scalars; what is none is left out.
func Strings(n *yaml.Node) []string {
	n = Deref(n)
	if n == nil {
		return nil
	}
	if n.Kind == yaml.ScalarNode {
		return []string{n.Value}
	}
	var out []string
	for _, item := range Items(n) {
		if item.Kind == yaml.ScalarNode {
			out = append(out, item.Value)
		}
	}
	return out
}
