package edit

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/composure-dev/composure/internal/syntax"
)

// append adds the key at the end of a block that lacks it, above any comment that follows.
func (p *planner) append(block *yaml.Node) []splice {
	if block.Style&yaml.FlowStyle != 0 {
		return p.appendFlow(block, p.flowEntry(block.Kind == yaml.SequenceNode, majority(values(block))))
	}
	indent := blanks(p.Column(block) - 1)
	if block.Kind == yaml.SequenceNode {
		last := block.Content[len(block.Content)-1]
		line := indent + "-" + p.gap(last) + listItem(p.change, majority(values(block)))
		return []splice{p.below(last, last, line)}
	}
	last := syntax.Entries(block)[len(block.Content)/2-1]
	return []splice{p.below(last.Key, last.Value, indent+mapEntry(p.change, majority(values(block))))}
}

func blanks(n int) string { return strings.Repeat(" ", max(n, 0)) }

// gap is what stands between the dash and a list's item.
func (d *document) gap(item *yaml.Node) string {
	before := d.Before(item)
	if gap := before[len(strings.TrimRight(before, " ")):]; gap != "" && strings.HasSuffix(strings.TrimRight(before, " "), "-") {
		return gap
	}
	return " "
}

// below puts lines below an entry that begins with first and ends with last, with the line break used there. Behind a block scalar
// that ends the file without a line break they would be part of it: then they go above.
func (d *document) below(first, last *yaml.Node, lines string) splice {
	at := d.LineEnd(d.entryEnd(first, last))
	eol := d.LineBreak(at)
	lines = strings.ReplaceAll(lines, "\n", eol)
	leaf := last
	for len(leaf.Content) > 0 {
		leaf = leaf.Content[len(leaf.Content)-1]
	}
	if at == len(d.Data) && isBlockScalar(leaf) {
		start := d.LineStart(d.Offset(first))
		return splice{start, start, lines + eol}
	}
	return splice{at, at, eol + lines}
}

// behind puts lines below an entry and the comments that belong to it: those deeper than its key.
func (d *document) behind(e syntax.Pair, lines string) splice {
	s := d.below(e.Key, e.Value, lines)
	if s.start == d.LineStart(s.start) {
		return s // above the entry
	}
	for next := d.NextLine(s.start); next < len(d.Data); next = d.NextLine(next) {
		text := string(d.Data[next:d.LineEnd(next)])
		content := strings.TrimLeft(text, " ")
		if !strings.HasPrefix(content, "#") || len(text)-len(content) <= d.column(e.Key) {
			break
		}
		s.start, s.end = d.LineEnd(next), d.LineEnd(next)
	}
	return s
}

// addBlock gives the service an environment of its own, which merges the anchored one if anchor is not empty.
func (p *planner) addBlock(s spot, anchor string) []draft {
	service := s.service.Node
	var splices []splice
	switch {
	case service.Kind == yaml.MappingNode && service.Style&yaml.FlowStyle != 0:
		splices = p.appendFlow(service, "environment: "+p.flowBlock(anchor))
	case service.Kind == yaml.MappingNode:
		sibling := p.sibling(service)
		lines := p.blockLines(blanks(p.Column(service)-1), s, anchor)
		splices = []splice{p.behind(sibling, lines)}
	case s.service.Aliased || s.service.Merged:
		return nil // an empty service that others are too
	case s.services.Style&yaml.FlowStyle != 0:
		start, end := p.Token(service)
		splices = []splice{{start, end, spaced(start, end, "{environment: "+p.flowBlock(anchor)+"}")}}
	default:
		indent := p.Column(s.services) - 1
		lines := p.blockLines(blanks(indent+p.step(s.services, indent)), s, anchor)
		splices = p.underKey(s.service.Key, service, lines)
	}
	return []draft{{data: p.spliced(splices), touched: []place{p.placeOf(service, "environment")}, at: service}}
}

// blockLines are the lines of a new environment block at an indentation.
func (p *planner) blockLines(indent string, s spot, anchor string) string {
	list := p.isList(p.change.Service) && anchor == ""
	deeper := indent + blanks(p.blockStep(list, s))
	lines := indent + "environment:\n"
	if anchor != "" {
		lines += deeper + "<<: *" + anchor + "\n"
	}
	return lines + deeper + p.entry(list)
}

func (p *planner) entry(list bool) string {
	if list {
		return "- " + listItem(p.change, styleAny)
	}
	return mapEntry(p.change, styleAny)
}

func (p *planner) flowEntry(list bool, preferred style) string {
	if list {
		return listItemIn(p.change, preferred, true)
	}
	return mapEntryIn(p.change, preferred, true)
}

// flowBlock is a new environment in flow style.
func (p *planner) flowBlock(anchor string) string {
	if anchor != "" {
		return "{<<: *" + anchor + ", " + p.flowEntry(false, styleAny) + "}"
	}
	return "{" + p.flowEntry(false, styleAny) + "}"
}

// underKey puts lines below a key whose value is empty or an alias: that goes, what follows it on the line stays.
func (p *planner) underKey(key, value *yaml.Node, lines string) []splice {
	start, end := p.Token(value)
	splices := p.cut(start, end)
	at := p.LineEnd(max(end, p.End(key)))
	eol := p.LineBreak(at)
	return append(splices, splice{at, at, eol + strings.ReplaceAll(lines, "\n", eol)})
}

