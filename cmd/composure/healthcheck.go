package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

const healthcheckExample = `  composure healthcheck                           # exit code 0 when the daemon answers
  composure healthcheck --ready                   # and only when the engine answers it, too`

func newHealthcheck(in invocation) *cobra.Command {
	var f clientFlags
	var ready bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "healthcheck [flags]", Short: "Ask whether a daemon runs, for HEALTHCHECK in an image without curl", Example: healthcheckExample, Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := f.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			return client.Healthy(ctx, ready)
		},
	}
	cmd.Flags().BoolVar(&ready, "ready", false, "the engine has to answer, and its containers to be known")
	cmd.Flags().DurationVar(&timeout, "timeout", 5*time.Second, "how long to wait for an answer")
	f.register(cmd.Flags(), in)
	return cmd
}
