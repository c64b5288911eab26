package edit

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/composure-dev/composure/internal/syntax"
)

// beside are the ways to give the service a block of its own that merges what it shares with others. A list cannot be merged.
func (p *planner) beside(s spot) []draft {
	switch {
	case s.service.Aliased && !s.service.Merged:
		return p.ownService(s)
	case s.service.Merged:
		return nil
	case s.block.Merged:
		return p.mergeInherited(s)
	case s.block.Node.Kind == yaml.SequenceNode:
		return nil
	}
	entry := entriesOf(s.service.Node, "environment")[0]
	switch {
	case s.service.Node.Style&yaml.FlowStyle != 0:
		start, end := p.Token(entry.Value)
		return []draft{p.draft(s.block.Node, splice{start, end, p.flowBlock(entry.Value.Value)})}
	case isNull(s.block.Node):
		return []draft{p.draft(s.block.Node, append(p.cut(p.Token(entry.Value)), p.fill(entry.Key, entry.Value, s))...)}
	}
	deeper := blanks(p.column(entry.Key) + p.blockStep(false, s))
	lines := deeper + "<<: *" + entry.Value.Value + "\n" + deeper + p.entry(false)
	return []draft{p.draft(s.block.Node, p.underKey(entry.Key, entry.Value, lines)...)}
}

// ownService turns a service that is an alias into one that merges it, and looks for the ways there.
func (p *planner) ownService(s spot) []draft {
	entry := entriesOf(s.services, p.change.Service)[0]
	flow := s.services.Style&yaml.FlowStyle != 0
	indent := p.column(entry.Key)
	deeper := blanks(indent + p.step(s.services, indent))
	merge := "<<: *" + entry.Value.Value
	var splices []splice
	switch empty := isNull(s.service.Node); { // there is nothing to merge then
	case empty && flow:
		return nil
	case empty:
		return []draft{{data: p.spliced(p.underKey(entry.Key, entry.Value, p.blockLines(deeper, s, ""))), at: s.service.Node}}
	case flow:
		start, end := p.Token(entry.Value)
		splices = []splice{{start, end, "{" + merge + "}"}}
	default:
		splices = p.underKey(entry.Key, entry.Value, deeper+merge)
	}
	with, err := parse(p.spliced(splices))
	if err != nil {
		return nil
	}
	drafts, refusal := (&planner{document: with, change: p.change}).drafts()
	if refusal != nil {
		return nil
	}
	return drafts
}

// mergeInherited gives a service that inherits its environment through a merge key a block of its own which merges that one. An own
// block without the merge would take the inherited variables away.
func (p *planner) mergeInherited(s spot) []draft {
	if s.block.Node.Kind != yaml.MappingNode {
		return nil
	}
	name, splices := p.anchor(s)
	if name == "" {
		return nil
	}
	if len(splices) == 0 {
		return p.addBlock(s, name)
	}
	named, err := parse(p.spliced(splices))
	if err != nil || named.model == nil {
		return nil
	}
	with := &planner{document: named, change: p.change}
	spots, refusal := with.spots()
	if refusal != nil {
		return nil
	}
	i := slices.IndexFunc(spots, func(other spot) bool { return other.document == s.document })
	return with.addBlock(spots[i], name)
}

// anchor is the name by which the block that the service inherits can be merged, and what has to be written for it.
func (p *planner) anchor(s spot) (name string, splices []splice) {
	entry := p.inheritedEntry(s)
	switch n := entry.Value; {
	case n == nil:
		return "", nil
	case n.Kind == yaml.AliasNode:
		return n.Value, nil
	case n.Anchor != "":
		return n.Anchor, nil
	}
	root := p.Roots[s.document]
	_, holder := p.parent(entry.Value)
	base := "environment"
	if holder != nil && holder.Anchor != "" {
		base = holder.Anchor + "-environment"
	}
	for name, i := base, 2; ; name, i = fmt.Sprintf("%s-%d", base, i), i+1 {
		if anchored(root, name) {
			continue
		}
		at := p.colon(entry.Key)
		if at < 0 {
			return "", nil
		}
		return name, []splice{{at, at, " &" + name}}
	}
}

// inheritedEntry is the entry that gives the service its environment, in the mapping that it is merged from.
func (p *planner) inheritedEntry(s spot) syntax.Pair {
	for _, m := range syntax.Lineage(s.service.Node) {
		if own := entriesOf(m, "environment"); len(own) > 0 {
			return own[0]
		}
	}
	return syntax.Pair{}
}

func anchored(n *yaml.Node, name string) bool {
	return n.Anchor == name || slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return anchored(c, name) })
}

// create adds the service, with nothing but an environment, to a file that does not define it.
func (p *planner) create() ([]draft, *Refusal) {
	name := quote(p.change.Service, styleAny, form{lead: "k: "})
	if len(p.Roots) == 0 || p.Roots[len(p.Roots)-1] == nil || isNull(p.Roots[len(p.Roots)-1]) {
		text := string(p.Data)
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		return []draft{{data: []byte(text + "services:\n" + p.serviceLines(name, 2, 2) + "\n")}}, nil
	}
	root := p.Roots[len(p.Roots)-1]
	services := syntax.Lookup(root, "services")
	switch n := services.Node; {
	case n == nil && root.Style&yaml.FlowStyle != 0:
		return []draft{{data: p.spliced(p.appendFlow(root, "services: {"+name+": {environment: "+p.flowBlock("")+"}}"))}}, nil
	case n == nil:
		last := syntax.Entries(root)[len(root.Content)/2-1]
		lines := blanks(p.Column(root)-1) + "services:\n" + p.serviceLines(name, p.Column(root)+1, 2)
		return []draft{{data: p.spliced([]splice{p.behind(last, lines)})}}, nil
	case services.Aliased || services.Merged:
		return nil, p.refuse(p.change, ReasonInherited, services.Key.Line)
	case isNull(n):
		indent := p.column(services.Key) + 2
		lines := p.serviceLines(name, indent, 2)
		return []draft{{data: p.spliced(p.underKey(services.Key, n, lines))}}, nil
	case n.Style&yaml.FlowStyle != 0:
		return []draft{{data: p.spliced(p.appendFlow(n, name+": {environment: "+p.flowBlock("")+"}"))}}, nil
	}
	indent := p.Column(services.Node) - 1
	last := syntax.Entries(services.Node)[len(services.Node.Content)/2-1]
	lines := p.serviceLines(name, indent, p.step(services.Node, indent))
	return []draft{{data: p.spliced([]splice{p.behind(last, lines)})}}, nil
}

// serviceLines are the lines of a new service at an indentation.
func (p *planner) serviceLines(name string, indent, step int) string {
	list := p.isList(p.change.Service)
	first, second := blanks(indent), blanks(indent+step)
	return first + name + ":\n" + second + "environment:\n" + second + blanks(step) + p.entry(list)
}
