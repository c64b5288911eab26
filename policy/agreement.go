package policy

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// effective is the view of a service through all files of its project together; every other view is one file's path.
const effective = ""

// agreement is what a sameAcrossServices rule found by looking at all selected services at once.
// Services have to agree within a view; what a file says that the project does not load is no side of the project's own.
type agreement struct {
	// differs names, for each view whose sides differ, those sides in words.
	differs map[string]string
	// want is the value that all sides are set to when some view differs: what declare resolves to. Nil when nobody says.
	want *string
}

type side struct {
	service string
	value   *string
}

func (e *evaluation) agree(c *claim) *agreement {
	if !c.SameAcrossServices || c.Value != nil {
		return nil
	}
	views := map[string][]side{}
	for _, s := range c.services {
		for view, values := range e.sides(c, s) {
			for _, value := range values {
				views[view] = append(views[view], side{s.Name, value})
			}
		}
	}
	a := &agreement{differs: map[string]string{}}
	for view, sides := range views {
		if !sidesAgree(sides, c.Declare != nil) {
			a.differs[view] = c.nameSides(sides)
		}
	}
	if c.Declare == nil || len(a.differs) == 0 {
		return a
	}
	if value, _, err := interpolate(*c.Declare, e.facts.Environment); err == nil && c.accepts(value) {
		a.want = &value
	}
	return a
}

// sides returns the values that a service brings to each view. Without files its running containers speak for it.
func (e *evaluation) sides(c *claim, s *Service) map[string][]*string {
	views := map[string][]*string{}
	if e.facts.FilesUnreachable != "" {
		for _, container := range s.Containers {
			if container.Running {
				views[effective] = append(views[effective], container.Env[c.Name])
			}
		}
		return views
	}
	switch _, set := s.Resolved[c.Name]; {
	case s.foreign():
	case set || !c.AllowImage:
		views[effective] = []*string{s.Resolved[c.Name].Value}
	default:
		views[effective] = imageValues(c, s)
	}
	for _, d := range e.listed(c, s) {
		views[d.File] = []*string{d.Declared[c.Name].Value}
	}
	return views
}

// imageValues returns what the images of the service's containers set.
func imageValues(c *claim, s *Service) []*string {
	var values []*string
	for _, container := range s.Containers {
		var value *string
		if v, set := container.ImageEnv[c.Name]; set {
			value = &v
		}
		values = append(values, value)
	}
	return values
}

// listed returns the definitions of s that the policy's patch.files name.
func (e *evaluation) listed(c *claim, s *Service) []Definition {
	var listed []Definition
	for _, d := range s.Definitions {
		if slices.ContainsFunc(c.policy.Spec.Patch.Files, func(f string) bool { return path.Join(e.facts.Directory, f) == d.File }) {
			listed = append(listed, d)
		}
	}
	return listed
}

// sidesAgree reports whether all set values are one, and, when missing ones count, none is missing.
func sidesAgree(sides []side, missingCounts bool) bool {
	var first *string
	for _, s := range sides {
		switch {
		case s.value == nil && missingCounts:
			return false
		case s.value == nil:
		case first == nil:
			first = s.value
		case *first != *s.value:
			return false
		}
	}
	return true
}

func (c *claim) nameSides(sides []side) string {
	words := make([]string, len(sides))
	for i, s := range sides {
		words[i] = s.service + " is not set"
		if s.value != nil {
			words[i] = fmt.Sprintf("%s %s", s.service, c.quote(*s.value))
		}
	}
	slices.Sort(words)
	return strings.Join(slices.Compact(words), ", ")
}

// meets reports whether value satisfies the rule and the agreement within a view.
func (c *claim) meets(value *string, view string) bool {
	if value == nil || !c.accepts(*value) {
		return false
	}
	if c.agreement == nil || len(c.agreement.differs) == 0 {
		return true
	}
	if c.agreement.want != nil {
		return *value == *c.agreement.want
	}
	return c.agreement.differs[view] == ""
}

// fits reports whether value, written into every selected service, would satisfy the rule.
func (c *claim) fits(value string) bool {
	return c.accepts(value) && (c.agreement == nil || c.agreement.want == nil || *c.agreement.want == value)
}
