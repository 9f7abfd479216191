package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/policies"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// policyEngine loads the shipped rules and those of directories.
func policyEngine(dirs []string, shipped bool) (*policies.Engine, error) {
	var modules []policies.Module
	if shipped {
		modules = policies.Shipped()
	}
	for _, d := range dirs {
		more, err := policies.Load(os.DirFS(d), d)
		if err != nil {
			return nil, status{exitCannot, err}
		}
		modules = append(modules, more...)
	}
	return policies.New(modules...), nil
}

// checkPolicies runs the Rego rules over every object that could be read,
// rejected ones included.
func checkPolicies(ctx context.Context, set *input.Set, dirs []string, shipped bool) (report.Report, error) {
	engine, err := policyEngine(dirs, shipped)
	if err != nil {
		return nil, err
	}
	var objects []policies.Object
	for _, o := range set.Objects {
		var value map[string]any
		if err := json.Unmarshal(set.JSON(o.ID), &value); err != nil {
			return nil, status{exitCannot, fmt.Errorf("%s: %w", o.Ref(""), err)}
		}
		objects = append(objects, policies.Object{Ref: o.Ref(""), Value: value})
	}
	return engine.Check(ctx, objects), nil
}

func policyCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "List, run and test Rego rules",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return cannot("want ls, eval or test") },
	}
	c.AddCommand(policyList(a), policyEval(a), policyTest(a))
	return c
}

func policyList(a *app) *cobra.Command {
	var dirs []string
	c := &cobra.Command{
		Use:     "ls",
		Short:   "List the rules",
		Example: "  meshknot policy ls",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			engine, err := policyEngine(dirs, true)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "CODE\tSEVERITY\tRULE\tTITLE")
			for _, r := range engine.Rules() {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Code, r.Severity, r.Package, r.Title)
			}
			if err := w.Flush(); err != nil {
				return err
			}
			return a.problems(engine.Problems())
		},
	}
	c.Flags().StringArrayVar(&dirs, "policy", nil, "directory of further rules (repeatable)")
	return c
}

// problems shows what is wrong with rules.
func (a *app) problems(found report.Report) error {
	if err := a.render(a.err, "text", nil, found, false); err != nil {
		return err
	}
	return conclude(found, report.Error)
}

func policyEval(a *app) *cobra.Command {
	var in inputFlags
	var find findingFlags
	var dirs []string
	var shipped bool
	c := &cobra.Command{
		Use:     "eval -f FILE",
		Short:   "Run the rules on objects, and nothing else",
		Example: "  meshknot policy eval -f examples/bookstore",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := find.check(c); err != nil {
				return err
			}
			set, _, found, err := in.load(a)
			if err != nil {
				return err
			}
			rules, err := checkPolicies(c.Context(), set, dirs, shipped)
			if err != nil {
				return err
			}
			found = append(found, rules...).Sorted()
			if err := a.render(a.out, find.output, set, found, find.colored(a.out)); err != nil {
				return err
			}
			fmt.Fprintln(a.err, tally(set, found))
			return conclude(found, report.Severity(find.failOn))
		},
	}
	in.register(c)
	find.register(c, findingFormats...)
	c.Flags().StringArrayVar(&dirs, "policy", nil, "directory of further rules (repeatable)")
	c.Flags().BoolVar(&shipped, "shipped-policies", true, "run the rules that meshknot ships")
	return c
}
