package report

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/composure-dev/composure/internal/state"
)

// History is what was recorded of projects.
type History struct {
	Version  string // of composure
	Store    string // the folder with the records
	Base     string // paths below it are printed relative to it
	Projects []ProjectHistory
}

// ProjectHistory is what was recorded of one project.
type ProjectHistory struct {
	Name      string
	Suspended *state.Suspension // nil: it is not
	Records   []state.Record    // the newest last, as [state.Store.List] gives them
}

// HistoryKind is the kind of a JSON history.
const HistoryKind = "History"

// unfinished is what is said of a transaction that has no outcome: one that is at work, or was cut off.
const unfinished = "unfinished"

type historyJSON struct {
	APIVersion string               `json:"apiVersion"`
	Kind       string               `json:"kind"`
	Version    string               `json:"version"`
	Projects   []projectHistoryJSON `json:"projects"`
}

type projectHistoryJSON struct {
	Name         string            `json:"name"`
	Suspended    *state.Suspension `json:"suspended,omitempty"`
	Transactions []transactionJSON `json:"transactions"`
}

// transactionJSON holds of a record what is no secret.
type transactionJSON struct {
	ID         string          `json:"id"`
	Host       string          `json:"host"`
	Began      time.Time       `json:"began"`
	Ended      *time.Time      `json:"ended,omitempty"`
	DurationMs *int64          `json:"durationMs,omitempty"`
	Outcome    string          `json:"outcome"`
	Phase      state.Phase     `json:"phase,omitempty"`
	Undoes     string          `json:"undoes,omitempty"`
	Backup     string          `json:"backup,omitempty"`
	Commit     string          `json:"commit,omitempty"`
	Files      []fileJSON      `json:"files"`
	Containers []containerJSON `json:"containers"`
}

type fileJSON struct {
	Path         string `json:"path"`
	Created      bool   `json:"created,omitempty"`
	Removed      bool   `json:"removed,omitempty"`
	DigestBefore string `json:"digestBefore,omitempty"`
	DigestAfter  string `json:"digestAfter,omitempty"`
}

type containerJSON struct {
	Name        string `json:"name"`
	Service     string `json:"service,omitempty"`
	ID          string `json:"id"`
	Replacement string `json:"replacement,omitempty"`
}

// HistoryJSON writes h as one object, the newest transaction first. Fields are added, never renamed; one that is left out is unset.
func HistoryJSON(w io.Writer, h History) error {
	doc := historyJSON{APIVersion: APIVersion, Kind: HistoryKind, Version: h.Version, Projects: []projectHistoryJSON{}}
	for _, p := range h.Projects {
		project := projectHistoryJSON{Name: p.Name, Suspended: p.Suspended, Transactions: []transactionJSON{}}
		for _, r := range slices.Backward(p.Records) {
			project.Transactions = append(project.Transactions, transactionOf(r))
		}
		doc.Projects = append(doc.Projects, project)
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(doc); err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	return nil
}

func transactionOf(r state.Record) transactionJSON {
	t := transactionJSON{
		ID: r.Transaction, Host: r.Host, Began: r.Began.UTC(), Outcome: outcomeOf(r), Phase: r.Phase, Undoes: r.Undoes, Backup: r.Backup, Commit: r.Commit,
		Files: []fileJSON{}, Containers: []containerJSON{},
	}
	if r.Ended != nil {
		t.Ended, t.DurationMs = new(r.Ended.UTC()), new(r.Ended.Sub(r.Began).Milliseconds())
	}
	for _, f := range r.Files {
		t.Files = append(t.Files, fileJSON{f.Path, f.Created, f.Removed, f.DigestBefore, f.DigestAfter})
	}
	for _, c := range r.Containers {
		t.Containers = append(t.Containers, containerJSON{c.Name, c.Service, c.ID, c.Replacement})
	}
	return t
}

func outcomeOf(r state.Record) string {
	if r.Outcome == "" {
		return unfinished
	}
	return string(r.Outcome)
}

// HistoryText writes h for people, the newest transaction first.
func HistoryText(w io.Writer, h History, options TextOptions) error {
	options.Width = min(options.Width, tableWidth)
	p := historyPrinter{printer: &printer{w: bufio.NewWriter(w), TextOptions: options}, history: h}
	if len(h.Projects) == 0 {
		p.text("", "nothing is recorded in "+h.Store)
	}
	for i, project := range h.Projects {
		if i > 0 {
			p.line("")
		}
		p.project(project)
	}
	return p.w.Flush()
}

type historyPrinter struct {
	*printer
	history History
}

// tableWidth is enough for every column, and no wider than what people paste into a report.
const tableWidth = 80

// Times are UTC and without seconds, which the transaction's id has.
const (
	minutes     = "2006-01-02 15:04"
	tookColumns = len("12m34s")
)

func (p historyPrinter) project(h ProjectHistory) {
	p.line(p.paint(bold, printable("project "+h.Name)))
	if h.Suspended != nil {
		p.suspended(*h.Suspended)
	}
	if len(h.Records) == 0 {
		p.text("  ", "nothing is recorded in "+p.history.Store)
		return
	}
	idColumns := width("TRANSACTION")
	for _, r := range h.Records {
		idColumns = max(idColumns, width(printable(r.Transaction)))
	}
	p.line("")
	p.line("  " + pad("TRANSACTION", idColumns) + "  " + pad("BEGAN (UTC)", len(minutes)) + "  " + pad("TOOK", tookColumns) + "  OUTCOME")
	for _, r := range slices.Backward(h.Records) {
		p.record(r, idColumns)
	}
}

func (p historyPrinter) suspended(s state.Suspension) {
	text := "since " + s.Since.UTC().Format(minutes) + " UTC"
	if s.Transaction != "" {
		text += ", by " + s.Transaction
	}
	if s.Reason != "" {
		text += ": " + s.Reason
	}
	p.block(block{head: "  suspended  ", color: yellow, hang: len("  suspended  "), words: words(text)})
}

func (p historyPrinter) record(r state.Record, idColumns int) {
	head := "  " + pad(printable(r.Transaction), idColumns) + "  " + r.Began.UTC().Format(minutes) + "  " + pad(took(r), tookColumns) + "  "
	p.block(block{head: head, hang: width(head), words: words(outcomeOf(r))})
	var files, containers []string
	for _, f := range r.Files {
		files = append(files, p.path(f.Path))
	}
	for _, c := range r.Containers {
		containers = append(containers, c.Name)
	}
	for _, row := range []struct{ name, text string }{
		{"takes back", r.Undoes},
		{"files", strings.Join(files, ", ")},
		{"containers", strings.Join(containers, ", ")},
		{"backup", p.path(r.Backup)},
		{"commit", r.Commit},
	} {
		if row.text != "" {
			p.text("    "+pad(row.name, len("containers"))+"  ", row.text)
		}
	}
}

// path is as short as it can be from where the command runs.
func (p historyPrinter) path(path string) string {
	if path == "" {
		return ""
	}
	return relative(Project{Directory: p.history.Base}, path)
}

// took is how long a transaction took, short enough for its column; that of an open one is not known.
func took(r state.Record) string {
	if r.Ended == nil {
		return "-"
	}
	d := max(r.Ended.Sub(r.Began), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
}
