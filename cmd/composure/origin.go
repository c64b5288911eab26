package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/composure-dev/composure/controller"
	"github.com/composure-dev/composure/internal/report"
)

const originExample = `  composure origin app LOG_LEVEL                  # who sets it, who else would, and why that one loses
  composure origin -f compose.yaml -f prod.yaml app LOG_LEVEL
  composure origin app LOG_LEVEL -o json --files-only`

// originFlags are those of the project, and a few.
type originFlags struct {
	flags
	filesOnly bool
}

func newOrigin(in invocation) *cobra.Command {
	var f originFlags
	cmd := &cobra.Command{
		Use: "origin [flags] SERVICE VARIABLE", Short: "Show where a variable of a service comes from; writes nothing",
		Example: originExample, Long: "Exit codes:\n  0    somebody sets it\n  1    nobody does\n  2    wrong usage, or it could not be done",
		Args: serviceAndVariable,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), in, args[0], args[1]) },
	}
	set := cmd.Flags()
	set.SortFlags = false
	f.registerProject(set)
	set.StringArrayVarP(&f.policies, "policy", "P", nil, "policy file or folder that says what is sensitive, repeatable (default: composure/ beside the compose file)")
	set.BoolVar(&f.filesOnly, "files-only", false, "ask no engine for what the image sets")
	set.StringVarP(&f.format, "output", "o", formatText, "output format: text, json")
	set.BoolP("help", "h", false, "show this help")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if !slices.Contains([]string{formatText, formatJSON}, f.format) {
			return usage(cmd, fmt.Errorf("--output %q: must be one of text, json", f.format), "")
		}
		return nil
	}
	return cmd
}

func serviceAndVariable(cmd *cobra.Command, args []string) error {
	if len(args) == 2 && args[0] != "" && args[1] != "" {
		return nil
	}
	return usage(cmd, errors.New("origin takes a service and a variable"), "")
}

func (f *originFlags) run(ctx context.Context, in invocation, service, variable string) error {
	origin, note, err := controller.Origin(ctx, f.config(in), controller.OriginOptions{Service: service, Variable: variable, FilesOnly: f.filesOnly})
	if err != nil {
		return err
	}
	if note != "" {
		in.say("note: " + note)
	}
	write := func() error {
		return report.OriginText(in.stdout, origin, report.TextOptions{Width: in.width(in.stdout), Color: in.color(in.stdout)})
	}
	if f.format == formatJSON {
		write = func() error { return report.OriginJSON(in.stdout, origin) }
	}
	if err := delivered(write()); err != nil {
		return err
	}
	if !origin.Set() {
		return status(exitDeclined)
	}
	return nil
}
