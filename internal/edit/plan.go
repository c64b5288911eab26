package edit

import (
	"cmp"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/composure-dev/composure/internal/syntax"
)

// splice replaces the bytes from start to end by text.
type splice struct {
	start, end int
	text       string
}

// draft is a way to make a change, not yet proved.
type draft struct {
	data    []byte
	touched []place
	at      *yaml.Node // what is edited
	steps   int        // how many entries are taken out
}

// planner finds the ways to make one change, the best first.
type planner struct {
	*document
	change Change
}

// spot is what one document says of the service.
type spot struct {
	document       int
	services       *yaml.Node
	service, block syntax.Found
}

// drafts are what can be tried, best first: in place, and where others share the place, beside it.
func (p *planner) drafts() ([]draft, *Refusal) {
	spots, refusal := p.spots()
	switch {
	case refusal != nil:
		return nil, refusal
	case len(spots) == 0 && p.change.Create && !p.change.Remove:
		return p.create()
	case len(spots) == 0:
		return nil, p.refuse(p.change, ReasonServiceMissing, 0)
	case p.change.Remove:
		return p.removals()
	}
	s := p.choose(spots)
	if isReset(s.services) || isReset(s.service.Node) || isReset(s.block.Node) {
		return nil, p.refuse(p.change, ReasonReset, s.service.Key.Line)
	}
	return p.set(s), nil
}

func isReset(n *yaml.Node) bool { return n != nil && n.Tag == "!reset" }

// spots are the documents that define the service, in order.
func (p *planner) spots() ([]spot, *Refusal) {
	var spots []spot
	for i, root := range p.Roots {
		s := spot{document: i, services: syntax.Child(root, "services")}
		if line := p.misshapen(root, s.services); line > 0 {
			return nil, p.refuse(p.change, ReasonShape, line)
		}
		if blockTag(s.services) != "" {
			spots = nil // nothing that earlier documents say of services counts
		}
		s.service = syntax.Lookup(s.services, p.change.Service)
		if line := p.unnamed(root, s.services, s.service.Node); line > 0 {
			return nil, p.refuse(p.change, ReasonShape, line)
		}
		if s.service.Key == nil {
			continue
		}
		s.block = syntax.Lookup(s.service.Node, "environment")
		if line := p.twice(root, s); line > 0 {
			return nil, p.refuse(p.change, ReasonAmbiguous, line)
		}
		if line := p.misshapen(s.service.Node); line > 0 {
			return nil, p.refuse(p.change, ReasonShape, line)
		}
		if n := unfitBlock(s.block.Node); n != nil {
			return nil, p.refuse(p.change, ReasonShape, n.Line)
		}
		spots = append(spots, s)
	}
	return spots, nil
}

// misshapen is the line of the first node that is neither a mapping nor empty, or 0.
func (p *planner) misshapen(nodes ...*yaml.Node) int {
	for _, n := range nodes {
		if n != nil && n.Kind != yaml.MappingNode && !isNull(n) && !isReset(n) {
			return n.Line
		}
	}
	return 0
}

