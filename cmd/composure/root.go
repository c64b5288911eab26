package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/composure-dev/composure/internal/hint"
)

// helpTemplate shows what to type first; the rest is for who reads on.
const helpTemplate = `{{.Short}}.{{if .HasExample}}

Examples:
{{.Example}}{{end}}

Usage:
  {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND [flags]{{else}}{{.UseLine}}{{end}}{{if gt (len .Aliases) 0}}

Aliases:
  {{.NameAndAliases}}{{end}}{{if .HasAvailableSubCommands}}

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{with .Long}}

{{.}}{{end}}
`

const rootExample = `  composure check                          # do the compose files follow the policies in composure/?
  composure diff                           # what would apply change, in files and containers?
  composure apply                          # patch the files, swap the containers, verify, or put everything back
  composure run -P policies/ --allow-root /srv   # keep them so, for ever
  composure check -P policy.yaml -f compose.yaml -o json`

const exitCodes = `Exit codes:
  0    compliant, nothing to do, or done
  1    differences, violations or held steps remain
  2    wrong usage, or it could not be done
  3    applied, failed verification, rolled back
  4    the rollback itself failed, a person is needed
  130  interrupted`

func newRoot(in invocation) *cobra.Command {
	root := &cobra.Command{
		Use:               "composure",
		Short:             "Composure keeps Docker Compose services true to a policy of environment variables",
		Long:              exitCodes,
		Example:           rootExample,
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              cobra.ArbitraryArgs,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args[0])
		},
	}
	root.SetIn(in.stdin)
	root.SetOut(in.stdout)
	root.SetErr(in.stderr)
	root.SetHelpTemplate(helpTemplate)
	root.Flags().BoolP("help", "h", false, "show this help")
	root.SetFlagErrorFunc(wrongFlag)
	root.AddCommand(newCheck(in), newDiff(in), newApply(in), newRun(in), newGet(in), newDescribe(in), newEvents(in), newSuspend(in), newResume(in), newHealthcheck(in),
		newOrigin(in), newHistory(in), newRollback(in), newVersion(in), newProbe(in))
	return root
}

func unknownCommand(cmd *cobra.Command, name string) error {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(append(names, sub.Name()), sub.Aliases...)
		}
	}
	return usage(cmd, fmt.Errorf("unknown command %q", name), hint.Closest(name, names))
}

// wrongFlag adds to the flag parser's error what was probably meant.
func wrongFlag(cmd *cobra.Command, err error) error {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return usage(cmd, err, "")
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	return usage(cmd, err, hint.Closest("--"+unknown.GetSpecifiedName(), names))
}

// usage is an error of whoever typed the command.
func usage(cmd *cobra.Command, err error, meant string) error {
	hints := []string{"see " + cmd.CommandPath() + " --help"}
	if meant != "" {
		hints = append([]string{"did you mean " + meant + "?"}, hints...)
	}
	return hint.Wrap(err, hints...)
}

// noArguments is for verbs that take flags only.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("%s takes no arguments, but was given %q", cmd.Name(), strings.Join(args, " "))
	return hint.Wrap(err, "name a service with --service, a compose file with --file", "see "+cmd.CommandPath()+" --help")
}
