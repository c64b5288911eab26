package report

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/composure-dev/composure/internal/redact"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

// Signs of a line besides those of a change.
const (
	signHeld      = "!"
	signCompliant = "="
	signIdle      = "."
	signSwap      = "-/+"
	signRestart   = "~"
)

// row is one variable of one service with everything that is known of it.
type row struct {
	name     string
	findings []policy.Finding
	change   *plan.Change // nil when no container is swapped because of it
	waits    bool         // nothing mends it as long as something else is held
}

// group is one service: its variables by name, and the swaps and restarts of its containers in plan order.
type group struct {
	service string
	rows    []row
	moves   []plan.Step
	held    []string // why its container is not swapped
}

// groups sorts a project by service: first those that are swapped, in the order of the rollout, then the others by name.
func groups(p Project) []group {
	services := map[string]*group{}
	order := map[string]int{}
	at := func(service string) *group {
		if services[service] == nil {
			services[service] = &group{service: service}
			order[service] = len(p.Plan.Steps)
		}
		return services[service]
	}
	for i, step := range p.Plan.Steps {
		for _, service := range movedServices(step) {
			g := at(service)
			g.moves = append(g.moves, step)
			order[g.service] = min(order[g.service], i)
		}
	}
	for _, f := range p.Findings {
		g := at(f.Service)
		r := g.row(f.Variable)
		r.findings = append(r.findings, f)
	}
	for _, g := range services {
		g.attachChanges()
		g.attachHolds(p.Plan)
		slices.SortStableFunc(g.rows, func(a, b row) int { return cmp.Compare(a.name, b.name) })
	}
	names := slices.SortedFunc(maps.Keys(services), func(a, b string) int {
		return cmp.Or(cmp.Compare(order[a], order[b]), cmp.Compare(a, b))
	})
	sorted := make([]group, len(names))
	for i, name := range names {
		sorted[i] = *services[name]
	}
	return sorted
}

// movedServices are those whose containers a step replaces or restarts.
func movedServices(step plan.Step) []string {
	if step.Restart != nil {
		return []string{step.Restart.Service}
	}
	return step.Replaces()
}

// policies are the names of those that select a service of the project.
func policies(p Project) []string {
	names := map[string]bool{}
	for _, f := range p.Findings {
		names[f.Policy] = true
	}
	return slices.Sorted(maps.Keys(names))
}

func (g *group) row(name string) *row {
	for i := range g.rows {
		if g.rows[i].name == name {
			return &g.rows[i]
		}
	}
	g.rows = append(g.rows, row{name: name})
	return &g.rows[len(g.rows)-1]
}

// attachChanges gives each variable that a policy speaks of its change; the others are listed with the swap itself.
func (g *group) attachChanges() {
	for _, c := range replaced(g.moves...) {
		for _, change := range c.Changes {
			if change.Policy == "" || c.Service != g.service {
				continue
			}
			if r := g.row(change.Key); r.change == nil {
				r.change = &change
			}
		}
	}
}

// attachHolds finds out what stays as it is because the service's swap, or the whole project, is held.
func (g *group) attachHolds(p plan.Plan) {
	if len(p.Held) == 0 || len(g.moves) > 0 {
		return
	}
	reasons := map[string]bool{}
	for _, hold := range p.Held {
		if hold.Object == g.service {
			reasons[hold.Reason] = true
		}
	}
	for _, r := range g.rows {
		for _, f := range r.findings {
			if f.Verdict == policy.ContainerStale && f.Held != "" {
				reasons[f.Held] = true
			}
		}
	}
	g.held = slices.Sorted(maps.Keys(reasons))
	patched := len(p.Of(plan.VerbPatch)) > 0
	for i, r := range g.rows {
		fixed := patched && slices.ContainsFunc(r.findings, func(f policy.Finding) bool { return f.Fix != nil })
		g.rows[i].waits = r.change == nil && !fixed && (len(g.held) > 0 || len(p.Steps) == 0)
	}
}

