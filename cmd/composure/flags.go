package main

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/composure-dev/composure/controller"
	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/internal/state"
	"github.com/composure-dev/composure/policy"
)

// The output formats.
const (
	formatText  = "text"
	formatJSON  = "json"
	formatPatch = "patch"
)

// flags are those that check, diff and apply have in common.
type flags struct {
	policies   []string
	project    compose.Options
	all        bool
	services   []string
	allowRoots []string
	stateDir   string
	variables  bool
	format     string
	failOn     string
	quiet      bool
	verbose    bool
}

func (f *flags) register(cmd *cobra.Command, formats ...string) {
	set := cmd.Flags()
	set.SortFlags = false
	set.StringArrayVarP(&f.policies, "policy", "P", nil, "policy file or folder, repeatable (default: composure/ beside the compose file)")
	f.registerProject(set)
	set.StringArrayVar(&f.services, "service", nil, "only this service, repeatable")
	set.StringArrayVar(&f.allowRoots, "allow-root", nil, "further folder in which files may be read by label and written, repeatable")
	f.registerStateDir(set)
	set.BoolVar(&f.variables, "all-variables", false, "also list differing variables that no policy speaks of")
	set.StringVarP(&f.format, "output", "o", formatText, "output format: "+strings.Join(formats, ", "))
	set.StringVar(&f.failOn, "fail-on", string(policy.SeverityError), "least severity that makes a difference exit with 1: error, warning")
	set.BoolVarP(&f.quiet, "quiet", "q", false, "print only what differs, one per line")
	set.BoolVarP(&f.verbose, "verbose", "v", false, "list what complies too; apply also logs each finished step to stderr")
	set.BoolP("help", "h", false, "show this help")
	cmd.PreRunE = func(*cobra.Command, []string) error { return f.validate(cmd, formats) }
}

// registerProject is for the flags that say which project is meant.
func (f *flags) registerProject(set *pflag.FlagSet) {
	set.StringArrayVarP(&f.project.Files, "file", "f", nil, "compose file, repeatable (default: as docker compose finds it)")
	set.StringVarP(&f.project.Name, "project-name", "p", "", "project name")
	set.StringVar(&f.project.ProjectDirectory, "project-directory", "", "project directory (default: that of the first compose file)")
	set.StringArrayVar(&f.project.EnvFiles, "env-file", nil, "env file for interpolation, repeatable (default: .env)")
	set.StringArrayVar(&f.project.Profiles, "profile", nil, "profile to turn on, repeatable")
}

func (f *flags) registerStateDir(set *pflag.FlagSet) {
	set.StringVar(&f.stateDir, "state-dir", "", "folder for records of changes (default: /var/lib/composure as root, else $XDG_STATE_HOME/composure)")
}

// registerAll is for the verbs that ask an engine.
func (f *flags) registerAll(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.all, "all", false, "every running project of the engine; its policies are those of --policy")
}

func (f *flags) validate(cmd *cobra.Command, formats []string) error {
	severities := []string{string(policy.SeverityError), string(policy.SeverityWarning)}
	switch {
	case !slices.Contains(formats, f.format):
		return usage(cmd, fmt.Errorf("--output %q: must be one of %s", f.format, strings.Join(formats, ", ")), "")
	case cmd.Flags().Lookup("fail-on") != nil && !slices.Contains(severities, f.failOn):
		return usage(cmd, fmt.Errorf("--fail-on %q: must be one of %s", f.failOn, strings.Join(severities, ", ")), "")
	case f.quiet && f.verbose:
		return usage(cmd, errors.New("--quiet and --verbose exclude each other"), "")
	case f.all && (len(f.project.Files) > 0 || f.project.Name != ""):
		return usage(cmd, errors.New("--all and a project of your own (--file, --project-name) exclude each other"), "")
	}
	return nil
}

// config is what the flags and the surroundings ask of the controller.
func (f *flags) config(in invocation) controller.Config {
	project := f.project
	project.Directory, project.Environ = in.directory, in.environ
	return controller.Config{
		Policies: f.policies, Project: project, All: f.all, Services: f.services, AllowRoots: f.allowRoots,
		StateDir: f.records(in), OtherVariables: f.variables, Version: buildOf().Version, Open: in.openEngine, Log: f.log(in),
		Endpoints: controller.NewEndpoints(),
	}
}

// records is the folder that holds the records of changes.
func (f *flags) records(in invocation) string {
	if f.stateDir != "" {
		return f.stateDir
	}
	return state.DefaultDir(in.user, in.getenv)
}

// needsRecords is for the verbs that use them: they hold secrets, so they are not left wherever the command happens to run.
func (f *flags) needsRecords(in invocation) error {
	if f.stateDir != "" || filepath.IsAbs(f.records(in)) {
		return nil
	}
	return hint.Wrap(errors.New("no place for transaction records: neither XDG_STATE_HOME nor HOME names an absolute folder"), "name a folder with --state-dir")
}

func (f *flags) log(in invocation) logr.Logger {
	if !f.verbose {
		return logr.Discard()
	}
	return logr.FromSlogHandler(slog.NewTextHandler(in.stderr, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: plainLevel}))
}

// plainLevel names what logr calls V(1), which slog would call DEBUG+3.
func plainLevel(_ []string, a slog.Attr) slog.Attr {
	if level, ok := a.Value.Any().(slog.Level); ok && a.Key == slog.LevelKey && level < slog.LevelInfo {
		a.Value = slog.AnyValue(slog.LevelDebug)
	}
	return a
}
