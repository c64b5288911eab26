package edit

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// pair is one entry of a mapping.
type pair struct{ key, value *yaml.Node }

// pairs are the entries of a mapping; nothing for any other node.
func pairs(n *yaml.Node) []pair {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	list := make([]pair, 0, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		list = append(list, pair{n.Content[i], n.Content[i+1]})
	}
	return list
}

// lookup returns the mapping's own entry called key and how often it is defined.
func lookup(n *yaml.Node, key string) (found pair, count int) {
	for _, p := range pairs(n) {
		if p.key.Kind == yaml.ScalarNode && p.key.Value == key {
			found, count = p, count+1
		}
	}
	return found, count
}

// child is the value of the mapping's own entry called key, or nil.
func child(n *yaml.Node, key string) *yaml.Node {
	p, _ := lookup(n, key)
	return p.value
}

func (d *document) services() *yaml.Node {
	if len(d.roots) != 1 {
		return nil
	}
	return child(d.roots[0], "services")
}

// isList reports whether the service's environment, or for lack of one most of the file's, is a list.
func (d *document) isList(service string) bool {
	if environment := child(child(d.services(), service), "environment"); environment != nil {
		return environment.Kind == yaml.SequenceNode
	}
	lists, maps := d.blocks()
	return len(lists) > len(maps)
}

// blocks are the services' environment entries in block style, by form.
func (d *document) blocks() (lists, maps []pair) {
	for _, service := range pairs(d.services()) {
		p, count := lookup(service.value, "environment")
		if count == 0 || len(p.value.Content) == 0 || p.value.Style&yaml.FlowStyle != 0 {
			continue
		}
		switch p.value.Kind {
		case yaml.SequenceNode:
			lists = append(lists, p)
		case yaml.MappingNode:
			maps = append(maps, p)
		}
	}
	return lists, maps
}

// target is where a change goes.
type target struct {
	name        *yaml.Node // the key that names the service
	service     *yaml.Node
	environment *yaml.Node // nil: the service has none
}

// locate walks from the root to the service's environment and refuses what is not supported on the way.
func (d *document) locate(change Change) (target, *Refusal) {
	refuse := func(reason Reason, line int) (target, *Refusal) { return target{}, d.refuse(change, reason, line) }
	switch {
	case !validKey(change.Key):
		return refuse(ReasonInvalidKey, 0)
	case !d.positioned() || !utf8.ValidString(change.Text):
		return refuse(ReasonEncoding, 0)
	case len(d.roots) == 0:
		return refuse(ReasonServiceMissing, 0)
	case len(d.roots) > 1:
		return refuse(ReasonMultiDocument, d.roots[1].Line)
	}
	var found target
	at := d.roots[0]
	for _, key := range []string{"services", change.Service, "environment"} {
		reason := unfitMapping(at)
		if reason == ReasonNullBlock && found.service == nil {
			reason = ReasonServiceMissing
		}
		if reason != "" {
			return refuse(reason, at.Line)
		}
		p, count := lookup(at, key)
		switch {
		case count > 1:
			return refuse(ReasonDuplicateKey, p.key.Line)
		case count == 0 && found.service != nil:
			return found, nil
		case count == 0:
			return refuse(ReasonServiceMissing, 0)
		case found.name != nil:
			found.environment = p.value
		case at == d.services():
			found.name, found.service = p.key, p.value
		}
		at = p.value
	}
	if reason := unfitBlock(found.environment); reason != "" {
		return refuse(reason, found.environment.Line)
	}
	return found, nil
}

// unfitMapping is why n is not a block mapping that can be edited, or empty.
func unfitMapping(n *yaml.Node) Reason {
	if n.Kind == yaml.SequenceNode {
		return ReasonNotAMapping
	}
	return unfitBlock(n)
}

