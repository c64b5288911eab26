package report

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

// TextOptions are how a report is shown to a person.
type TextOptions struct {
	Width int // columns; unified diffs are never wrapped
	Color bool
	// Quiet prints only what differs, is held or failed, one per line; Verbose lists what complies too.
	Quiet, Verbose bool
	// Announced is a plan that is carried out next, or after a yes; PlanShown leaves out what was announced.
	Announced, PlanShown bool
}

// Text writes r for people. The last line is the summary.
func Text(w io.Writer, r Report, o TextOptions) error {
	p := &printer{w: bufio.NewWriter(w), TextOptions: o}
	for i, project := range r.Projects {
		s := section{printer: p, verb: r.Verb, project: gathered(masked(project))}
		if o.Quiet {
			s.quiet(len(r.Projects) > 1)
			continue
		}
		if i > 0 {
			p.line("")
		}
		s.print(len(r.Projects) > 1)
	}
	if !o.Quiet {
		p.line("")
		p.summary(summary(r.Verb, each(r.Projects, gathered)))
	}
	return p.w.Flush()
}

// section is one project being printed.
type section struct {
	*printer
	verb    Verb
	project Project
}

func (s section) print(several bool) {
	if several || !s.PlanShown {
		s.header()
	}
	if !s.PlanShown {
		s.recoveries()
		for _, g := range groups(s.project) {
			s.group(g)
		}
		s.others()
		if s.verb != VerbCheck {
			s.checks()
			s.files()
		}
		s.held()
	}
	s.recovered()
	s.outcomes()
	s.saved()
	s.failure()
	for i, warning := range s.project.Warnings {
		if i == 0 {
			s.line("")
		}
		s.text("warning: ", warning)
	}
	if several {
		s.line("")
		s.summary(projectSummary(s.verb, s.project))
	}
}

// summary prints a summary line. That nothing was changed goes without saying before a plan is carried out.
func (p *printer) summary(line string) {
	if p.Announced {
		line = strings.TrimSuffix(line, unchanged)
	}
	p.text("", line)
}

func (s section) title(words string) {
	s.line("")
	s.line(s.paint(bold, words))
}

func (s section) header() {
	s.line(s.paint(bold, "project "+s.project.Name) + "  " + printable(s.project.Directory))
	if s.PlanShown {
		return
	}
	if len(s.project.Files) > 0 {
		names := make([]string, len(s.project.Files))
		for i, file := range s.project.Files {
			names[i] = relative(s.project, file)
		}
		s.text("  files   ", strings.Join(names, ", "))
	}
	if s.project.Context != "" {
		s.text("  engine  ", s.project.Context)
	}
	if names := policies(s.project); len(names) > 0 {
		s.text("  policy  ", strings.Join(names, ", "))
	}
}

// by names the policy behind a line, where the header does not say it all.
func (s section) by(cause string) []string {
	if len(policies(s.project)) == 1 {
		return nil
	}
	return []string{"(" + cause + ")"}
}

// group prints one service: its variables, then the containers that are swapped because of them.
func (s section) group(g group) {
	listed := slices.DeleteFunc(slices.Clone(g.rows), func(r row) bool { return !r.differs() && !s.Verbose })
	idle := g.idle()
	if len(listed)+len(idle)+len(g.moves)+len(g.held) == 0 {
		return
	}
	s.title("service " + g.service)
	column := 0
	for _, r := range listed {
		column = max(column, width(r.name))
	}
	for _, r := range listed {
		s.row(r, min(column, s.Width/2))
	}
	for _, step := range g.moves {
		if step.Compose != nil {
			s.handed(step, g.service)
			continue
		}
		s.move(step)
	}
	for _, reason := range g.held {
		s.block(block{head: "  " + signHeld + " swap held: ", color: signColor(signHeld), hang: 6, words: words(reason)})
	}
	if s.verb != VerbCheck {
		for _, reason := range idle {
			s.block(block{head: "  " + signIdle + " ", hang: 4, words: words(reason + ": left to the next docker compose up")})
		}
	}
	compliant := len(slices.DeleteFunc(slices.Clone(g.rows), func(r row) bool { return r.differs() || r.idle() }))
	if compliant > 0 && !s.Verbose {
		s.line(fmt.Sprintf("  %s %s compliant", signCompliant, plural(compliant, "variable")))
	}
}

