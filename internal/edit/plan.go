package edit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// splice replaces the bytes from start to end by text.
type splice struct {
	start, end int
	text       string
}

func (s *splice) apply(data []byte) []byte {
	return slices.Concat(data[:s.start], []byte(s.text), data[s.end:])
}

// plan is the splice that makes the change; nil when the file satisfies it already.
func (d *document) plan(change Change) (*splice, *Refusal) {
	t, refusal := d.locate(change)
	if refusal != nil {
		return nil, refusal
	}
	if t.environment == nil {
		return d.planBlock(t, change)
	}
	if n := unfitEntry(t.environment); n != nil {
		return nil, d.refuse(change, ReasonNotAMapping, n.Line)
	}
	found, count := entry(t.environment, change.Key)
	isMap := t.environment.Kind == yaml.MappingNode
	switch {
	case count > 1 && isMap:
		return nil, d.refuse(change, ReasonDuplicateKey, found.key.Line)
	case count > 0 && reads(t.environment, found, change):
		return nil, nil
	}
	if reason, line := d.affected(t, found.value, change.Key); reason != "" {
		return nil, d.refuse(change, reason, line)
	}
	if count == 0 {
		return d.planAdd(t.environment, change)
	}
	return d.planChange(t.environment, found, change)
}

// unfitEntry is the first entry that compose would not take either, or nil.
func unfitEntry(environment *yaml.Node) *yaml.Node {
	if environment.Kind == yaml.SequenceNode {
		for _, item := range environment.Content {
			if scalar(item).Tag != "!!str" {
				return item
			}
		}
		return nil
	}
	for _, p := range pairs(environment) {
		if p.key.Value != "<<" && (p.key.Kind != yaml.ScalarNode || scalar(p.value).Kind != yaml.ScalarNode) {
			return p.key
		}
	}
	return nil
}

// reads reports whether compose reads the entry as the change's text. An unquoted value of a map is typed by YAML first: it
// reads 022 as 18, and 1.10 as 1.1.
func reads(environment *yaml.Node, found pair, change Change) bool {
	value := scalar(found.value)
	if environment.Kind == yaml.SequenceNode {
		return value.Value == change.Key+"="+change.Text
	}
	if value.Tag == "!!str" {
		return value.Value == change.Text
	}
	var typed any
	if err := value.Decode(&typed); err != nil || typed == nil {
		return false
	}
	return fmt.Sprint(typed) == change.Text
}

// planChange replaces the scalar of an entry and nothing around it.
func (d *document) planChange(environment *yaml.Node, found pair, change Change) (*splice, *Refusal) {
	n := found.value
	switch {
	case n.Style&yaml.TaggedStyle != 0:
		return nil, d.refuse(change, ReasonTagged, n.Line)
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return nil, d.refuse(change, ReasonBlockScalar, n.Line)
	}
	preferred := cmp.Or(styleOf(n), majority(values(environment)))
	start, end := d.token(n, 0)
	if environment.Kind == yaml.SequenceNode {
		return &splice{start, end, listItem(change, preferred)}, nil
	}
	text := quote(change.Text, preferred, "k: ")
	if start == end {
		text = " " + text
	}
	return &splice{start, end, text}, nil
}

// values are what the entries' quotes stand around: the items of a list, the values of a map but for merges.
func values(environment *yaml.Node) []*yaml.Node {
	if environment.Kind == yaml.SequenceNode {
		return environment.Content
	}
	var nodes []*yaml.Node
	for _, p := range pairs(environment) {
		if p.key.Value != "<<" {
			nodes = append(nodes, p.value)
		}
	}
	return nodes
}

// planAdd puts a line right below the block's last entry, above any comment that follows.
func (d *document) planAdd(environment *yaml.Node, change Change) (*splice, *Refusal) {
	last := environment.Content[len(environment.Content)-1]
	if environment.Kind == yaml.SequenceNode {
		gap := " "
		if dash := strings.TrimLeft(d.before(last), " "); strings.TrimRight(dash, " ") == "-" {
			gap = dash[1:]
		}
		line := strings.Repeat(" ", environment.Column-1) + "-" + gap + listItem(change, majority(values(environment)))
		return d.insertBelow(last, environment.Column-1, line, change)
	}
	key := environment.Content[len(environment.Content)-2]
	indent := d.before(key)
	if strings.Trim(indent, " ") != "" {
		return nil, d.refuse(change, ReasonComplexKey, key.Line)
	}
	return d.insertBelow(last, len(indent), indent+mapEntry(change, majority(values(environment))), change)
}

// insertBelow inserts lines below the node n, which belongs to a key or dash at column indent, with the line break used there.
func (d *document) insertBelow(n *yaml.Node, indent int, lines string, change Change) (*splice, *Refusal) {
	end := d.end(n, indent)
	at := d.lineEnd(end)
	leaf := n
	for len(leaf.Content) > 0 {
		leaf = leaf.Content[len(leaf.Content)-1]
	}
	if at == len(d.data) && leaf.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return nil, d.refuse(change, ReasonBlockScalar, leaf.Line)
	}
	eol := d.lineBreak(at)
	return &splice{at, at, eol + strings.ReplaceAll(lines, "\n", eol)}, nil
}

// planBlock gives a service an environment of its own.
func (d *document) planBlock(t target, change Change) (*splice, *Refusal) {
	for _, n := range inherited(t.service) {
		if child(n, "environment") != nil {
			return nil, d.refuse(change, ReasonMerge, n.Line)
		}
	}
	if reason, line := d.affected(t, nil, change.Key); reason != "" {
		return nil, d.refuse(change, reason, line)
	}
	sibling := d.sibling(t.service)
	indent := d.before(sibling.key)
	if strings.Trim(indent, " ") != "" {
		return nil, d.refuse(change, ReasonComplexKey, sibling.key.Line)
	}
	step, line := d.step(t), mapEntry(change, styleAny)
	if d.isList(t.name.Value) {
		line = "- " + listItem(change, styleAny)
	}
	lines := indent + "environment:\n" + indent + strings.Repeat(" ", step) + line
	return d.insertBelow(sibling.value, len(indent), lines, change)
}

// step is how much deeper than its key the entries of an environment block stand in this file.
func (d *document) step(t target) int {
	lists, maps := d.blocks()
	blocks := maps
	if d.isList(t.name.Value) {
		blocks = lists
	}
	own := max(t.service.Column-t.name.Column, 1)
	if len(blocks) == 0 {
		return own
	}
	counts, best := map[int]int{}, own
	for _, p := range blocks {
		step := p.value.Column - p.key.Column
		if counts[step]++; counts[step] > counts[best] {
			best = step
		}
	}
	return best
}

// sibling is the entry of the service below which environment belongs: that which precedes it most often in the file, else
// the first of the customary ones, else the last.
func (d *document) sibling(service *yaml.Node) pair {
	counts := map[string]int{}
	for _, s := range pairs(d.services()) {
		own := pairs(s.value)
		for i := 1; i < len(own); i++ {
			if own[i].key.Value == "environment" {
				counts[own[i-1].key.Value]++
			}
		}
	}
	customary := []string{"env_file", "image", "build", "container_name", "hostname", "platform", "extends", "restart", "user", "entrypoint", "command"}
	own := pairs(service)
	best := own[len(own)-1]
	rank := func(p pair) int {
		if i := slices.Index(customary, p.key.Value); i >= 0 {
			return counts[p.key.Value]*100 + len(customary) - i
		}
		return counts[p.key.Value] * 100
	}
	for _, p := range own {
		if rank(p) > rank(best) {
			best = p
		}
	}
	return best
}