// cut removes a value and the blanks before it; nothing where there is none.
func (p *planner) cut(start, end int) []splice {
	if start == end {
		return nil
	}
	for start > 0 && (p.Data[start-1] == ' ' || p.Data[start-1] == '\t') {
		start--
	}
	return []splice{{start, end, ""}}
}

// commented is a variable that is commented out, in a list or in a map.
var commented = regexp.MustCompile(`^#[ \t]*(?:(-)[ \t]|["']?[A-Za-z_][A-Za-z0-9_.-]*["']?:(?:[ \t]|$))`)

// fill gives an environment that is empty its first entry, behind entries that are commented out and in their form.
func (p *planner) fill(key, value *yaml.Node, s spot) splice {
	list := p.isList(p.change.Service)
	column := p.column(key)
	indent := column + p.blockStep(list, s)
	at := p.LineEnd(max(p.End(value), p.End(key)))
	for next := p.NextLine(at); next < len(p.Data); next = p.NextLine(next) {
		text := string(p.Data[next:p.LineEnd(next)])
		content := strings.TrimLeft(text, " ")
		depth := len(text) - len(content)
		m := commented.FindStringSubmatch(content)
		if !strings.HasPrefix(content, "#") || depth < column || depth == column && (m == nil || m[1] == "") {
			break
		}
		if m != nil {
			list, indent = m[1] != "", depth
		}
		at = p.LineEnd(next)
	}
	return splice{at, at, p.LineBreak(at) + blanks(indent) + p.entry(list)}
}

// column is where a key stands, from 0.
func (d *document) column(key *yaml.Node) int {
	at := d.Offset(key)
	return utf8.RuneCount(d.Data[d.LineStart(at):at])
}

// isList reports whether the service's environment, or for lack of one most of the file's, is a list.
func (d *document) isList(service string) bool {
	for _, root := range slices.Backward(d.Roots) {
		block := syntax.Child(syntax.Child(syntax.Child(root, "services"), service), "environment")
		if block != nil && block.Kind != yaml.ScalarNode {
			return block.Kind == yaml.SequenceNode
		}
	}
	lists, maps := d.blocks()
	return len(lists) > len(maps)
}

// blocks are the services' own environment entries, by form.
func (d *document) blocks() (lists, maps []syntax.Pair) {
	for _, root := range d.Roots {
		for _, service := range syntax.Pairs(syntax.Child(root, "services")) {
			for _, e := range entriesOf(service.Value, "environment") {
				switch {
				case len(e.Value.Content) == 0:
				case e.Value.Kind == yaml.SequenceNode:
					lists = append(lists, e)
				default:
					maps = append(maps, e)
				}
			}
		}
	}
	return lists, maps
}

// blockStep is how much deeper than its key the entries of an environment block stand in this file.
func (d *document) blockStep(list bool, s spot) int {
	lists, maps := d.blocks()
	blocks := maps
	if list {
		blocks = lists
	}
	own := 2
	if s.service.Node.Kind == yaml.MappingNode && s.service.Node.Style&yaml.FlowStyle == 0 {
		own = max(d.Column(s.service.Node)-1-d.column(s.service.Key), 1)
	}
	if s.service.Merged || s.service.Aliased || own > 8 {
		own = 2
	}
	counts, best := map[int]int{}, own
	for _, e := range blocks {
		if e.Value.Style&yaml.FlowStyle != 0 {
			continue
		}
		step := d.Column(e.Value) - 1 - d.column(e.Key)
		if counts[step]++; counts[step] > counts[best] {
			best = step
		}
	}
	return best
}

// step is how much deeper than indent the entries of a mapping's children stand.
func (d *document) step(mapping *yaml.Node, indent int) int {
	for _, e := range syntax.Own(mapping) {
		if e.Value.Kind == yaml.MappingNode && e.Value.Style&yaml.FlowStyle == 0 && len(e.Value.Content) > 0 {
			if step := d.Column(e.Value) - 1 - indent; step > 0 {
				return step
			}
		}
	}
	return 2
}

// sibling is the entry of the service below which environment belongs: that which precedes it most often in the file, else
// the first of the customary ones, else the last.
func (d *document) sibling(service *yaml.Node) syntax.Pair {
	counts := map[string]int{}
	for _, root := range d.Roots {
		for _, s := range syntax.Pairs(syntax.Child(root, "services")) {
			own := syntax.Entries(s.Value)
			for i := 1; i < len(own); i++ {
				if own[i].Key.Value == "environment" {
					counts[own[i-1].Key.Value]++
				}
			}
		}
	}
	customary := []string{"env_file", "image", "build", "container_name", "hostname", "platform", "extends", "restart", "user", "entrypoint", "command"}
	own := syntax.Entries(service)
	best := own[len(own)-1]
	rank := func(e syntax.Pair) int {
		if i := slices.Index(customary, e.Key.Value); i >= 0 {
			return counts[e.Key.Value]*100 + len(customary) - i
		}
		return counts[e.Key.Value] * 100
	}
	for _, e := range own {
		if rank(e) > rank(best) {
			best = e
		}
	}
	return best
}
