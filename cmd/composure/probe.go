package main

import (
	"github.com/spf13/cobra"

	"github.com/composure-dev/composure/internal/probe"
)

// newProbe is the verb that Composure's own probe containers run; nobody types it.
func newProbe(in invocation) *cobra.Command {
	return &cobra.Command{
		Use: "probe", Short: "Answer one probe job read from stdin", Hidden: true, Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return probe.Run(cmd.Context(), in.stdin, in.stdout) },
	}
}
