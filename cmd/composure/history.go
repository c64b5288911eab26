package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/composure-dev/composure/controller"
	"github.com/composure-dev/composure/internal/report"
)

const historyExample = `  composure history                               # what apply did to the project of this folder, the newest first
  composure history -p shop                       # the same from anywhere, without its files
  composure history --all -o json`

const historyLong = `Records lie on the machine that ran apply, in the folder of the user who did: see --state-dir.

Exit codes:
  0    shown, be it that there are none
  2    wrong usage, or a record could not be read`

func newHistory(in invocation) *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use: "history [flags]", Short: "List what was applied to a project, and how it ended; asks no engine",
		Example: historyExample, Long: historyLong, Args: historyOfWhat,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.history(cmd.Context(), in) },
	}
	set := cmd.Flags()
	set.SortFlags = false
	f.registerProject(set)
	set.BoolVar(&f.all, "all", false, "every project that has records")
	f.registerStateDir(set)
	set.StringVarP(&f.format, "output", "o", formatText, "output format: text, json")
	set.BoolP("help", "h", false, "show this help")
	cmd.PreRunE = func(*cobra.Command, []string) error { return f.validate(cmd, []string{formatText, formatJSON}) }
	return cmd
}

func historyOfWhat(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usage(cmd, errors.New("history takes no arguments"), "-p "+args[0])
}

func (f *flags) history(ctx context.Context, in invocation) error {
	if err := f.needsRecords(in); err != nil {
		return err
	}
	history, err := controller.History(ctx, f.config(in))
	if err != nil && len(history.Projects) == 0 {
		return err
	}
	if f.format == formatJSON {
		return errors.Join(delivered(report.HistoryJSON(in.stdout, history)), err)
	}
	return errors.Join(delivered(report.HistoryText(in.stdout, history, f.textOptions(in, in.stdout))), err)
}
