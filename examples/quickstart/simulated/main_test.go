package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestEveryLineIsMarked(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), "..", &out); err != nil {
		t.Fatalf("the loop failed: %v\n%s", err, out.String())
	}
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, "SIMULATED") {
			t.Errorf("a line without its mark: %q", line)
		}
	}
	for _, want := range []string{"would first run after 1m0s", "would first run after 5s", "beat Running"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing", want)
		}
	}
}