func (s section) row(r row, column int) {
	sign, word := r.sign()
	s.variable(2, sign, word, pad(r.name, column), r.values())
	places := 0
	for _, f := range r.findings {
		if f.Difference() || s.Verbose {
			places = max(places, width(place(s.project, f)))
		}
	}
	for _, f := range r.findings {
		if f.Difference() || s.Verbose {
			s.finding(f, min(places, s.Width/2))
		}
	}
	if len(r.findings) == 0 {
		s.text("      ", r.change.Cause)
	}
}

// variable prints "+ NAME  add  old → new"; values that do not fit stand below.
func (s section) variable(indent int, sign, word, name string, values []string) {
	head := strings.Repeat(" ", indent) + sign + " " + name + "  " + pad(word, len("change"))
	hang := indent + 4
	if len(values) > 0 {
		head += "  "
	}
	if width(head)+width(strings.Join(values, " ")) > s.Width && width(head) > s.Width/2 && len(values) > 0 {
		s.block(block{head: head, color: signColor(sign)})
		head = strings.Repeat(" ", hang)
	}
	s.block(block{head: head, color: signColor(sign), hang: hang, words: values})
}

func signColor(sign string) color {
	switch sign {
	case string(plan.SignAdd):
		return green
	case string(plan.SignRemove):
		return red
	case string(plan.SignChange), signSwap, signHeld:
		return yellow
	default:
		return plain
	}
}

// finding prints the cause: where, the verdict, why, and which policy wants it.
func (s section) finding(f policy.Finding, column int) {
	verdict := string(f.Verdict)
	if f.Severity != policy.SeverityError && f.Severity != "" {
		verdict += ", " + string(f.Severity)
	}
	if f.Message != "" {
		verdict += ":"
	}
	head := "      " + pad(place(s.project, f), column) + "  "
	s.block(block{head: head, hang: width(head), words: append(words(verdict+" "+f.Message), s.by("policy "+f.Policy)...)})
	if len(s.project.Plan.Held) > 0 || f.Held == "" {
		return
	}
	s.text("      held: ", f.Held)
	if f.Hint != "" {
		s.next("      next: ", f.Hint)
	}
}

func (s section) move(step plan.Step) {
	if step.Restart != nil {
		head := fmt.Sprintf("  %s restart %s (%s)  ", signRestart, step.Restart.Container, shortID(step.Restart.ContainerID))
		s.block(block{head: head, color: signColor(signRestart), hang: 6, words: words(step.Cause)})
		return
	}
	first := ""
	if step.Swap.StartFirst {
		first = ", started before the old one stops"
	}
	head := fmt.Sprintf("  %s swap %s (%s)  ", signSwap, step.Swap.Container, shortID(step.Swap.ContainerID))
	s.block(block{head: head, color: signColor(signSwap), hang: 6, words: words(step.Cause + first)})
	var along []plan.Change
	for _, change := range step.Swap.Changes {
		if change.Policy == "" {
			along = append(along, change)
		}
	}
	if len(along) == 0 {
		return
	}
	if s.verb == VerbRollback {
		s.text("      ", "this swap changes back:")
	} else {
		s.text("      ", "this swap also changes, because the compose files say so:")
	}
	s.changes(6, along)
}

func (s section) changes(indent int, changes []plan.Change) {
	column := 0
	for _, c := range changes {
		column = max(column, width(c.Key))
	}
	for _, c := range changes {
		s.variable(indent, string(c.Sign), signWord(c.Sign), pad(c.Key, min(column, s.Width/2)), changeValues(c))
	}
}

// others lists what no policy speaks of, but for what a swap lists already.
func (s section) others() {
	others := slices.DeleteFunc(slices.Clone(s.project.Others), s.swapped)
	if len(others) == 0 {
		return
	}
	s.title("other variables, which no policy speaks of")
	for i := 0; i < len(others); {
		service := others[i].Service
		var changes []plan.Change
		for ; i < len(others) && others[i].Service == service; i++ {
			changes = append(changes, others[i].Change)
		}
		s.line("  service " + service)
		s.changes(4, changes)
	}
}

func (s section) swapped(other Other) bool {
	return slices.ContainsFunc(replaced(s.project.Plan.Steps...), func(r plan.Handed) bool {
		return r.Service == other.Service && slices.ContainsFunc(r.Changes, func(c plan.Change) bool { return c.Key == other.Key })
	})
}

