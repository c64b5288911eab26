package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a policy file, and what to do about it.
type Problem struct {
	Origin  Origin
	Message string
	Hint    string
}

// Problems is everything that is wrong with a set of policies. It is the error that [Parse] and [Unique] return.
type Problems []Problem

// Error gives one line for each problem, "file:line:column: message", with its hint below it.
func (ps Problems) Error() string {
	var lines []string
	for _, p := range ps {
		lines = append(lines, p.Origin.String()+": "+p.Message)
		if p.Hint != "" {
			lines = append(lines, "  hint: "+p.Hint)
		}
	}
	return strings.Join(lines, "\n")
}

// errorOrNil sorts the problems by place and returns them as an error, or nil when there are none.
func (ps Problems) errorOrNil() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int { return compareOrigins(a.Origin, b.Origin) })
	return ps
}

// String returns "file:line:column", leaving out what is unknown.
func (o Origin) String() string {
	switch {
	case o.Line == 0:
		return o.File
	case o.Column == 0:
		return fmt.Sprintf("%s:%d", o.File, o.Line)
	}
	return fmt.Sprintf("%s:%d:%d", o.File, o.Line, o.Column)
}

func compareOrigins(a, b Origin) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
}

// Unique returns [Problems] naming both places for every metadata.name that more than one of the policies has, else nil.
func Unique(policies []Policy) error {
	sorted := slices.Clone(policies)
	slices.SortStableFunc(sorted, func(a, b Policy) int { return compareOrigins(a.Origin, b.Origin) })
	first := map[string]Origin{}
	var problems Problems
	for _, p := range sorted {
		place, taken := first[p.Metadata.Name]
		if !taken {
			first[p.Metadata.Name] = p.Origin
			continue
		}
		problems = append(problems, Problem{
			Origin:  p.Origin,
			Message: fmt.Sprintf("policy name %q is already taken at %s", p.Metadata.Name, place),
			Hint:    "give every policy a metadata.name of its own",
		})
	}
	return problems.errorOrNil()
}
