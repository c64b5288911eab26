package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/composure-dev/composure/internal/api"
	"github.com/composure-dev/composure/internal/report"
)

const getExample = `  composure get                                   # how every project is that the daemon looks after
  composure get projects -w                       # and then what changes, until Ctrl-C
  composure get policies
  composure get projects -o json --address unix:///run/composure/composure.sock`

func newGet(in invocation) *cobra.Command {
	var f clientFlags
	cmd := &cobra.Command{
		Use: "get [projects|policies] [flags]", Short: "Ask a running daemon how its projects or policies are",
		Example: getExample, ValidArgs: []string{"projects", "policies"},
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(cmd, errors.New("get takes one of projects, policies"), "")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := f.client()
			if err != nil {
				return err
			}
			switch {
			case len(args) == 0 || args[0] == "projects" || args[0] == "project":
				return f.getProjects(cmd.Context(), in, client)
			case args[0] == "policies" || args[0] == "policy":
				return f.getPolicies(cmd.Context(), in, client)
			default:
				return usage(cmd, fmt.Errorf("get knows no %q: it takes one of projects, policies", args[0]), "")
			}
		},
	}
	cmd.Flags().BoolVarP(&f.watch, "watch", "w", false, "go on with what changes, until interrupted")
	f.registerOutput(cmd)
	f.register(cmd.Flags(), in)
	return cmd
}

func (f *clientFlags) getProjects(ctx context.Context, in invocation, client *api.Client) error {
	if f.watch {
		return client.WatchProjects(ctx, func(c api.Change[api.Project]) error {
			if f.format == formatJSON {
				return printJSON(in, c, false)
			}
			return delivered(report.ProjectChange(in.stdout, c, time.Now()))
		})
	}
	projects, err := client.Projects(ctx)
	if err != nil {
		return err
	}
	if f.format == formatJSON {
		return printJSON(in, api.List[api.Project]{APIVersion: api.Version, Kind: api.KindProjectList, Items: projects}, true)
	}
	return delivered(report.ProjectsText(in.stdout, projects, time.Now()))
}

func (f *clientFlags) getPolicies(ctx context.Context, in invocation, client *api.Client) error {
	if f.watch {
		return client.WatchPolicies(ctx, func(c api.Change[api.Policy]) error {
			if f.format == formatJSON {
				return printJSON(in, c, false)
			}
			return delivered(report.PolicyChange(in.stdout, c, time.Now()))
		})
	}
	policies, err := client.Policies(ctx)
	if err != nil {
		return err
	}
	if f.format == formatJSON {
		return printJSON(in, api.List[api.Policy]{APIVersion: api.Version, Kind: api.KindPolicyList, Items: policies}, true)
	}
	return delivered(report.PoliciesText(in.stdout, policies, time.Now()))
}
