package edit

import (
	"bytes"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/composure-dev/composure/internal/syntax"
)

// maxRemovals bounds how often one key may be taken out of a file: several documents and duplicates may set it.
const maxRemovals = 20

// removing is a way to take an entry out.
type removing struct {
	drop bool // the block goes with its last entry
	// keepBreak leaves the line break before a line that ends the file without one: a literal above it needs it.
	keepBreak bool
}

// removals are the ways to take the key out: with the block where nothing is left in it, and leaving the block empty.
func (p *planner) removals() ([]draft, *Refusal) {
	var drafts []draft
	ways := []removing{{drop: true}, {}}
	if !bytes.HasSuffix(p.Data, []byte("\n")) {
		ways = append(ways, removing{drop: true, keepBreak: true}, removing{keepBreak: true})
	}
	for _, how := range ways {
		d, ok := p.removal(how)
		if ok {
			drafts = append(drafts, d)
		}
		if d.steps == maxRemovals {
			return nil, p.refuse(p.change, ReasonAmbiguous, d.at.Line)
		}
	}
	if len(drafts) == 0 {
		return nil, p.refuseFor(p.change, ReasonInherited, 0, p.bases())
	}
	return drafts, nil
}

// bases are the services that the service extends in the same file.
func (p *planner) bases() []string {
	var bases []string
	for _, root := range p.Roots {
		services := syntax.Child(root, "services")
		for name := p.change.Service; ; {
			name = extended(syntax.Child(services, name))
			if name == "" || slices.Contains(bases, name) {
				break
			}
			bases = append(bases, name)
		}
	}
	return bases
}

// removal takes out one entry after the other until the file does not set the key any more.
func (p *planner) removal(how removing) (draft, bool) {
	out := draft{}
	current := p.document
	for range maxRemovals {
		if current.satisfies(p.change) {
			out.data = current.Data
			return out, current != p.document
		}
		step := &planner{document: current, change: p.change}
		holder, index := step.holder()
		if holder == nil {
			return out, false // a service that it extends sets it
		}
		out.steps++
		if out.at == nil {
			out.at = holder
		}
		out.touched = append(out.touched, current.placeOf(holder, p.change.Key))
		out.data = current.spliced(step.remove(holder, index, how))
		next, err := parse(out.data)
		if err != nil {
			return out, true // the proof will say so
		}
		if current = next; current.model == nil {
			return out, false
		}
	}
	return out, false
}

// holder is the mapping or list that sets the key, in the last document that does, and the index of the entry.
func (p *planner) holder() (holder *yaml.Node, index int) {
	for _, root := range slices.Backward(p.Roots) {
		block := syntax.Child(syntax.Child(syntax.Child(root, "services"), p.change.Service), "environment")
		if block == nil {
			continue
		}
		for _, m := range syntax.Lineage(block) {
			for i, e := range syntax.Entries(m) {
				if e.Key.Value == p.change.Key && !syntax.IsMerge(e.Key) && !isReset(e.Value) {
					return m, i
				}
			}
		}
		for i, item := range slices.Backward(syntax.Items(block)) {
			if keyOf(item) == p.change.Key {
				return block, i
			}
		}
	}
	return nil, 0
}

// remove takes the entry at index out of a block.
func (p *planner) remove(block *yaml.Node, index int, how removing) []splice {
	key, parent := p.parent(block)
	only := len(p.extents(block)) == 1 && key != nil
	flow := only && parent.Style&yaml.FlowStyle != 0
	own := only && key.Value == "environment" && (flow || len(parent.Content) > 2) && blockTag(block) == ""
	switch {
	case how.drop && own && flow && !p.hasComment(p.Offset(key), p.End(block)):
		return p.removeFlow(parent, slices.Index(parent.Content, key)/2)
	case block.Style&yaml.FlowStyle != 0:
		return p.removeFlow(block, index)
	}
	gone := p.extents(block)[index]
	if block.Kind == yaml.SequenceNode {
		gone.start = p.Mark(block.Content[index])
	}
	switch {
	case !only:
		return []splice{p.lines(gone.start, gone.end, how.keepBreak)}
	case how.drop && own && !p.comments(key, block):
		return []splice{p.lines(p.Offset(key), gone.end, how.keepBreak)}
	}
	empty := " {}"
	if block.Kind == yaml.SequenceNode {
		empty = " []"
	}
	at := p.colon(key)
	if block.Anchor != "" || block.Style&yaml.TaggedStyle != 0 {
		at = p.Properties(block)
	}
	return []splice{{at, at, empty}, p.lines(gone.start, gone.end, how.keepBreak)}
}

// parent is the key that a block belongs to and the mapping that holds the key, or nil.
func (d *document) parent(block *yaml.Node) (key, mapping *yaml.Node) {
	for _, root := range d.Roots {
		if path := nodesTo(root, block); len(path) > 1 {
			for _, e := range syntax.Entries(path[1]) {
				if e.Value == block {
					return e.Key, path[1]
				}
			}
		}
	}
	return nil, nil
}

// comments reports whether there are comments in a block or right below it, deeper than its key, or on its key's line: whoever
// wrote them means the block to stay.
func (d *document) comments(key, block *yaml.Node) bool {
	if behind := d.Data[d.colon(key):d.LineEnd(d.End(key))]; strings.HasPrefix(strings.TrimSpace(string(behind)), "#") {
		return true
	}
	end := d.End(block)
	for at := d.NextLine(d.Offset(key)); at < len(d.Data); at = d.NextLine(at) {
		text := string(d.Data[at:d.LineEnd(at)])
		content := strings.TrimLeft(text, " ")
		switch isComment := strings.HasPrefix(content, "#"); {
		case isComment && (at < end || len(text)-len(content) > d.column(key)) && !d.inside(block, at):
			return true
		case at > end && content != "" && !isComment:
			return false
		}
	}
	return false
}

// hasComment reports whether there may be a comment between two places.
func (d *document) hasComment(from, to int) bool {
	text := string(d.Data[from:to])
	return strings.Contains(text, " #") || strings.Contains(text, "\n#") || strings.Contains(text, "\t#")
}

// inside reports whether the line at an offset is part of a value in the block: a # there begins no comment.
func (d *document) inside(block *yaml.Node, at int) bool {
	if block.Kind == yaml.ScalarNode {
		start, end := d.Token(block)
		return start < at && at < end
	}
	return slices.ContainsFunc(block.Content, func(n *yaml.Node) bool { return d.inside(n, at) })
}
