package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/composure-dev/composure/controller"
)

const diffExample = `  composure diff                                  # what would apply do?
  composure diff --all -P /etc/composure          # in every running project
  composure diff -o json > plan.json              # for: composure apply --plan plan.json
  composure diff -o patch | git apply             # the files only, from where you stand`

func newDiff(in invocation) *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use: "diff [flags]", Aliases: []string{"plan"}, Example: diffExample, Args: noArguments,
		Short: "Show what apply would change in files and containers; writes nothing",
		RunE:  func(cmd *cobra.Command, _ []string) error { return runDiff(cmd.Context(), in, &f) },
	}
	f.registerAll(cmd)
	f.register(cmd, formatText, formatJSON, formatPatch)
	return cmd
}

func runDiff(ctx context.Context, in invocation, f *flags) error {
	result, err := controller.Diff(ctx, f.config(in))
	if err != nil {
		return err
	}
	return f.print(in, result, f.textOptions(in, in.stdout))
}
