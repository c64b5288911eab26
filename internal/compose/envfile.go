package compose

import (
	"io"
	"strings"
	"sync"

	"github.com/compose-spec/compose-go/v2/dotenv"

	"github.com/composure-dev/composure/internal/envfile"
)

// registerRaw teaches compose-go the format, as docker compose does at its start. compose-go keeps formats for the process.
var registerRaw = sync.OnceFunc(func() { dotenv.RegisterFormat(envfile.FormatRaw, parseRaw) }) //nolint:gochecknoglobals // compose-go keeps formats for the process

func parseRaw(r io.Reader, filename string, vars map[string]string, lookup func(string) (string, bool)) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	for _, s := range envfile.ScanRaw(content) {
		if s.Key == "" || strings.ContainsAny(s.Key, " \t") {
			return &ParseError{File: filename, Line: s.Line, Message: "not a variable", Hint: "a line is KEY=VALUE, a comment or empty"}
		}
		if value, ok := s.Value(lookup); ok {
			vars[s.Key] = value
		}
	}
	return nil
}
