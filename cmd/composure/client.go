package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/composure-dev/composure/internal/api"
	"github.com/composure-dev/composure/internal/hint"
)

// clientFlags are those of the verbs that ask a daemon.
type clientFlags struct {
	address   string
	tokenFile string
	format    string
	watch     bool
}

// register adds them. in's surroundings are where a flag that is not given comes from.
func (f *clientFlags) register(set *pflag.FlagSet, in invocation) {
	set.SortFlags = false
	set.StringVar(&f.address, "address", cmp.Or(in.getenv("COMPOSURE_ADDRESS"), api.DefaultAddress), "where the daemon listens: HOST:PORT, a URL, or unix:///PATH [$COMPOSURE_ADDRESS]")
	set.StringVar(&f.tokenFile, "token-file", in.getenv("COMPOSURE_TOKEN_FILE"), "file with the daemon's token [$COMPOSURE_TOKEN_FILE]")
	set.BoolP("help", "h", false, "show this help")
}

func (f *clientFlags) registerOutput(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.format, "output", "o", formatText, "output format: text, json")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if f.format != formatText && f.format != formatJSON {
			return usage(cmd, fmt.Errorf("--output %q: must be one of text, json", f.format), "")
		}
		return nil
	}
}

func (f *clientFlags) client() (*api.Client, error) {
	token, err := readToken(f.tokenFile)
	if err != nil {
		return nil, err
	}
	return api.NewClient(f.address, token)
}

// readToken reads a secret from a file, "" when none is named.
func readToken(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", hint.Wrap(fmt.Errorf("read the token: %w", err), "check the path given with --token-file")
	}
	token := strings.TrimSpace(string(content))
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return "", hint.Wrap(fmt.Errorf("%s holds no token", file), "put one word into it, made for example with: openssl rand -hex 32")
	}
	return token, nil
}

// printJSON writes one object: over several lines, or one for each piece of news.
func printJSON(in invocation, content any, indent bool) error {
	encoder := json.NewEncoder(in.stdout)
	encoder.SetEscapeHTML(false)
	if indent {
		encoder.SetIndent("", "  ")
	}
	return delivered(encoder.Encode(content))
}

// oneProject is for verbs that are about one project.
func oneProject(cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	return usage(cmd, errors.New(cmd.Name()+" takes the name of one project"), "")
}
