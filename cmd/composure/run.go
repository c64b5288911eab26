package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/composure-dev/composure/controller"
	"github.com/composure-dev/composure/internal/systemd"
)

const runExample = `  composure run -P policies/ --allow-root /srv          # every running project whose files lie below /srv
  composure run -f /srv/shop/compose.yaml               # one project, with the policies in composure/ beside it
  composure run -P policies/ --allow-root /srv --once   # look and mend once, then end: for cron
  curl -s http://127.0.0.1:8421/api/v1/projects         # how every project is`

const runLong = `It mends only what a policy enforces: enforcement.files and enforcement.containers are Audit unless the policy
says Enforce. SIGHUP makes it look at everything at once; SIGTERM ends it, after the transaction under way is finished or undone.`

// runFlags are run's own.
type runFlags struct {
	flags
	once     bool
	workers  int
	resync   time.Duration
	budget   int
	services int
	foreign  []string
	listen   listenFlags
	outward  outwardFlags
	logs     string
	home     string
}

func newRun(in invocation) *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use: "run [flags]", Example: runExample, Long: runLong, Args: noArguments,
		Short: "Keep projects true to their policies, for ever: find what drifts, and mend what a policy enforces",
		RunE:  func(cmd *cobra.Command, _ []string) error { return f.run(cmd, in) },
	}
	set := cmd.Flags()
	set.SortFlags = false
	set.StringArrayVarP(&f.policies, "policy", "P", nil, "policy file or folder, repeatable (default with --file: composure/ beside the compose file)")
	f.registerProject(set)
	set.Lookup("file").Usage = "compose file of the one project, repeatable (default: every running project of the engine)"
	set.StringArrayVar(&f.allowRoots, "allow-root", nil, "folder in which files may be read by label and written, repeatable")
	f.registerStateDir(set)
	set.BoolVar(&f.once, "once", false, "look at everything once, mend what may be mended, and end")
	set.IntVar(&f.workers, "workers", 4, "how many projects are looked at side by side")
	set.DurationVar(&f.resync, "resync", time.Minute, "how often the containers are listed, whatever the events told")
	set.IntVar(&f.budget, "budget", 6, "how many transactions a project may have within an hour")
	set.IntVar(&f.services, "max-services", 20, "how many services may be recreated within an hour, over all projects")
	set.StringArrayVar(&f.foreign, "foreign", nil, "mend what this other tool manages, or this project although one does, repeatable")
	f.listen.register(set)
	f.outward.register(set, in)
	set.StringVar(&f.home, "home", "", "what $HOME is in compose files: that of who runs docker compose (default: $HOME)")
	set.StringVar(&f.logs, "log-format", formatText, "how the log on stderr is written: text, json")
	set.BoolVarP(&f.verbose, "verbose", "v", false, "log more")
	set.BoolP("help", "h", false, "show this help")
	cmd.PreRunE = func(*cobra.Command, []string) error { return f.validate(cmd) }
	return cmd
}

func (f *runFlags) validate(cmd *cobra.Command) error {
	switch {
	case f.workers < 1:
		return usage(cmd, fmt.Errorf("--workers %d: at least one is needed", f.workers), "")
	case f.resync < time.Second:
		return usage(cmd, fmt.Errorf("--resync %s: at least 1s", f.resync), "")
	case f.budget < 1:
		return usage(cmd, fmt.Errorf("--budget %d: at least one", f.budget), "")
	case f.services < 1:
		return usage(cmd, fmt.Errorf("--max-services %d: at least one", f.services), "")
	case f.home != "" && !filepath.IsAbs(f.home):
		return usage(cmd, fmt.Errorf("--home %q: must be an absolute path", f.home), "")
	case f.logs != formatText && f.logs != formatJSON:
		return usage(cmd, fmt.Errorf("--log-format %q: must be one of text, json", f.logs), "")
	}
	if err := f.outward.validate(cmd, f.once); err != nil {
		return err
	}
	if f.all = len(f.project.Files) == 0 && f.project.Name == ""; f.all && len(f.policies) == 0 {
		return usage(cmd, errors.New("run looks after every running project, and has no policies for them"), "")
	}
	return nil
}

