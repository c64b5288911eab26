package main

import (
	"github.com/spf13/cobra"

	"github.com/composure-dev/composure/controller"
)

const checkExample = `  composure check                                        # the project of this folder, policies in composure/
  composure check -P policy.yaml -f compose.yaml         # in CI: exit code 1 when a file is wrong
  composure check --fail-on warning -o json
  composure check -o patch -f deploy/compose.yaml | git apply     # from where you stand`

func newCheck(in invocation) *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use: "check [flags]", Short: "Compare the compose files with the policies; asks no engine", Example: checkExample, Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			result, err := controller.Check(cmd.Context(), f.config(in))
			if err != nil {
				return err
			}
			return f.print(in, result, f.textOptions(in, in.stdout))
		},
	}
	f.register(cmd, formatText, formatJSON, formatPatch)
	return cmd
}
