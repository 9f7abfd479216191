// Package cli is the command line: it wires the packages together and decides
// the exit status. Data goes to standard output, talk to standard error.
//
// Exit status, in every verb and every output format: 0 fine; 1 answered "no"
// (findings at or above --fail-on, refused, tests failed); 2 could not answer
// (usage, unreadable or undecodable input, no such back end).
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/translators/report"
)

// Version is set when a release is built.
var Version = "dev"

// The exit statuses.
const (
	exitOK = iota
	exitNo
	exitCannot
)

// status ends a verb with an exit status; what there was to say has been said
// already when err is nil.
type status struct {
	code int
	err  error
}

func (s status) Error() string {
	if s.err == nil {
		return ""
	}
	return s.err.Error()
}

func cannot(format string, args ...any) error {
	return status{exitCannot, fmt.Errorf(format, args...)}
}

// app is where a verb reads and writes.
type app struct {
	in       io.Reader
	out, err io.Writer
}

// Main runs a command line and returns its exit status.
func Main(args []string, in io.Reader, out, errw io.Writer) int {
	collectLate()
	root := Root(in, out, errw)
	root.SetArgs(args)
	err := root.Execute()
	if err == nil {
		return exitOK
	}
	code := exitCannot // cobra's own errors are about usage
	var s status
	if errors.As(err, &s) {
		code = s.code
	}
	if err.Error() != "" {
		fmt.Fprintf(errw, "meshknot: %v\n", err)
	}
	return code
}

// untilInterrupted returns a context that ends with the first interrupt, for
// verbs that last. The second one ends the process, as the first does elsewhere.
func untilInterrupted(ctx context.Context) (context.Context, context.CancelFunc) {
	collect(lasting)
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// Root returns the command tree.
func Root(in io.Reader, out, errw io.Writer) *cobra.Command {
	a := &app{in, out, errw}
	root := &cobra.Command{
		Use:   "meshknot",
		Short: "One service mesh policy in, accounted-for configuration of any mesh out",
		Long: `meshknot reads SMI policies, validates them, and translates them into the
configuration of interchangeable back ends. Every input field is accounted for
on every back end; what would let more traffic through is refused.

Exit status: 0 fine; 1 answered "no"; 2 could not answer.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errw)
	root.SetFlagErrorFunc(misspelt)
	root.AddCommand(
		translateCommand(a), validateCommand(a), lossesCommand(a), statusCommand(a), checkCommand(a), backendsCommand(a), explainCommand(a), simulateCommand(a), diffCommand(a), planCommand(a), testCommand(a),
		policyCommand(a), migrateCommand(a), serveCommand(a), controllerCommand(a), webhookCommand(a), fnCommand(a), bootstrapCommand(a), demoCommand(a),
		codeCommand(a), completionCommand(a), versionCommand(a))
	root.CompletionOptions.DisableDefaultCmd = true
	return root
}

// undecodable are the codes that say that an input could not be read, so that
// the question could not be answered.
var undecodable = map[report.Code]bool{
	report.Undecodable: true, report.LimitExceeded: true, report.UnreadableFile: true,
	report.NothingRead: true, report.DuplicateKey: true,
}

// unread reports whether some input could not be read.
func unread(found report.Report) bool {
	return slices.ContainsFunc(found, func(f report.Finding) bool {
		return undecodable[f.Code] && f.Severity == report.Error
	})
}

// conclude turns findings into an exit status.
func conclude(found report.Report, failOn report.Severity) error {
	if unread(found) {
		return status{code: exitCannot}
	}
	if found.Worst(failOn) > 0 {
		return status{code: exitNo}
	}
	return nil
}