// unnamed is the line of a key that is not written as a name, or 0: what an alias is called cannot be told by looking at it, and 00 is
// 0 to YAML.
func (p *planner) unnamed(mappings ...*yaml.Node) int {
	for _, mapping := range mappings {
		for _, m := range syntax.Lineage(mapping) {
			for _, e := range syntax.Entries(m) {
				if e.Key.Kind != yaml.ScalarNode || e.Key.ShortTag() != "!!str" && !syntax.IsMerge(e.Key) {
					return e.Key.Line
				}
			}
		}
	}
	return 0
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// twice is the line of a key on the way to the value that stands twice in its mapping, or 0.
func (p *planner) twice(root *yaml.Node, s spot) int {
	for _, step := range []struct {
		mapping *yaml.Node
		key     string
	}{
		{root, "services"}, {s.services, p.change.Service}, {s.service.Node, "environment"}, {s.block.Node, p.change.Key},
	} {
		for _, m := range syntax.Lineage(step.mapping) {
			if own := entriesOf(m, step.key); len(own) > 1 {
				return own[1].Key.Line
			}
		}
	}
	return 0
}

// entriesOf are a mapping's own entries with a key.
func entriesOf(mapping *yaml.Node, key string) []syntax.Pair {
	return slices.DeleteFunc(syntax.Own(mapping), func(p syntax.Pair) bool { return p.Key.Value != key })
}

// unfitBlock is the first part of an environment block that compose would not take either, or nil.
func unfitBlock(block *yaml.Node) *yaml.Node {
	switch {
	case block == nil || isReset(block):
		return nil
	case block.Kind == yaml.ScalarNode && !isNull(block):
		return block
	}
	for _, item := range syntax.Items(block) {
		if item.Kind != yaml.ScalarNode || item.ShortTag() != "!!str" && !isReset(item) {
			return item
		}
	}
	for _, e := range syntax.Pairs(block) {
		if v := syntax.Deref(e.Value); e.Key.Kind != yaml.ScalarNode || v.Kind != yaml.ScalarNode && blockTag(v) == "" {
			return e.Key
		}
	}
	return nil
}

// choose is the document in which a value of the key counts: the last one that sets it or replaces the whole block, else the last
// one with a block, else the last one with the service.
func (p *planner) choose(spots []spot) spot {
	for _, decides := range []func(spot) bool{
		func(s spot) bool {
			replaces := blockTag(s.block.Node) != "" || blockTag(s.service.Node) != "" || blockTag(s.services) != ""
			return replaces || sets(s.block.Node, p.change.Key)
		},
		func(s spot) bool { return s.block.Node != nil },
	} {
		for _, s := range slices.Backward(spots) {
			if decides(s) {
				return s
			}
		}
	}
	return spots[len(spots)-1]
}

// sets reports whether a block has the key, be it through a merge key.
func sets(block *yaml.Node, key string) bool {
	return syntax.Lookup(block, key).Key != nil || len(itemsOf(block, key)) > 0
}

// set are the ways to give the key a value at a spot.
func (p *planner) set(s spot) []draft {
	shared := s.service.Aliased || s.service.Merged || s.block.Aliased || s.block.Merged
	var drafts []draft
	if s.block.Node == nil || s.block.Merged && len(s.block.Node.Content) == 0 { // nothing that a block of its own would take away
		drafts = p.addBlock(s, "")
	} else {
		drafts = p.setIn(s.block.Node, s)
	}
	if shared {
		drafts = append(drafts, p.beside(s)...)
	}
	return drafts
}

// setIn are the ways to give the key a value in a block that is written down somewhere.
func (p *planner) setIn(block *yaml.Node, s spot) []draft {
	switch block.Kind {
	case yaml.ScalarNode:
		return []draft{p.draft(block, append(p.cut(p.Token(block)), p.fill(s.block.Key, block, s))...)}
	case yaml.SequenceNode:
		if items := itemsOf(block, p.change.Key); len(items) > 0 {
			return []draft{p.draft(block, p.replaceItem(block, items[len(items)-1]))}
		}
		return []draft{p.draft(block, p.append(block)...)}
	}
	var drafts []draft
	for i, m := range syntax.Lineage(block) {
		if own := entriesOf(m, p.change.Key); len(own) > 0 {
			drafts = append(drafts, p.draft(m, p.replaceValue(m, own[0])))
			if i == 0 {
				return drafts
			}
			break
		}
	}
	return append(drafts, p.draft(block, p.append(block)...))
}

// draft is the file with splices made, which change the key in n.
func (p *planner) draft(n *yaml.Node, splices ...splice) draft {
	return draft{data: p.spliced(splices), touched: []place{p.placeOf(n, p.change.Key)}, at: n}
}

// spliced makes splices that do not overlap; what is only inserted goes before what is replaced there.
func (d *document) spliced(splices []splice) []byte {
	slices.SortStableFunc(splices, func(a, b splice) int { return cmp.Or(a.start-b.start, a.end-b.end) })
	var data []byte
	at := 0
	for _, s := range splices {
		data = slices.Concat(data, d.Data[at:s.start], []byte(s.text))
		at = s.end
	}
	return append(data, d.Data[at:]...)
}

// itemsOf are a list's own items that set or name the key, as they are written.
func itemsOf(block *yaml.Node, key string) []*yaml.Node {
	var found []*yaml.Node
	for i, item := range syntax.Items(block) {
		if name := keyOf(item); name == key {
			found = append(found, block.Content[i])
		}
	}
	return found
}

// explain says why a draft is no way to make the change.
func (d *document) explain(change Change, problem problem, tried draft) *Refusal {
	line := 0
	if tried.at != nil {
		line = tried.at.Line
	}
	others := slices.DeleteFunc(slices.Clone(problem.services), func(name string) bool { return name == change.Service })
	if len(others) > 0 {
		return d.refuseFor(change, ReasonShared, line, others)
	}
	if used := d.aliasLine(tried.at); used > 0 || problem.dangling {
		refusal := d.refuse(change, ReasonShared, used)
		refusal.Message = "another place of the file uses the same value and is not to change"
		return refusal
	}
	return d.refuse(change, ReasonUnproven, line)
}

// aliasLine is the line of an alias that stands for n, for something in it, or for something that it lies in; 0 without one.
func (d *document) aliasLine(n *yaml.Node) int {
	if n == nil {
		return 0
	}
	for _, root := range d.Roots {
		path := nodesTo(root, n)
		if path == nil {
			continue
		}
		path = append(path, n.Content...)
		return firstAlias(root, path)
	}
	return 0
}

// nodesTo are the nodes from one up to another that it lies in, which comes last; none when it does not.
func nodesTo(from, to *yaml.Node) []*yaml.Node {
	if from == to {
		return []*yaml.Node{from}
	}
	if from == nil || from.Kind == yaml.AliasNode {
		return nil
	}
	for _, c := range from.Content {
		if rest := nodesTo(c, to); rest != nil {
			return append(rest, from)
		}
	}
	return nil
}

func firstAlias(n *yaml.Node, targets []*yaml.Node) int {
	if n.Kind == yaml.AliasNode {
		if slices.Contains(targets, n.Alias) {
			return n.Line
		}
		return 0
	}
	for _, c := range n.Content {
		if line := firstAlias(c, targets); line > 0 {
			return line
		}
	}
	return 0
}
