//go:build unix

package compose

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestLoadRefuses: what must not be opened is refused before it is, wherever it is named.
func TestLoadRefuses(t *testing.T) {
	cases := map[string]struct {
		reason  string
		archive string
		fifo    string
		opts    Options
	}{
		"ComposeFile":  {"a FIFO as compose file", "", "compose.yaml", Options{}},
		"DotEnv":       {"a FIFO as .env", service(""), ".env", Options{}},
		"EnvFlag":      {"a FIFO as --env-file", service(""), "pipe", Options{EnvFiles: []string{"pipe"}}},
		"EnvFile":      {"a FIFO as env_file", service("    env_file: pipe\n"), "pipe", Options{}},
		"LabelFile":    {"a FIFO as label_file", service("    label_file: pipe\n"), "pipe", Options{}},
		"Include":      {"a FIFO as included file", service("") + "include: [$P]\n", "pipe", Options{Environ: []string{"P=pipe"}}},
		"IncludeEnv":   {"a FIFO as env_file of an include", service("") + "include: [{path: sub/c.yaml, env_file: pipe}]\n-- sub/c.yaml --\nservices: {}\n", "pipe", Options{}},
		"IncludeDot":   {"a FIFO as the .env of an included file", service("") + "include: [sub/c.yaml]\n-- sub/c.yaml --\nservices: {}\n", "sub/.env", Options{}},
		"Extends":      {"a FIFO as extended file", service("    extends: {file: pipe, service: x}\n"), "pipe", Options{}},
		"DeeperExtend": {"a FIFO behind an included file", service("") + "include: [sub/c.yaml]\n-- sub/c.yaml --\nservices: {x: {extends: {file: pipe, service: x}}}\n", "sub/pipe", Options{}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.opts.Directory = write(t, tc.archive)
			if err := syscall.Mkfifo(filepath.Join(tc.opts.Directory, tc.fifo), 0o600); err != nil {
				t.Skip(err)
			}
			_, err := Load(t.Context(), tc.opts)
			if err == nil || !strings.Contains(err.Error(), "not a regular file") {
				t.Errorf("%s: got %v", tc.reason, err)
			}
		})
	}
}