func (s section) checks() {
	steps := s.project.Plan.Of(plan.VerbCheck)
	if len(steps) == 0 {
		return
	}
	s.title("checks, after the last swap")
	for _, step := range steps {
		s.block(block{head: "  ", hang: 4, words: append(words(step.Object), s.by(step.Cause)...)})
	}
}

func (s section) files() {
	patches := s.project.Plan.Of(plan.VerbPatch)
	if len(patches) == 0 {
		return
	}
	s.title("files")
	for _, step := range patches {
		n := 0
		for line := range strings.Lines(step.Diff) {
			line = strings.TrimRight(line, "\r\n")
			if n++; n <= 2 { // the labels
				line = strings.Replace(line, step.Object, s.fileName(step.Object), 1)
			}
			// A line of the file keeps its spaces, so that the diff stays one.
			_, _ = s.w.WriteString(s.paint(diffColor(line), printable(line)) + "\n")
		}
	}
}

func diffColor(line string) color {
	switch {
	case strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "+++ "):
		return bold
	case strings.HasPrefix(line, "@@"):
		return cyan
	case strings.HasPrefix(line, "+"):
		return green
	case strings.HasPrefix(line, "-"):
		return red
	default:
		return plain
	}
}

func (s section) held() {
	if len(s.project.Plan.Held) == 0 {
		return
	}
	s.title("held, for a person to decide")
	for _, hold := range s.project.Plan.Held {
		s.block(block{
			head: fmt.Sprintf("  %s %s: ", signHeld, hold.Object), color: yellow, hang: 4,
			words: words(hold.Reason),
		})
		if hold.Next != "" {
			s.next("      next: ", hold.Next)
		}
	}
}

func (s section) outcomes() {
	if len(s.project.Outcomes) == 0 {
		return
	}
	s.title("outcomes")
	column := 0
	for _, outcome := range s.project.Outcomes {
		column = max(column, width(string(outcome.Result)))
	}
	for _, outcome := range s.project.Outcomes {
		what := s.stepName(outcome.Step)
		if outcome.Result != plan.ResultSkipped {
			what += ", " + elapsed(outcome.DurationMs)
		}
		if outcome.Detail != "" {
			what += ": " + shortIDs(outcome.Detail)
		}
		s.block(block{
			head: "  " + pad(string(outcome.Result), column) + "  ", color: resultColor(outcome.Result), hang: column + 4,
			words: words(what),
		})
		if outcome.Error != "" {
			s.told(block{head: strings.Repeat(" ", column+4), hang: column + 4}, outcome.Error)
		}
	}
}

func resultColor(r plan.Result) color {
	switch r {
	case plan.ResultDone:
		return green
	case plan.ResultFailed, plan.ResultNotUndone:
		return red
	default:
		return yellow
	}
}

// stepName is a step in words: "swap app (shop-app-1)". An outcome of no step of the plan is named by its own id.
func (s section) stepName(id string) string {
	for _, step := range s.project.Plan.Steps {
		if step.ID == id {
			if step.Verb == plan.VerbPatch {
				return string(step.Verb) + " " + s.fileName(step.Object)
			}
			return string(step.Verb) + " " + step.Object
		}
	}
	return id
}

// fileName is how a plan's name of a file, which is relative to the project directory, is printed.
func (s section) fileName(object string) string {
	if !filepath.IsAbs(object) {
		object = filepath.Join(s.project.Directory, object)
	}
	return relative(s.project, object)
}

func elapsed(ms int64) string {
	if ms < 1000 {
		return fmt.Sprintf("%d ms", ms)
	}
	return fmt.Sprintf("%.1f s", (time.Duration(ms) * time.Millisecond).Seconds())
}

// saved says where the files are found as they were, and as they are.
func (s section) saved() {
	if s.project.Backup == "" && s.project.Commit == "" {
		return
	}
	s.line("")
	if s.project.Backup != "" {
		s.text("  backup  ", s.project.Backup)
	}
	if s.project.Commit != "" {
		s.text("  commit  ", s.project.Commit)
	}
}

func (s section) failure() {
	if s.project.Failure == "" && len(s.project.Restored) == 0 {
		return
	}
	s.line("")
	if s.project.Failure != "" {
		s.told(block{head: "failed: ", color: red, hang: 8}, s.project.Failure)
	}
	for _, line := range s.project.Restored {
		s.told(block{head: "  ", hang: 2}, line)
	}
}
