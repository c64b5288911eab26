package report

import (
	"bytes"
	"encoding/json"
	"errors"
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
