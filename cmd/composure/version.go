package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build is what this binary was made from.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Date     string `json:"date,omitempty"` // RFC 3339
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersion(in invocation) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "version [flags]", Short: "Show the version of this binary", Example: "  composure version -o json", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch format {
			case formatText:
				_, err := fmt.Fprintln(in.stdout, buildOf())
				return delivered(err)
			case formatJSON:
				return delivered(json.NewEncoder(in.stdout).Encode(buildOf()))
			default:
				return usage(cmd, fmt.Errorf("--output %q: must be one of text, json", format), "")
			}
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", formatText, "output format: text, json")
	cmd.Flags().BoolP("help", "h", false, "show this help")
	return cmd
}

func buildOf() build {
	b := build{Version: version, Commit: commit, Date: date, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		b.Version = cmp.Or(b.Version, info.Main.Version)
		for _, setting := range info.Settings {
			switch setting.Key {
			case "vcs.revision":
				b.Commit = cmp.Or(b.Commit, setting.Value)
			case "vcs.time":
				b.Date = cmp.Or(b.Date, setting.Value)
			}
		}
	}
	b.Version = cmp.Or(b.Version, "(devel)")
	return b
}

func (b build) String() string {
	text := "composure " + b.Version
	if b.Commit != "" {
		text += " (" + b.Commit[:min(len(b.Commit), 12)] + ")"
	}
	if b.Date != "" {
		text += " built " + b.Date
	}
	return text + " with " + b.Go + " for " + b.Platform
}
