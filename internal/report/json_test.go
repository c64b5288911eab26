package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
)

func TestJSON(t *testing.T) {
	for name, r := range map[string]Report{"diff": diffReport(), "rolled-back": rolledBackReport(), "empty": {Verb: VerbCheck}} {
		t.Run(name, func(t *testing.T) {
			var first, second bytes.Buffer
			if err := errors.Join(JSON(&first, r), JSON(&second, r)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first.Bytes(), second.Bytes()) {
				t.Error("the same report gave different bytes")
			}
			if !json.Valid(first.Bytes()) {
				t.Error("not valid JSON")
			}
			golden(t, name+".json", first.Bytes())
		})
	}
}

// Where the files are kept is there when they are, and only then.
func TestJSONSaved(t *testing.T) {
	saved := appliedReport()
	saved.Projects[0].Backup, saved.Projects[0].Commit = "/backup/t1", "1a2b"
	for want, r := range map[string]Report{`"backup": "/backup/t1",
      "commit": "1a2b"`: saved, "": appliedReport()} {
		var out bytes.Buffer
		if err := JSON(&out, r); err != nil {
			t.Fatal(err)
		}
		got := regexp.MustCompile(`"backup".*\n.*"commit": "[^"]*"`).FindString(out.String())
		if got != strings.ReplaceAll(want, `\n`, "\n") {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
