package cli

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/policies"
)

func policyTest(a *app) *cobra.Command {
	var run string
	var verbose, coverage bool
	c := &cobra.Command{
		Use:     "test [DIR]",
		Short:   "Run the Rego tests and samples of a directory, or of the shipped rules",
		Example: "  meshknot policy test\n  meshknot policy test policies --run split --coverage",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var fsys fs.FS = policies.Files()
			if len(args) == 1 {
				fsys = os.DirFS(args[0])
			}
			results, covered, err := runPolicyTests(c.Context(), fsys, run, coverage)
			if err != nil {
				return status{exitCannot, err}
			}
			if err := a.showCoverage(covered); err != nil {
				return err
			}
			return a.testResults(results, verbose)
		},
	}
	c.Flags().StringVar(&run, "run", "", "only tests whose name matches this expression")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "show tests that pass too")
	c.Flags().BoolVar(&coverage, "coverage", false, "show how much of each rule file its tests ran")
	return c
}

func runPolicyTests(ctx context.Context, fsys fs.FS, run string, coverage bool) ([]policies.TestResult, []policies.FileCoverage, error) {
	if coverage {
		return policies.TestCoverage(ctx, fsys, run)
	}
	results, err := policies.Test(ctx, fsys, run)
	return results, nil, err
}

// showCoverage prints a line for each rule file, with the lines no test ran.
func (a *app) showCoverage(covered []policies.FileCoverage) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, f := range covered {
		missed := ""
		if len(f.Missed) > 0 {
			missed = "\tnot run: " + strings.Trim(fmt.Sprint(f.Missed), "[]")
		}
		fmt.Fprintf(w, "%s\t%.0f %%%s\n", f.File, f.Percent, missed)
	}
	return w.Flush()
}

// testResults prints results as go test does.
func (a *app) testResults(results []policies.TestResult, verbose bool) error {
	passed, failed := 0, 0
	for _, r := range results {
		word := "PASS"
		switch {
		case r.Skipped:
			word = "SKIP"
		case r.Passed:
			passed++
		default:
			word = "FAIL"
			failed++
		}
		if verbose || word == "FAIL" {
			fmt.Fprintf(a.out, "--- %s: %s (%.2fs)\n", word, r.Name, r.Duration.Seconds())
			if r.Message != "" {
				fmt.Fprintf(a.out, "    %s\n", strings.ReplaceAll(r.Message, "\n", "\n    "))
			}
		}
	}
	fmt.Fprintf(a.out, "%d passed, %d failed\n", passed, failed)
	if failed > 0 || passed == 0 {
		return status{code: exitNo}
	}
	return nil
}
