package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/renameio/v2"
)

// sameJSON compares raw messages by what they mean: encoding indents them.
var sameJSON = cmp.Comparer(func(a, b json.RawMessage) bool {
	var x, y any
	_ = json.Unmarshal(a, &x)
	_ = json.Unmarshal(b, &y)
	return cmp.Equal(x, y)
})

func saved(t *testing.T, records ...Record) Store {
	t.Helper()
	store := Store{Dir: t.TempDir()}
	for _, r := range records {
		if err := store.Save(r); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

// put writes a file into the folder of project shop as somebody else would.
func put(t *testing.T, store Store, name, content string) string {
	t.Helper()
	path := filepath.Join(store.folder("shop"), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func began(r Record, second int) Record {
	r.Began = time.Date(2026, 1, 2, 3, 4, second, 0, time.UTC)
	return r
}

func TestRecordIsReadAsItWasSaved(t *testing.T) {
	want := record("t1", "")
	want.PID, want.Phase = 42, PhaseCommitting
	want.Containers[0].Service, want.Containers[0].Number, want.Containers[0].Replacement = "app", "1", "def"
	want.Containers[0].Stopping, want.Containers[0].Pace = true, Pace{StableForMs: 3000, TimeoutMs: 90_000, OneShot: true}
	got, err := saved(t, want).Load("shop", "t1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, sameJSON); diff != "" {
		t.Errorf("record read back (-want +got):\n%s", diff)
	}
}

func TestListGivesTheNewestLast(t *testing.T) {
	store := saved(t, began(record("t3", OutcomeCommitted), 7), began(record("t1", ""), 9), began(record("t9", ""), 3), began(record("t2", ""), 7))
	records, err := store.List("shop")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range records {
		got = append(got, r.Transaction)
	}
	if diff := cmp.Diff([]string{"t9", "t2", "t3", "t1"}, got); diff != "" {
		t.Errorf("by time, then by id (-want +got):\n%s", diff)
	}
}

func TestListOfWhatOthersHaveWritten(t *testing.T) {
	const whole = `{"transaction": "t0", "project": "shop", "host": "h", "began": "2026-01-02T03:04:05Z", "plan": {}`
	tests := map[string]struct {
		reason  string
		name    string
		content string
		want    []string
		wantErr string // beside the file's path
	}{
		"Nothing":     {"the record that is always there", "other.txt", "hunter2", []string{"t1"}, ""},
		"OldRecord":   {"of a release that knew no phases", "t0.json", whole + `, "containers": [{"id": "abc", "name": "n", "inspect": {}}]}`, []string{"t0", "t1"}, ""},
		"Newer":       {"of a release that knows more", "t0.json", whole + `, "schema": 9, "containers": [{"id": "abc", "name": "n", "inspect": {}, "limbo": true}], "phase": "pondering"}`, []string{"t0", "t1"}, ""},
		"Garbage":     {"a file that a disk has spoiled", "t0.json", "\x00hunter2", []string{"t1"}, "invalid JSON at byte 1"},
		"Empty":       {"a file of nothing", "t0.json", "", []string{"t1"}, "invalid JSON at byte 0"},
		"Null":        {"JSON, but no record", "t0.json", "null", []string{"t1"}, `not the record of transaction "t0" of project "shop"`},
		"Type":        {"a field is something else", "t0.json", strings.Replace(whole, `"h"`, `["hunter2"]`, 1) + "}", []string{"t1"}, `field "host" must be a string`},
		"Time":        {"a time that is none is not quoted", "t0.json", strings.Replace(whole, "2026-01-02T03:04:05Z", "hunter2", 1) + "}", []string{"t1"}, "a field holds what it cannot"},
		"Two":         {"two records in one file", "t0.json", whole + "}" + whole + "}", []string{"t1"}, "invalid JSON"},
		"Copied":      {"a record under another name", "t0.json", strings.Replace(whole, `"t0"`, `"t7"`, 1) + "}", []string{"t1"}, `not the record of transaction "t0"`},
		"Stranger":    {"a record of another project", "t0.json", strings.Replace(whole, "shop", "blog", 1) + "}", []string{"t1"}, `of project "shop"`},
		"Temporary":   {"what a killed write has left", ".t0.json123", whole, []string{"t1"}, ""},
		"Suspended":   {"a mark is no record", "suspended.json", "{}", []string{"t1"}, ""},
		"Hidden":      {"a hidden file is somebody else's", ".t0.json", whole + "}", []string{"t1"}, ""},
		"FolderInWay": {"a folder where a record could be", "t0.json/x", "", []string{"t1"}, "is a directory"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			store := saved(t, record("t1", OutcomeCommitted))
			path := put(t, store, tc.name, tc.content)
			records, err := store.List("shop")
			var got []string
			for _, r := range records {
				got = append(got, r.Transaction)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			switch {
			case tc.wantErr == "" && err != nil:
				t.Errorf("%s: %v", tc.reason, err)
			case tc.wantErr == "":
			case err == nil || !strings.Contains(err.Error(), tc.wantErr) || !strings.Contains(err.Error(), strings.TrimSuffix(path, "/x")):
				t.Errorf("%s: error = %v, want %q and the file's name", tc.reason, err, tc.wantErr)
			case strings.Contains(err.Error(), "hunter2"):
				t.Errorf("%s: the error quotes the record: %v", tc.reason, err)
			}
		})
	}
}

// A record that is cut off anywhere is told, and hides no other.
func TestListOfATruncatedRecord(t *testing.T) {
	store := saved(t, record("t0", ""), record("t1", OutcomeCommitted))
	path := store.Path(record("t0", ""))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for length := range len(whole) - 1 { // without its last line break it is whole
		if err := os.WriteFile(path, whole[:length], 0o600); err != nil {
			t.Fatal(err)
		}
		records, err := store.List("shop")
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Fatalf("cut off at byte %d: error = %v, want one that names the file", length, err)
		}
		if len(records) != 1 || records[0].Transaction != "t1" {
			t.Fatalf("cut off at byte %d: %d records, want the other one", length, len(records))
		}
	}
}

func TestEveryDamagedRecordIsNamed(t *testing.T) {
	store := Store{Dir: t.TempDir()}
	first, second := put(t, store, "a.json", "{"), put(t, store, "b.json", "{")
	_, err := store.List("shop")
	if err == nil || !strings.Contains(err.Error(), first) || !strings.Contains(err.Error(), second) {
		t.Errorf("error = %v, want both files", err)
	}
}

func TestNothingWasEverRecorded(t *testing.T) {
	store := Store{Dir: filepath.Join(t.TempDir(), "none")}
	records, listErr := store.List("shop")
	projects, projectsErr := store.Projects()
	mark, markErr := store.Suspension("shop")
	if err := errors.Join(listErr, projectsErr, markErr, store.Tidy("shop"), store.Resume("shop")); err != nil || records != nil || projects != nil || mark != nil {
		t.Errorf("a folder that is not there is empty: %v, %v, %v, %v", records, projects, mark, err)
	}
	if _, err := store.Load("shop", "t1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error = %v, want fs.ErrNotExist", err)
	}
	if _, err := os.Stat(store.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading has made the folder: %v", err)
	}
}

func TestProjects(t *testing.T) {
	blog := record("t1", "")
	blog.Project = "blog"
	store := saved(t, record("t1", ""), blog)
	if err := os.WriteFile(filepath.Join(store.projects(), "README"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	projects, err := store.Projects()
	if diff := cmp.Diff([]string{"blog", "shop"}, projects); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}

func TestNamesLeadNowhereElse(t *testing.T) {
	store := saved(t, record("t1", ""))
	for _, name := range []string{"", ".", "..", "../projects/shop", "shop/", "/", "a/b"} {
		stray := record("t1", "")
		stray.Project = name
		_, listErr := store.List(name)
		_, loadErr := store.Load("shop", name)
		_, markErr := store.Suspension(name)
		for verb, err := range map[string]error{
			"List": listErr, "Load": loadErr, "Suspension": markErr, "Tidy": store.Tidy(name), "Resume": store.Resume(name),
			"Suspend": store.Suspend(name, Suspension{}), "Save": store.Save(stray),
		} {
			if err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s took the name %q: %v", verb, name, err)
			}
		}
	}
}

// age makes a file look old.
func age(t *testing.T, path string) {
	t.Helper()
	old := time.Now().Add(-2 * leftAfter)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
}

// What is open is needed to put it in order, and the last committed one to take it back.
func TestTidyKeepsTheLastRecords(t *testing.T) {
	store := Store{Dir: t.TempDir()}
	save := func(id string, minute int, outcome Outcome) {
		t.Helper()
		r := record(id, outcome)
		r.Began = r.Began.Add(time.Duration(minute) * time.Minute)
		if outcome != "" {
			r.Ended = new(r.Began.Add(time.Second))
		}
		if err := store.Save(r); err != nil {
			t.Fatal(err)
		}
	}
	save("open", 0, "")
	save("older", 1, OutcomeCommitted)
	save("committed", 2, OutcomeCommitted)
	for i := range kept - 1 {
		save(fmt.Sprintf("committed-%d", i), 3+i, OutcomeLeftover)
	}
	for i := range kept + 2 {
		save(fmt.Sprintf("failed-%d", i), 200+i, OutcomeRolledBack)
	}
	damaged := put(t, store, "damaged.json", "{")
	if err := store.Tidy("shop"); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bool{"open": true, "older": false, "committed": true, "failed-0": false, "failed-1": false, "failed-2": true} {
		if _, err := store.Load("shop", id); (err == nil) != want {
			t.Errorf("%s: kept = %v, want %v", id, err == nil, want)
		}
	}
	if _, err := os.Stat(damaged); err != nil {
		t.Errorf("what cannot be read is for a person to look at: %v", err)
	}
}

func TestTidyRemovesOldTemporariesAlone(t *testing.T) {
	store := saved(t, record("t1", ""))
	if err := store.Suspend("shop", Suspension{Reason: "r"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".t1.json4611686018427387904", ".suspended.json7", ".hidden", "t2.json7", ".t2.json"} {
		age(t, put(t, store, name, "{"))
	}
	put(t, store, ".t3.json8", "{") // somebody may be at it
	if err := store.Tidy("shop"); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(store.folder("shop"))
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, entry := range entries {
		left = append(left, entry.Name())
	}
	if diff := cmp.Diff([]string{".hidden", ".t2.json", ".t3.json8", "suspended.json", "t1.json", "t2.json7"}, left); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
}

// The pattern of the temporaries is another package's: what that one leaves when it is cut off has to be found.
func TestTidyKnowsTheNamesOfTemporaries(t *testing.T) {
	store := saved(t, record("t1", ""))
	path := store.Path(record("t1", ""))
	pending, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)))
	if err != nil {
		t.Fatal(err)
	}
	age(t, pending.Name())
	if err := store.Tidy("shop"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(pending.Name()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there", pending.Name())
	}
}

func TestSuspension(t *testing.T) {
	store := Store{Dir: t.TempDir()}
	want := Suspension{Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Reason: "rolled back by hand", Transaction: "t1"}
	if err := errors.Join(store.Suspend("shop", Suspension{Reason: "before"}), store.Suspend("shop", want)); err != nil {
		t.Fatal(err)
	}
	got, err := store.Suspension("shop")
	if diff := cmp.Diff(&want, got); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	if info, err := os.Stat(store.mark("shop")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the mark's mode: %v, %v", info, err)
	}
	if records, err := store.List("shop"); err != nil || len(records) != 0 {
		t.Errorf("the mark was taken for a record: %v, %v", records, err)
	}
	if err := store.Resume("shop"); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Suspension("shop"); err != nil || got != nil {
		t.Errorf("after Resume: %v, %v", got, err)
	}
}

func TestDamagedSuspensionIsAnError(t *testing.T) {
	store := Store{Dir: t.TempDir()}
	path := put(t, store, suspendedName, `{"since": "hunter2"`)
	mark, err := store.Suspension("shop")
	if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "hunter2") || mark != nil {
		t.Errorf("got %v, %v, want an error that names the file", mark, err)
	}
	if err := store.Resume("shop"); err != nil {
		t.Errorf("it can be taken away all the same: %v", err)
	}
	if _, err := store.Suspension("shop"); err != nil {
		t.Errorf("after Resume: %v", err)
	}
}
