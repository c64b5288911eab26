package main

import (
	"errors"
	"io"
	"strconv"
	"syscall"

	"golang.org/x/term"

	"github.com/composure-dev/composure/internal/report"
	"github.com/composure-dev/composure/policy"
)

// Widths in columns: what is taken where no terminal tells, and what no text is squeezed below.
const (
	defaultWidth = 100
	leastWidth   = 40
)

// print writes the report to stdout and returns its exit code as a status.
func (f *flags) print(in invocation, r report.Report, o report.TextOptions) error {
	if err := delivered(f.render(in, r, o)); err != nil {
		return err
	}
	if code := report.ExitCode(r, policy.Severity(f.failOn)); code != exitOK {
		return status(code)
	}
	return nil
}

// delivered is the error of a write to stdout, unless its reader has left: it has had enough.
func delivered(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}

func (f *flags) render(in invocation, r report.Report, o report.TextOptions) error {
	switch f.format {
	case formatJSON:
		return report.JSON(in.stdout, r)
	case formatPatch:
		warnings, err := report.Patch(in.stdout, r)
		for _, warning := range warnings {
			in.say("warning: " + warning)
		}
		return err
	default:
		return report.Text(in.stdout, r, o)
	}
}

// textOptions suit the stream that the text goes to.
func (f *flags) textOptions(in invocation, w io.Writer) report.TextOptions {
	return report.TextOptions{Width: in.width(w), Color: in.color(w), Quiet: f.quiet, Verbose: f.verbose}
}

func (in invocation) width(w io.Writer) int {
	columns, err := strconv.Atoi(in.getenv("COLUMNS"))
	if err != nil || columns <= 0 {
		columns = defaultWidth
	}
	if fd, ok := descriptor(w); ok && term.IsTerminal(fd) {
		if wide, _, err := term.GetSize(fd); err == nil && wide > 0 {
			columns = wide
		}
	}
	return max(columns, leastWidth)
}

func (in invocation) color(w io.Writer) bool {
	return isTerminal(w) && in.getenv("NO_COLOR") == "" && in.getenv("TERM") != "dumb"
}

func isTerminal(stream any) bool {
	fd, ok := descriptor(stream)
	return ok && term.IsTerminal(fd)
}

// descriptor is a stream's file descriptor; a stream that is no file has none.
func descriptor(stream any) (fd int, ok bool) {
	file, ok := stream.(interface{ Fd() uintptr })
	if !ok {
		return 0, false
	}
	return int(file.Fd()), true
}
