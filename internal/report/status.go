package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/composure-dev/composure/internal/api"
)

// table writes rows under one heading, each part of a row a column.
func table(w io.Writer, heading string, rows [][]string) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if heading != "" {
		fmt.Fprintln(out, heading)
	}
	for _, row := range rows {
		for i, cell := range row {
			row[i] = strings.Join(words(cell), " ")
		}
		fmt.Fprintln(out, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	return out.Flush()
}

func age(since, now time.Time) string {
	if since.IsZero() {
		return "-"
	}
	return duration.HumanDuration(now.Sub(since))
}

// ProjectsText lists projects, one line each. now is what ages are counted to.
func ProjectsText(w io.Writer, projects []api.Project, now time.Time) error {
	if len(projects) == 0 {
		_, err := fmt.Fprintln(w, "the daemon looks after no project yet")
		return err
	}
	var rows [][]string
	for _, p := range projects {
		rows = append(rows, projectRow(p, now))
	}
	return table(w, "PROJECT\tREADY\tREASON\tDIFFERENCES\tHELD\tFOR\tLAST TRANSACTION", rows)
}

func projectRow(p api.Project, now time.Time) []string {
	ready := api.Find(p.Conditions, api.Ready)
	last := "-"
	if p.LastTransaction != nil {
		last = p.LastTransaction.Outcome
	}
	reason := ready.Reason
	if p.Suspended != nil && reason != "Suspended" {
		reason += ",Suspended"
	}
	return []string{p.Name, ready.Status, reason, strconv.Itoa(p.Differences), strconv.Itoa(len(p.Held)), age(ready.LastTransitionTime, now), last}
}

// ProjectChange is a line of a watch: columns are as wide as they mostly are.
func ProjectChange(w io.Writer, c api.Change[api.Project], now time.Time) error {
	row := projectRow(c.Object, now)
	if c.Type == api.Deleted {
		row = []string{c.Object.Name, "-", "Gone", "-", "-", "-", "-"}
	}
	_, err := fmt.Fprintln(w, oneLine(fmt.Sprintf("%s  %-20s  %-7s  %-16s  %3s  %3s  %s",
		now.UTC().Format(time.RFC3339), row[0], row[1], row[2], row[3], row[4], row[6])))
	return err
}

// PolicyChange is a line of a watch.
func PolicyChange(w io.Writer, c api.Change[api.Policy], now time.Time) error {
	ready := api.Find(c.Object.Conditions, api.Ready)
	if c.Type == api.Deleted {
		ready = api.Condition{Status: "-", Reason: "Gone"}
	}
	_, err := fmt.Fprintln(w, oneLine(fmt.Sprintf("%s  %-20s  %-7s  %-16s  %3d  %s",
		now.UTC().Format(time.RFC3339), c.Object.Name, ready.Status, ready.Reason, c.Object.Differences, ready.Message)))
	return err
}

// oneLine keeps the columns of a line and loses its breaks.
func oneLine(text string) string {
	return strings.TrimRight(strings.NewReplacer("\n", " ", "\t", " ").Replace(printable(text)), " ")
}

// PoliciesText lists policies, one line each, and below them what is wrong with those that are wrong.
func PoliciesText(w io.Writer, policies []api.Policy, now time.Time) error {
	if len(policies) == 0 {
		_, err := fmt.Fprintln(w, "the daemon has no policy")
		return err
	}
	var rows [][]string
	var problems []string
	for _, p := range policies {
		ready := api.Find(p.Conditions, api.Ready)
		rows = append(rows, []string{
			p.Name, ready.Status, ready.Reason, dash(p.Files), dash(p.Containers), strconv.Itoa(len(p.Services)), strconv.Itoa(p.Differences),
			age(ready.LastTransitionTime, now),
		})
		if stalled := api.Find(p.Conditions, api.Stalled); stalled.Status == api.True && ready.Reason == "Invalid" && !slices.Contains(problems, stalled.Message) {
			problems = append(problems, stalled.Message)
		}
	}
	if err := table(w, "POLICY\tREADY\tREASON\tFILES\tCONTAINERS\tSERVICES\tDIFFERENCES\tFOR", rows); err != nil {
		return err
	}
	for _, problem := range problems {
		for line := range strings.Lines(problem) {
			if _, err := fmt.Fprintln(w, printable(strings.TrimRight(line, "\n"))); err != nil {
				return err
			}
		}
	}
	return nil
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// EventsText lists events, the oldest first, one line each. Columns are as wide as they mostly are: a watch does not know what comes.
func EventsText(w io.Writer, events []api.Event) error {
	for _, e := range events {
		_, err := fmt.Fprintln(w, oneLine(fmt.Sprintf("%s  %-7s  %-16s  %-16s  %s", e.Time.UTC().Format(time.RFC3339), e.Type, dash(e.Project), e.Reason, e.Message)))
		if err != nil {
			return err
		}
	}
	return nil
}

// DescriptionText says all that is known of a project.
func DescriptionText(w io.Writer, d api.Description, now time.Time) error {
	if err := table(w, "", facts(d, now)); err != nil {
		return err
	}
	for _, s := range parts(d, now) {
		if len(s.rows) == 0 {
			continue
		}
		if _, err := fmt.Fprintf(w, "\n%s\n", s.title); err != nil {
			return err
		}
		if err := table(w, s.heading, s.rows); err != nil {
			return err
		}
	}
	return nil
}

func facts(d api.Description, now time.Time) [][]string {
	ready := api.Find(d.Conditions, api.Ready)
	list := [][]string{
		{"Project:", d.Name},
		{"Ready:", fmt.Sprintf("%s, %s for %s", ready.Status, ready.Reason, age(ready.LastTransitionTime, now))},
	}
	if ready.Message != "" {
		list = append(list, []string{"", ready.Message})
	}
	if d.Suspended != nil {
		list = append(list, []string{"Suspended:", fmt.Sprintf("since %s: %s; lift it with: composure resume %s",
			d.Suspended.Since.UTC().Format(time.RFC3339), d.Suspended.Reason, d.Name)})
	}
	return append(list,
		[]string{"Policies:", dash(strings.Join(d.Policies, ", "))},
		[]string{"Looked at:", age(d.LookedAt, now) + " ago, next in " + until(d.NextLook, now)},
		[]string{"Observed:", dash(d.ObservedDigest)}, []string{"Attempted:", dash(d.AttemptedDigest)}, []string{"Applied:", dash(d.AppliedDigest)})
}

// part is a part of a description that is left out when it has no rows.
type part struct {
	title, heading string
	rows           [][]string
}

func parts(d api.Description, now time.Time) []part {
	conditions := part{title: "Conditions", heading: "TYPE\tSTATUS\tREASON\tFOR"}
	for _, c := range d.Conditions {
		conditions.rows = append(conditions.rows, []string{c.Type, c.Status, c.Reason, age(c.LastTransitionTime, now)})
	}
	differences := part{title: "Differences (composure diff shows the values)", heading: "POLICY\tSERVICE\tVARIABLE\tLAYER\tVERDICT\tPLACE"}
	for _, f := range d.Findings {
		differences.rows = append(differences.rows, []string{f.Policy, f.Service, f.Variable, f.Layer, f.Verdict, dash(f.Place)})
	}
	held := part{title: "Held", heading: "OBJECT\tREASON\tNEXT"}
	for _, h := range d.Held {
		held.rows = append(held.rows, []string{h.Object, h.Reason, dash(h.Next)})
	}
	transactions := part{title: "Transactions", heading: "ID\tOUTCOME\tAGE"}
	for _, t := range d.Transactions {
		began := time.Time{}
		if t.Began != nil {
			began = *t.Began
		}
		transactions.rows = append(transactions.rows, []string{t.ID, t.Outcome, age(began, now)})
	}
	events := part{title: "Events", heading: "AGE\tTYPE\tREASON\tMESSAGE"}
	for _, e := range d.Events[max(0, len(d.Events)-shownEvents):] {
		events.rows = append(events.rows, []string{age(e.Time, now), e.Type, e.Reason, e.Message})
	}
	return []part{conditions, differences, held, transactions, events}
}

// shownEvents is how many events a description ends with.
const shownEvents = 20

func until(at, now time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return duration.HumanDuration(max(0, at.Sub(now)))
}
