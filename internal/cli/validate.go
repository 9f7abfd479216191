package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/report"
)

var findingFormats = []string{"text", "json", "sarif", "junit", "github", "markdown"}

func validateCommand(a *app) *cobra.Command {
	var in inputFlags
	var find findingFlags
	var rules policyFlags
	var verbose bool
	c := &cobra.Command{
		Use:   "validate -f FILE...",
		Short: "Check policies: fields, references, conflicts and Rego rules",
		Long: `Validate reads policies strictly, resolves their references, finds conflicts
and runs the Rego rules. It translates nothing.`,
		Example: "  meshknot validate -f examples/bookstore\n" +
			"  meshknot validate -f examples -o sarif --fail-on warning",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := find.check(c); err != nil {
				return err
			}
			set, store, found, err := in.load(a)
			if err != nil {
				return err
			}
			res := engine.New(all.Pipeline(), nil, nil).Run(store)
			found = append(found, res.Findings...)
			violations, err := checkPolicies(c.Context(), set, nil, rules)
			if err != nil {
				return err
			}
			found = append(found, violations...).Sorted()
			shown := slices.Clone(found)
			if find.output == "text" && !verbose {
				shown = slices.DeleteFunc(shown, func(f report.Finding) bool { return f.Severity == report.Info })
			}
			if err := a.render(a.out, find.output, set, shown, find.colored(a.out)); err != nil {
				return err
			}
			opened(a.err, in.access, res.Units)
			fmt.Fprintln(a.err, tally(set, found))
			return conclude(found, report.Severity(find.failOn))
		},
	}
	in.register(c)
	find.register(c, findingFormats...)
	rules.register(c)
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "show findings of severity info too")
	return c
}

func lossesCommand(a *app) *cobra.Command {
	var in inputFlags
	var to targetFlags
	var find findingFlags
	c := &cobra.Command{
		Use:   "losses -f FILE --to BACKEND[@VERSION],...",
		Short: "List what each back end cannot keep, per input field",
		Long: `Losses accounts for every field of the policies on every back end and lists
what is not exact: relocated, approximated, narrowed, dropped or widened.`,
		Example: "  meshknot losses -f examples/bookstore --to istio",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := find.check(c); err != nil {
				return err
			}
			t, err := a.translate(in, to)
			if err != nil {
				return err
			}
			var lost report.Report
			for _, f := range t.everything() {
				if f.Class != "" || f.Severity == report.Error {
					lost = append(lost, f)
				}
			}
			if err := a.render(a.out, find.output, t.set, lost, find.colored(a.out)); err != nil {
				return err
			}
			a.table(t)
			opened(a.err, t.access, t.Units)
			fmt.Fprintln(a.err, t.accounted())
			return conclude(t.everything(), report.Severity(find.failOn))
		},
	}
	in.register(c)
	to.register(c, true)
	find.register(c, findingFormats...)
	return c
}
