package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

const suspendExample = `  composure suspend shop --reason "restoring the database"
  composure resume shop                           # takes it back`

const suspendLong = `The daemon goes on looking at the project, and changes nothing of it. What a crash has cut off is still put in order. A composure apply
that changes the project lifts it, too.`

func newSuspend(in invocation) *cobra.Command {
	var f clientFlags
	var reason string
	cmd := &cobra.Command{
		Use: "suspend PROJECT [flags]", Short: "Have a running daemon leave a project alone", Example: suspendExample, Long: suspendLong, Args: oneProject,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := f.client()
			if err != nil {
				return err
			}
			if err := client.Suspend(cmd.Context(), args[0], reason); err != nil {
				return err
			}
			_, err = fmt.Fprintf(in.stdout, "project %s is suspended; take that back with: composure resume %s\n", args[0], args[0])
			return delivered(err)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for people, without secrets")
	f.register(cmd.Flags(), in)
	return cmd
}
