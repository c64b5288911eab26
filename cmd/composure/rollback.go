package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/composure-dev/composure/controller"
	"github.com/composure-dev/composure/internal/report"
)

const rollbackExample = `  composure rollback                              # the last apply: shows what it would put back, and asks
  composure rollback --dry-run                    # shows it, and changes nothing
  composure rollback --yes                        # without a terminal
  composure rollback 20261125T061500Z --yes       # that transaction, if it is the last one; see: composure history`

const rollbackLong = `It puts files and containers back as they were before the last committed apply, as one transaction: it is done and healthy, or nothing
is changed. It is refused when a file was edited since, and held when a container was recreated since. Afterwards the project is
suspended, until the next apply that changes it.

` + exitCodes

func newRollback(in invocation) *cobra.Command {
	var f applyFlags
	cmd := &cobra.Command{
		Use: "rollback [TRANSACTION] [flags]", Short: "Take the last apply back, files and containers",
		Example: rollbackExample, Long: rollbackLong,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(cmd, errors.New("rollback takes one transaction at most"), "")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.rollback(cmd.Context(), in, strings.Join(args, "")) // one at most
		},
	}
	set := cmd.Flags()
	set.SortFlags = false
	set.BoolVar(&f.dryRun, "dry-run", false, "show what would be put back, and change nothing")
	set.BoolVar(&f.yes, "yes", false, "do not ask; needed without a terminal")
	set.StringVar(&f.backup, "backup", "", "copy the files into this folder before they are written, below a folder for each run")
	f.registerProject(set)
	set.StringArrayVarP(&f.policies, "policy", "P", nil, "policy file or folder, repeatable: tells what is sensitive (default: composure/ beside the compose file)")
	set.StringArrayVar(&f.allowRoots, "allow-root", nil, "further folder in which files may be written, repeatable")
	f.registerStateDir(set)
	set.StringVarP(&f.format, "output", "o", formatText, "output format: text, json")
	set.BoolVarP(&f.quiet, "quiet", "q", false, "print only what failed or is held, one per line")
	set.BoolVarP(&f.verbose, "verbose", "v", false, "also log each finished step to stderr")
	set.BoolP("help", "h", false, "show this help")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if err := f.validate(cmd, []string{formatText, formatJSON}); err != nil {
			return err
		}
		return f.validBackup(cmd)
	}
	return cmd
}

func (f *applyFlags) rollback(ctx context.Context, in invocation, transaction string) error {
	options := controller.ApplyOptions{
		Backup: f.backupFolder(in), Progress: f.progress(in),
		Confirm: func(planned report.Report) (bool, error) {
			if f.dryRun {
				return false, nil
			}
			return f.confirm(ctx, in, planned)
		},
	}
	if !f.dryRun {
		if err := f.canAsk(in, "rollback", "composure rollback --dry-run"); err != nil {
			return err
		}
	}
	if err := f.needsRecords(in); err != nil {
		return err
	}
	result, err := controller.Rollback(ctx, f.config(in), transaction, options)
	return f.tell(in, result, err)
}