// garbage is how much of it may lie beside what lives before it is collected, in percent. The runtime's 100 would make a daemon of
// 10,000 containers half as large again, and spares 4 % of its CPU time.
const garbage = 40

func (f *runFlags) run(cmd *cobra.Command, in invocation) (err error) {
	ctx := cmd.Context()
	if err := f.needsRecords(in); err != nil {
		return err
	}
	config := f.config(in)
	const distinct = 8 // letters, enough to tell the runs in a log from each other
	config.Log = f.logger(in).WithValues("run", strings.ToLower(rand.Text()[:distinct]))
	config.Foreign, config.Endpoints = f.foreign, controller.NewEndpoints(f.outward.redis)
	if f.home != "" {
		config.Project.Environ = append(slices.Clone(config.Project.Environ), "HOME="+f.home)
	}
	options := controller.RunOptions{
		Open: in.openLive, Once: f.once, Workers: f.workers, Resync: f.resync, Budget: f.budget, MaxServices: f.services,
	}
	if !f.once {
		if in.getenv("GOGC") == "" {
			debug.SetGCPercent(garbage)
		}
		if err := f.listen.open(ctx, &options); err != nil {
			return err
		}
		hangups := make(chan os.Signal, 1) // further ones ask for nothing that the first does not
		signal.Notify(hangups, syscall.SIGHUP)
		defer signal.Stop(hangups)
		options.Now = hangups
		defer context.AfterFunc(ctx, systemd.Stopping)()
		options.Started = func(alive func() bool) {
			systemd.Ready()
			go systemd.Watchdog(ctx, alive)
		}
		options.Summary = systemd.Status
	}
	end, err := f.outward.open(ctx, config.Log, options.Metrics, &options)
	defer end()
	if err != nil {
		return err
	}
	config.Log.Info("flags", f.said(cmd)...)
	statuses, err := controller.Run(ctx, config, options)
	if !f.once {
		return err
	}
	return f.conclude(in, statuses, err)
}

// said are the flags that were given, for the log; of what may hold a secret the host alone.
func (f *runFlags) said(cmd *cobra.Command) []any {
	var said []any
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		if flag.Name != "redis" && flag.Name != "webhook" {
			said = append(said, flag.Name, flag.Value.String())
		}
	})
	for name, raw := range map[string]string{"redis": f.outward.redis, "webhook": f.outward.webhook} {
		if target, err := url.Parse(raw); err == nil && raw != "" {
			said = append(said, name, target.Scheme+"://"+target.Host)
		}
	}
	return said
}

func (f *runFlags) logger(in invocation) logr.Logger {
	options := &slog.HandlerOptions{Level: slog.LevelInfo, ReplaceAttr: plainLevel}
	if f.verbose {
		options.Level = slog.LevelDebug
	}
	if f.logs == formatJSON {
		return logr.FromSlogHandler(slog.NewJSONHandler(in.stderr, options))
	}
	return logr.FromSlogHandler(slog.NewTextHandler(in.stderr, options))
}

// conclude prints how every project is, and ends with the code of the worst.
func (f *runFlags) conclude(in invocation, statuses []controller.Status, err error) error {
	table := tabwriter.NewWriter(in.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PROJECT\tREADY\tREASON\tDIFFERENCES\tMESSAGE")
	worst := exitOK
	for _, s := range statuses {
		message := strings.Join(append([]string{s.Message}, s.HeldWords()...), "; ")
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\n", s.Project, s.ReadyWord(), s.Reason, s.Differences, strings.Trim(message, "; "))
		worst = max(worst, s.ExitCode())
	}
	if flushed := table.Flush(); err == nil {
		err = delivered(flushed)
	}
	switch {
	case worst > exitError: // that a person is needed counts more than what could not be looked at
		if err != nil {
			in.conclude(err)
		}
		return status(worst)
	case err == nil && worst != exitOK:
		return status(worst)
	}
	return err
}