// idle are the reasons for which containers of the service are left to the next docker compose up.
func (g *group) idle() []string {
	reasons := map[string]bool{}
	for _, r := range g.rows {
		for _, f := range r.findings {
			if f.Verdict == policy.NotCreated {
				reasons[f.Message] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(reasons))
}

func (r row) differs() bool {
	return r.change != nil || slices.ContainsFunc(r.findings, policy.Finding.Difference)
}

// idle reports whether there is no container to compare the variable with, and nothing differs.
func (r row) idle() bool {
	return !r.differs() && slices.ContainsFunc(r.findings, func(f policy.Finding) bool { return f.Verdict == policy.NotCreated })
}

// held reports whether the variable stays as it is until a person decides.
func (r row) held() bool {
	return r.change == nil && r.differs() && (r.waits || slices.ContainsFunc(r.findings, heldFinding))
}

func heldFinding(f policy.Finding) bool {
	sign, _ := findingSign(f)
	return f.Difference() && sign == signHeld
}

// sign is how the line begins and the word that says the same.
func (r row) sign() (sign, word string) {
	switch {
	case r.change != nil:
		return string(r.change.Sign), signWord(r.change.Sign)
	case r.held():
		return signHeld, "held"
	}
	for _, f := range r.findings {
		if f.Difference() {
			return findingSign(f)
		}
	}
	if r.idle() {
		return signIdle, "idle"
	}
	return signCompliant, "ok"
}

func findingSign(f policy.Finding) (sign, word string) {
	switch {
	case f.Held != "", f.Verdict == policy.Conflict, f.Verdict == policy.FilesUnreachable:
		return signHeld, "held"
	case f.Verdict == policy.FileMissing:
		return string(plan.SignAdd), "add"
	case f.Verdict == policy.Forbidden:
		return string(plan.SignRemove), "remove"
	default:
		return string(plan.SignChange), "change"
	}
}

func signWord(s plan.Sign) string {
	switch s {
	case plan.SignAdd:
		return "add"
	case plan.SignRemove:
		return "remove"
	default:
		return "change"
	}
}

// values says what the variable is and will be: in the container when one is swapped, else in the file.
func (r row) values() []string {
	if r.change != nil {
		return changeValues(*r.change)
	}
	for _, f := range r.findings {
		switch {
		case f.Fix == nil:
		case f.Fix.Remove || f.Fix.Bare:
			return []string{"→ " + showValue(nil)}
		default:
			return []string{"→ " + showValue(&f.Fix.Text)}
		}
	}
	return nil
}

func changeValues(c plan.Change) []string {
	if c.Old != nil && c.New != nil && *c.Old == *c.New {
		return words("changes (value hidden)") // what differs is masked in both
	}
	return []string{showValue(c.Old), "→", showValue(c.New)}
}

func showValue(value *string) string {
	switch {
	case value == nil:
		return "unset"
	case *value == redact.Mask:
		return *value
	default:
		return quote(*value)
	}
}

// longest is how much of a value is shown, in characters.
const longest = 160

func quote(s string) string {
	if runes := []rune(s); len(runes) > longest {
		return strconv.Quote(string(runes[:longest])) + "…"
	}
	return strconv.Quote(s)
}

// place says where a finding lies: file:line:column relative to the project, or the container.
func place(p Project, f policy.Finding) string {
	switch {
	case f.Origin != nil:
		return location(p, *f.Origin)
	case f.Container != "":
		return "container " + shortID(f.Container)
	default:
		return string(f.Layer)
	}
}

func location(p Project, o policy.Origin) string {
	var at strings.Builder
	at.WriteString(relative(p, o.File))
	for _, n := range []int{o.Line, o.Column} {
		if n == 0 {
			break
		}
		fmt.Fprintf(&at, ":%d", n)
	}
	return at.String()
}

// base is the folder that paths are printed relative to.
func base(p Project) string { return cmp.Or(p.Base, p.Directory) }

// relative shortens a path below the base.
func relative(p Project, path string) string {
	short, err := filepath.Rel(base(p), path)
	if err != nil || base(p) == "" || short == ".." || strings.HasPrefix(short, ".."+string(filepath.Separator)) {
		return path
	}
	return short
}

// shortID is the 12 characters people know a container by.
func shortID(id string) string { return id[:min(len(id), 12)] }
