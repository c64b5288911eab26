package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/composure-dev/composure/internal/api"
	"github.com/composure-dev/composure/internal/report"
)

const describeExample = `  composure describe shop                         # conditions, differences, what is held and why, transactions, events
  composure describe shop -o json`

func newDescribe(in invocation) *cobra.Command {
	var f clientFlags
	cmd := &cobra.Command{
		Use: "describe PROJECT [flags]", Short: "Ask a running daemon for all that it knows of a project", Example: describeExample, Args: oneProject,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := f.client()
			if err != nil {
				return err
			}
			description, err := client.Describe(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if f.format == formatJSON {
				return printJSON(in, api.Single{APIVersion: api.Version, Kind: api.KindProject, Description: description}, true)
			}
			return delivered(report.DescriptionText(in.stdout, description, time.Now()))
		},
	}
	f.registerOutput(cmd)
	f.register(cmd.Flags(), in)
	return cmd
}
