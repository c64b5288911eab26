package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/composure-dev/composure/controller"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/internal/redact"
	"github.com/composure-dev/composure/internal/report"
)

const applyExample = `  composure apply                                 # shows the diff and asks
  composure apply --yes                           # without a terminal: in CI, in a script
  composure apply --files-only --yes              # patch the files, touch no container
  composure apply --backup ../before --git-commit # keep the files as they were, commit them as they are
  composure diff -o json > plan.json              # exits with 1 when something differs: join them with ;
  composure apply --plan plan.json --yes          # that plan, or nothing`

// applyFlags are apply's own.
type applyFlags struct {
	flags
	filesOnly bool
	dryRun    bool
	plan      string
	yes       bool
	backup    string
	gitCommit bool
	// shown is set once the plan stands where the report will stand, and declined once a person has said no to it.
	shown, declined bool
}

func newApply(in invocation) *cobra.Command {
	var f applyFlags
	cmd := &cobra.Command{
		Use: "apply [flags]", Example: applyExample, Args: noArguments,
		Short: "Patch the files, swap the containers that differ, verify, or put everything back",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.dryRun {
				return runDiff(cmd.Context(), in, &f.flags)
			}
			return f.run(cmd.Context(), in)
		},
	}
	cmd.Flags().BoolVar(&f.filesOnly, "files-only", false, "patch the files and touch no container; needs no engine")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "the same as: composure diff")
	cmd.Flags().StringVar(&f.plan, "plan", "", "do what this report of diff -o json says, or nothing when it is stale")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask; needed without a terminal")
	cmd.Flags().StringVar(&f.backup, "backup", "", "copy the files into this folder before they are written, below a folder for each apply")
	cmd.Flags().BoolVar(&f.gitCommit, "git-commit", false, "commit the written files to git, once everything is verified; nothing is done when that cannot work")
	f.registerAll(cmd)
	f.register(cmd, formatText, formatJSON, formatPatch)
	validate := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if f.format == formatPatch && !f.dryRun {
			return usage(cmd, errors.New("--output patch writes nothing, so it goes with --dry-run only"), "")
		}
		if err := f.validBackup(cmd); err != nil {
			return err
		}
		return validate(cmd, args)
	}
	return cmd
}

func (f *applyFlags) run(ctx context.Context, in invocation) error {
	options := controller.ApplyOptions{
		FilesOnly: f.filesOnly, Backup: f.backupFolder(in), GitCommit: f.gitCommit, Progress: f.progress(in),
		Confirm: func(planned report.Report) (bool, error) { return f.confirm(ctx, in, planned) },
	}
	if err := f.canAsk(in, "apply", "composure diff"); err != nil {
		return err
	}
	if err := f.needsRecords(in); err != nil {
		return err
	}
	if f.plan != "" {
		saved, err := os.ReadFile(f.plan)
		if err != nil {
			return hint.Wrap(fmt.Errorf("read saved plan: %w", err), "make one with: composure diff -o json > "+f.plan)
		}
		options.SavedPlan = saved
	}
	result, err := controller.Apply(ctx, f.config(in), options)
	return f.tell(in, result, err)
}

// canAsk wants a terminal to ask on, or a yes in advance.
func (f *applyFlags) canAsk(in invocation, verb, look string) error {
	if f.yes || isTerminal(in.stdin) && isTerminal(in.stderr) {
		return nil
	}
	return hint.Wrap(errors.New(verb+" asks before it changes anything, and there is no terminal to ask on"), "add --yes, or look first: "+look)
}

func (f *applyFlags) validBackup(cmd *cobra.Command) error {
	if cmd.Flags().Changed("backup") && f.backup == "" {
		return usage(cmd, errors.New("--backup names no folder"), "")
	}
	return nil
}

// backupFolder is absolute, since it is told and recorded. It is empty when no backup was asked for.
func (f *applyFlags) backupFolder(in invocation) string {
	if f.backup == "" || filepath.IsAbs(f.backup) {
		return f.backup
	}
	return filepath.Join(in.directory, f.backup)
}

// tell prints the report. One that comes with an error, an interrupt say, tells what was done before it.
func (f *applyFlags) tell(in invocation, result report.Report, err error) error {
	if err != nil && len(result.Projects) == 0 {
		return err
	}
	something := slices.ContainsFunc(result.Projects, func(p report.Project) bool { return len(p.Recovered) > 0 })
	if f.declined && !something && f.format == formatText {
		if _, err := fmt.Fprintln(in.stdout, "declined: nothing was changed"); delivered(err) != nil {
			return err
		}
		return status(exitDeclined)
	}
	text := f.textOptions(in, in.stdout)
	text.PlanShown = f.shown
	if printed := f.print(in, result, text); err == nil {
		return printed
	}
	return err
}

// progress tells of each step on stderr. However quiet, it tells how to undo a swap by hand: once the process has died it cannot.
func (f *applyFlags) progress(in invocation) func(string) {
	return func(line string) {
		if !f.quiet || strings.HasPrefix(line, "swapping ") {
			fmt.Fprintln(in.stderr, line)
		}
	}
}

// confirm shows the plan and, without --yes, asks. The answer is no unless it is yes.
func (f *applyFlags) confirm(ctx context.Context, in invocation, planned report.Report) (bool, error) {
	if f.yes {
		return f.announce(in, planned)
	}
	proceed, err := f.ask(ctx, in, planned)
	f.shown, f.declined = isTerminal(in.stdout), err == nil && !proceed
	return proceed, err
}

// announce shows the plan where the report will stand. A reader that has left does not keep it from being carried out.
func (f *applyFlags) announce(in invocation, planned report.Report) (bool, error) {
	if f.quiet || f.format != formatText {
		return true, nil
	}
	f.shown = true
	options := f.textOptions(in, in.stdout)
	options.Announced = true
	err := delivered(report.Text(in.stdout, planned, options))
	return err == nil, err
}

func (f *applyFlags) ask(ctx context.Context, in invocation, planned report.Report) (bool, error) {
	options := f.textOptions(in, in.stderr)
	options.Quiet, options.Announced = false, true
	if err := report.Text(in.stderr, planned, options); err != nil {
		return false, err
	}
	fmt.Fprintf(in.stderr, "\n%s [y/N] ", question(planned))
	answers := make(chan string, 1)
	go func() {
		// A line that cannot be read is no yes.
		line, _ := bufio.NewReader(in.stdin).ReadString('\n')
		answers <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case answer := <-answers:
		return answer == "y" || answer == "yes", nil
	}
}

func question(planned report.Report) string {
	var names, engines []string
	for _, p := range planned.Projects {
		names = append(names, p.Name)
		if p.Context != "" {
			engines = []string{redact.Value(p.Context, false)}
		}
	}
	if planned.Verb == report.VerbRollback {
		return fmt.Sprintf("Take this back in %s on %s?", strings.Join(names, ", "), strings.Join(engines, ""))
	}
	if len(engines) == 0 {
		return fmt.Sprintf("Patch the files of %s?", strings.Join(names, ", "))
	}
	return fmt.Sprintf("Apply this to %s on %s?", strings.Join(names, ", "), engines[0])
}
