package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/composure-dev/composure/internal/api"
	"github.com/composure-dev/composure/internal/report"
)

const eventsExample = `  composure events                                # what the daemon has seen and done, the oldest first
  composure events shop -w                        # of one project, and then what happens, until Ctrl-C`

func newEvents(in invocation) *cobra.Command {
	var f clientFlags
	cmd := &cobra.Command{
		Use: "events [PROJECT] [flags]", Short: "Ask a running daemon what has happened", Example: eventsExample,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(cmd, errors.New("events takes one project at most"), "")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := f.client()
			if err != nil {
				return err
			}
			project := strings.Join(args, "") // one at most
			if f.watch {
				return client.WatchEvents(cmd.Context(), project, func(c api.Change[api.Event]) error { return f.print(in, []api.Event{c.Object}) })
			}
			events, err := client.Events(cmd.Context(), project)
			if err != nil {
				return err
			}
			if f.format == formatJSON {
				return printJSON(in, api.List[api.Event]{APIVersion: api.Version, Kind: api.KindEventList, Items: events}, true)
			}
			return f.print(in, events)
		},
	}
	cmd.Flags().BoolVarP(&f.watch, "watch", "w", false, "go on with what happens, until interrupted")
	f.registerOutput(cmd)
	f.register(cmd.Flags(), in)
	return cmd
}

func (f *clientFlags) print(in invocation, events []api.Event) error {
	if f.format == formatText {
		return delivered(report.EventsText(in.stdout, events))
	}
	for _, event := range events {
		if err := printJSON(in, event, false); err != nil {
			return err
		}
	}
	return nil
}
