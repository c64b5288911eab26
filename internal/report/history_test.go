package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/internal/state"
)

// pastOf is a project with a transaction of every kind, each of which holds a secret where a record may.
func pastOf() History {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	record := func(id string, took time.Duration, outcome state.Outcome) state.Record {
		r := state.Record{
			Transaction: id, Project: "shop", Host: "build", PID: 7, Began: began, Outcome: outcome, Plan: json.RawMessage(`{"x":"hunter2"}`),
			Files:      []state.FileImage{{Path: "/srv/shop/compose.yaml", DigestBefore: "sha256:aa", DigestAfter: "sha256:bb", Before: []byte("hunter2")}},
			Containers: []state.Container{{ID: "abc", Name: "shop-app-1", Service: "app", Replacement: "def", Inspect: json.RawMessage(`{"Env":["P=hunter2"]}`)}},
		}
		if outcome != "" {
			r.Ended = new(began.Add(took))
		}
		began = began.Add(26 * time.Hour)
		return r
	}
	records := []state.Record{
		record("20260102T030405Z-00000001", 12340*time.Millisecond, state.OutcomeCommitted),
		record("20260103T050405Z-00000002", 754*time.Second, state.OutcomeLeftover),
		record("20260104T070405Z-00000003", 3*time.Hour+time.Minute, state.OutcomeRecoveredUndone),
		record("20260105T090405Z-00000004", 0, ""),
	}
	records[0].Backup, records[0].Commit = "/var/backups/shop/20260102T030405Z-00000001", "0123456789abcdef0123456789abcdef01234567"
	records[2].Files = append(records[2].Files, state.FileImage{Path: "/etc/shop.env", Created: true, DigestAfter: "sha256:cc"})
	records[2].Containers = nil
	records[3].Phase = state.PhaseCommitting
	return History{
		Version: "1.2.3", Store: "/var/lib/composure", Base: "/srv/shop",
		Projects: []ProjectHistory{
			{Name: "blog"},
			{Name: "shop", Records: records, Suspended: &state.Suspension{
				Since: began, Reason: "put back by hand, until somebody says that it may be changed again", Transaction: records[2].Transaction,
			}},
		},
	}
}

func TestHistoryText(t *testing.T) {
	const want = `project blog
  nothing is recorded in /var/lib/composure

project shop
  suspended  since 2026-01-06 11:04 UTC, by 20260104T070405Z-00000003: put back
             by hand, until somebody says that it may be changed again

  TRANSACTION                BEGAN (UTC)       TOOK    OUTCOME
  20260105T090405Z-00000004  2026-01-05 09:04  -       unfinished
    files       compose.yaml
    containers  shop-app-1
  20260104T070405Z-00000003  2026-01-04 07:04  3h01m   rolled back after a crash
    files       compose.yaml, /etc/shop.env
  20260103T050405Z-00000002  2026-01-03 05:04  12m34s  committed, old containers
                                                       left
    files       compose.yaml
    containers  shop-app-1
  20260102T030405Z-00000001  2026-01-02 03:04  12.3s   committed
    files       compose.yaml
    containers  shop-app-1
    backup      /var/backups/shop/20260102T030405Z-00000001
    commit      0123456789abcdef0123456789abcdef01234567
`
	var got bytes.Buffer
	if err := HistoryText(&got, pastOf(), TextOptions{Width: 200}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

func TestHistoryTextObeysNoRecord(t *testing.T) {
	h := pastOf()
	h.Projects[1].Records[3].Transaction, h.Projects[1].Suspended.Reason = "\x1b[31mred", "\x1b[2J"
	h.Projects[1].Records[3].Containers[0].Name = "\x1b]0;title\x07"
	var got bytes.Buffer
	if err := HistoryText(&got, h, TextOptions{Width: 80}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(got.String(), "\x1b\x07") {
		t.Errorf("a control character reaches the terminal: %q", got.String())
	}
}

func TestHistoryOfNothing(t *testing.T) {
	var got bytes.Buffer
	if err := HistoryText(&got, History{Store: "/s"}, TextOptions{Width: 80}); err != nil || got.String() != "nothing is recorded in /s\n" {
		t.Errorf("text: %q, %v", got.String(), err)
	}
	got.Reset()
	if err := HistoryJSON(&got, History{}); err != nil || !strings.Contains(got.String(), `"projects": []`) {
		t.Errorf("JSON: %q, %v", got.String(), err)
	}
}

func TestHistoryJSON(t *testing.T) {
	var got bytes.Buffer
	if err := HistoryJSON(&got, pastOf()); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(got.String(), "hunter2") || strings.Contains(got.String(), "aHVudGVyMg") {
		t.Errorf("a secret is told:\n%s", got.String())
	}
	var doc historyJSON
	if err := json.Unmarshal(got.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	file := fileJSON{Path: "/srv/shop/compose.yaml", DigestBefore: "sha256:aa", DigestAfter: "sha256:bb"}
	app := containerJSON{Name: "shop-app-1", Service: "app", ID: "abc", Replacement: "def"}
	want := transactionJSON{
		ID: "20260105T090405Z-00000004", Host: "build", Began: time.Date(2026, 1, 5, 9, 4, 5, 0, time.UTC), Outcome: "unfinished",
		Phase: state.PhaseCommitting, Files: []fileJSON{file}, Containers: []containerJSON{app},
	}
	if diff := cmp.Diff(want, doc.Projects[1].Transactions[0]); diff != "" {
		t.Errorf("the newest, which is open (-want +got):\n%s", diff)
	}
	oldest := doc.Projects[1].Transactions[3]
	if oldest.DurationMs == nil || *oldest.DurationMs != 12340 || oldest.Outcome != "committed" || oldest.Commit == "" || oldest.Backup == "" {
		t.Errorf("the oldest: %+v", oldest)
	}
	if doc.Kind != HistoryKind || doc.Projects[1].Suspended == nil || doc.Projects[0].Suspended != nil || doc.Projects[0].Transactions == nil {
		t.Errorf("the document: %s", got.String())
	}
}