// unfitBlock is why n is not a block mapping or list that can be edited, or empty.
func unfitBlock(n *yaml.Node) Reason {
	switch {
	case n.Kind == yaml.AliasNode:
		return ReasonAlias
	case n.Style&yaml.TaggedStyle != 0:
		return ReasonTagged
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return ReasonNullBlock
	case n.Kind == yaml.ScalarNode:
		return ReasonNotAMapping
	case n.Style&yaml.FlowStyle != 0:
		return ReasonFlow
	}
	return ""
}

// validKey reports whether key can name an environment variable in both forms.
func validKey(key string) bool {
	return key != "" && key != "<<" && utf8.ValidString(key) && !strings.ContainsFunc(key, func(r rune) bool {
		return r == '=' || unicode.IsSpace(r) || !unicode.IsPrint(r)
	})
}

// affected is why a change inside t would reach other services too, with the line that shows it.
// value is the entry's present value, or nil.
func (d *document) affected(t target, value *yaml.Node, key string) (Reason, int) {
	path := []*yaml.Node{d.roots[0], d.services(), t.service, t.environment, value}
	if line := aliasOf(d.roots[0], path); line > 0 {
		return ReasonAnchorShared, line
	}
	for _, service := range pairs(d.services()) {
		if service.value != t.service && extends(service.value, t.name.Value) && !declares(service.value, key) {
			return ReasonExtended, service.key.Line
		}
	}
	return "", 0
}

// aliasOf is the line of the first alias below n that stands for one of nodes, or 0.
func aliasOf(n *yaml.Node, nodes []*yaml.Node) int {
	if n.Kind == yaml.AliasNode && slices.Contains(nodes, n.Alias) {
		return n.Line
	}
	for _, c := range n.Content {
		if line := aliasOf(c, nodes); line > 0 {
			return line
		}
	}
	return 0
}

// extends reports whether service, by itself or through what it is an alias of or merges, extends the one called name.
// A file: may name this very file, so it does not matter.
func extends(service *yaml.Node, name string) bool {
	for _, n := range inherited(service) {
		e := child(n, "extends")
		if s := child(e, "service"); s != nil {
			e = s
		}
		if e != nil && e.Kind == yaml.AliasNode {
			e = e.Alias
		}
		if e != nil && (e.Value == name || child(e, "service") != nil && child(e, "service").Value == name) {
			return true
		}
	}
	return false
}

// declares reports whether the service's own environment has key.
func declares(service *yaml.Node, key string) bool {
	environment := child(service, "environment")
	if environment == nil {
		return false
	}
	_, count := entry(environment, key)
	return count > 0
}

// inherited are the mappings whose keys n has: itself, what it is an alias of, and all that these merge. Each comes once, so
// that nested aliases cost no more than the file is long.
func inherited(n *yaml.Node) []*yaml.Node {
	var all []*yaml.Node
	seen := map[*yaml.Node]bool{}
	var visit func(*yaml.Node)
	visit = func(n *yaml.Node) {
		if n == nil || seen[n] {
			return
		}
		seen[n] = true
		switch n.Kind {
		case yaml.AliasNode:
			visit(n.Alias)
		case yaml.SequenceNode:
			for _, c := range n.Content {
				visit(c)
			}
		case yaml.MappingNode:
			all = append(all, n)
			for _, p := range pairs(n) {
				if p.key.Value == "<<" {
					visit(p.value)
				}
			}
		}
	}
	visit(n)
	return all
}

// entry is the entry of key in an environment block (of duplicates the last) and how often key is there.
// In a list key and value of the pair are the same node.
func entry(environment *yaml.Node, key string) (found pair, count int) {
	if environment.Kind != yaml.SequenceNode {
		return lookup(environment, key)
	}
	for _, item := range environment.Content {
		if name, _, _ := strings.Cut(scalar(item).Value, "="); name == key {
			found, count = pair{item, item}, count+1
		}
	}
	return found, count
}

// scalar is the scalar that n is or stands for; an empty one when it is none.
func scalar(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n == nil || n.Kind != yaml.ScalarNode {
		return &yaml.Node{}
	}
	return n
}
