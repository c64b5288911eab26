package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

const resumeExample = `  composure resume shop                           # after composure suspend, or composure rollback`

func newResume(in invocation) *cobra.Command {
	var f clientFlags
	cmd := &cobra.Command{
		Use: "resume PROJECT [flags]", Short: "Have a running daemon look after a project again", Example: resumeExample, Args: oneProject,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := f.client()
			if err != nil {
				return err
			}
			if err := client.Resume(cmd.Context(), args[0]); err != nil {
				return err
			}
			_, err = fmt.Fprintf(in.stdout, "project %s is looked after again\n", args[0])
			return delivered(err)
		},
	}
	f.register(cmd.Flags(), in)
	return cmd
}
